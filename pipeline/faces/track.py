"""Which faces of a video are the same person: boxes linked from one sampled picture to the next.

Greedy overlap linking. At one picture per second it holds while heads stay about where they are,
as they do in talking videos; a cut, or a head that leaves its place within a second, starts a new
track. It never merges two faces of one picture.
"""

from collections.abc import Sequence

Box = Sequence[float]
"""x1, y1, x2, y2 in px."""

MIN_OVERLAP = 0.3
"""Least overlap (intersection over union) of two boxes of one person; two equal boxes that are half
a side apart have 1/3."""

MAX_MISSED = 1
"""A track goes on over this many pictures in which the detector did not find it."""


def link(pictures: Sequence[Sequence[Box]]) -> list[list[int]]:
    """Track number of every box; tracks count from 0 in order of appearance.

    Args:
        pictures: boxes of each sampled picture, in order of time; pictures without faces included.

    Of all pairs of a live track's last box and a box of the new picture, the best overlapping are
    linked first; equal overlaps in order of track, then of box. What stays alone opens a track.
    """
    numbers: list[list[int]] = []
    last: dict[int, tuple[int, Box]] = {}
    count = 0
    for now, boxes in enumerate(pictures):
        live = {t: box for t, (seen, box) in last.items() if now - seen <= 1 + MAX_MISSED}
        linked = _match(live, boxes)
        row = []
        for i, box in enumerate(boxes):
            if i not in linked:
                linked[i] = count
                count += 1
            track = linked[i]
            last[track] = (now, box)
            row.append(track)
        numbers.append(row)
    return numbers


def _match(live: dict[int, Box], boxes: Sequence[Box]) -> dict[int, int]:
    """Box index to track, greedily."""
    pairs = [(overlap(a, b), t, i) for t, a in live.items() for i, b in enumerate(boxes)]
    pairs.sort(key=lambda pair: (-pair[0], *pair[1:]))
    linked: dict[int, int] = {}
    taken: set[int] = set()
    for shared, track, i in pairs:
        if shared >= MIN_OVERLAP and i not in linked and track not in taken:
            linked[i] = track
            taken.add(track)
    return linked


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
