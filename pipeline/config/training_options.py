"""Options of training that both papers leave at nothing: averaging, and how a step is computed."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pipeline.config.strict import Range


@dataclass(frozen=True)
class AveragingParams:
    """Averages of the weights of several steps or epochs."""

    ema: Annotated[float, Range(0, 0.999999)] = 0.0
    """Decay per step of an exponential moving average, which then is what is validated and kept;
    0 = none. Usual: 0.9999 where a run has many thousands of steps."""
    last_epochs: Annotated[int, Range(0, 100_000)] = 0
    """The model that is kept is the mean of those behind the last so many epochs (a soup) instead
    of the best epoch; 0 = the best epoch."""


@dataclass(frozen=True)
class ComputeParams:
    """How a step is computed. Each choice gives other bytes, and none another meaning."""

    precision: Literal["float32", "bf16"] = "float32"
    """``bf16``: matrix products in bfloat16 (autocast); weights, losses and distances stay in
    float32."""
    accumulate: Annotated[int, Range(1, 4096)] = 1
    """Parts that a batch goes through the model in, to need less memory. The update is that of the
    whole batch, triplets included; each part goes forward twice."""
    fused: bool = False
    """torch's fused AdamW."""
    compiled: bool = False
    """The model by ``torch.compile``; needs a C++ compiler, and some minutes before the first step.
    """
