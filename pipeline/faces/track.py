"""Which faces of a video are the same person: boxes linked from one sampled frame to the next.

Greedy overlap linking. At one frame per second it holds while heads stay about where they are,
as they do in talking videos; a cut, or a head that leaves its place within a second, starts a new
track. Where embeddings say who a face looks like, another person in the same place starts a new
track too, and who was seen before goes on with theirs. It never merges two faces of one frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = Sequence[float]
"""x1, y1, x2, y2 in px."""

Pair = tuple[int, int]
"""A track and the index of a box in its frame."""

Floats = NDArray[np.float64]

MIN_OVERLAP = 0.3
"""Least overlap (intersection over union) of two boxes of one person; two equal boxes that are half
a side apart have 1/3."""

MAX_MISSED = 1
"""A track goes on over this many frames in which the detector did not find it."""

SIMILARITY_DECIMALS = 3
"""Similarities are rounded, so that the last bits of a network's output never decide."""


@dataclass(frozen=True)
class Likeness:
    """Who the faces of a video look like."""

    embeddings: Sequence[NDArray[np.float32]]
    """Of each frame, float32 (N, D): a unit vector per box, in the order of the boxes."""
    same: float
    """Cosine similarity at or above which a face is a track's person."""
    different: float
    """Cosine similarity below which it is not."""


def link(frames: Sequence[Sequence[Box]], likeness: Likeness | None = None) -> list[list[int]]:
    """Track number of every box; tracks count from 0 in order of appearance.

    Args:
        frames: boxes of each sampled frame, in order of time; frames without faces included.
        likeness: embeddings of the same boxes; None where there are none.

    Of all pairs of a live track's last box and a box of the new frame, the best overlapping are
    linked first; equal overlaps in order of track, then of box. What stays alone opens a track.

    With ``likeness``, no box is linked by overlap to a track whose mean embedding is ``different``.
    What stays alone is linked to any earlier track that is not in this frame and is the ``same``,
    the most similar first, equals in the same order; what still stays alone opens a track.
    """
    numbers: list[list[int]] = []
    last: dict[int, tuple[int, Box]] = {}
    sums: list[Floats] = []  # of the embeddings of every track: (D,)
    count = 0
    for now, boxes in enumerate(frames):
        live = {t: box for t, (seen, box) in last.items() if now - seen <= 1 + MAX_MISSED}
        shares = {(t, i): overlap(a, b) for t, a in live.items() for i, b in enumerate(boxes)}
        near = {pair: share for pair, share in shares.items() if share >= MIN_OVERLAP}
        alike: dict[Pair, float] = {}
        if likeness and sums and boxes:
            found = similarities(np.stack(sums), likeness.embeddings[now])
            near = {
                pair: share for pair, share in near.items() if found[pair] >= likeness.different
            }
            alike = {(t, i): found[t, i] for t, i in np.argwhere(found >= likeness.same).tolist()}
        linked = _match(alike, _match(near, {}))
        row = []
        for i, box in enumerate(boxes):
            if i not in linked:
                linked[i] = count
                count += 1
            track = linked[i]
            last[track] = (now, box)
            row.append(track)
        numbers.append(row)
        if likeness:
            for track, embedding in zip(row, likeness.embeddings[now], strict=True):
                if track == len(sums):
                    sums.append(np.zeros(len(embedding)))
                sums[track] += embedding
    return numbers


def _match(strengths: Mapping[Pair, float], linked: Mapping[int, int]) -> dict[int, int]:
    """Box index to track: those in ``linked``, and of what they leave free the strongest pairs.

    Equals in order of track, then of box.
    """
    links, taken = dict(linked), set(linked.values())
    for track, i in sorted(strengths, key=lambda pair: (-strengths[pair], *pair)):
        if i not in links and track not in taken:
            links[i] = track
            taken.add(track)
    return links


def similarities(sums: Floats, embeddings: NDArray[np.float32]) -> Floats:
    """Cosine of each track's mean embedding and each face's, (T, N), rounded to 1e-3.

    Args:
        sums: (T, D), the embeddings of each track added up.
        embeddings: float32 (N, D), unit vectors.
    """
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)  # (T, 1)
    means = sums / np.maximum(lengths, np.finfo(np.float64).tiny)
    products = means[:, None, :] * embeddings[None]  # (T, N, D)
    # Summed by numpy itself: a matrix product's order of addition is its library's.
    return np.asarray(np.round(products.sum(axis=2), SIMILARITY_DECIMALS), np.float64)


def looks(numbers: Sequence[Sequence[int]], likeness: Likeness | None) -> list[list[float]]:
    """What each track looks like: the mean embedding of its faces as a unit vector, to 1e-3.

    Args:
        numbers: track of every box, as :func:`link` gives them.
        likeness: embeddings of the same boxes; without them, each track has an empty list.
    """
    count = 1 + max((number for row in numbers for number in row), default=-1)
    if not likeness:
        return [[] for _ in range(count)]
    sums: dict[int, Floats] = {}
    for row, embeddings in zip(numbers, likeness.embeddings, strict=True):
        for number, embedding in zip(row, embeddings, strict=True):
            sums[number] = sums.get(number, 0.0) + embedding.astype(np.float64)
    found = []
    for number in range(count):
        mean = sums[number] / max(float(np.linalg.norm(sums[number])), np.finfo(np.float64).tiny)
        found.append(np.round(mean, SIMILARITY_DECIMALS).tolist())
    return found


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
