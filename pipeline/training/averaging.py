"""Averages of a model's weights while it is trained: by step (EMA) and by epoch (a soup)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.config.training_options import AveragingParams

State = dict[str, Tensor]


class Averages:
    """What is averaged of a model.

    Args:
        model: whose weights they are.
        params: which averages there are.
        epochs: of the whole run.
    """

    def __init__(self, model: nn.Module, params: AveragingParams, epochs: int) -> None:
        self._model = model
        self._params = params
        self._first_epoch = epochs - params.last_epochs
        self._ema: State = _copy(model.state_dict()) if params.ema else {}
        self._soup: State = {}
        self._souped = 0

    def after_step(self) -> None:
        """Takes the weights as they are into the moving average."""
        if self._ema:
            _move(self._ema, self._model.state_dict(), 1 - self._params.ema)

    def after_epoch(self, epoch: int) -> None:
        """Takes the weights behind an epoch (from 0) into the mean of the last ones.

        Where there is a moving average, it is that which is taken.
        """
        if epoch < self._first_epoch or not self._params.last_epochs:
            return
        self._souped += 1
        now = self._ema or self._model.state_dict()
        if self._soup:
            _move(self._soup, now, 1 / self._souped)
        else:
            self._soup = _copy(now)

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Inside, the model has the weights of its moving average, if there is one."""
        with _weights(self._model, self._ema):
            yield

    @contextmanager
    def of_epochs(self) -> Iterator[None]:
        """Inside, the model has the mean of the weights of its last epochs, if there is one."""
        with _weights(self._model, self._soup):
            yield

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on, on the CPU."""
        moving = {name: value.cpu() for name, value in self._ema.items()}
        soup = {name: value.cpu() for name, value in self._soup.items()}
        return {"ema": moving, "soup": soup, "souped": self._souped}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state."""
        like = self._model.state_dict()
        self._ema = {name: value.to(like[name].device) for name, value in state["ema"].items()}
        self._soup = {name: value.to(like[name].device) for name, value in state["soup"].items()}
        self._souped = state["souped"]


def _copy(state: Mapping[str, Tensor]) -> State:
    return {name: value.detach().clone() for name, value in state.items()}


@torch.no_grad()
def _move(average: State, now: Mapping[str, Tensor], by: float) -> None:
    """Moves every floating-point number of an average towards what it is now; copies others."""
    for name, value in now.items():
        if value.is_floating_point():
            average[name].lerp_(value, by)
        else:
            average[name].copy_(value)


@contextmanager
def _weights(model: nn.Module, other: State) -> Iterator[None]:
    """Inside, the model has other weights."""
    if not other:
        yield
        return
    own = _copy(model.state_dict())
    model.load_state_dict(other)
    try:
        yield
    finally:
        model.load_state_dict(own)
