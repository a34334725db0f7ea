"""When the frames of a video are on screen: by its packets, or by decoding it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Generic, TypeVar

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.errors import Reject
from pipeline.video.bitstream import shows
from pipeline.video.container import all_packets, complaints, open_video
from pipeline.video.everything import stamped_frames
from pipeline.video.stamps import by_packet, length_per_track, usual_duration

MAX_SHORTFALL_S = 0.5
"""A file that ends earlier than its header tells is cut."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Span(Generic[_T]):
    """What is on screen in the ticks [start, end), counted from the first frame."""

    start: int
    end: int
    shown: _T


@dataclass(frozen=True)
class Timeline:
    """When the frames of a whole video are on screen."""

    spans: list[tuple[int, int]]
    """Start and end of each frame in ticks from the first one, in order; at least one. A frame
    that another one replaces in the same tick is never on screen."""
    tick_s: Fraction
    whole: bool
    """Whether the file was read without a complaint, and to the end that its header tells."""


def read_timeline(path: Path, max_side_px: int, first: int | None) -> Timeline:
    """Reads a file to its end to find out when its frames are on screen.

    Only where not every packet has a time to order the frames by, everything is decoded.

    Args:
        path: a video file.
        max_side_px: as for :func:`pipeline.video.container.open_video`.
        first: stamp of the first frame that decodes, None where it is not known. Time counts from
            it; packets before it show nothing.

    Raises:
        Reject: as ``open_video``; ``no_duration`` where nothing is shown or times have no unit.
    """
    before = complaints()[0]
    notes: list[str] = []
    container, stream = open_video(path, max_side_px)
    with container:
        tick_s = stream.time_base
        stamps, end_s = _walk(container, stream, notes.append)
        # A file whose tracks have lengths of their own has an index too, and misses what is cut.
        told_s = 0 if length_per_track(container) else (container.duration or 0) / av.time_base
        reached = end_s > told_s - MAX_SHORTFALL_S
    if stamps is None:
        container, stream = open_video(path, max_side_px)
        with container:
            decoded = stamped_frames(container, stream, before, notes.append)
            stamps = [(at, duration, None) for at, duration, _ in decoded]
    elif first is not None:
        stamps = [stamp for stamp in stamps if stamp[0] >= first]
    whole = reached and not notes and complaints()[0] == before
    if not stamps or tick_s is None:
        raise Reject("no_duration", "nothing that has a time is shown")
    shown = [(span.start, span.end) for span in spans(stamps) if span.start < span.end]
    return Timeline(shown, tick_s, whole)


def spans(stamped: Iterable[tuple[int, int, _T]]) -> Iterator[Span[_T]]:
    """From stamps to spans: each frame stays until the next one comes, the last for its duration.

    Args:
        stamped: tick, duration in ticks, frame; ticks never descend. A frame that the next one
            replaces in the same tick has an empty span.
    """
    first = 0
    held: tuple[int, int, _T] | None = None
    for stamp in stamped:
        if held is None:
            first = stamp[0]
        else:
            yield Span(held[0] - first, stamp[0] - first, held[2])
        held = stamp
    if held is not None:
        at, duration, shown = held
        yield Span(at - first, at + duration - first, shown)


def _walk(
    container: InputContainer, stream: VideoStream, note: Callable[[str], object]
) -> tuple[list[tuple[int, int, None]] | None, Fraction]:
    """Reads all packets.

    Returns:
        Tick and duration of every packet whose frame is shown, in order, None where not all have
        a time of their own; and when the last packet of any stream ends, in s by the file.
    """
    usual, codec = usual_duration(container, stream), stream.codec_context.codec.canonical_name
    in_order = by_packet(container)
    timed = not (in_order and stream.has_b_frames)
    stamps: list[tuple[int, int, None]] = []
    end_s = Fraction(0)
    try:
        for packet in all_packets(container):
            latest = max((t for t in (packet.dts, packet.pts) if t is not None), default=None)
            if latest is not None and packet.time_base:
                end_s = max(end_s, (latest + (packet.duration or 0)) * packet.time_base)
            if packet.stream_index != stream.index or not packet.size or packet.is_discard:
                continue
            at = packet.dts if in_order else packet.pts
            timed = timed and at is not None
            if at is not None and shows(codec, packet):
                duration = usual if in_order else packet.duration or usual
                stamps.append((at, duration, None))
    except av.error.FFmpegError as error:
        note(error.strerror or str(error))
    return (sorted(stamps, key=lambda stamp: stamp[0]) if timed else None), end_s
