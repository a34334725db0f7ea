"""A part of one face put into another: aligned, blended, colors corrected (SJEDD, III-A)."""

from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image
from pipeline.expansion.alignment import Box

ColorOrder = Literal["after", "before", "none"]
"""When colors are corrected: after blending, before it, or not at all."""
Moments = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Weighted mean and standard deviation per Lab channel, float64 (3,) each."""

_LEVELS = np.float32(255)
_TINY = 1e-6  # against division by 0
_LEAST_DEVIATION = 1.0  # in Lab; below it there is noise alone
_LEAST_SHARPNESS = 0.1
_SAME = np.eye(3)


class Blend(NamedTuple):
    """What came out, and how unlike the two regions are; figures to 0.001."""

    image: Image
    """uint8 (H, W, 3) RGB; equal to the target wherever the mask is 0."""
    change: float
    """Mean absolute difference to the target over the mask, levels of 255."""
    color_gap: float
    """The largest factor by which the target's deviation in a Lab channel is that of the source:
    what the correction would have to stretch. Grey lips turn purple where the target's are red."""
    sharpness_gap: float
    """The factor between the root mean squares of their Laplacians of lightness, from 1."""


def blend(
    target: Image,
    source: Image,
    mask: NDArray[np.uint8],
    box: Box,
    color: ColorOrder,
    max_gain: float,
) -> Blend:
    """Blends a region of the aligned source into the target and corrects its colors.

    ``after``, the paper's order: blend, correct the blended region towards the target's own, lay
    the result over the blend with the same mask. ``before``: correct the source, then blend. All
    in float32, rounded to uint8 once, at the end. Only the box is looked at.

    Args:
        target: uint8 (H, W, 3) RGB.
        source: uint8 (h, w, 3) RGB of the size of the box, aligned with the target.
        mask: uint8 (H, W) in px of the target, from 0 (target) to 255 (source); not all 0.
        box: :func:`support` of the mask.
        color: when colors are corrected.
        max_gain: limit of the correction, see :func:`correct`.
    """
    alpha = mask[box].astype(np.float32) / _LEVELS  # (h, w)
    weight = alpha.ravel() / alpha.sum()  # (h w,)
    alpha = np.asarray(cv2.merge([alpha] * 3), np.float32)  # (h, w, 3): faster than a broadcast
    under, over = (one.astype(np.float32) / _LEVELS for one in (target[box], source))  # (h, w, 3)
    under_lab, over_lab = _lab(under), _lab(over)
    under_moments, over_moments = moments(under_lab, weight), moments(over_lab, weight)
    if color == "before":
        over = correct(over, over_lab, over_moments, under_moments, max_gain)
    blended = _mixed(under, over, alpha)
    if color == "after":
        lab = _lab(blended)
        better = correct(blended, lab, moments(lab, weight), under_moments, max_gain)
        blended = _mixed(blended, better, alpha)
    part = np.asarray(cv2.convertScaleAbs(blended, alpha=255), np.uint8)  # rounds and clips
    image = target.copy()
    image[box] = part
    under_sharpness, over_sharpness = _sharpness(under_lab, weight), _sharpness(over_lab, weight)
    sharper = float(_ratio(under_sharpness, over_sharpness, _LEAST_SHARPNESS))
    facts = (
        (weight @ cv2.absdiff(part, target[box]).reshape(-1, 3).astype(np.float32)).mean(),
        _ratio(under_moments[1], over_moments[1], _LEAST_DEVIATION).max(),
        max(sharper, 1 / sharper),
    )
    return Blend(image, *(float(np.round(np.float64(fact), 3)) for fact in facts))


def support(mask: NDArray[np.uint8]) -> Box:
    """Rows and columns of the smallest box that holds every mask value above 0."""
    left, top, width, height = cv2.boundingRect(mask)
    return slice(top, top + height), slice(left, left + width)


def correct(
    image: NDArray[np.float32],
    lab: NDArray[np.float32],
    own: Moments,
    wanted: Moments,
    max_gain: float,
) -> NDArray[np.float32]:
    """Gives an image other means and deviations per Lab channel (Reinhard et al. 2001).

    Where nothing is to be corrected nothing changes: the way through Lab and back would alter a few
    pixels by one level.

    Args:
        image: float32 (H, W, 3) RGB, 0 to 1.
        lab: float32 (H, W, 3), the same in CIE Lab.
        own: its mean and deviation.
        wanted: those that it is to have.
        max_gain: deviations are multiplied by this at most, and divided by it at most; a flat
            region would otherwise have its noise blown up. 0 = the plain formula.

    Returns:
        float32 (H, W, 3) RGB, clipped to 0 to 1.
    """
    if np.array_equal(own, wanted):
        return image
    gain = wanted[1] / np.maximum(own[1], _TINY)  # (3,)
    if max_gain:
        gain = np.clip(gain, 1 / max_gain, max_gain)
    shift = wanted[0] - gain * own[0]
    moved = cv2.transform(lab, np.column_stack([np.diag(gain), shift]))
    rgb = np.asarray(cv2.cvtColor(moved, cv2.COLOR_Lab2RGB), np.float32)
    return np.clip(rgb, 0, 1, out=rgb)


def moments(lab: NDArray[np.float32], weight: NDArray[np.float32]) -> Moments:
    """Weighted mean and standard deviation per channel.

    Args:
        lab: float32 (H, W, 3).
        weight: float32 (H W,), its sum is 1.
    """
    flat = lab.reshape(-1, 3)  # (n, 3)
    mean = weight @ flat  # (3,)
    # Two passes: one of sums of squares would lose digits.
    moved = cv2.transform(lab, np.column_stack([_SAME, -mean]))
    apart = np.asarray(moved, np.float32).reshape(-1, 3)
    np.multiply(apart, apart, out=apart)
    return mean.astype(np.float64), np.sqrt((weight @ apart).astype(np.float64))


def _mixed(
    under: NDArray[np.float32], over: NDArray[np.float32], alpha: NDArray[np.float32]
) -> NDArray[np.float32]:
    mixed = over - under
    mixed *= alpha
    mixed += under
    return mixed


def _lab(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab), np.float32)


def _sharpness(lab: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float64]:
    """Root mean square of the Laplacian of lightness, float64 ()."""
    edges = np.asarray(cv2.Laplacian(cv2.extractChannel(lab, 0), cv2.CV_32F), np.float32).ravel()
    np.multiply(edges, edges, out=edges)
    return np.asarray(np.sqrt(weight @ edges), np.float64)


def _ratio(
    one: NDArray[np.float64], other: NDArray[np.float64], least: float
) -> NDArray[np.float64]:
    """One by the other, each raised to ``least``."""
    return np.asarray(np.maximum(one, least) / np.maximum(other, least))
