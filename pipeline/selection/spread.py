"""Which faces of a video are taken: spread over its time, and the same ones when more are taken."""

import numpy as np
from numpy.typing import NDArray

from pipeline.tables.arrays import Bools, Ints, ranges

_VIDEOS_AT_ONCE = 1 << 15
"""Videos looked at together; bounds the memory."""


def choose_faces(
    video: NDArray[np.integer],
    sample: NDArray[np.int32],
    rank: NDArray[np.int16],
    usable: Bools,
    quota: Ints,
) -> Bools:
    """The first ``quota`` usable faces of each video in bit-reversal order.

    A video's faces are counted by (sample, rank) and taken in the order of the reversed bits of
    their number: first, middle, quarter … That spreads any quota over the whole video, and a larger
    quota keeps every face of a smaller one, which evenly spaced picks do not.

    Args:
        video: (faces,), place of the face's video in ``quota``.
        sample: int32 (faces,).
        rank: int16 (faces,).
        usable: bool (faces,), which faces are counted at all.
        quota: int64 (videos,).

    Returns:
        bool (faces,).
    """
    chosen = np.zeros(len(video), bool)
    if not len(video):
        return chosen
    starts = _runs(video, sample, rank)
    if starts is None:
        order = np.lexsort((rank, sample, video))
        chosen[order] = choose_faces(video[order], sample[order], rank[order], usable[order], quota)
        return chosen
    ends = np.r_[starts[1:], len(video)]
    for first in range(0, len(starts), _VIDEOS_AT_ONCE):
        here = slice(first, first + _VIDEOS_AT_ONCE)
        rows = np.arange(starts[here][0], ends[here][-1])
        count = np.add.reduceat(usable[rows].astype(np.int64), starts[here] - rows[0])
        chosen[rows[usable[rows]]] = _taken(count, quota[video[starts[here]]])
    return chosen


def _runs(
    video: NDArray[np.integer], sample: NDArray[np.int32], rank: NDArray[np.int16]
) -> Ints | None:
    """Where each video begins, where its faces lie together and in order; else None."""
    new = video[1:] != video[:-1]
    later = (sample[1:] > sample[:-1]) | ((sample[1:] == sample[:-1]) & (rank[1:] >= rank[:-1]))
    starts = np.r_[0, np.flatnonzero(new) + 1]
    once = np.bincount(video[starts]).max() == 1
    return starts if bool(once) and bool((new | later).all()) else None


def _taken(count: Ints, quota: Ints) -> Bools:
    """Which faces are taken of videos (V,), each of so many: bool (sum of counts,)."""
    # Videos of as many faces that give as many give the same ones.
    given = np.minimum(quota, count)
    pairs, of_video = np.unique(count * (given.max() + 1) + given, return_inverse=True)
    sizes, quotas = np.divmod(pairs, given.max() + 1)
    pattern = np.concatenate([_pattern(n, q) for n, q in zip(sizes, quotas, strict=True)])
    return np.asarray(pattern[ranges((np.cumsum(sizes) - sizes)[of_video], count)])


def _pattern(count: int, quota: int) -> Bools:
    """Which of so many faces in order are taken, (count,)."""
    taken = np.zeros(count, bool)
    taken[np.argsort(reverse_bits(np.arange(count)))[:quota]] = True
    return taken


def reverse_bits(numbers: Ints) -> Ints:
    """Numbers from 0 to 2**32 - 1 with the order of their 32 bits reversed."""
    bits = numbers.astype(np.uint64)
    for width, mask in _SWAPS:
        bits = ((bits >> width) & mask) | ((bits & mask) << width)
    return bits.astype(np.int64)


_SWAPS = tuple(
    (np.uint64(width), np.uint64(mask))
    for width, mask in (
        (1, 0x55555555),
        (2, 0x33333333),
        (4, 0x0F0F0F0F),
        (8, 0x00FF00FF),
        (16, 0x0000FFFF),
    )
)
