"""How good a crop is: sharpness, brightness, perceptual hash; and where its face looks.

The first three are computed in whole numbers and divided or compared at the very end, so they are
the same on every processor.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image

_HASH_SIDE = 8
_HASH_IMAGE_PX = 32
_COSINE_ONE = 1 << 14
"""Fixed-point 1.0. A coefficient stays below 2^14 x 2^14 x 255 x 32^2 < 2^47."""

MOUTH_BELOW_EYES = 1.155
NOSE_BELOW_EYES = 0.571
NOSE_AHEAD = 0.5
"""A usual face, in distances between the eyes: how far the mouth's corners and the tip of the nose
lie below the eyes (as in the ArcFace template), and how far the tip lies before the plane of eyes
and mouth (as in mean shapes of 3D face models)."""
_POSE_DECIMALS = 1


@dataclass(frozen=True)
class Quality:
    """Quality columns of the ``faces`` table."""

    sharpness: float
    """Variance of the Laplacian of luma, >= 0, to 0.01."""
    brightness: float
    """Mean luma, 0 to 255, to 0.01."""
    phash: str
    """64-bit DCT hash, 16 hex; similar images differ in few bits."""


def measure(image: Image) -> Quality:
    """Quality of one crop, uint8 (H, W, 3) RGB. Luma is OpenCV's 8-bit BT.601 grey."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)  # (H, W)
    return Quality(sharpness(grey), brightness(grey), phash(grey))


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Variance of the 4-neighbour Laplacian of a grey uint8 (H, W) image, to 0.01."""
    laplacian = cv2.Laplacian(grey, cv2.CV_16S, ksize=1).astype(np.int64)
    n, total, squares = laplacian.size, int(laplacian.sum()), int((laplacian**2).sum())
    return round((n * squares - total * total) / (n * n), 2)


def brightness(grey: NDArray[np.uint8]) -> float:
    """Mean of a grey uint8 (H, W) image, to 0.01."""
    return round(int(grey.sum(dtype=np.int64)) / grey.size, 2)


def phash(grey: NDArray[np.uint8]) -> str:
    """DCT hash of a grey uint8 (H, W) image as 16 hex digits.

    The image is averaged down to 32 x 32; of its DCT-II the 8 x 8 lowest frequencies give one bit
    each, row by row: 1 where the coefficient is above the median of the 64.
    """
    side = (_HASH_IMAGE_PX, _HASH_IMAGE_PX)
    small = cv2.resize(grey, side, interpolation=cv2.INTER_AREA).astype(np.int64)
    basis = _cosines()  # (8, 32)
    coefficients = basis @ small @ basis.T  # (8, 8), whole numbers
    bits = (coefficients > np.median(coefficients)).ravel()
    return np.packbits(bits).tobytes().hex()


def pose(points: Sequence[float]) -> list[float]:
    """Yaw, pitch and roll in degrees from five points, roughly; [] without points.

    Roll is the turn of the line between the eyes, and is undone first. What is left is seen from
    afar, as three points of a plane (two eyes, mouth) and the tip of the nose before it. With
    lengths in distances between the eyes: tan(yaw) = offset of the tip from the middle of the eyes
    / :data:`NOSE_AHEAD`; and tan(pitch) = (:data:`NOSE_BELOW_EYES` - :data:`MOUTH_BELOW_EYES` x
    height of the tip between eyes and mouth) / (:data:`NOSE_AHEAD` x cos(yaw)). Good to about 10
    degrees while both eyes are seen well; beyond that it still says left or right, up or down.

    Args:
        points: left eye, right eye, nose, left and right mouth corner as seen in the image: x, y,
            x, y … in px; or empty.

    Returns:
        To 0.1 degree; yaw above 0 where the face looks to the image's right, pitch above 0 where
        it looks up, roll above 0 where it is turned clockwise. [] also where the eyes are one
        point, or the mouth is not below them.
    """
    if not points:
        return []
    eye, other, nose, *mouth = map(complex, points[::2], points[1::2])
    middle, across = (eye + other) / 2, other - eye
    if across == 0:
        return []
    tip, lips = (nose - middle) / across, (sum(mouth) / 2 - middle) / across
    if lips.imag <= 0:
        return []
    yaw = math.atan(tip.real / NOSE_AHEAD)
    sunk = NOSE_BELOW_EYES - MOUTH_BELOW_EYES * tip.imag / lips.imag
    pitch = math.atan2(sunk, NOSE_AHEAD * math.cos(yaw))
    roll = math.atan2(across.imag, across.real)
    return [round(math.degrees(angle), _POSE_DECIMALS) for angle in (yaw, pitch, roll)]


def _cosines() -> NDArray[np.int64]:
    """DCT-II basis in fixed point, int64 (8, 32)."""
    k = np.arange(_HASH_SIDE)[:, None]
    n = np.arange(_HASH_IMAGE_PX)[None, :]
    angles = np.pi * k * (2 * n + 1) / (2 * _HASH_IMAGE_PX)
    return np.asarray(np.rint(np.cos(angles) * _COSINE_ONE), np.int64)
