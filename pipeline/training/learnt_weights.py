"""Weights of losses that are learnt: bi-level optimisation, and dynamic weight averaging."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from pipeline.training import ranks
from pipeline.training.loss_weights import Losses, LossWeights, Prepared

LENGTH = 0.01
"""How far the finite difference moves the parameters to either side (public code)."""
_NORM_EPS = 1e-6
_LEAST_LOSS = 1e-6
"""A smaller one counts as this where losses are divided: a perfect fidelity loss is around 0."""


class BilevelWeights(LossWeights):
    """Weights that lower the primary loss on other faces after the next step (SJEDD, equation 7).

    Before every step, Adam moves them along :func:`weight_gradient`. A weight stays at 0 or above:
    below it, the model would be made worse at its task on purpose. The public code has no such
    bound, and neither of the two keeps their sum.

    Args:
        first: what the weights start from, by the names of the losses.
        primary: the loss of the outer level.
        learning_rate: of Adam.
        faces: where the minibatches of the outer level come from.
    """

    def __init__(
        self,
        first: Mapping[str, float],
        primary: str,
        learning_rate: float,
        faces: Literal["train", "val"] = "train",
    ) -> None:
        super().__init__(first)
        self.second_from = faces
        self._primary = primary
        self._values = torch.tensor(list(first.values()), dtype=torch.float64)  # (K,)
        self._adam = Adam([self._values], lr=learning_rate)

    def before_step(
        self, losses: Losses, optimizer: Optimizer, batch: Prepared, second: Prepared | None
    ) -> None:
        """See :class:`pipeline.training.loss_weights.LossWeights`."""
        if second is None:
            raise ValueError("bi-level optimisation needs other faces besides those of the step")
        gradient = weight_gradient(losses, optimizer, self.current, self._primary, batch, second)
        self._values.grad = gradient
        self._adam.step()
        self._values.clamp_(min=0)
        self.current = dict(zip(self.current, self._values.tolist(), strict=True))

    def columns(self) -> dict[str, float]:
        """See :class:`pipeline.training.loss_weights.LossWeights`."""
        return _columns(self.current)

    def state_dict(self) -> dict[str, Any]:
        """See :class:`pipeline.training.loss_weights.LossWeights`."""
        return super().state_dict() | {"adam": self._adam.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See :class:`pipeline.training.loss_weights.LossWeights`."""
        super().load_state_dict(state)
        self._values.copy_(torch.tensor(list(self.current.values()), dtype=torch.float64))
        self._adam.load_state_dict(state["adam"])


def weight_gradient(
    losses: Losses,
    optimizer: Optimizer,
    weights: Mapping[str, float],
    primary: str,
    batch: Prepared,
    second: Prepared,
) -> Tensor:
    """Slope of the primary loss on other faces, behind one step of descent, for every weight.

    With parameters p, rate a, and p' = p - a (gradient of the weighted sum on the batch + weight
    decay * p), let d be the gradient of the primary loss on the other faces at p'. The slope for
    the weight of loss L is -a (gradient of L at p) . d, which finite differences approximate by
    -a (L(p + e d) - L(p - e d)) / (2 e) with e = 0.01 / length of d: two forward passes instead of
    second derivatives (SJEDD, section IV-C, "finite difference method"). The step is one of plain
    descent, as in the public code, whatever the optimizer.

    The parameters are put back from a copy, bit by bit; gradients that they have stay.

    Args:
        losses: unweighted losses, by name, of the model as it stands.
        optimizer: has the parameters, their rate and their weight decay; one rate for all.
        weights: by name of the losses.
        primary: the loss of the outer level.
        batch: faces of the inner level.
        second: faces of the outer level.

    Returns:
        float64 (K,), on the CPU, in the order of the weights; 0 where the rate is.
    """
    groups = optimizer.param_groups
    (rate,) = {group["lr"] for group in groups}
    decays = [group["weight_decay"] for group in groups for _ in group["params"]]
    parameters = [p for group in groups for p in group["params"]]
    if rate == 0:
        return torch.zeros(len(weights), dtype=torch.float64)
    kept = [p.detach().clone() for p in parameters]
    try:
        parts = losses(batch)
        inner = _gradients(sum(w * parts[name] for name, w in weights.items()), parameters)
        with torch.no_grad():
            for p, gradient, decay in zip(parameters, inner, decays, strict=True):
                p.sub_(rate * (gradient + decay * p))
        outer = _gradients(losses(second)[primary], parameters)
        length = math.sqrt(sum(float(d.double().square().sum()) for d in outer))
        step = LENGTH / (length + _NORM_EPS)
        sides = []
        with torch.no_grad():
            for sign in (1, -1):
                for p, before, d in zip(parameters, kept, outer, strict=True):
                    p.copy_(before + sign * step * d)
                found = losses(batch)
                sides.append(torch.stack([found[name].double().cpu() for name in weights]))  # (K,)
    finally:
        with torch.no_grad():
            for p, before in zip(parameters, kept, strict=True):
                p.copy_(before)
    slope: Tensor = -rate * (sides[0] - sides[1]) / (2 * step)  # (K,)
    return slope


class AveragedWeights(LossWeights):
    """Dynamic weight averaging (reference [105] of SJEDD; Table VII): no loss comes first.

    The weight of a loss in an epoch is K exp(r / temperature) / the sum of these exponentials, with
    r the loss's mean in the last epoch over that in the one before: what falls slowly counts more.
    The first two epochs have the weights that it starts from.

    Args:
        first: what the weights start from, by the names of the losses.
        temperature: above 0; at a higher one the weights are more alike.
    """

    def __init__(self, first: Mapping[str, float], temperature: float) -> None:
        super().__init__(first)
        self._temperature = temperature
        self._last: dict[str, float] = {}

    def after_epoch(self, means: Mapping[str, float]) -> None:
        """See :class:`pipeline.training.loss_weights.LossWeights`."""
        now = {name: max(means[name], _LEAST_LOSS) for name in self.current}
        if self._last:
            ratios = [now[name] / self._last[name] / self._temperature for name in now]
            shares = torch.tensor(ratios, dtype=torch.float64).softmax(dim=0)  # (K,)
            self.current = dict(zip(now, (len(now) * shares).tolist(), strict=True))
        self._last = now

    def columns(self) -> dict[str, float]:
        """See :class:`pipeline.training.loss_weights.LossWeights`."""
        return _columns(self.current)

    def state_dict(self) -> dict[str, Any]:
        """See :class:`pipeline.training.loss_weights.LossWeights`."""
        return super().state_dict() | {"last": dict(self._last)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See :class:`pipeline.training.loss_weights.LossWeights`."""
        super().load_state_dict(state)
        self._last = dict(state["last"])


def _columns(weights: Mapping[str, float]) -> dict[str, float]:
    return {f"weight_{name}": value for name, value in weights.items()}


def _gradients(loss: Any, parameters: list[Tensor]) -> list[Tensor]:
    """Zeros where a loss does not depend on a parameter."""
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    whole = [
        torch.zeros_like(p) if one is None else one
        for p, one in zip(parameters, found, strict=True)
    ]
    ranks.sum_(whole)
    return whole
