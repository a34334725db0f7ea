"""Strict looks at single images: what any viewer would forgive is found."""

import zlib
from collections.abc import Iterator

import simplejpeg

from faceshards import images

_START, _END, _SCAN, _FRAME = 0xD8, 0xD9, 0xDA, 0xC0
_TABLES = {0xE0: "JFIF", 0xDB: "quantisation", 0xC4: "Huffman"}
"""Segments that an image of ours has before its scan, besides the frame's header."""
_RGB = 3
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_EMPTY_CHUNK = 12
"""Bytes of a chunk without data: length, kind, checksum."""
_GREY_8_BIT = bytes([8, 0, 0, 0, 0])
"""Depth, kind of color, compression, filter, interlace of the header."""
_PNG_FILTERS = 5


def jpeg_head(data: bytes) -> bytes:
    """All of a JPEG before its coded pixels: tables, sampling and size.

    Raises ValueError where it is no baseline JPEG of one scan in color, or where something lies
    between its parts or behind its end.
    """
    if data[:2] != bytes([0xFF, _START]):
        raise ValueError("no JPEG")
    at, frames = 2, 0
    while True:
        if len(data) < at + 4 or data[at] != 0xFF:
            raise ValueError(f"byte {at}: no segment of a JPEG")
        kind, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind not in (*_TABLES, _FRAME, _SCAN) or size < 2 or at + 2 + size > len(data):
            raise ValueError(f"byte {at}: a segment {kind:#x} of {size} bytes does not belong here")
        if kind == _FRAME:
            frames += 1
            if size < 8 or data[at + 9] != _RGB:
                raise ValueError("not in color")
        at += 2 + size
        if kind == _SCAN:
            break
    if frames != 1:
        raise ValueError(f"{frames} headers of a frame instead of 1")
    _check_scan(data, at)
    return data[:at]


def _check_scan(data: bytes, start: int) -> None:
    """Raises ValueError where a marker other than the end lies in the coded pixels from there."""
    at = start
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise ValueError("ends before its end marker")
        if data[at + 1] == _END:
            break
        if data[at + 1]:
            raise ValueError(f"byte {at}: marker {data[at + 1]:#x} within the image")
        at += 2
    if at + 2 != len(data):
        raise ValueError(f"{len(data) - at - 2} bytes behind its end")


def jpeg_problem(data: bytes) -> str:
    """What the decoder complains about; "" for nothing. Decodes all of it, strictly."""
    try:
        simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except ValueError as error:
        return f"damaged: {error}"
    return ""


def mask_problems(data: bytes) -> Iterator[str]:
    """What is wrong with a mask: it must be a whole grey PNG of 8 bits that is not all 0."""
    try:
        width, height = images.dimensions(data)
        pixels = _png_pixels(data, width, height)
    except ValueError as error:
        yield str(error)
        return
    rows = [pixels[at : at + width + 1] for at in range(0, len(pixels), width + 1)]
    if any(row[0] >= _PNG_FILTERS for row in rows):
        yield "damaged: a row has an unknown filter"
    elif not images.decode_grey(data).any():
        yield "empty: no pixel is altered"


def _png_pixels(data: bytes, width: int, height: int) -> bytes:
    """The filtered rows of a PNG. Raises ValueError for all but the plainest sound grey PNG."""
    if data[:8] != _PNG:
        raise ValueError("no PNG")
    if max(width, height) > images.MAX_SIDE_PX or min(width, height) < 1:
        raise ValueError(f"{width} x {height} px")
    at, kinds, packed = 8, [], b""
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + _PNG_EMPTY_CHUNK + size
        body = data[at + 8 : end - 4]
        if end > len(data) or zlib.crc32(kind + body) != int.from_bytes(data[end - 4 : end], "big"):
            raise ValueError(f"byte {at}: a damaged chunk")
        if kind == b"IHDR" and body[8:] != _GREY_8_BIT:
            raise ValueError("not grey with 8 bits")
        if kind == b"IDAT" and not body:
            raise ValueError(f"byte {at}: an empty chunk")
        packed += body if kind == b"IDAT" else b""
        kinds.append(kind)
        at = end
        if kind == b"IEND":
            break
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes behind its end")
    middle = kinds[1:-1]
    if kinds[:1] != [b"IHDR"] or kinds[-1] != b"IEND" or set(middle) != {b"IDAT"}:
        raise ValueError("a PNG with other parts than header, pixels and end")
    wanted = height * (width + 1)
    unpacker = zlib.decompressobj()
    try:
        pixels = unpacker.decompress(packed, wanted + 1)
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from error
    if len(pixels) != wanted or not unpacker.eof or unpacker.unused_data:
        raise ValueError("its pixels are not as many as its header says")
    return pixels
