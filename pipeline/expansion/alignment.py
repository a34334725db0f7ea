"""How a source face is brought onto a target face before a region of it is blended in.

Only a box of the target is filled, that of the mask. A shift by whole pixels and no change at all
are exact.
"""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from faceshards.images import Image
from pipeline.expansion.regions import INNER_FACE, Points

Align = Literal["similarity", "none", "piecewise"]
"""By a similarity; not at all, as the paper says; or triangle by triangle."""
Affine = NDArray[np.float64]
"""float64 (2, 3): x' = a x + b y + c, y' = d x + e y + f, in px."""
Box = tuple[slice, slice]
"""Rows and columns of a picture."""

AFFINE_DECIMALS = 6
"""The transform is rounded (2e-4 px over 224 px), so that the last bits of a sum decide nothing."""
_MAP_STEPS = 1 << 10  # positions of the piecewise field are rounded to this part of a px
_FRACTION_BITS = 4


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
    here_mean, there_mean = here.sum() / len(here), there.sum() / len(there)
    from_mean = (here - here_mean).conj()
    turn = (from_mean * (there - there_mean)).sum() / (from_mean * from_mean.conj()).sum().real
    shift = there_mean - turn * here_mean
    matrix = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.asarray(np.round(matrix, AFFINE_DECIMALS), np.float64)


def source_affine(source: Points, target: Points, align: Align) -> Affine:
    """Source crop to target crop, float64 (2, 3); of ``piecewise`` what lies beyond the points."""
    return np.eye(2, 3) if align == "none" else similarity(source, target)


def aligned(
    source: Image,
    source_points: Points,
    target_points: Points,
    affine: Affine,
    piecewise: bool,
    box: Box,
) -> Image:
    """The part of the aligned source that lies in a box of the target; edges are repeated outside.

    Args:
        source: uint8 (H, W, 3) RGB.
        source_points: float64 (68, 2), px of the source.
        target_points: float64 (68, 2), px of the target.
        affine: of :func:`source_affine`.
        piecewise: points go to their places, and what lies beyond them follows ``affine``.
        box: of the target.

    Returns:
        uint8 RGB of the size of the box.
    """
    rows, columns = box
    size = (columns.stop - columns.start, rows.stop - rows.start)
    if piecewise:
        field = _piecewise(source_points, target_points, affine, box)
        warped = cv2.remap(source, *field, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    else:
        matrix = affine - [[0, 0, columns.start], [0, 0, rows.start]]
        warped = cv2.warpAffine(
            source, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return np.asarray(warped, np.uint8)


def _piecewise(
    source_points: Points, target_points: Points, around: Affine, box: Box
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where in the source each pixel of a box comes from: an affine map for every triangle.

    Triangles are between the target's points and a wide frame, whose corners follow the similarity
    ``around``.

    Returns:
        float32 (h, w) each, x and y in px of the source.
    """
    rows, columns = box
    corner = target_points.mean(axis=0) + _FRAME * (np.ptp(target_points, axis=0).max() + 1)
    back = cv2.invertAffineTransform(around)
    there = np.vstack([target_points, corner])  # (76, 2)
    here = np.vstack([source_points, corner @ back[:, :2].T + back[:, 2]])
    triangles = Delaunay(there).simplices  # (t, 3), t below 256
    which = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    fixed = np.rint((there - (columns.start, rows.start)) * (1 << _FRACTION_BITS)).astype(np.int32)
    for place, triangle in enumerate(triangles.tolist()):
        cv2.fillConvexPoly(which, fixed[triangle], (place,), cv2.LINE_8, _FRACTION_BITS)
    homogeneous = np.dstack([there[triangles], np.ones((len(triangles), 3))])  # (t, 3, 3)
    # As a change of position, so that faces with equal points are left alone exactly.
    moves = np.linalg.solve(homogeneous, (here - there)[triangles])[which]  # (h, w, 3, 2)
    y, x = np.mgrid[box].astype(np.float64)
    moved = moves[..., 0, :] * x[..., None] + moves[..., 1, :] * y[..., None] + moves[..., 2, :]
    moved = np.rint(moved * _MAP_STEPS) / _MAP_STEPS
    return (x + moved[..., 0]).astype(np.float32), (y + moved[..., 1]).astype(np.float32)


_FRAME = np.array(
    [(-2, -2), (0, -2), (2, -2), (2, 0), (2, 2), (0, 2), (-2, 2), (-2, 0)], np.float64
)
"""Corners of the frame, in widths of the face from its middle."""
