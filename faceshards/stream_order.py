"""How streamed samples are dealt to ranks and workers: pure functions of a key and who asks.

A *reader* is one worker of one rank. All samples of an epoch lie in a row, tar by tar, and each
reader has an equal part of that row, which may begin and end inside a tar. So every sample is read
by exactly one reader, and their counts differ by one at most.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceshards.order import Places, generator


@dataclass(frozen=True)
class Block:
    """What a reader holds at a time: samples of some tars, in the order they are delivered."""

    tars: tuple[int, ...]
    """Numbers of the tars that must be read."""
    places: Places
    """int64 (m,): the samples."""


def share(n: int, reader: int, n_readers: int) -> range:
    """The part of ``n`` things that one of ``n_readers`` has; the first ones may have one more."""
    each, more = divmod(n, n_readers)
    first = reader * each + min(reader, more)
    return range(first, first + each + (reader < more))


def blocks(
    starts: NDArray[np.int64],
    tars: Sequence[int],
    reader: int,
    n_readers: int,
    tars_together: int,
    key: str | None,
) -> Iterator[Block]:
    """A reader's part of one pass over some tars.

    Args:
        starts: int64 (tars + 1,): place of the first sample of each tar of all, and their end.
        tars: numbers of the tars that are read.
        reader: 0 to ``n_readers`` - 1.
        n_readers: who shares the pass.
        tars_together: whose samples are mixed with each other, and held in memory at a time.
        key: what the order is a function of; None = tars and samples as they lie.
    """
    order = np.array(tars, np.int64)
    if key is not None:
        order = order[generator(f"{key}/tars").permutation(len(order))]
    counts = np.diff(starts)[order]
    ends = np.cumsum(counts)
    mine = share(int(counts.sum()), reader, n_readers)
    touched = np.flatnonzero((ends > mine.start) & (ends - counts < mine.stop) & (counts > 0))
    for at in range(0, len(touched), tars_together):
        some = touched[at : at + tars_together]
        parts = []
        for i in some.tolist():
            begin = int(ends[i] - counts[i])  # in the row of all samples
            first, last = max(mine.start, begin) - begin, min(mine.stop, int(ends[i])) - begin
            parts.append(starts[order[i]] + np.arange(first, last))
        places = np.concatenate(parts)
        if key is not None:
            places = places[generator(f"{key}/reader {reader}/{at}").permutation(len(places))]
        yield Block(tuple(order[some].tolist()), places)


def mixture(key: str, weights: Sequence[float], n: int) -> NDArray[np.int64]:
    """Which source each of ``n`` samples is drawn from: int64 (n,), independent, by weight."""
    edges = np.cumsum(np.asarray(weights, np.float64))
    drawn = generator(key).random(n) * edges[-1]
    last = int(np.flatnonzero(np.asarray(weights))[-1])  # rounding must not reach a weight of 0
    return np.asarray(np.minimum(np.searchsorted(edges, drawn, side="right"), last), np.int64)
