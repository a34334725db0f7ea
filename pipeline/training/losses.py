"""Cross-entropy and fidelity losses: pure functions of tensors.

Labels are 1 altered, 0 not, -1 unobserved. Triplet losses are in :mod:`pipeline.training.triplets`.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.labels.levels import Levels

FIDELITY_EPS = 1e-8
"""Under each square root (SJEDD's code): keeps the slope at probability 0 finite."""

UNOBSERVED = -1


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of a batch, in float32 or better.

    Args:
        logits: (B, classes).
        labels: integer (B,), the right class of each, or float (B, classes), the weight of each
            class's logarithm (soft targets, :mod:`pipeline.training.targets`).

    Returns:
        a scalar, at least 0.
    """
    if labels.ndim == 1:
        return functional.cross_entropy(_at_least_float32(logits), labels.long())
    return functional.cross_entropy(_at_least_float32(logits), labels)


def fidelity(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Fidelity loss of every label, 1 - (sqrt(p g + 1e-8) + sqrt((1 - p)(1 - g) + 1e-8)).

    SJEDD, equation 6, with the 1e-8 of its public code. Computed in float64.

    Args:
        probabilities: (B, n) in [0, 1].
        labels: (B, n), 0 or 1.

    Returns:
        float64 (B, n) in [-0.0002, 1]: with the 1e-8, a perfect guess is a little below 0.
    """
    p, g = probabilities.double(), labels.double()  # (B, n)
    return 1 - (p * g + FIDELITY_EPS).sqrt() - ((1 - p) * (1 - g) + FIDELITY_EPS).sqrt()  # (B, n)


def binary_cross_entropy(log_odds: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of every label (SJEDD, section IV-C: "de facto"; Table VI), in float64.

    Args:
        log_odds: (B, n), log(p / (1 - p)) of probabilities.
        labels: (B, n), 0 or 1.

    Returns:
        float64 (B, n), at least 0 and without an upper bound.
    """
    return functional.binary_cross_entropy_with_logits(
        log_odds.double(), labels.double(), reduction="none"
    )  # (B, n)


def by_level(
    losses_of: Callable[[Tensor], Tensor],
    labels: Tensor,
    of: Levels,
    unobserved: Literal["mask", "zero"] = "mask",
    reduction: Literal["sum", "mean"] = "sum",
) -> Tensor:
    """Losses of root, global attributes and local regions (SJEDD, equation 5).

    Those of the labels of a level are summed, or averaged, then averaged over the batch. A sample
    without any observed label of a level adds 0 to it.

    Args:
        losses_of: loss of every label, float64 (B, N), for labels of 0 and 1.
        labels: integer (B, N): 1, 0, or -1 for unobserved.
        of: the graph's levels.
        unobserved: such labels count for nothing (the paper), or as 0 (its public code).
        reduction: over the labels of a level: ``sum`` (equation 5) or ``mean`` (public code).

    Returns:
        float64 (3,).
    """
    observed = labels != UNOBSERVED if unobserved == "mask" else torch.ones_like(labels).bool()
    each = losses_of(torch.where(labels == UNOBSERVED, 0, labels))  # (B, N)
    each = torch.where(observed, each, 0.0)  # (B, N)
    found = []
    for nodes in (of.root, of.global_attributes, of.local_regions):
        per_sample = each[:, list(nodes)].sum(dim=1)  # (B,)
        if reduction == "mean":
            per_sample = per_sample / observed[:, list(nodes)].sum(dim=1).clamp(min=1)
        found.append(per_sample.mean())
    return torch.stack(found)  # (3,)


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
