"""Faces turned upright by their five points, on a fixed template.

The template is the one ArcFace networks are trained on (Deng et al. 2019): five points in an image
of 112 px. It is enlarged by the margin about its centre, so that 0.3 shows 30 % more on each axis.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from faceshards.images import Image
from pipeline.faces.crop import Affine, Crop, invert, map_points

TEMPLATE_PX = 112
TEMPLATE = (
    38.2946 + 51.6963j,
    73.5318 + 51.5014j,
    56.0252 + 71.7366j,
    41.5493 + 92.3655j,
    70.7299 + 92.2041j,
)
"""Left eye, right eye, nose, left and right mouth corner as seen in the image: x + y j in px."""

AFFINE_DECIMALS = 9
"""Affines are rounded, so that the last bits of a sum decide nothing; over 32,768 px, the widest
frame, that moves a point by less than 1e-4 px."""


def align(frame: Image, points: Sequence[float], *, size_px: int, margin: float) -> Crop:
    """Cuts a face out of the frame, upright and at the template's size.

    Args:
        frame: uint8 (H, W, 3) RGB.
        points: left eye, right eye, nose, left and right mouth corner: x, y, x, y … in px.
        size_px: side of the square result.
        margin: how much more than the template is shown, as a share of it.

    Returns:
        The crop; outside the frame its outermost pixels are repeated.

    Raises:
        ValueError: the five points are one and the same.
    """
    affine = similarity(points, template(size_px, margin))
    return Crop(_warp(frame, affine, size_px), affine, _outside(frame, affine, size_px))


def shown_px(points: Sequence[float], *, margin: float) -> float:
    """Side in px of the square of the frame that :func:`align` would show.

    Infinite where the points fit the template at no size, such as five in one place.
    """
    if len(set(zip(points[::2], points[1::2], strict=True))) == 1:
        return math.inf
    a, _, _, d, _, _ = similarity(points, template(TEMPLATE_PX, margin))
    scale = math.hypot(a, d)
    return TEMPLATE_PX / scale if scale else math.inf


def template(size_px: int, margin: float) -> list[complex]:
    """The five points in a crop of ``size_px``, x + y j in px; whole numbers are pixel centres."""
    scale = size_px / (TEMPLATE_PX * (1 + margin))
    middle = complex(TEMPLATE_PX, TEMPLATE_PX) / 2
    border = 0.5 + 0.5j
    return [
        (p + border - middle) * scale + complex(size_px, size_px) / 2 - border for p in TEMPLATE
    ]


def similarity(points: Sequence[float], target: Sequence[complex]) -> Affine:
    """Rotation, scale and shift that bring the points nearest to the target (least squares).

    In closed form: with points as complex numbers, z' = turn z + shift.

    Raises:
        ValueError: the points are one and the same.
    """
    here = [complex(x, y) for x, y in zip(points[::2], points[1::2], strict=True)]
    mean, target_mean = sum(here) / len(here), sum(target) / len(target)
    spread = sum(abs(z - mean) ** 2 for z in here)
    if spread == 0:
        raise ValueError(f"points {tuple(points)} are one and the same")
    pairs = zip(here, target, strict=True)
    turn = sum((z - mean).conjugate() * (t - target_mean) for z, t in pairs) / spread
    turn = complex(round(turn.real, AFFINE_DECIMALS), round(turn.imag, AFFINE_DECIMALS))
    shift = target_mean - turn * mean
    return turn.real, -turn.imag, shift.real, turn.imag, turn.real, shift.imag


def _warp(frame: Image, affine: Affine, size_px: int) -> Image:
    """The affine applied; where the frame shrinks, each pixel is the mean of several."""
    a, b, c, d, e, f = affine
    times = max(1, math.ceil(1 / math.hypot(a, d)))
    # An image `times` as large, whose pixel borders fall on those of the crop.
    shift = (times - 1) / 2
    matrix = np.array([[a * times, b * times, c * times + shift],
                       [d * times, e * times, f * times + shift]])  # fmt: skip
    side = (size_px * times, size_px * times)
    large = cv2.warpAffine(
        frame, matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    small = cv2.resize(large, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small if times > 1 else large, np.uint8)


def _outside(frame: Image, affine: Affine, size_px: int) -> float:
    """Share of the crop's pixel centres that lie outside the frame."""
    grid = np.stack(np.meshgrid(np.arange(size_px), np.arange(size_px)), axis=-1)  # (S, S, 2)
    there = map_points(invert(affine), grid)  # (S, S, 2)
    size = np.array([frame.shape[1], frame.shape[0]])
    inside = ((there >= -0.5) & (there < size - 0.5)).all(axis=-1)  # (S, S)
    return 1.0 - int(inside.sum()) / inside.size
