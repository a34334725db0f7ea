"""A region of one face put into another: aligned, blended, colors corrected (SJEDD, III-A)."""

from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image
from pipeline.expansion.regions import Points

ColorOrder = Literal["after", "before", "none"]
"""When colors are corrected: after blending, before it, or not at all."""
Affine = NDArray[np.float64]
"""float64 (2, 3): x' = a x + b y + c, y' = d x + e y + f, in px."""

INNER_FACE = slice(17, 68)
"""Brows, nose, eyes and mouth. The jaw line follows the shape and turn of the head, not where the
features are, so it is left out of the alignment."""
AFFINE_DECIMALS = 6
"""The transform is rounded (2e-4 px over 224 px), so that the last bits of a sum decide nothing."""
MAX_GAIN = 2.0
"""Color correction stretches or squeezes contrast at most by this factor; a flat source region
would otherwise have its noise blown up to the target's contrast."""
_TINY = 1e-6  # against division by 0


def similarity(source: Points, target: Points) -> Affine:
    """Rotation, scale and shift that bring source points nearest to target points (least squares).

    In closed form: with points as complex numbers, z' = a z + b.

    Args:
        source: float64 (68, 2), px.
        target: float64 (68, 2), px.

    Returns:
        float64 (2, 3), rounded to ``AFFINE_DECIMALS``.
    """
    here, there = (p[INNER_FACE, 0] + 1j * p[INNER_FACE, 1] for p in (source, target))  # (51,)
    from_mean = here - here.mean()
    turn = (from_mean.conj() * (there - there.mean())).sum() / (np.abs(from_mean) ** 2).sum()
    shift = there.mean() - turn * here.mean()
    matrix = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.asarray(np.round(matrix, AFFINE_DECIMALS), np.float64)


class Swap(NamedTuple):
    """A finished region swap."""

    image: Image
    """uint8 (H, W, 3) RGB; equal to the target wherever the mask is 0."""
    source_affine: Affine
    """float64 (2, 3), source crop to target crop."""


def swap_region(
    target: Image,
    source: Image,
    target_points: Points,
    source_points: Points,
    mask: NDArray[np.uint8],
    color: ColorOrder,
) -> Swap:
    """Blends a region of the aligned source into the target and corrects its colors.

    ``after``, the paper's order: blend, correct the blended region towards the target's own, lay
    the result over the blend with the same mask. ``before``: correct the source, then blend. All
    in float32, rounded to uint8 once, at the end.

    Args:
        target: uint8 (H, W, 3) RGB.
        source: uint8 RGB, any size.
        target_points: float64 (68, 2), px of the target.
        source_points: float64 (68, 2), px of the source.
        mask: uint8 (H, W) in px of the target, from 0 (target) to 255 (source); not all 0.
        color: when colors are corrected.
    """
    affine = similarity(source_points, target_points)
    height_px, width_px = mask.shape
    warped = cv2.warpAffine(
        source,
        affine,
        (width_px, height_px),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    image = target.copy()
    region = support(mask)
    image[region] = _blend(
        target[region], np.asarray(warped, np.uint8)[region], mask[region], color
    )
    return Swap(image, affine)


def support(mask: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Rows and columns of the smallest box that holds every mask value above 0."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _blend(target: Image, source: Image, mask: NDArray[np.uint8], color: ColorOrder) -> Image:
    alpha = mask.astype(np.float32)[:, :, None] / np.float32(255)  # (h, w, 1)
    under = target.astype(np.float32) / np.float32(255)  # (h, w, 3)
    over = source.astype(np.float32) / np.float32(255)
    if color == "before":
        over = correct(over, under, alpha)
    blended = under + alpha * (over - under)
    if color == "after":
        blended += alpha * (correct(blended, under, alpha) - blended)
    return np.asarray(np.rint(np.clip(blended, 0, 1) * 255), np.uint8)


def correct(
    image: NDArray[np.float32], reference: NDArray[np.float32], alpha: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Gives the image the reference's mean and deviation per Lab channel (Reinhard et al. 2001).

    Mean and standard deviation are weighted by the mask, so they describe the region alone; the
    gain on deviations stays within ``MAX_GAIN``.

    Args:
        image: float32 (H, W, 3) RGB, 0 to 1.
        reference: float32 (H, W, 3) RGB, 0 to 1, aligned with the image.
        alpha: float32 (H, W, 1), weight of each pixel, not all 0.

    Returns:
        float32 (H, W, 3) RGB, clipped to 0 to 1.
    """
    lab, wanted = (
        np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab), np.float32) for rgb in (image, reference)
    )
    mean, deviation = _moments(lab, alpha)
    wanted_mean, wanted_deviation = _moments(wanted, alpha)
    gain = wanted_deviation / np.maximum(deviation, _TINY)
    gain = np.clip(gain, 1 / MAX_GAIN, MAX_GAIN)  # (3,)
    moved = ((lab - mean) * gain + wanted_mean).astype(np.float32)
    return np.clip(np.asarray(cv2.cvtColor(moved, cv2.COLOR_Lab2RGB), np.float32), 0, 1)


def _moments(
    lab: NDArray[np.float32], alpha: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean and standard deviation per channel, float64 (3,) each."""
    weight = alpha.astype(np.float64) / alpha.sum(dtype=np.float64)
    mean = (lab * weight).sum(axis=(0, 1))
    return mean, np.sqrt((np.square(lab - mean) * weight).sum(axis=(0, 1)))
