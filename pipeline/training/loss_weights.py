"""Weights of an objective's losses: fixed here, and what one that learns them has to offer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor
from torch.optim import Optimizer

from pipeline.training.data import TrainingBatch


@dataclass(frozen=True)
class Prepared:
    """A batch on the device, as a step takes it."""

    images: Tensor
    """float32 (B, 3, side, side), augmented and normalised."""
    faces: TrainingBatch
    """The same faces with their labels."""


Losses = Callable[[Prepared], dict[str, Tensor]]
"""Unweighted losses, by name, of the model as it stands: a forward pass, with gradients."""


class LossWeights:
    """The weights of an objective's losses; they stay as they are.

    A subclass may change :attr:`current`, before every step, after every epoch, or both. Whatever
    it remembers besides is part of its state, so that an interrupted run goes on with it.

    Args:
        first: what the weights start from, by the names of the losses, in the order of the
            history's columns.
    """

    second_from: Literal["", "train", "val"] = ""
    """Where the other faces come from that :meth:`before_step` is given besides those of the step;
    "" where it needs none. Those of val are not augmented."""

    def __init__(self, first: Mapping[str, float]) -> None:
        self.current = dict(first)
        """By name: what the next step multiplies the losses by."""

    def before_step(
        self, losses: Losses, optimizer: Optimizer, batch: Prepared, second: Prepared | None
    ) -> None:
        """The outer step: called before the losses of a step are weighted.

        It may read the optimizer, whose groups have the learning rate and the weight decay of this
        step, and may change the model's parameters for a while; it must put the very same numbers
        back, from a copy, and leave their gradients alone (``torch.autograd.grad`` does).

        Args:
            losses: of the model as it stands, over the whole batch. Where several processes train
                together, each has the gradient of its own share of the faces: add them up with
                :func:`pipeline.training.ranks.sum_`.
            optimizer: of the model's parameters; its own step comes later.
            batch: what the step is made on.
            second: other faces; None unless :attr:`second_from` says where from.
        """

    def after_epoch(self, means: Mapping[str, float]) -> None:
        """Called behind the last step of each epoch.

        Args:
            means: by name, the mean of each unweighted loss over the faces of the epoch.
        """

    def columns(self) -> dict[str, float]:
        """What an epoch's row of the history has of the weights; nothing where they are fixed.

        It is asked before :meth:`after_epoch`. Names of columns begin with ``weight_``.
        """
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything that is needed to go on: numbers, tensors and plain containers of them."""
        return {"current": dict(self.current)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state."""
        self.current = dict(state["current"])
