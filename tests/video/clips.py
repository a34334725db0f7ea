"""Clips made by the tests: every frame carries its number in black and white stripes."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

STRIPES = 8
WIDTH_PX, HEIGHT_PX = 16 * STRIPES, 32


def numbered(number: int) -> NDArray[np.uint8]:
    """uint8 (32, 128, 3) frame with the number as eight stripes, lowest bit first."""
    bits = [(number >> bit) & 1 for bit in range(STRIPES)]
    row = np.repeat(np.array(bits, np.uint8) * 255, WIDTH_PX // STRIPES)
    return np.broadcast_to(row[None, :, None], (HEIGHT_PX, WIDTH_PX, 3)).copy()


def number_of(image: NDArray[np.uint8]) -> int:
    """The number in a frame of :func:`numbered`, however it was compressed."""
    stripes = image.mean(axis=(0, 2)).reshape(STRIPES, -1).mean(axis=1)
    return sum(int(level > 128) << bit for bit, level in enumerate(stripes))


def write_clip(
    path: Path,
    stamps: Sequence[int],
    tick_s: Fraction = Fraction(1, 25),
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    rotate_deg: int = 0,
    flip: bool = False,
    frames: Sequence[NDArray[np.uint8]] | None = None,
) -> Path:
    """Writes frame i (numbered i unless given) at ``stamps[i]`` ticks."""
    frames = frames or [numbered(i) for i in range(len(stamps))]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1 / tick_s, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = stream.time_base = tick_s
        if rotate_deg or flip:
            stream.set_display_rotation(rotate_deg, hflip=flip)
        for stamp, image in zip(stamps, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = stamp, tick_s
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def lacks_encoder(codec: str) -> bool:
    """Whether this PyAV lacks the encoder."""
    return codec not in av.codecs_available
