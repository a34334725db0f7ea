"""Cross-entropy and fidelity losses: pure functions of tensors.

Labels are 1 altered, 0 not, -1 unobserved. Triplet losses are in :mod:`pipeline.training.triplets`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.labels.semantics import Graph

FIDELITY_EPS = 1e-8
"""Under each square root (SJEDD's code): keeps the slope at probability 0 finite."""

UNOBSERVED = -1


@dataclass(frozen=True)
class Levels:
    """Nodes of a graph by their level in the hierarchy, as indices into its ``nodes``.

    SJEDD shares one loss weight per level (section IV-C).
    """

    root: tuple[int, ...]
    global_attributes: tuple[int, ...]
    local_regions: tuple[int, ...]


def levels(graph: Graph) -> Levels:
    """The root, its children (global attributes), and everything below them (local regions).

    A node that is both a child of the root and of another node is global.
    """
    below_root = {child for parent, child in graph.edges if parent == 0}
    rest = set(range(1, len(graph.nodes))) - below_root
    return Levels((0,), tuple(sorted(below_root)), tuple(sorted(rest)))


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of a batch, in float32 or better.

    Args:
        logits: (B, classes).
        labels: integer (B,), the right class of each.

    Returns:
        a scalar, at least 0.
    """
    return functional.cross_entropy(_at_least_float32(logits), labels.long())


def fidelity(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Fidelity loss of one level over its observed labels (SJEDD, equations 5 and 6).

    1 - (sqrt(p g + 1e-8) + sqrt((1 - p)(1 - g) + 1e-8)), averaged over the observed nodes of a
    sample, then over the batch; a sample without any adds 0. Computed in float64.

    Args:
        probabilities: (B, n) in [0, 1], of the nodes of the level.
        labels: integer (B, n): 1, 0, or -1 for unobserved.

    Returns:
        a scalar in [-0.0002, 1]: with the 1e-8, a perfect guess is a little below 0.
    """
    p = probabilities.double()  # (B, n)
    observed = labels != UNOBSERVED  # (B, n)
    g = torch.where(observed, labels, 0).double()  # (B, n)
    agreement = (p * g + FIDELITY_EPS).sqrt() + ((1 - p) * (1 - g) + FIDELITY_EPS).sqrt()  # (B, n)
    losses = torch.where(observed, 1 - agreement, 0.0)  # (B, n)
    per_sample = losses.sum(dim=1) / observed.sum(dim=1).clamp(min=1)  # (B,)
    return per_sample.mean()


def fidelity_by_level(probabilities: Tensor, labels: Tensor, of: Levels) -> Tensor:
    """Fidelity losses of root, global attributes and local regions, float64 (3,).

    Args:
        probabilities: (B, N) in [0, 1], of all nodes of the graph.
        labels: integer (B, N): 1, 0, or -1 for unobserved.
        of: the graph's levels.
    """
    indices = (of.root, of.global_attributes, of.local_regions)
    losses = [fidelity(probabilities[:, list(i)], labels[:, list(i)]) for i in indices]
    return torch.stack(losses)  # (3,)


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
