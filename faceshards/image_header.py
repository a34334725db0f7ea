"""Width and height of a still image from its header, without decoding: PNG, JPEG, WebP, BMP."""

from dataclasses import dataclass

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_START = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that carry the size; the three left out are tables in the same range."""
_JPEG_BARE = {0x01, *range(0xD0, 0xD9)}
"""Markers with nothing behind them."""
_BMP_CORE_BYTES = 12
"""Size of the oldest header of BMP, whose fields have two bytes."""


@dataclass(frozen=True)
class Header:
    """What the header of an image says."""

    codec: str
    """``png``, ``jpeg``, ``webp`` or ``bmp``."""
    width_px: int
    height_px: int
    whole: bool
    """False where the end of the image is missing."""


def read_header(data: bytes) -> Header:
    """Header of an image. Raises ValueError where the bytes are none of the four formats."""
    if data[:8] == _PNG and data[12:16] == b"IHDR" and len(data) >= 24:
        return Header("png", *_big(data, 16, 4), b"IEND" in data[24:])
    if data[:2] == _JPEG_START:
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 25:
        return _webp(data)
    if data[:2] == b"BM" and len(data) >= 26:
        return _bmp(data)
    raise ValueError("neither PNG, JPEG, WebP nor BMP")


def _jpeg(data: bytes) -> Header:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            height, width = _big(data, at + 5, 2)
            return Header("jpeg", width, height, data.rfind(_JPEG_END) > at)
        if marker == 0xFF:
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ValueError("a JPEG without the header of an image")


def _webp(data: bytes) -> Header:
    whole = int.from_bytes(data[4:8], "little") + 8 <= len(data)
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8 ":
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        raise ValueError("a WebP without the header of an image")
    return Header("webp", width, height, whole)


def _bmp(data: bytes) -> Header:
    whole = int.from_bytes(data[2:6], "little") <= len(data)
    size = 2 if int.from_bytes(data[14:18], "little") == _BMP_CORE_BYTES else 4
    width, height = (
        int.from_bytes(data[18 + i * size : 18 + (i + 1) * size], "little", signed=size == 4)
        for i in range(2)
    )
    return Header("bmp", width, abs(height), whole)  # a height below 0: the first row is on top


def _big(data: bytes, at: int, size: int) -> tuple[int, int]:
    """Two numbers of ``size`` bytes each, most significant byte first."""
    first, second = (int.from_bytes(data[at + i * size :][:size], "big") for i in range(2))
    return first, second
