"""The optimizer: what decays, which layer learns how fast, and the rate at every step."""

import math
from collections import defaultdict

from torch import nn
from torch.optim import AdamW

from pipeline.config.run_params import OptimizerParams
from pipeline.models import Classifier

_TOKENS = ("cls_token", "class_embedding", "position_embedding")
"""Parts of the names of learnt tokens and positions, which no weight decay pulls to 0."""


def make_optimizer(model: Classifier, params: OptimizerParams) -> AdamW:
    """AdamW (metric learning, section 4.3) over all parameters that want gradients.

    Biases, gains of norms and other vectors, class tokens and positions get no weight decay, as in
    the public code of FSFM, from which metric learning starts.

    With a layer decay d (section 4.3), a parameter of layer l of a model with layers 0 to L learns
    at d^(L - l) of the rate: the head at all of it, the patch embedding slowest. There is one group
    per layer and kind of weight decay, from the input on, with ``layer`` and ``rate_scale``.

    Raises:
        ValueError: a layer decay is asked of a model that has no one order of layers.
    """
    layers = model.layers() if params.layer_decay != 1 else {}
    last = max(layers.values(), default=0)
    groups: dict[tuple[int, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_free = parameter.ndim <= 1 or any(token in name for token in _TOKENS)
            groups[layers.get(name, last), is_free].append(parameter)
    listed = [
        {
            "params": groups[layer, is_free],
            "weight_decay": 0.0 if is_free else params.weight_decay,
            "layer": layer,
            "rate_scale": params.layer_decay ** (last - layer),
        }
        for layer, is_free in sorted(groups)
    ]
    return AdamW(listed, lr=params.highest_rate)


def learning_rate(params: OptimizerParams, epochs_done: float) -> float:
    """Learning rate of a step that begins ``epochs_done`` (0 to ``epochs``) epochs into the run.

    Rises linearly from 0 over the warm-up, then falls along half a cosine to the least rate (metric
    learning, section 4.3; per step, as FSFM's public code).
    """
    if epochs_done < params.warmup_epochs:
        return params.highest_rate * epochs_done / params.warmup_epochs
    falling = (epochs_done - params.warmup_epochs) / (params.epochs - params.warmup_epochs)
    height = 0.5 * (1 + math.cos(math.pi * falling))
    return params.min_learning_rate + (params.highest_rate - params.min_learning_rate) * height


def set_learning_rate(optimizer: AdamW, rate: float) -> None:
    """Gives every group this learning rate times its own scale, from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_scale"]
