"""Few dimensions in which no two faces are farther apart than they really are."""

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


def reduced(one: Reduced, other: Reduced) -> tuple[Reduced, Reduced, float]:
    """Both sides in main directions, and how long the rest of each vector is.

    By Pythagoras, the distance of two vectors is at least the one of these: what is left of two
    vectors is at least as far apart as its lengths are.

    Args:
        one: float64 (N, D).
        other: float64 (M, D); the main directions are its.

    Returns:
        float64 (N, K + 1) and (M, K + 1), with K = ``DIMENSIONS`` or fewer, and by how much their
        distances may be too long for the last digits of sums.
    """
    centre = other.mean(axis=0)
    seen = other[:: -(-len(other) // _SEEN)] - centre
    _, vectors = np.linalg.eigh(seen.T @ seen)
    main = vectors[:, ::-1][:, :DIMENSIONS]  # (D, K)
    low_one, low_other = _low(one, centre, main), _low(other, centre, main)
    longest = max(float(np.abs(low).sum(axis=1).max(initial=0)) for low in (low_one, low_other))
    return low_one, low_other, _SLACK * (1 + longest)


def _low(faces: Reduced, centre: Reduced, main: Reduced) -> Reduced:
    low = np.empty((len(faces), main.shape[1] + 1))
    for start in range(0, len(faces), _CHUNK):
        rows = slice(start, start + _CHUNK)
        moved = faces[rows] - centre
        low[rows, :-1] = moved @ main
        moved -= low[rows, :-1] @ main.T
        low[rows, -1] = np.linalg.norm(moved, axis=1)
    return low
