"""The labelled parts of a video, what lies outside of them, and a frame of every one.

A part may be shorter than the step from one planned time to the next: the fakes of a single word
last a fifth of a second. So a part is looked at in its middle, whatever else is planned.
"""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from math import floor

from pipeline.config.params import PartRule

Part = tuple[Fraction, Fraction]
"""Start and end, half-open, in seconds from the first frame; of still images in frames."""


def labelled(duration: Fraction, bounds: Sequence[Fraction]) -> list[Part]:
    """What is labelled of a video: parts in order of time, apart from each other.

    What two parts share belongs to the earlier one. What lies behind the end is cut off.

    Args:
        duration: length of the video.
        bounds: start, end, start, end …, in any order of the parts; () = the whole video.

    Raises:
        ValueError: a part has no end.
    """
    if len(bounds) % 2:
        raise ValueError(f"the parts have an end missing: {[float(b) for b in bounds]}")
    if not bounds:
        return [(Fraction(0), duration)]
    parts: list[Part] = []
    for start, end in sorted(zip(bounds[::2], bounds[1::2], strict=True)):
        start = max(start, Fraction(0), parts[-1][1] if parts else Fraction(0))
        if start < min(end, duration):
            parts.append((start, min(end, duration)))
    return parts


def outside(duration: Fraction, parts: Sequence[Part], margin: Fraction) -> list[Part]:
    """What lies between parts, before the first and behind the last one.

    Args:
        duration: length of the video.
        parts: as :func:`labelled` gives them.
        margin: how far to stay away from each part. A frame that is on screen when a part begins
            or ends may belong to either, so this is how long a frame is shown.
    """
    starts = [Fraction(0), *(end + margin for _, end in parts)]
    ends = [*(start - margin for start, _ in parts), duration]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def with_middles(
    times: Sequence[float], parts: Sequence[Part], rule: PartRule, *, whole: bool
) -> list[float]:
    """Planned times, and the middles of parts by a rule; ascending.

    Args:
        times: what is planned, each within a part.
        parts: in order of time.
        rule: ``middle``: of every part; ``fill``: of those in which nothing is planned; ``grid``:
            of none.
        whole: middles are places of still images, and so whole numbers.
    """
    held = set(part_numbers(times, parts))
    middles = [
        (start + end) / 2
        for number, (start, end) in enumerate(parts)
        if rule == "middle" or (rule == "fill" and number not in held)
    ]
    return sorted({*times, *(float(floor(m)) if whole else float(m) for m in middles)})


def part_numbers(times: Sequence[float], parts: Sequence[Part]) -> list[int]:
    """Place in ``parts`` of the part that each time lies in."""
    starts = [float(start) for start, _ in parts]
    return [max(0, bisect_right(starts, time) - 1) for time in times]
