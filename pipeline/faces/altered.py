"""Which faces of a fake were altered: its frames held against its mask, or its pristine pair.

A fake with two people may have altered one of them, and the other's face is real. Where a dataset
ships masks, or the film that a fake was made of, each face gets the share of its box that was
altered. Row by row: whoever works a fake reads its mask or pair as well
(:mod:`pipeline.faces.reference`).

**Mask**: a film that is bright where the fake is altered.

**Pair**: both frames, brought to the scale at which the face is :data:`FACE_PX` long, are
subtracted. Two encodings of the same frame differ too, the more the harder they are compressed, the
more there is to see and the more it moves. So as much is taken for noise as the two differ just
around the face, or, where that is more, where no face is and there is as much to see as in the
face. What compression leaves differs from frame to frame, while an alteration stays where it is on
a face: so differences are averaged over all frames of a person before they are judged
(:func:`pooled`).
"""

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image

UNKNOWN = -1.0
"""Share of a face of which nobody knows; and of every face of a real."""

FACE_PX = 64
"""Differences are looked at where the box's longer side has this length; none is enlarged."""
GRID = 32
"""A face's differences are averaged over frames on so many places each way."""
LEAST_STEP = 1.0
NOISE_FACTOR = 1.3
"""The limit: this many times the noise, and :data:`LEAST_STEP` levels (of 255) besides."""
RAMP = (0.55, 1.35)
"""A difference of so many times the limit is no alteration, of so many a whole one; between them it
counts in part. These were found on clips at H.264's CRF 0, 23 and 40; docs/decisions.md says how
they do on others."""
LEAST_SHARPER = 0.12
SHARPNESS_RAMP = (0.7, 1.7)
"""What is more blurred or sharper counts as well: logarithm of the ratio of local contrasts, its
limit and its ramp."""
_NOISE_PERCENTILE = 90
_TEXTURE_PERCENTILES = (25, 90)
"""Noise is measured where local contrast lies between these percentiles of the face's own."""
_LEAST_PIXELS = 50
"""Fewer pixels tell no noise."""
_SMOOTH_PX, _CONTRAST_PX = 1.0, 2.0
"""Sigmas at that scale: of the smoothing of differences, and of the window of contrast."""
_DETAIL_PX, _SHARPNESS_PX = 1.0, 6.0
"""The same of the detail that blur takes away, and of the smoothing of its loss. That leaves little
of noise, which adds detail here and takes it there."""
_FAINT = 3.0
"""Contrast of so many levels is next to none."""
_AROUND_FACE = 1 / 3
"""How much of a box's sides is around a face: it moves as the face does. Elsewhere no face is."""
_BRIGHT = 64
"""Masks are films that were compressed: darker levels (of 255) are traces of that."""
_DECIMALS = 4

Kind = Literal["", "mask", "pair"]
"""What a fake is held against; "" for nothing."""
Box = Sequence[float]
Difference = NDArray[np.float32]
"""float32 (2, GRID, GRID): of each place of a box, how far fake and pair differ, and how far their
sharpness does; each in units of its limit."""
Look = float | Difference
"""What one frame tells of a face: its altered share by a mask, :data:`UNKNOWN`, or how it differs
from its pair."""


def masked_share(mask: Image, size: tuple[int, int], box: Box) -> float:
    """Share of a box that a mask covers, in [0, 1].

    Args:
        mask: uint8 (h, w, 3); any channel above a quarter counts.
        size: height and width of the frame that the box is in, in px; the mask may be smaller.
        box: x1, y1, x2, y2 in px of the frame.
    """
    height, width = mask.shape[:2]
    inside = _inside(box, width / size[1], height / size[0], width, height)
    return round(float((mask[inside].max(axis=2) > _BRIGHT).mean()), _DECIMALS)


def difference(fake: Image, pristine: Image, box: Box, boxes: Sequence[Box]) -> Difference:
    """How a face differs from its pristine frame, beside what compression does.

    Args:
        fake: uint8 (H, W, 3) RGB.
        pristine: uint8 (h, w, 3) RGB, the same frame before it was altered, of the same shape.
        box: x1, y1, x2, y2 of the face in px of ``fake``.
        boxes: those of all faces of the frame.
    """
    height, width = fake.shape[:2]
    scale = min(1.0, FACE_PX / max(box[2] - box[0], box[3] - box[1]))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    one, other = (_luma_chroma(image, small) for image in (fake, pristine))  # (h, w, 3) each
    changed = np.abs(_smooth(one - other, _SMOOTH_PX)).max(axis=2)  # (h, w)
    sharper = np.abs(_sharpness(one[..., 0], other[..., 0]))  # (h, w)
    x, y = small[0] / width, small[1] / height
    inside = _inside(box, x, y, *small)
    elsewhere = np.ones(changed.shape, bool)
    around = np.zeros(changed.shape, bool)
    around[_inside(_grown(box), x, y, *small)] = True
    for face in boxes:
        elsewhere[_inside(_grown(face), x, y, *small)] = False
        around[_inside(face, x, y, *small)] = False
    noise = _noise(changed, _contrast(other[..., 0], _CONTRAST_PX), inside, elsewhere)
    limit = LEAST_STEP + NOISE_FACTOR * max(noise, _usual(changed[around]))
    sharpness_limit = max(LEAST_SHARPER, NOISE_FACTOR * _usual(sharper[around]))
    return np.stack([_grid(changed[inside] / limit), _grid(sharper[inside] / sharpness_limit)])


def pooled(looks: Sequence[Look]) -> list[float]:
    """Altered share of each face of one person, from looks at all of them.

    Shares by a mask stay as they are. Differences are averaged over the person's frames, and all of
    these get the same share: of the box, what is beyond noise (:data:`RAMP`).

    Returns:
        One per look, in [0, 1], rounded to 1e-4; or :data:`UNKNOWN`.
    """
    maps = [look for look in looks if isinstance(look, np.ndarray)]
    if not maps:
        return [look for look in looks if isinstance(look, float)]
    mean = np.asarray(np.mean(maps, axis=0, dtype=np.float64))  # (2, GRID, GRID)
    altered = np.maximum(_ramp(mean[0], RAMP), _ramp(mean[1], SHARPNESS_RAMP))
    share = round(float(altered.mean()), _DECIMALS)
    return [look if isinstance(look, float) else share for look in looks]


def _ramp(value: NDArray[np.float64], ends: tuple[float, float]) -> NDArray[np.float64]:
    """0 up to the first end, 1 from the second one on."""
    return np.clip((value - ends[0]) / (ends[1] - ends[0]), 0, 1)


def _grid(values: NDArray[Any]) -> NDArray[np.float32]:
    found = cv2.resize(
        np.ascontiguousarray(values, np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA
    )
    return np.asarray(found, np.float32)


def _usual(values: NDArray[np.float32]) -> float:
    """What most are below; 0 where there are too few."""
    return float(np.percentile(values, _NOISE_PERCENTILE)) if len(values) >= _LEAST_PIXELS else 0.0


def _sharpness(fake: NDArray[np.float32], pristine: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much more detail there is about each pixel of a fake, as a logarithm; (h, w)."""
    here, there = (_contrast(luma, _DETAIL_PX) + _FAINT for luma in (fake, pristine))
    return _smooth(np.log(here / there), _SHARPNESS_PX)


def _noise(
    changed: NDArray[np.float32],
    contrast: NDArray[np.float32],
    inside: tuple[slice, slice],
    elsewhere: NDArray[np.bool_],
) -> float:
    low, high = np.percentile(contrast[inside], _TEXTURE_PERCENTILES)
    alike = elsewhere & (contrast >= low) & (contrast <= high)
    for where in (alike, elsewhere):
        if where.sum() >= _LEAST_PIXELS:
            return _usual(changed[where])
    return 0.0  # the face fills the frame


def _luma_chroma(image: Image, size: tuple[int, int]) -> NDArray[np.float32]:
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb).astype(np.float32)


def _smooth(plane: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), np.float32)


def _contrast(luma: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Standard deviation about each pixel, (h, w)."""
    mean = _smooth(luma, sigma_px)
    variance = _smooth(np.square(luma), sigma_px) - np.square(mean)
    return np.asarray(np.sqrt(np.maximum(variance, 0)), np.float32)


def _grown(box: Box) -> Box:
    x1, y1, x2, y2 = box
    wide, high = _AROUND_FACE * (x2 - x1), _AROUND_FACE * (y2 - y1)
    return x1 - wide, y1 - high, x2 + wide, y2 + high


def _inside(box: Box, x: float, y: float, width: int, height: int) -> tuple[slice, slice]:
    """Rows and columns of a box in a frame scaled by x and y; at least one of each."""
    left, right = (min(max(round(edge * x), 0), width) for edge in (box[0], box[2]))
    top, bottom = (min(max(round(edge * y), 0), height) for edge in (box[1], box[3]))
    left, top = min(left, width - 1), min(top, height - 1)
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))
