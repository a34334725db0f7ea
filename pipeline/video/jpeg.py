"""What tells that the bytes of a JPEG are not those its encoder wrote.

Decoders patch up what they can. libjpeg-turbo warns of codes that do not exist, of images that
end too early and of bytes that are left over; FFmpeg besides of blocks with too many values. Where
data are missing in between, both may be content: then what follows is too bright or too dark by
what is missing, and often brighter than white or darker than black, which no encoder writes.
"""

import contextlib
import re

import av
import av.error
import av.logging
import simplejpeg

from pipeline.video.container import complaints

_OVERRUN = re.compile(r"error (count|y=|dc)|bad vlc")
"""What FFmpeg says of blocks; of other things it may say that it does not know them."""
_SAMPLING = "subsampling"
"""In what libjpeg-turbo says where it does not know the sampling."""
UNTOLD = (
    "a JPEG whose colors are sampled in an unusual way, such as CMYK: whether it is damaged cannot "
    "be told. Convert it, such as by `magick IN -colorspace sRGB OUT.png`"
)
_FRAMES = {0xC0, 0xC1, 0xC2}
_QUANTIZATION, _SCAN = 0xDB, 0xDA
_BEYOND_WHITE = 32
"""Levels that an encoder may pass white by, to keep the ringing of edges out of sight."""


def damage(data: bytes, max_pixels: int) -> str:
    """What is wrong with a JPEG that a decoder makes an image of; "" for nothing.

    :data:`UNTOLD` for sampling of colors of which damage cannot be told.

    Args:
        data: the file.
        max_pixels: larger images are not decoded.
    """
    mean_levels, step = _with_mean_levels(data)
    try:
        # An eighth of the size: one value for each block, its mean, and no color.
        means = simplejpeg.decode_jpeg(mean_levels, "GRAY", min_height=1, min_width=1, strict=True)
    except ValueError as error:
        if _SAMPLING in str(error):
            return UNTOLD
        return str(error)
    half = (128 + _BEYOND_WHITE) / step + 1
    if not (128 - half <= means.min() and means.max() <= 128 + half):
        return "brighter than white or darker than black: data are missing"
    return _overrun(data, max_pixels)


def _with_mean_levels(data: bytes) -> tuple[bytes, int]:
    """The same JPEG with a step of 1 from one mean of a block to the next, and its least step.

    A mean is stored in steps (the first entry of a quantization table). With a step of 1, decoding
    gives the number of steps from grey, so that what lies beyond white and black is not clipped.
    """
    patched, at = bytearray(data), 2
    steps: dict[int, int] = {}
    used: list[int] = []
    while at + 4 <= len(data) and data[at + 1] != _SCAN:
        kind, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if kind in _FRAMES:
            used = list(data[at + 12 : end : 3])  # the table of each component
        entry = at + 4
        while kind == _QUANTIZATION and entry < end:
            size = 1 + (data[entry] >> 4)  # bytes of a number
            steps[data[entry] & 15] = int.from_bytes(data[entry + 1 : entry + 1 + size], "big")
            patched[entry + 1 : entry + 1 + size] = (1).to_bytes(size, "big")
            entry += 1 + 64 * size
        at = end
    if len(used) not in (1, 3) or not set(used) <= set(steps):
        return data, 1
    return bytes(patched), max(1, min(steps[table] for table in used))


def _overrun(data: bytes, max_pixels: int) -> str:
    av.logging.set_level(av.logging.PANIC)  # quiet; complaints are counted all the same
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options, decoder.thread_count = {"max_pixels": str(max_pixels)}, 1
    before = complaints()[0]
    # Some kinds it does not know; what is wrong with others, it has said.
    with contextlib.suppress(av.error.FFmpegError):
        decoder.decode(av.Packet(data))
    count, said = complaints()
    return said if count > before and _OVERRUN.search(said) else ""
