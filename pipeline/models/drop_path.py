"""Stochastic depth: in training, a block's branches are left out for some faces (Huang et al.)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

_BRANCHES = ("attention", "self_attn", "mlp")
"""What transformers calls the two branches of a block whose outputs are added to its input."""


def drop_paths(blocks: Sequence[nn.Module], rate: float) -> None:
    """Makes every block leave out its branches at random while it is trained.

    The probability rises linearly, from 0 at the first block to ``rate`` at the last, as in FSFM's
    and timm's public code. What is not left out is scaled up, so that its mean stays.
    """
    for number, block in enumerate(blocks):
        probability = rate * number / max(1, len(blocks) - 1)
        branches = [getattr(block, name) for name in _BRANCHES if hasattr(block, name)]
        if len(branches) != 2:
            raise ValueError(f"{type(block).__name__} has {len(branches)} known branches, not 2")
        for branch in branches:
            branch.register_forward_hook(_Dropped(probability))


class _Dropped:
    """Multiplies what a branch gives for a face by 0, or else by 1 / (1 - probability)."""

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def __call__(self, branch: nn.Module, _inputs: Any, output: Any) -> Any:
        if not branch.training or not self.probability:
            return output
        if isinstance(output, tuple):
            return (self._dropped(output[0]), *output[1:])
        return self._dropped(output)

    def _dropped(self, values: Tensor) -> Tensor:
        kept = 1 - self.probability
        shape = (len(values), *[1] * (values.ndim - 1))
        drawn = torch.rand(shape, device=values.device) < kept  # (B, 1, 1)
        return values * drawn / kept
