"""From a detection box to a stored crop: geometry, padding, resizing.

Coordinates are OpenCV's: whole numbers are pixel centres, so pixel i covers [i - 0.5, i + 0.5).
Boxes, points and affines all use them, and ``cv2.warpAffine(frame, affine, ...)`` shows the same
part of the frame as the crop does.

The crop is cut along whole pixels, so the affine says exactly which pixels it was made of. The
price is a window up to half a pixel beside the box's own centre, and as much larger or smaller.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshards.images import Image

Affine = tuple[float, float, float, float, float, float]
"""a, b, c, d, e, f with x' = ax + by + c and y' = dx + ey + f."""


_STEPS_PER_PX = 16
"""Boxes are kept to this fraction of a pixel."""


class Window(NamedTuple):
    """Whole pixels of the frame: columns [left, left + width), rows [top, top + height).

    May reach outside the frame.
    """

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Crop:
    """One cut-out face."""

    image: Image
    """uint8 (size_px, size_px, 3) RGB."""
    affine: Affine
    """Frame to crop."""
    padded: float
    """Share of the crop's area that lies outside the frame, in [0, 1]."""


def crop(
    frame: Image,
    box: Sequence[float],
    *,
    size_px: int,
    margin: float = 0.3,
    shape: Literal["square", "per_axis", "per_side"] = "square",
    border: Literal["pad", "clip"] = "pad",
) -> Crop:
    """Cuts the enlarged box out of the frame and resizes it (metric learning, section 4.1).

    Args:
        frame: uint8 (H, W, 3) RGB.
        box: x1, y1, x2, y2 in px; may lie partly or wholly outside the frame.
        size_px: side of the square result.
        margin: how much the box grows.
        shape: how it grows, see :func:`crop_window`.
        border: outside the frame, ``pad`` repeats its outermost pixels; ``clip`` shrinks the window
            to the frame, which changes the aspect ratio of what is left.

    Raises:
        ValueError: the box has a number that is not finite, or no area.
    """
    height, width = frame.shape[:2]
    window = crop_window(box, margin=margin, shape=shape)
    if border == "clip":
        window = clip_window(window, width, height)
    inside = window_inside(window, width, height)
    return Crop(
        image=resize(_cut(frame, window), size_px),
        affine=frame_to_crop(window, size_px),
        padded=1.0 - inside / (window.width * window.height),
    )


def whole(frame: Image, *, size_px: int) -> Crop:
    """The whole image, resized: for images that are cropped faces already.

    Sides of different length are brought to the same one. An image of that size stays as it is.
    """
    height, width = frame.shape[:2]
    affine = frame_to_crop(Window(0, 0, width, height), size_px)
    return Crop(image=resize(frame, size_px), affine=affine, padded=0.0)


def crop_window(
    box: Sequence[float], *, margin: float, shape: Literal["square", "per_axis", "per_side"]
) -> Window:
    """Whole-pixel window of the enlarged box, as near its centre as whole pixels allow.

    Sides are rounded half up and are at least 1 px. ``square``: both sides are max(w, h) x
    (1 + margin); ``per_axis``: each side x (1 + margin); ``per_side``: margin x w left and right,
    margin x h above and below, so each side x (1 + 2 margin).

    Raises:
        ValueError: the box has a number that is not finite, or no area.
    """
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    if not (math.isfinite(w) and math.isfinite(h) and w > 0 and h > 0):
        raise ValueError(f"box {tuple(box)} has no area")
    if shape == "square":
        w = h = max(w, h)
    growth = 1 + 2 * margin if shape == "per_side" else 1 + margin
    width, height = (max(1, math.floor(side * growth + 0.5)) for side in (w, h))
    # A window of n pixels from l is centred at l + (n - 1) / 2; of two equally near, the lower one.
    left = math.ceil((x1 + x2) / 2 - width / 2)
    top = math.ceil((y1 + y2) / 2 - height / 2)
    return Window(left, top, width, height)


def clip_window(window: Window, frame_width_px: int, frame_height_px: int) -> Window:
    """The part of a window that lies in the frame; where none does, the frame's nearest pixels."""
    left, right = _clip_span(window.left, window.width, frame_width_px)
    top, bottom = _clip_span(window.top, window.height, frame_height_px)
    return Window(left, top, right - left, bottom - top)


def _clip_span(start: int, length: int, limit: int) -> tuple[int, int]:
    low = min(max(start, 0), limit - 1)
    return low, max(low + 1, min(start + length, limit))


def window_inside(window: Window, frame_width_px: int, frame_height_px: int) -> int:
    """Number of the window's pixels that lie in the frame."""
    wide = min(window.left + window.width, frame_width_px) - max(window.left, 0)
    high = min(window.top + window.height, frame_height_px) - max(window.top, 0)
    return max(0, wide) * max(0, high)


def frame_to_crop(window: Window, size_px: int) -> Affine:
    """Affine from frame to crop: pixel borders of the window fall on the crop's pixel borders."""
    a, e = size_px / window.width, size_px / window.height
    return (
        a, 0.0, a * (0.5 - window.left) - 0.5,
        0.0, e, e * (0.5 - window.top) - 0.5,
    )  # fmt: skip


def invert(affine: Sequence[float]) -> Affine:
    """The way back. Raises ValueError where there is none."""
    a, b, c, d, e, f = affine
    det = a * e - b * d
    if det == 0:
        raise ValueError(f"affine {tuple(affine)} cannot be inverted")
    return (
        e / det, -b / det, (b * f - c * e) / det,
        -d / det, a / det, (c * d - a * f) / det,
    )  # fmt: skip


def map_points(affine: Sequence[float], points: ArrayLike) -> NDArray[np.float64]:
    """Points (..., 2) as x, y in px, taken through the affine; float64 of the same shape."""
    a, b, c, d, e, f = affine
    p = np.asarray(points, np.float64)
    x, y = p[..., 0], p[..., 1]
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=-1)


def boxes_in_crop(boxes: ArrayLike, affines: ArrayLike) -> NDArray[np.float64]:
    """Face boxes of the frame in px of their crops, rounded to 1/16.

    Where the crop is turned, the box keeps its centre and its sides, and is upright in the crop.

    Args:
        boxes: (N, 4) as x1, y1, x2, y2 in frame px.
        affines: (N, 6), frame to crop, as in the ``faces`` table.

    Returns:
        float64 (N, 4).
    """
    b = np.asarray(boxes, np.float64).reshape(-1, 4)
    a = np.asarray(affines, np.float64).reshape(-1, 6)
    middle = (b[:, :2] + b[:, 2:]) / 2  # (N, 2)
    x = a[:, 0] * middle[:, 0] + a[:, 1] * middle[:, 1] + a[:, 2]  # (N,)
    y = a[:, 3] * middle[:, 0] + a[:, 4] * middle[:, 1] + a[:, 5]  # (N,)
    half_w = (b[:, 2] - b[:, 0]) / 2 * np.hypot(a[:, 0], a[:, 3])  # (N,)
    half_h = (b[:, 3] - b[:, 1]) / 2 * np.hypot(a[:, 1], a[:, 4])  # (N,)
    there = np.stack([x - half_w, y - half_h, x + half_w, y + half_h], axis=1)  # (N, 4)
    return np.asarray(np.round(there * _STEPS_PER_PX) / _STEPS_PER_PX)


def resize(image: Image, size_px: int) -> Image:
    """Image uint8 (H, W, 3) as uint8 (size_px, size_px, 3).

    A side that shrinks is averaged over the area of each new pixel, one that grows is bilinear.
    Both filters are the same bytes on every processor; OpenCV's bicubic is not.
    """
    height, width = image.shape[:2]
    smaller = (min(width, size_px), min(height, size_px))
    if smaller != (width, height):
        image = np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), np.uint8)
    if smaller != (size_px, size_px):
        full = (size_px, size_px)
        image = np.asarray(cv2.resize(image, full, interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)
    return np.ascontiguousarray(image)


def _cut(frame: Image, window: Window) -> Image:
    left, top, width, height = window
    frame_height, frame_width = frame.shape[:2]
    if clip_window(window, frame_width, frame_height) == window:
        return frame[top : top + height, left : left + width]
    rows = np.clip(np.arange(top, top + height), 0, frame_height - 1)
    columns = np.clip(np.arange(left, left + width), 0, frame_width - 1)
    return frame[rows[:, None], columns]
