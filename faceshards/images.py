"""Encoding and decoding of stored images. RGB in, RGB out; the same bytes every time."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshards.image_header import read_header

Image = NDArray[np.uint8]
"""uint8 (H, W, 3) RGB."""

MAX_SIDE_PX = 4096
"""Stored images are crops; anything larger in a tar is not ours and is not decoded."""

_SUBSAMPLING = {
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
}


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Lossless PNG of an RGB (H, W, 3) or grey (H, W) uint8 image."""
    return _encode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def encode_jpeg(image: Image, quality: int, subsampling: Literal["4:4:4", "4:2:0"]) -> bytes:
    """Baseline JPEG of an RGB (H, W, 3) uint8 image at quality 1 to 100."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SUBSAMPLING[subsampling]]
    return _encode(".jpg", image, options)


def _encode(extension: str, image: NDArray[np.uint8], options: list[int]) -> bytes:
    if image.ndim == 3:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)  # OpenCV writes BGR
    done, data = cv2.imencode(extension, image, options)
    if not done:
        raise ValueError(f"cannot encode an image of shape {image.shape} as {extension}")
    return bytes(data)


def decode_rgb(data: bytes) -> Image:
    """RGB uint8 (H, W, 3) of PNG or JPEG bytes. Raises ValueError for anything else."""
    return np.asarray(cv2.cvtColor(_decode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def decode_grey(data: bytes) -> NDArray[np.uint8]:
    """Grey uint8 (H, W) of PNG or JPEG bytes. Raises ValueError for anything else."""
    return _decode(data, cv2.IMREAD_GRAYSCALE)


def _decode(data: bytes, mode: int) -> NDArray[np.uint8]:
    width, height = dimensions(data)
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise ValueError(f"image of {width} x {height} px; at most {MAX_SIDE_PX} are decoded")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    if image is None:
        raise ValueError("damaged PNG or JPEG")
    return np.asarray(image, np.uint8)


def dimensions(data: bytes) -> tuple[int, int]:
    """Width and height in px from the header of PNG or JPEG bytes, without decoding."""
    header = read_header(data)
    if header.codec not in ("png", "jpeg"):
        raise ValueError("neither PNG nor JPEG")
    return header.width_px, header.height_px
