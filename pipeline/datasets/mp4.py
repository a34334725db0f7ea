"""Frame rate of an MP4 file from its header, read without a decoder.

``scan`` runs in the user's own process and must stay cheap, so it opens no foreign media with
native code. What is needed of the format fits on a page (ISO/IEC 14496-12).
"""

import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import Reject

_MAX_HEADER_BYTES = 64 << 20


def frame_rate(file: Path) -> Fraction:
    """Pictures per second of the first video track, on average.

    Raises:
        Reject: ``unsupported_media`` where the file is no MP4 or its header lists no pictures (one
            in fragments does not).
        OSError: the file cannot be read.
    """
    try:
        with file.open("rb") as stream:
            header = _header(stream)
        for track in _boxes(header, b"trak"):
            media = _one(track, b"mdia")
            if _one(media, b"hdlr")[8:12] == b"vide":
                table = _one(_one(_one(media, b"minf"), b"stbl"), b"stts")
                return _rate(_ticks_per_s(_one(media, b"mdhd")), table)
        problem = "no video track"
    except (struct.error, ValueError, ZeroDivisionError) as error:
        problem = str(error)
    raise Reject(
        "unsupported_media",
        f"its labelled parts are counted in frames, but its header has no frame rate ({problem})",
    )


def _header(stream: BinaryIO) -> bytes:
    """Content of the box ``moov``, which may lie behind the pictures."""
    end = os.fstat(stream.fileno()).st_size
    start = 0
    while start < end:
        stream.seek(start)
        size, kind, head = _box(stream.read(16))
        size = size or end - start
        if kind == b"moov":
            if size > _MAX_HEADER_BYTES:
                raise ValueError("its header is absurdly long")
            stream.seek(start + head)
            return stream.read(size - head)
        start += size
    raise ValueError("not an MP4 file")


def _box(data: bytes) -> tuple[int, bytes, int]:
    """Size with head (0 = up to the end), kind, and size of the head."""
    size, kind = struct.unpack_from(">I4s", data)
    head = 8
    if size == 1:
        (size,), head = struct.unpack_from(">Q", data, 8), 16
    if size and size < head:
        raise ValueError("a damaged box")
    return size, kind, head


def _boxes(data: bytes, wanted: bytes) -> Iterator[bytes]:
    start = 0
    while start + 8 <= len(data):
        size, kind, head = _box(data[start : start + 16])
        end = start + size if size else len(data)
        if kind == wanted:
            yield data[start + head : end]
        start = end


def _one(data: bytes, wanted: bytes) -> bytes:
    for content in _boxes(data, wanted):
        return content
    raise ValueError(f"no box {wanted.decode()}")


def _ticks_per_s(mdhd: bytes) -> int:
    """Time scale; version 1 of the box has two longer fields before it."""
    (scale,) = struct.unpack_from(">I", mdhd, 20 if mdhd[:1] == b"\1" else 12)
    return int(scale)


def _rate(ticks_per_s: int, stts: bytes) -> Fraction:
    """Pictures by seconds, of a table of (count, ticks each)."""
    (n,) = struct.unpack_from(">I", stts, 4)
    runs = list(struct.iter_unpack(">II", stts[8 : 8 + 8 * n]))
    rate = Fraction(sum(count for count, _ in runs), sum(c * ticks for c, ticks in runs))
    if not rate or not ticks_per_s:
        raise ValueError("a frame rate of zero")
    return rate * ticks_per_s
