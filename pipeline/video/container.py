"""The one safe way to open a video file, and what any reading of it shares.

A file is untrusted: only local files, only the containers of :data:`FORMATS`, and nothing larger
than the caller allows is ever decoded.
"""

import contextlib
import math
import re
import stat
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import av.error
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideDataContainer, Type
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import Reject

FORMATS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2"),
    *("matroska", "webm", "avi", "mpegts", "mpeg", "gif", "flv", "ogg", "asf"),
)
"""The closed list of containers, by FFmpeg's demuxer names."""

MIN_STRETCH = Fraction(1, 100)
"""Pixels further from square than this are made square."""

MAX_GIF_PIXELS = 1 << 24
"""A GIF of a few KB may be as large as it likes, and every frame of it takes 4 bytes a pixel."""

_STILL_BRANDS = {"avif", "avis", "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"}
"""MP4 brands of still images (AVIF, HEIF); FFmpeg opens their main frame as a video."""
_CROPPING = re.compile(r"^ +Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)$", re.MULTILINE)
_NOT_FILM = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails


def open_video(path: Path, max_side_px: int) -> tuple[InputContainer, VideoStream]:
    """Opens a video file and picks its best video stream that is no cover art.

    The best one is FFmpeg's choice (``av_find_best_stream``: default flag, frames that were seen
    so far, bit rate), but no track of one frame where there are others.

    The decoder is told to refuse frames of more than ``max_side_px`` squared pixels, also where
    the stream turns larger than the header says. It works in one thread: one process per core is
    faster than threads in one process.

    Returns:
        The container, to be closed by the caller, and the stream. Nothing is decoded yet.

    Raises:
        Reject: ``missing``, ``unreadable``, ``empty``, ``not_media``, ``no_video_stream``,
            ``decode_error`` (no decoder for the codec), ``bad_dimensions``.
    """
    check_file(path)
    # Quiet, but errors stay available through get_last_error.
    av.logging.set_level(av.logging.PANIC)
    max_pixels = str(max_side_px * max_side_px)
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(FORMATS),
        "max_pixels": max_pixels,
        # FFmpeg decodes some frames to find out about a stream, and shows them to nobody.
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
    stream.codec_context.thread_count = 1
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


def all_packets(container: InputContainer) -> "Iterator[Packet[Stream]]":
    """As :func:`packets`, of all streams, sound included."""
    with contextlib.suppress(IndexError):
        yield from container.demux()


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


class Margins(NamedTuple):
    """What is cut off a decoded frame on each side, in px as coded."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0


def container_crop(container: InputContainer, stream: VideoStream) -> Margins:
    """What the container takes off each frame (``clap`` of MP4, ``PixelCrop`` of Matroska).

    PyAV tells it only in FFmpeg's description of a file.
    """
    if not container.format.name.startswith(("mov", "matroska")):
        return Margins()
    try:
        av.logging.set_level(av.logging.INFO)
        told: str = container.dumps_format()  # type: ignore[attr-defined]
    finally:
        av.logging.set_level(av.logging.PANIC)
    for part in told.split("\n  Stream #0:")[1:]:
        found = _CROPPING.search(part)
        if found and re.match(rf"{stream.index}\b", part):
            margins = Margins(*map(int, found.groups()))
            width, height = stream.codec_context.width, stream.codec_context.height
            left_over = width - margins.left - margins.right, height - margins.top - margins.bottom
            return margins if min(left_over) > 0 else Margins()
    return Margins()


def shapes_may_change(container: InputContainer) -> bool:
    """Whether each frame tells the shape of its pixels; elsewhere the container does for all."""
    return container.format.name in ("mpegts", "mpeg")


def square_size(width_px: int, height_px: int, aspect: Fraction | None) -> tuple[int, int]:
    """Size in px at which a frame's pixels are square; one side grows, none shrinks.

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
    """How a decoded frame has to be turned for display, from its display matrix.

    Returns:
        Clockwise turn in degrees (0, 90, 180 or 270), and whether the frame is to be mirrored
        left to right before that turn.
    """
    # frame.side_data would tie the frame into a cycle that is never freed.
    matrix = SideDataContainer(frame).get(Type.DISPLAYMATRIX)  # type: ignore[call-arg]
    if matrix is None:
        return 0, False
    # (1, 0) of the frame goes to (a, b) of the display, (0, 1) to (c, d); y runs down.
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
    stream = _best(container, streams)
    if stream.codec_context is None:
        raise Reject("decode_error", "no decoder for this codec")
    width, height = stream.codec_context.width, stream.codec_context.height
    width, height = square_size(width, height, stream.sample_aspect_ratio)
    if not (0 < width <= max_side_px and 0 < height <= max_side_px):
        raise Reject("bad_dimensions", f"{width} x {height} px; at most {max_side_px} a side")
    if container.format.name == "gif" and width * height > MAX_GIF_PIXELS:
        most = MAX_GIF_PIXELS >> 20
        raise Reject("bad_dimensions", f"a GIF of {width} x {height} px; at most {most} Mpx")
    return stream


def _best(container: InputContainer, films: list[VideoStream]) -> VideoStream:
    films = [film for film in films if film.frames != 1] or films
    best = container.streams.best("video")
    for film in films:
        if best is not None and film.index == best.index:
            return film

    def rank(film: VideoStream) -> tuple[bool, int, int]:
        context = film.codec_context
        area = context.width * context.height if context else 0
        return bool(film.disposition & Disposition.default), area, film.frames

    return max(films, key=rank)
