"""Masks of face regions from 68 landmarks in iBUG order (SJEDD, section III-A)."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""float64 (68, 2), x and y in px, iBUG order."""

_JAW_AND_BROWS = slice(0, 27)
_LEFT_BROW, _RIGHT_BROW = slice(17, 22), slice(22, 27)
_NOSE = slice(27, 36)
_LEFT_EYE, _RIGHT_EYE = slice(36, 42), slice(42, 48)
_OUTER_LIP, _INNER_LIP = slice(48, 60), slice(60, 68)


class Outline(NamedTuple):
    """What a region is: convex hulls of landmarks, less the hulls of others."""

    hulls: tuple[slice, ...]
    holes: tuple[slice, ...] = ()
    grows: bool = True
    """Whether hulls are dilated. Where they are not, the holes are: ``skin`` must leave other
    regions alone and not run over the edge of the face."""


OUTLINES = {
    "eye": Outline((_LEFT_EYE, _RIGHT_EYE)),
    "left_eye": Outline((_LEFT_EYE,)),
    "right_eye": Outline((_RIGHT_EYE,)),
    "eyebrow": Outline((_LEFT_BROW, _RIGHT_BROW)),
    "lip": Outline((_OUTER_LIP,), holes=(_INNER_LIP,)),
    "mouth": Outline((_OUTER_LIP,)),
    "nose": Outline((_NOSE,)),
    "skin": Outline(
        (_JAW_AND_BROWS,),
        holes=(_LEFT_BROW, _RIGHT_BROW, _LEFT_EYE, _RIGHT_EYE, _NOSE, _OUTER_LIP),
        grows=False,
    ),
    "face": Outline((slice(0, 68),), grows=False),
}
"""``eye`` is both, ``left_eye`` the one on the left of the picture; ``mouth`` is the lips and what
is between them, ``lip`` leaves that out, so that the target's teeth stay; ``skin`` is the face
below the brows without the other regions; ``face`` is the hull of all points."""
WHOLE_FACE = "face"
REGIONS = tuple(name for name in OUTLINES if name != WHOLE_FACE)
"""Regions that can be swapped."""

INNER_FACE = slice(17, 68)
"""Brows, nose, eyes and mouth. The jaw line follows the shape and turn of the head, not where the
features are, so it is left out where faces are aligned or measured."""
USUAL_FACE_PX = 41.0
"""Root mean square distance of the inner points from their middle, in a crop of 224 px: the size
that lengths in px are stated for. The median over real clips whose boxes SCRFD gave."""

_FRACTION_BITS = 4  # corners are drawn at 1/16 px
_SIGMA_STEPS = 64  # a blur is a whole number of 1/64 px, so that float32 holds it exactly
_REACH_SIGMAS = 4  # a Gaussian is cut off here: half a level of 255 lies beyond


def face_scale(points: Points) -> float:
    """How large a face is, 1 in a crop of 224 px whose box fits; to 1/64.

    Args:
        points: float64 (68, 2), px.
    """
    inner = points[INNER_FACE]
    radius_px = np.sqrt(np.square(inner - inner.mean(axis=0)).sum(axis=1).mean())
    return float(np.rint(radius_px / USUAL_FACE_PX * 64) / 64)


def scaled(points: Points, dilate_px: float, blur_sigma_px: float) -> tuple[int, float]:
    """Growth and blur of a mask for a face of this size.

    Args:
        points: float64 (68, 2), px.
        dilate_px: as stated for a crop of 224 px.
        blur_sigma_px: likewise.

    Returns:
        Growth in whole px, and sigma in px to 1/64.
    """
    scale = face_scale(points)
    sigma_px = np.rint(blur_sigma_px * scale * _SIGMA_STEPS) / _SIGMA_STEPS
    return int(np.rint(dilate_px * scale)), float(sigma_px)


def region_mask(
    points: Points, region: str, width_px: int, height_px: int, dilate_px: int, blur_sigma_px: float
) -> NDArray[np.uint8]:
    """Soft mask of one region: hulls drawn, grown, blurred, stretched until the peak is 255.

    A blurred thin region, such as a lip, would reach 255 nowhere, and the target would shine
    through everywhere.

    Args:
        points: float64 (68, 2), px.
        region: a name in ``OUTLINES``.
        width_px: width of the mask.
        height_px: height of the mask.
        dilate_px: radius by which hulls grow outwards, or holes where the region says so.
        blur_sigma_px: standard deviation of the Gaussian blur, 0 for a hard mask.

    Returns:
        uint8 (height_px, width_px), 0 outside to 255 inside; all 0 where the region lies outside.
    """
    outline = OUTLINES[region]
    mask = np.zeros((height_px, width_px), np.uint8)
    reach_px = dilate_px + int(np.ceil(_REACH_SIGMAS * blur_sigma_px)) + 2
    box = _around(points, outline.hulls, reach_px, width_px, height_px)
    if box is None:
        return mask
    rows, columns = box
    hard = _drawn(points - (columns.start, rows.start), outline, mask[box].shape, dilate_px)
    mask[box] = soften(hard, blur_sigma_px)
    return mask  # (H, W)


def soften(hard: NDArray[np.uint8], blur_sigma_px: float) -> NDArray[np.uint8]:
    """Blurs a mask and stretches it until its peak is 255; rounded once, at the end.

    Args:
        hard: uint8 (H, W), 0 to 255.
        blur_sigma_px: standard deviation of the Gaussian blur; 0 leaves the mask as it is.
    """
    if not blur_sigma_px or not hard.any():
        return hard
    side = 2 * int(np.ceil(_REACH_SIGMAS * blur_sigma_px)) + 1
    soft = cv2.GaussianBlur(hard.astype(np.float32), (side, side), blur_sigma_px)
    return np.asarray(
        cv2.convertScaleAbs(soft, alpha=float(np.float32(255) / soft.max())), np.uint8
    )


def _around(
    points: Points, hulls: tuple[slice, ...], reach_px: int, width_px: int, height_px: int
) -> tuple[slice, slice] | None:
    """Rows and columns that hulls reach when they grow by ``reach_px``; None outside the crop."""
    corners = np.concatenate([points[hull] for hull in hulls])
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - reach_px, 0)
    high = np.ceil(corners.max(axis=0)).astype(int) + reach_px + 1
    high = np.minimum(high, (width_px, height_px))
    if (low >= high).any():
        return None
    return slice(low[1], high[1]), slice(low[0], high[0])


def _drawn(
    points: Points, outline: Outline, shape: tuple[int, ...], dilate_px: int
) -> NDArray[np.uint8]:
    """uint8 mask of 0 and 255 with hulls and holes, grown."""
    mask = _hulls(points, outline.hulls, shape)
    holes = _hulls(points, outline.holes, shape)
    if dilate_px:
        side = 2 * dilate_px + 1
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        if outline.grows:
            mask = np.asarray(cv2.dilate(mask, disk), np.uint8)
        elif outline.holes:
            holes = np.asarray(cv2.dilate(holes, disk), np.uint8)
    mask[holes > 0] = 0
    return mask


def _hulls(points: Points, hulls: tuple[slice, ...], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """uint8 mask, 255 in each convex hull."""
    mask = np.zeros(shape, np.uint8)
    for hull in hulls:
        fixed = np.rint(points[hull] * (1 << _FRACTION_BITS)).astype(np.int32)
        cv2.fillConvexPoly(mask, cv2.convexHull(fixed), (255,), cv2.LINE_8, _FRACTION_BITS)
    return mask
