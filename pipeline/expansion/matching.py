"""Nearest source faces of another identity (SJEDD, section III-A).

Exact: every pair is measured directly in float64, about 1 s per 10 million pairs. Some targets are
measured at a time; a pair's distance does not depend on the chunk it is in.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

CHUNK_PAIRS = 1 << 22
"""Distances held at a time: 32 MiB of float64."""


def nearest_sources(
    targets: NDArray[np.float64],
    sources: NDArray[np.float64],
    target_ties: Sequence[Collection[str]],
    source_ties: Sequence[Collection[str]],
    count: int = 1,
    chunk_pairs: int = CHUNK_PAIRS,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each target the ``count`` nearest sources it has nothing in common with, nearest first.

    Args:
        targets: float64 (T, 136), landmark coordinates in px of equal crops.
        sources: float64 (S, 136), likewise. Of equally near ones the first wins, so they should be
            in the order of their ids.
        target_ties: per target, names of what it must not share with a source: persons, video, ...
        source_ties: per source, likewise.
        count: how many sources per target, at least 1.
        chunk_pairs: distances held at a time; without influence on the result.

    Returns:
        int64 (T, count) indices into ``sources``, -1 where there are no more, and float64
        (T, count) Euclidean distances in px, infinite where there are no more.
    """
    nearest = np.full((len(targets), count), -1, np.int64)
    distances = np.full((len(targets), count), np.inf)
    if not len(sources):
        return nearest, distances
    sharing = _by_tie(source_ties)
    step = max(1, chunk_pairs // len(sources))
    for start in range(0, len(targets), step):
        chunk = slice(start, start + step)
        apart = cdist(targets[chunk], sources)  # (step, S)
        for row, ties in zip(apart, target_ties[chunk], strict=True):
            for tie in ties:
                if tie in sharing:
                    row[sharing[tie]] = np.inf
        rows = np.arange(len(apart))
        for nth in range(count):
            best = apart.argmin(axis=1)  # the first of equals
            distance = apart[rows, best]
            nearest[chunk, nth] = np.where(np.isinf(distance), -1, best)
            distances[chunk, nth] = distance
            apart[rows, best] = np.inf
    return nearest, distances


def _by_tie(ties: Sequence[Collection[str]]) -> dict[str, NDArray[np.int64]]:
    """Indices of the sources that have each tie."""
    indices: dict[str, list[int]] = {}
    for index, names in enumerate(ties):
        for name in names:
            indices.setdefault(name, []).append(index)
    return {name: np.array(found, np.int64) for name, found in indices.items()}
