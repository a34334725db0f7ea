"""Triplet losses on embeddings (metric learning, section 3.3). Pure functions of tensors.

A triplet (i, j, k) is an anchor i, a positive j of the same class and not i itself, and a negative
k of another class. Its loss is max(D(i, j) - D(i, k) + margin, 0), where D is the Euclidean
distance, neither squared nor normalised. Everything is computed in float32 or better, under
autocast as well.

Gradients are finite everywhere: where two embeddings are equal, their distance counts as a
constant. Without a triplet (one class only, a batch of one or none) a loss is a 0 whose gradients
are 0.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def batch_all(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean over all active triplets, those with a loss above 0 (BA; Hermans et al.).

    The paper prints D(j, k) where its text defines D(i, k): over all triplets both are the same,
    since i and j change places.

    Args:
        embeddings: (B, D).
        labels: integer (B,), the class of each; any number of classes.
        margin: at least 0.

    Returns:
        a scalar, at least 0.
    """
    distances = pairwise_distances(embeddings)  # (B, B)
    positive, negative = _pairs(labels)  # (B, B), (B, B)
    terms = distances[:, :, None] - distances[:, None, :] + margin  # (B, B, B): i, j, k
    active = positive[:, :, None] & negative[:, None, :] & (terms > 0)  # (B, B, B)
    return torch.where(active, terms, 0.0).sum() / active.sum().clamp(min=1)


def hard_positive_hard_negative(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Of each anchor the farthest positive and the nearest negative, averaged over B (HP-HN).

    An anchor without a positive or without a negative adds 0 to the sum that is divided by B.

    Args:
        embeddings: (B, D).
        labels: integer (B,), the class of each; any number of classes.
        margin: at least 0.

    Returns:
        a scalar, at least 0.
    """
    return _one_per_anchor(embeddings, labels, margin, _farthest)


def easy_positive_hard_negative(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Of each anchor the nearest positive and the nearest negative, averaged over B (EP-HN).

    An anchor without a positive or without a negative adds 0 to the sum that is divided by B.

    Args:
        embeddings: (B, D).
        labels: integer (B,), the class of each; any number of classes.
        margin: at least 0.

    Returns:
        a scalar, at least 0.
    """
    return _one_per_anchor(embeddings, labels, margin, _nearest)


TripletLoss = Callable[[Tensor, Tensor, float], Tensor]
"""Of embeddings (B, D), classes (B,) and the margin: a scalar."""

TRIPLETS: dict[str, TripletLoss] = {
    "batch_all": batch_all,
    "hard_positive_hard_negative": hard_positive_hard_negative,
    "easy_positive_hard_negative": easy_positive_hard_negative,
}
"""By the name that ``objective.triplet`` has in params.yaml."""


def pairwise_distances(embeddings: Tensor) -> Tensor:
    """Euclidean distances (B, B) of embeddings (B, D), in float32 or better.

    Their gradient is 0 where two embeddings are equal: a square root's slope is infinite there.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        vectors = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))  # (B, D)
        squares = (vectors[:, None] - vectors[None]).square().sum(dim=2)  # (B, B)
        apart = squares > 0  # (B, B)
        return torch.where(apart, squares, 1.0).sqrt() * apart  # (B, B)


def _pairs(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of two samples of one class, and pairs of two classes: bool (B, B) each."""
    same = labels[:, None] == labels[None]  # (B, B)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)  # (B, B)
    return same & ~itself, ~same


def _one_per_anchor(
    embeddings: Tensor,
    labels: Tensor,
    margin: float,
    mined: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Mean over B of one triplet per anchor: its ``mined`` positive, its nearest negative."""
    distances = pairwise_distances(embeddings)  # (B, B)
    if not len(labels):
        return distances.sum()
    positive, negative = _pairs(labels)  # (B, B), (B, B)
    terms = mined(distances, positive) - _nearest(distances, negative) + margin  # (B,)
    has_both = positive.any(dim=1) & negative.any(dim=1)  # (B,)
    return torch.where(has_both, terms.clamp(min=0), 0.0).mean()


def _farthest(distances: Tensor, among: Tensor) -> Tensor:
    """Largest distance of each row (B,) among the marked ones; 0 where none is marked."""
    return torch.where(among, distances, 0.0).amax(dim=1)


def _nearest(distances: Tensor, among: Tensor) -> Tensor:
    """Smallest distance of each row (B,) among the marked; a huge number where none is marked."""
    huge = torch.finfo(distances.dtype).max / 4  # a margin can be added to two of them
    return torch.where(among, distances, huge).amin(dim=1)
