"""Masks of face regions from 68 landmarks in iBUG order (SJEDD, section III-A)."""

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""float64 (68, 2), x and y in px, iBUG order."""

EYES = (slice(36, 42), slice(42, 48))
NOSE = slice(27, 36)
OUTER_LIP = slice(48, 60)
INNER_LIP = slice(60, 68)

OUTLINES = {"eye": EYES, "lip": (OUTER_LIP,), "mouth": (OUTER_LIP,), "nose": (NOSE,)}
"""Region to the points whose convex hulls it covers; ``lip`` leaves the mouth's opening out."""
REGIONS = tuple(OUTLINES)

_FRACTION_BITS = 4  # corners are drawn at 1/16 px


def region_mask(
    points: Points, region: str, width_px: int, height_px: int, dilate_px: int, blur_sigma_px: float
) -> NDArray[np.uint8]:
    """Soft mask of one region: hulls drawn, grown, blurred; all in uint8 fixed point.

    Args:
        points: float64 (68, 2), px.
        region: ``eye`` (both), ``lip``, ``mouth`` (lips and what is between them) or ``nose``.
        width_px: width of the mask.
        height_px: height of the mask.
        dilate_px: radius by which hulls grow outwards. The opening that ``lip`` leaves out keeps
            its size, so that teeth stay those of the target.
        blur_sigma_px: standard deviation of the Gaussian blur, 0 for a hard mask.

    Returns:
        uint8 (height_px, width_px), 0 outside to 255 inside; all 0 where the region lies outside.
    """
    mask = _hulls(points, OUTLINES[region], width_px, height_px)
    if dilate_px:
        side = 2 * dilate_px + 1
        mask = np.asarray(
            cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))), np.uint8
        )
    if region == "lip":
        mask[_hulls(points, (INNER_LIP,), width_px, height_px) > 0] = 0
    if blur_sigma_px:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), blur_sigma_px), np.uint8)
    return mask  # (H, W)


def _hulls(
    points: Points, outlines: tuple[slice, ...], width_px: int, height_px: int
) -> NDArray[np.uint8]:
    """uint8 mask, 255 in the convex hull of each outline."""
    mask = np.zeros((height_px, width_px), np.uint8)
    for outline in outlines:
        fixed = np.rint(points[outline] * (1 << _FRACTION_BITS)).astype(np.int32)
        cv2.fillConvexPoly(mask, cv2.convexHull(fixed), (255,), cv2.LINE_8, _FRACTION_BITS)
    return mask
