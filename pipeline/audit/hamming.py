"""Pairs of 64-bit hashes that differ in few bits, found without comparing every pair.

The 64 bits are dealt out to k + 3 bands. Two hashes that differ in at most k bits agree in at least
three whole bands, so it is enough to compare hashes that agree in some three of them: sorting by
those bits puts them side by side (multi-index hashing). Nothing is missed and nothing is guessed.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt

from pipeline.tables.arrays import Ints, counting, ranges

Hashes = npt.NDArray[np.uint64]

BITS = 64
AGREEING = 3
"""Bands that must agree: more make fewer false candidates and more sorts."""
MAX_BITS = 8
"""Largest distance: (8 + 3 over 3) = 165 sorts."""
CHUNK = 1 << 22
"""About so many pairs are in memory at once."""


def near_pairs(hashes: Hashes, max_bits: int) -> Iterator[tuple[Ints, Ints]]:
    """All pairs of rows whose hashes differ in at most ``max_bits`` bits.

    Args:
        hashes: uint64 (N,).
        max_bits: from 0 to :data:`MAX_BITS`.

    Yields:
        int64 (P,) and int64 (P,), both rows of each pair; every unordered pair once over all that
        is yielded, in an order that depends on the hashes alone.

    Raises:
        ValueError: ``max_bits`` is out of range.
    """
    if not 0 <= max_bits <= MAX_BITS:
        raise ValueError(f"{max_bits} bits; 0 to {MAX_BITS} are possible")
    values, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    rows = np.argsort(inverse, kind="stable")  # (N,), equal hashes side by side
    ends = np.cumsum(counts)  # (values,)
    for p, q in _within_runs(np.repeat(ends, counts)):
        yield rows[p], rows[q]
    for a, b in _near_values(values, max_bits):
        for p, q in _across_runs(ends - counts, counts, a, b):
            yield rows[p], rows[q]


def _near_values(values: Hashes, max_bits: int) -> Iterator[tuple[Ints, Ints]]:
    """The same of hashes that all differ."""
    bands = max_bits + AGREEING
    # Neighbouring bits of a picture's hash go together, so each band takes bits from all over.
    masks = [np.uint64(sum(1 << bit for bit in range(k, BITS, bands))) for k in range(bands)]
    for agreeing in combinations(range(bands), AGREEING):
        some = np.bitwise_or.reduce([masks[k] for k in agreeing])
        seen = values & some
        order = np.argsort(seen)
        seen = seen[order]
        last = np.flatnonzero(np.r_[seen[1:] != seen[:-1], np.ones(len(seen[:1]), bool)])
        stop = np.repeat(last + 1, np.diff(np.r_[0, last + 1]))
        for p, q in _within_runs(stop):
            a, b = order[p], order[q]
            differ = values[a] ^ values[b]
            near = np.bitwise_count(differ) <= max_bits
            a, b, differ = a[near], b[near], differ[near]
            # A pair may agree in more bands than three: it is taken for the first three.
            for k in set(range(agreeing[-1])) - set(agreeing):
                new = (differ & masks[k]) != 0
                a, b, differ = a[new], b[new], differ[new]
            if len(a):
                yield a, b


def _within_runs(stop: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of places within each run; ``stop`` (N,) is the end of the run of each place."""
    partners = stop - np.arange(len(stop)) - 1
    for low, high in _chunks(partners):
        count = partners[low:high]
        p = np.repeat(np.arange(low, high), count)
        yield p, p + 1 + counting(count)


def _across_runs(start: Ints, count: Ints, a: Ints, b: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Places of each run ``a`` with those of run ``b``; ``start``, ``count`` are of every run."""
    places = ranges(start[a], count[a])
    other, partners = np.repeat(start[b], count[a]), np.repeat(count[b], count[a])
    for low, high in _chunks(partners):
        many = partners[low:high]
        yield (
            np.repeat(places[low:high], many),
            ranges(other[low:high], many),
        )


def _chunks(sizes: Ints) -> Iterator[tuple[int, int]]:
    """Stretches whose sizes sum to at most :data:`CHUNK`, or that have one element."""
    ends = np.cumsum(sizes)
    low = 0
    while low < len(sizes):
        before = int(ends[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + CHUNK, side="right")))
        yield low, high
        low = high
