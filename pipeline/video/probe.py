"""What a video's header says, and how long its frames are shown."""

import contextlib
import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.video.reformatter import ColorPrimaries, ColorTrc
from av.video.stream import VideoStream

from pipeline.errors import Reject
from pipeline.video.container import display_turn, open_video, packets
from pipeline.video.stamps import (
    BestEffort,
    average_rate,
    by_packet,
    length_per_track,
    usual_duration,
)
from pipeline.video.timeline import read_timeline

MAX_DURATION_S = 24 * 3600
"""A header that claims more is taken for damage: the plan of times grows with it."""

_WITHOUT_DURATION = {"mpegts", "mpeg"}
"""Containers whose header holds no duration; what FFmpeg reports for them is an estimate."""
_TRACK_LENGTH = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
"""A tag of Matroska; its header has one length for frame and sound together."""
_PACKETS_TO_FIRST_FRAME = 64
_HDR: dict[int, tuple[str, str]] = {
    ColorTrc.SMPTE2084: ("HDR (PQ)", "smpte2084"),
    ColorTrc.ARIB_STD_B67: ("HDR (HLG)", "arib-std-b67"),
}
"""What it is called, and FFmpeg's name of the transfer."""
_TONE_MAP = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable,"
"""Of FFmpeg: light in proportion, then the colors of BT.709, then less of it where it is too much.
"""
_DELAY = {"h264": 2, "hevc": 2}
"""Packets that come before the one that pushes the first frame out, where frames are out of
order; 1 for other codecs. Where there are more, the first ones may have been lost."""


@dataclass(frozen=True)
class VideoFacts:
    """The container's facts, as in the table ``frames`` (units and ranges are given there)."""

    container: str
    codec: str
    width_px: int
    height_px: int
    rotation_deg: int
    duration_s: float
    average_fps: float
    frame_count: int
    transfer: str = ""
    primaries: str = ""


@dataclass(frozen=True)
class _First:
    """The first frame that decodes."""

    rotation_deg: int
    transfer: int
    """How light is coded, and the colors it is made of, as FFmpeg numbers them."""
    primaries: int
    stamp: int | None
    """Ticks; None where there is no frame, or no time."""
    index: int
    """Packets before the one that pushed it out."""
    earliest: int | None
    """The least stamp of the packets up to there; less than its own where frames are lost."""


def probe(path: Path, max_side_px: int) -> VideoFacts:
    """Facts of a video file from its header and first frame.

    The packets are walked only where the header may not tell how long frames are shown. The first
    frame is decoded because PyAV tells the display rotation of frames alone, and because time
    counts from it.

    Raises:
        Reject: ``missing``, ``unreadable``, ``empty``, ``not_media``, ``no_video_stream``,
            ``decode_error`` (no decoder for the codec), ``bad_dimensions``, ``no_duration``,
            ``encrypted``, ``unsupported_media`` (HDR).
    """
    container, stream = open_video(path, max_side_px)
    with container:
        frame_count = stream.frames or -1
        if container.format.name == "gif" and frame_count == 1:
            raise Reject("not_media", "a still picture (gif)")
        claimed_s, exact = _header_duration_s(container, stream)
        exact = exact and not _adds_up_otherwise(container, stream)
        first = _first_frame(container, stream)
        _refuse_hdr(first)
        duration_s, rate = claimed_s, average_rate(container, stream)
        believed = duration_s is not None and exact and _starts_as_told(container, stream, first)
        if duration_s is None or not believed or _goes_on(container, stream, duration_s):
            shown = read_timeline(path, max_side_px, first.stamp)
            # Of a file that is cut, the header tells what is missing.
            if duration_s is None or shown.whole:
                duration_s, frame_count = shown.spans[-1][1] * shown.tick_s, len(shown.spans)
                if stream.average_rate is None and not by_packet(container):
                    rate = frame_count / duration_s  # FFmpeg's guess may be 2000
        if not 0 < duration_s <= MAX_DURATION_S:
            told = f"{float(duration_s):g} s by the file"
            raise Reject("no_duration", f"{told}; recordings may have been appended: split them")
        return VideoFacts(
            container=container.format.name.split(",")[0],
            codec=stream.codec_context.codec.canonical_name,
            width_px=stream.codec_context.width,
            height_px=stream.codec_context.height,
            rotation_deg=first.rotation_deg,
            duration_s=float(duration_s),
            average_fps=float(rate or -1),
            frame_count=frame_count,
            transfer=_name(ColorTrc, first.transfer),
            primaries=_name(ColorPrimaries, first.primaries),
        )


def shown_spans_s(
    path: Path, max_side_px: int, facts: VideoFacts
) -> list[tuple[Fraction, Fraction]]:
    """When each frame is on screen: start and end in s from the first one, in order.

    All packets are read. Of a file that is cut, the missing frames are added at the average rate,
    up to the length that its header tells.

    Raises:
        Reject: as :func:`probe`.
    """
    container, stream = open_video(path, max_side_px)
    with container:
        first = _first_frame(container, stream)
    shown = read_timeline(path, max_side_px, first.stamp)
    spans_s = [(start * shown.tick_s, end * shown.tick_s) for start, end in shown.spans]
    if not shown.whole and facts.average_fps > 0:
        end_s, step_s = spans_s[-1][1], 1 / Fraction(facts.average_fps)
        missing = int((Fraction(facts.duration_s) - end_s) / step_s)
        spans_s += [(end_s + k * step_s, end_s + (k + 1) * step_s) for k in range(missing)]
    return spans_s


def _header_duration_s(
    container: InputContainer, stream: VideoStream
) -> tuple[Fraction | None, bool]:
    """What the header tells, None for nothing, and whether that is for the frames alone."""
    name = container.format.name
    if name in _WITHOUT_DURATION:
        return None, False
    alone = length_per_track(container) or len(container.streams) == 1
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base, alone
    if not container.duration:
        return None, False
    whole = Fraction(container.duration, av.time_base)
    tag = _TRACK_LENGTH.fullmatch(stream.metadata.get("DURATION", ""))
    if tag is None:
        return whole, alone
    hours, minutes, seconds = map(Fraction, tag.groups())
    length = hours * 3600 + minutes * 60 + seconds
    return (length, True) if 0 < length <= whole else (whole, alone)


def _adds_up_otherwise(container: InputContainer, stream: VideoStream) -> bool:
    """Whether the length of an MP4's track may not be how long its frames are shown.

    It is the sum of the steps from one stored frame to the next, or what an edit list makes of
    it. Where steps differ, and frames are stored in another order than shown, that sum is another
    one; and an edit list may start or end within a frame, which is then shown whole or not.
    """
    if not container.format.name.startswith("mov"):
        return False
    stored = [entry.timestamp for entry in stream.index_entries]
    steps = [after - before for before, after in pairwise(stored)]
    if not steps:
        return False
    sum_of_steps = stored[-1] - stored[0] + max(steps)
    return (
        any(entry.is_discard for entry in stream.index_entries)
        or max(steps) - min(steps) > 1  # one tick: rounding
        or abs((stream.duration or 0) - sum_of_steps) > 1
    )


def _starts_as_told(container: InputContainer, stream: VideoStream, first: _First) -> bool:
    """Whether the header's length starts with the first frame, from which time counts.

    In MP4 it is a sum of steps, from wherever the first one is. Elsewhere it counts from zero, at
    which is the first packet in AVI; where frames are out of order, a later one pushes the first
    frame out.
    """
    if first.stamp is None:
        return True  # nobody can do better, and that there is no frame is found out later
    if container.format.name.startswith("mov"):
        return first.stamp == first.earliest
    if container.format.name != "avi" or not stream.has_b_frames:
        return first.stamp == 0
    delay = _DELAY.get(stream.codec_context.codec.canonical_name, 1)
    steps = first.stamp / usual_duration(container, stream)
    return steps == first.index <= delay


def _goes_on(container: InputContainer, stream: VideoStream, end_s: Fraction) -> bool:
    """Whether there are frames behind the end that the header tells, or one cannot look.

    A recorder that was killed, or a tool that appends, leaves headers that are too short. In MP4
    the index is what is read, so that there is nothing behind it; of a GIF all was read.
    """
    if container.format.name.startswith(("mov", "gif")):
        return False
    tick_s = stream.time_base or Fraction(1)
    try:
        container.seek(int(end_s * av.time_base))
        for packet in packets(container, stream):
            stamp = packet.dts if by_packet(container) else packet.pts
            if packet.size and stamp is not None and stamp * tick_s >= end_s:
                return True
    except av.error.FFmpegError:
        return True
    return False


_BT2020_MATRICES = (9, 10)
"""Numbers of its two matrices from RGB to YUV, as FFmpeg has them."""


def _first_frame(container: InputContainer, stream: VideoStream) -> _First:
    earliest: int | None = None
    for index, packet in enumerate(packets(container, stream)):
        if packet.has_sidedata("encryption_info"):
            raise Reject("encrypted")
        if index == _PACKETS_TO_FIRST_FRAME:
            break
        if packet.pts is not None and not packet.is_discard:
            earliest = packet.pts if earliest is None else min(earliest, packet.pts)
        with contextlib.suppress(av.error.FFmpegError):
            for frame in packet.decode():
                stamp = BestEffort(container).stamp(frame)
                turn, primaries = display_turn(frame)[0], frame.color_primaries
                if frame.colorspace in _BT2020_MATRICES:  # some files tell the matrix alone
                    primaries = ColorPrimaries.BT2020
                return _First(turn, frame.color_trc, primaries, stamp, index, earliest)
    return _First(0, ColorTrc.UNSPECIFIED, ColorPrimaries.UNSPECIFIED, None, 0, earliest)


def _refuse_hdr(first: _First) -> None:
    """Raises Reject ``unsupported_media`` for high dynamic range and for BT.2020's colors.

    Taken for usual video they look flat and pale, which tells a detector how a file was made.
    """
    kind, transfer = _HDR.get(first.transfer, ("", "bt709"))
    if kind or first.primaries == ColorPrimaries.BT2020:
        filters = f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc,"
        filters += f"{_TONE_MAP if kind else ''}zscale=p=bt709:t=bt709:m=bt709,format=yuv420p"
        what = kind or "colors of BT.2020"
        if first.transfer == ColorTrc.UNSPECIFIED:
            what += ", transfer not told (the command takes it for SDR)"
        raise Reject(
            "unsupported_media",
            f"{what}; convert it to BT.709 (SDR) and list that: "
            f"ffmpeg -i IN -vf {filters} -crf 12 OUT.mp4",
        )


def _name(kind: type[ColorTrc] | type[ColorPrimaries], number: int) -> str:
    if number == kind.UNSPECIFIED:
        return ""
    try:
        return kind(number).name.lower()
    except ValueError:
        return str(number)
