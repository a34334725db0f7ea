"""Whose box a face has: each detector draws another one about the same face."""

from collections.abc import Sequence
from typing import Literal

BoxesOf = Literal["dlib", "scrfd", "retinaface", "centerface", "precomputed", "none"]
"""Who gave a box; "none": it is the whole of an image that is a cropped face."""

CROPPED_BORDER = 0.3 / 1.3 / 2
"""Share of a cropped face's image that lies beside the face, on each side: public crops show 30 %
more than a box."""

HOG_SIDE = 0.78
HOG_SHIFT = 0.05
"""dlib's predictors expect the square box of dlib's own detector: its side is this share of the
height of an SCRFD or RetinaFace box, and its centre lies this share lower (medians over faces that
both found)."""


def tight_box(box: Sequence[float], boxes_of: BoxesOf) -> tuple[float, float, float, float]:
    """The box itself; of a cropped face, the part of the image that the face fills, about."""
    x1, y1, x2, y2 = box
    if boxes_of != "none":
        return x1, y1, x2, y2
    x, y = (x2 - x1) * CROPPED_BORDER, (y2 - y1) * CROPPED_BORDER
    return x1 + x, y1 + y, x2 - x, y2 - y


def hog_box(box: Sequence[float], boxes_of: BoxesOf) -> tuple[float, float, float, float]:
    """The box dlib's own detector would give for the same face, about."""
    x1, y1, x2, y2 = tight_box(box, boxes_of)
    if boxes_of == "dlib":
        return x1, y1, x2, y2
    half = HOG_SIDE * (y2 - y1) / 2
    x, y = (x1 + x2) / 2, (y1 + y2) / 2 + HOG_SHIFT * (y2 - y1)
    return x - half, y - half, x + half, y + half
