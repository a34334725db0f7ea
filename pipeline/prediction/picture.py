"""The most telling faces of a file: outlines of named regions, and where the model looked."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image
from pipeline.expansion.regions import OUTLINES

SIDE_PX = 224
_OUTLINE = (255, 210, 0)
_GAP_PX = 4
_STRENGTH = 0.55
"""Of the colors at the place that speaks most for a fake."""


def strip(
    faces: Sequence[Image],
    points: Sequence[NDArray[np.float32] | None],
    regions: Sequence[str],
    maps: NDArray[np.float32],
) -> Image:
    """Faces side by side, and below each the same face under the map of the model's attention.

    Args:
        faces: uint8 (H, W, 3) RGB, square, one or more.
        points: float32 (68, 2) of each face in its px; None where there are none.
        regions: whose outlines are drawn; those that are no region of points are left out.
        maps: float32 (faces, h, w) in [0, 1].

    Returns:
        uint8 (H, W, 3) RGB.
    """
    columns = []
    for face, found, one in zip(faces, points, maps, strict=True):
        shown = np.asarray(cv2.resize(face, (SIDE_PX, SIDE_PX)), np.uint8)
        outlined = shown.copy()
        if found is not None:
            _outline(outlined, found * (SIDE_PX / face.shape[0]), regions)
        gap = np.full((_GAP_PX, SIDE_PX, 3), 255, np.uint8)
        columns.append(np.concatenate([outlined, gap, _overlaid(shown, one)]))
    gap = np.full((columns[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    pieces = [piece for column in columns for piece in (column, gap)][:-1]
    return np.concatenate(pieces, axis=1)


def _outline(image: Image, points: NDArray[np.float32], regions: Sequence[str]) -> None:
    for region in regions:
        if region in OUTLINES:
            for hull in OUTLINES[region].hulls:
                corners = cv2.convexHull(np.rint(points[hull]).astype(np.int32))
                cv2.polylines(image, [corners], True, _OUTLINE, 1, cv2.LINE_AA)


def _overlaid(image: Image, patches: NDArray[np.float32]) -> Image:
    """The image, redder where the map is greater; as it is where the map is 0."""
    strength = cv2.resize(patches, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    strength = _STRENGTH * np.clip(strength, 0, 1)[:, :, None]  # (H, W, 1)
    red = np.array([255, 40, 0], np.float32)
    return np.asarray(np.rint(image * (1 - strength) + red * strength), np.uint8)
