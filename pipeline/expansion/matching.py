"""Nearest source faces of other people (SJEDD, section III-A), exactly, for millions of faces.

Decided on direct differences in float64; of equally near sources the first wins. So the answer
depends neither on chunks, threads nor the order of the targets. What is fast only says which pairs
need not be measured, and is trusted within an error bound:

- a k-d tree over few dimensions (:mod:`.lower_bounds`), in which no pair is farther apart than it
  really is. If the best of the k nearest there is really nearer than the last of them is there,
  nothing beyond them can be nearer; else k grows. Landmarks of faces lie near a few dimensions, so
  that a few dozen measured pairs decide for most targets.
- a product of matrices in float32 where that fails, for data without few main dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.expansion.lower_bounds import main_directions, reduced
from pipeline.tables.arrays import Bools, Ints, positions

Faces = NDArray[np.float64]
"""float64 (N, D), landmark coordinates in px of equal crops, D = 136."""

CHUNK_PAIRS = 1 << 18
"""Pairs measured at a time: 0.3 GB of differences."""
_FEW_PAIRS = 1 << 16
"""So few are measured without any bound."""
_FIRST_K = 24
_WIDER = 4
"""Times as many neighbours where they did not do."""
_MOST_K = 1536
_TRIED = 256
"""Targets that tell whether the tree is worth it."""
_MAIN_SHARE = 0.5
"""Of all variance, that main directions must have for a tree to be tried at all."""
_WORTH = 0.5
"""Least share of those that the first widening decides."""
_BLOCK = 64
_PRODUCT_PAIRS = 1 << 24
"""Products held at a time: 64 MiB."""
_ROUNDING = 2.0**-24  # of float32


@dataclass(frozen=True)
class Exclusions:
    """Which sources a target must not have."""

    target_group: Ints
    """int64 (T,), group (a video, say) of each target."""
    source_group: Ints
    """int64 (S,), groups of their own numbering."""
    tied: Sequence[Ints]
    """Per target group, source groups that it has something in common with."""


@dataclass(frozen=True)
class Search:
    """Both sides of a search, checked and sorted out."""

    targets: Faces
    sources: Faces
    ties: Exclusions
    groups: int
    """Groups of sources."""
    pairs: Ints
    """Numbers of tied pairs of groups, ascending."""

    def tied(self, rows: Ints, found: Ints) -> Bools:
        """Whether each target (n,) is tied to sources (n, k)."""
        if not len(self.pairs):
            return np.zeros(found.shape, bool)
        pair = self.ties.target_group[rows][:, None] * self.groups
        pair = pair + self.ties.source_group[found]  # (n, k)
        return np.asarray(positions(self.pairs, pair) >= 0)

    @staticmethod
    def of(targets: Faces, sources: Faces, ties: Exclusions) -> "Search":
        """Numbers the pairs of groups that are tied."""
        names = [ties.source_group, *ties.tied]
        groups = 1 + max(int(one.max(initial=0)) for one in names)
        pairs = [np.zeros(0, np.int64)]
        pairs += [number * groups + one for number, one in enumerate(ties.tied)]
        return Search(targets, sources, ties, groups, np.unique(np.concatenate(pairs)))


def nearest_sources(
    targets: Faces,
    sources: Faces,
    ties: Exclusions,
    count: int = 1,
    chunk_pairs: int = CHUNK_PAIRS,
) -> tuple[Ints, Faces]:
    """For each target the ``count`` nearest sources that it is not tied to, nearest first.

    Args:
        targets: float64 (T, D).
        sources: float64 (S, D). Of equally near ones the first wins, so they should be in the
            order of their ids.
        ties: which pairs do not count.
        count: how many sources per target, at least 1.
        chunk_pairs: pairs measured at a time; without influence on the result.

    Returns:
        int64 (T, count) indices into ``sources``, -1 where there are no more, and float64
        (T, count) Euclidean distances in px, infinite where there are no more.
    """
    nearest = np.full((len(targets), count), -1, np.int64)
    distances = np.full((len(targets), count), np.inf)
    if not len(sources) or not len(targets):
        return nearest, distances
    search = Search.of(targets, sources, ties)
    left = np.arange(len(targets))
    if len(targets) * len(sources) > _FEW_PAIRS:
        left = _by_tree(search, nearest, distances, chunk_pairs)
    few = len(targets) * len(sources) <= _FEW_PAIRS
    (_by_all if few else _by_products)(search, left, nearest, distances, chunk_pairs)
    return nearest, distances


def squared(one: Faces, other: Faces) -> Faces:
    """Squared distances (...) of vectors (..., D), summed in one order whatever their number."""
    difference = one - other
    difference *= difference
    return np.asarray(difference.sum(axis=-1))


def _first(measured: Faces, found: Ints, count: int) -> tuple[Ints, Faces]:
    """The ``count`` nearest of measured sources (n, k), of equals the first; -1 and inf behind."""
    order = np.lexsort((found, measured), axis=-1)[:, :count]
    which = np.full((len(found), count), -1, np.int64)
    best = np.full((len(found), count), np.inf)
    best[:, : order.shape[1]] = np.take_along_axis(measured, order, axis=1)
    which[:, : order.shape[1]] = np.take_along_axis(found, order, axis=1)
    which[np.isinf(best)] = -1
    return which, best


def _by_tree(search: Search, nearest: Ints, distances: Faces, chunk_pairs: int) -> Ints:
    """Fills in what the tree decides; the targets that are left."""
    directions = main_directions(search.sources)
    if directions.share < _MAIN_SHARE:
        return np.arange(len(nearest))
    low_targets, low_sources, slack = reduced(search.targets, search.sources, directions)
    tree = cKDTree(low_sources)
    count, sources = nearest.shape[1], len(search.sources)

    def widen(rows: Ints, k: int) -> Ints:
        """Targets that the k nearest in the tree do not decide."""
        left = []
        step = max(1, chunk_pairs // k)
        for start in range(0, len(rows), step):
            these = rows[start : start + step]
            answer = tree.query(low_targets[these], k, workers=-1)
            bounds, found = (part.reshape(len(these), k) for part in answer)
            measured = squared(search.targets[these, None], search.sources[found])
            measured[search.tied(these, found)] = np.inf
            which, best = _first(measured, found, count)
            sure = np.sqrt(best[:, -1]) + slack < bounds[:, -1]
            sure |= k == sources
            nearest[these[sure]], distances[these[sure]] = which[sure], np.sqrt(best[sure])
            left.append(these[~sure])
        return np.concatenate([np.zeros(0, np.int64), *left])

    k = min(sources, max(_FIRST_K, 2 * count))
    tried = np.unique(np.linspace(0, len(nearest) - 1, _TRIED).astype(np.int64))
    undecided = widen(tried, min(sources, k * _WIDER))
    left = np.setdiff1d(np.arange(len(nearest)), tried)
    if len(undecided) > (1 - _WORTH) * len(tried):
        return np.sort(np.concatenate([left, undecided]))
    while len(left) and k <= max(_MOST_K, 2 * count):
        left = widen(left, k)
        if k == sources:
            break
        k = min(sources, k * _WIDER)
    return np.sort(np.concatenate([left, undecided]))


def _by_all(search: Search, rows: Ints, nearest: Ints, distances: Faces, chunk_pairs: int) -> None:
    """Measures every pair."""
    everyone = np.arange(len(search.sources))
    step = max(1, chunk_pairs // len(everyone))
    for start in range(0, len(rows), step):
        these = rows[start : start + step]
        found = np.broadcast_to(everyone, (len(these), len(everyone)))
        measured = squared(search.targets[these, None], search.sources[None])
        measured[search.tied(these, found)] = np.inf
        which, best = _first(measured, found, nearest.shape[1])
        nearest[these], distances[these] = which, np.sqrt(best)


def _by_products(
    search: Search, rows: Ints, nearest: Ints, distances: Faces, chunk_pairs: int
) -> None:
    """Measures the pairs whose product of matrices does not rule them out."""
    if not len(rows):
        return
    count, sources = nearest.shape[1], len(search.sources)
    centre = search.sources.mean(axis=0)
    blocks = -(-sources // _BLOCK)
    # |a|² + |b|² - 2ab without |a|², as the product of (-2a, 1) and (b, |b|²).
    there = np.zeros((_BLOCK * blocks, search.sources.shape[1] + 1), np.float32)
    there[:sources, :-1] = search.sources - centre
    there[:, -1] = np.inf
    there[:sources, -1] = squared(search.sources, centre)
    longest = float(np.sqrt(there[:sources, -1].max()))
    columns = _columns(search.ties.source_group, search.groups)
    step = max(1, _PRODUCT_PAIRS // len(there))
    for start in range(0, len(rows), step):
        these = rows[start : start + step]
        here = np.ones((len(these), there.shape[1]), np.float32)
        here[:, :-1] = -2 * (search.targets[these] - centre)
        length = np.sqrt(squared(search.targets[these], centre))
        # The product is off by at most so many roundings of the sum of its terms.
        error = 4 * (there.shape[1] + 8) * _ROUNDING * np.square(length + longest)
        about = here @ there.T  # (n, sources, rounded up)
        for place, group in enumerate(search.ties.target_group[these].tolist()):
            for tied in search.ties.tied[group].tolist():
                about[place, columns[tied]] = np.inf
        about = about.reshape(len(these), _BLOCK, blocks)  # a block: every so many-th source
        least = about.min(axis=1)  # (n, blocks)
        # As many sources as blocks are at least as near as the count-th of these.
        limit = np.full(len(these), np.inf)
        if count <= blocks:
            limit = np.partition(least, count - 1, axis=1)[:, count - 1] + 2 * error
        row, block = np.nonzero(least <= limit[:, None])
        inside = about[row, :, block]  # (m, _BLOCK)
        near, within = np.nonzero((inside <= limit[row, None]) & np.isfinite(inside))
        found = within * blocks + block[near]
        _rank(search, these, row[near], found, nearest, distances, chunk_pairs)


def _rank(
    search: Search,
    these: Ints,
    row: Ints,
    found: Ints,
    nearest: Ints,
    distances: Faces,
    chunk_pairs: int,
) -> None:
    """Measures pairs of a row (place in ``these``, ascending) and a source; keeps the nearest."""
    measured = np.concatenate(
        [np.zeros(0)]
        + [
            squared(
                search.targets[these[row[at : at + chunk_pairs]]],
                search.sources[found[at : at + chunk_pairs]],
            )
            for at in range(0, len(row), chunk_pairs)
        ]
    )
    order = np.lexsort((found, measured, row))
    row, found, measured = row[order], found[order], measured[order]
    first = np.searchsorted(row, np.arange(len(these)))
    place = np.arange(len(row)) - first[row]
    kept = place < nearest.shape[1]
    at = these[row[kept]], place[kept]
    nearest[at], distances[at] = found[kept], np.sqrt(measured[kept])


def _columns(groups: Ints, count: int) -> list[Ints]:
    """Sources of each of so many groups."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.cumsum(np.bincount(groups, minlength=count))[:-1])
