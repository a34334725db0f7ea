"""What a video's header says, and the one safe way to open a video file.

A file is untrusted: only local files, only the containers of :data:`FORMATS`, and nothing larger
than the caller allows is ever decoded.
"""

import contextlib
import math
import re
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import av.error
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideDataContainer, Type
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import Reject

FORMATS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2"),
    *("matroska", "webm", "avi", "mpegts", "mpeg", "gif", "flv", "ogg", "asf"),
)
"""The closed list of containers, by FFmpeg's demuxer names."""

MAX_DURATION_S = 24 * 3600
"""A header that claims more is taken for damage: the plan of times grows with it."""

MIN_STRETCH = Fraction(1, 100)
"""Pixels further from square than this are made square."""

_STILL_BRANDS = {"avif", "avis", "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"}
"""MP4 brands of still pictures (AVIF, HEIF); FFmpeg opens their main picture as a video."""
_WITHOUT_DURATION = {"mpegts", "mpeg"}
"""Containers whose header holds no duration; what FFmpeg reports for them is an estimate."""
_TRACK_LENGTH = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
"""A tag of Matroska; its header has one length for picture and sound together."""
_NOT_FILM = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
_PACKETS_TO_FIRST_PICTURE = 64


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


def probe(path: Path, max_side_px: int) -> VideoFacts:
    """Facts of a video file from its header and first picture.

    The packets are walked only where the header has no trustworthy duration. The first picture is
    decoded because PyAV tells the display rotation of pictures alone.

    Raises:
        Reject: ``missing``, ``unreadable``, ``empty``, ``not_media``, ``no_video_stream``,
            ``decode_error`` (no decoder for the codec), ``bad_dimensions``, ``no_duration``,
            ``encrypted``.
    """
    container, stream = open_video(path, max_side_px)
    with container:
        duration_s = _header_duration_s(container, stream)
        frame_count = stream.frames or -1
        if container.format.name == "gif" and frame_count == 1:
            raise Reject("not_media", "a still picture (gif)")
        if duration_s is None or _adds_up_otherwise(container, stream):
            walked_s, walked_count, whole = _walk(path, max_side_px)
            # Of a file that is cut, the header tells what is missing.
            if duration_s is None or whole:
                duration_s, frame_count = walked_s, walked_count
        if not 0 < duration_s <= MAX_DURATION_S:
            raise Reject("no_duration", f"{float(duration_s):g} s by the file")
        return VideoFacts(
            container=container.format.name.split(",")[0],
            codec=stream.codec_context.codec.canonical_name,
            width_px=stream.codec_context.width,
            height_px=stream.codec_context.height,
            rotation_deg=_first_rotation_deg(container, stream),
            duration_s=float(duration_s),
            average_fps=float(stream.average_rate or stream.guessed_rate or -1),
            frame_count=frame_count,
        )


def open_video(path: Path, max_side_px: int) -> tuple[InputContainer, VideoStream]:
    """Opens a video file and picks its first video stream that is no cover art.

    The decoder is told to refuse pictures of more than ``max_side_px`` squared pixels, also where
    the stream turns larger than the header says.

    Returns:
        The container, to be closed by the caller, and the stream. Nothing is decoded yet.

    Raises:
        Reject: as :func:`probe`, without ``no_duration`` and ``encrypted``.
    """
    check_file(path)
    # Quiet, but errors stay available through get_last_error.
    av.logging.set_level(av.logging.PANIC)
    max_pixels = str(max_side_px * max_side_px)
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(FORMATS),
        "max_pixels": max_pixels,
        # FFmpeg decodes some pictures to find out about a stream, and shows them to nobody.
        "skip_loop_filter": "all",
    }
    before = complaints()[0]
    try:
        container = av.open(f"file:{path}", "r", options=options, metadata_errors="replace")
    except av.error.FFmpegError as error:
        count, last = complaints()
        detail = last if count > before else error.strerror
        raise Reject("not_media", detail or str(error)) from error
    try:
        stream = _film(container, max_side_px)
    except Reject:
        container.close()
        raise
    stream.codec_context.options = {"max_pixels": max_pixels}
    return container, stream


def complaints() -> tuple[int, str]:
    """How many errors FFmpeg has logged in this process so far, and the last of them."""
    count, last = av.logging.get_last_error()
    return count, f"{last[1]}: {last[2].strip()}" if last else ""


def packets(container: InputContainer, stream: VideoStream) -> "Iterator[Packet[VideoStream]]":
    """Packets of a stream to the end of the file, and an empty one that flushes the decoder.

    Raises:
        av.error.FFmpegError: the file cannot be read on.
    """
    # Where further streams turned up on the way, PyAV fails behind the last packet of this one.
    with contextlib.suppress(IndexError):
        yield from container.demux(stream)


def check_file(path: Path) -> None:
    """Raises Reject ``missing``, ``unreadable`` or ``empty`` where a file cannot be read from."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Reject("missing") from error
    except OSError as error:
        raise Reject("unreadable", error.strerror or str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise Reject("unreadable", "not a regular file")
    if status.st_size == 0:
        raise Reject("empty")
    # FFmpeg reports damage as an input error too; so real ones are looked for here.
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise Reject("unreadable", error.strerror or str(error)) from error


def square_size(width_px: int, height_px: int, aspect: Fraction | None) -> tuple[int, int]:
    """Size in px at which a picture's pixels are square; one side grows, none shrinks.

    Args:
        width_px: as coded.
        height_px: as coded.
        aspect: width of a coded pixel over its height; None or 0 where it is not known. Deviations
            from 1 of less than :data:`MIN_STRETCH` are left alone: they come of rounding.
    """
    if not aspect or abs(aspect - 1) < MIN_STRETCH:
        return width_px, height_px
    if aspect > 1:
        return round(width_px * aspect), height_px
    return width_px, round(height_px / aspect)


def display_turn(frame: VideoFrame) -> tuple[int, bool]:
    """How a decoded picture has to be turned for display, from its display matrix.

    Returns:
        Clockwise turn in degrees (0, 90, 180 or 270), and whether the picture is to be mirrored
        left to right before that turn.
    """
    # frame.side_data would tie the frame into a cycle that is never freed.
    matrix = SideDataContainer(frame).get(Type.DISPLAYMATRIX)  # type: ignore[call-arg]
    if matrix is None:
        return 0, False
    # (1, 0) of the picture goes to (a, b) of the display, (0, 1) to (c, d); y runs down.
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return round(math.degrees(math.atan2(b, a)) / 90) % 4 * 90, mirrored


def _film(container: InputContainer, max_side_px: int) -> VideoStream:
    brand = container.metadata.get("major_brand", "").strip()
    if brand in _STILL_BRANDS:
        raise Reject("not_media", f"a still picture ({brand})")
    streams = [s for s in container.streams.video if not s.disposition & _NOT_FILM]
    if not streams:
        kinds = sorted({s.type for s in container.streams})
        raise Reject("no_video_stream", f"streams: {', '.join(kinds) or 'none'}")
    stream = streams[0]
    if stream.codec_context is None:
        raise Reject("decode_error", "no decoder for this codec")
    width, height = stream.codec_context.width, stream.codec_context.height
    width, height = square_size(width, height, stream.sample_aspect_ratio)
    if not (0 < width <= max_side_px and 0 < height <= max_side_px):
        raise Reject("bad_dimensions", f"{width} x {height} px; at most {max_side_px} a side")
    return stream


def _header_duration_s(container: InputContainer, stream: VideoStream) -> Fraction | None:
    name = container.format.name
    # Only a track of MP4 has a length of its own; elsewhere muxers disagree whether the duration
    # counts from 0 or from the first picture.
    ambiguous = bool(stream.start_time) and not name.startswith("mov")
    if ambiguous or name in _WITHOUT_DURATION:
        return None
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    if not container.duration:
        return None
    whole = Fraction(container.duration, av.time_base)
    tag = _TRACK_LENGTH.fullmatch(stream.metadata.get("DURATION", ""))
    if tag is None:
        return whole
    hours, minutes, seconds = map(Fraction, tag.groups())
    return min(hours * 3600 + minutes * 60 + seconds, whole) or whole


def _adds_up_otherwise(container: InputContainer, stream: VideoStream) -> bool:
    """Whether a header's length may not be how long pictures are shown.

    In MP4 it is the sum of the steps from one stored picture to the next. Where pictures are stored
    in another order than shown, and steps differ, that sum is another one.
    """
    if not (container.format.name.startswith("mov") and stream.codec_context.has_b_frames):
        return False
    stored = [entry.timestamp for entry in stream.index_entries]
    steps = [after - before for before, after in pairwise(stored)]
    return bool(steps) and max(steps) - min(steps) > 1  # one tick: rounding


def _first_rotation_deg(container: InputContainer, stream: VideoStream) -> int:
    for _, packet in zip(
        range(_PACKETS_TO_FIRST_PICTURE), packets(container, stream), strict=False
    ):
        if packet.has_sidedata("encryption_info"):
            raise Reject("encrypted")
        with contextlib.suppress(av.error.FFmpegError):
            for frame in packet.decode():
                return display_turn(frame)[0]
    return 0


def _walk(path: Path, max_side_px: int) -> tuple[Fraction, int, bool]:
    """Walks all packets.

    Returns:
        Duration from the first shown packet to the end of the last one, in s; how many there are;
        and whether the file was read to its end without a complaint.
    """
    spans: list[tuple[int, int]] = []
    container, stream = open_video(path, max_side_px)
    before, whole = complaints()[0], False
    with container, contextlib.suppress(av.error.FFmpegError):
        for packet in packets(container, stream):
            at = packet.dts if packet.pts is None else packet.pts
            if packet.size and at is not None and not packet.is_discard:
                spans.append((at, packet.duration or 0))
        whole = complaints()[0] == before
    if not spans or not stream.time_base:
        raise Reject("no_duration", "no packet carries a time stamp")
    first = min(at for at, _ in spans)
    last, last_duration = max(spans)
    ticks = Fraction(last - first + last_duration)
    if not last_duration and stream.average_rate:
        ticks += 1 / (stream.average_rate * stream.time_base)
    return ticks * stream.time_base, len(spans), whole
