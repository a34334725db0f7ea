"""Few dimensions in which no two faces are farther apart than they really are."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 7
"""Main directions that are kept; trees are of little use in many more."""
_SEEN = 20_000
"""Faces that the directions are found from."""
_SLACK = 1e-9
"""Of the longest vector; float64 sums over some hundred terms are good to 1e-13 of it."""
_CHUNK = 1 << 14

Reduced = NDArray[np.float64]


class Directions(NamedTuple):
    """Where vectors vary most."""

    centre: Reduced
    """float64 (D,)."""
    main: Reduced
    """float64 (D, K), orthonormal, K = ``DIMENSIONS`` or fewer."""
    share: float
    """Of all variance, in the main directions."""


def main_directions(vectors: Reduced) -> Directions:
    """Centre and main directions of vectors (N, D)."""
    centre = vectors.mean(axis=0)
    seen = vectors[:: -(-len(vectors) // _SEEN)] - centre
    strength, directions = np.linalg.eigh(seen.T @ seen)  # ascending
    total = max(float(strength.sum()), np.finfo(np.float64).tiny)
    share = float(strength[-DIMENSIONS:].sum()) / total
    return Directions(centre, directions[:, ::-1][:, :DIMENSIONS], share)


def reduced(one: Reduced, other: Reduced, directions: Directions) -> tuple[Reduced, Reduced, float]:
    """Both sides in main directions, and how long the rest of each vector is.

    By Pythagoras, the distance of two vectors is at least the one of these: what is left of two
    vectors is at least as far apart as its lengths are.

    Args:
        one: float64 (N, D).
        other: float64 (M, D).
        directions: orthonormal ones.

    Returns:
        float64 (N, K + 1) and (M, K + 1), and by how much their distances may be too long for the
        last digits of sums.
    """
    low_one, low_other = (_low(side, directions) for side in (one, other))
    longest = max(float(np.abs(low).sum(axis=1).max(initial=0)) for low in (low_one, low_other))
    return low_one, low_other, _SLACK * (1 + longest)


def _low(faces: Reduced, directions: Directions) -> Reduced:
    centre, main, _ = directions
    low = np.empty((len(faces), main.shape[1] + 1))
    for start in range(0, len(faces), _CHUNK):
        rows = slice(start, start + _CHUNK)
        moved = faces[rows] - centre
        low[rows, :-1] = moved @ main
        moved -= low[rows, :-1] @ main.T
        low[rows, -1] = np.linalg.norm(moved, axis=1)
    return low
