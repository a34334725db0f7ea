"""Eight real faces from pictures that installed packages carry."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image, decode_rgb
from pipeline.errors import UserError
from pipeline.faces.dlib_models import LANDMARKS_68, model_path

Points = NDArray[np.float64]
"""float64 (68, 2): x, y in px, iBUG order."""

FACE_PX = 150
"""Longer side of the box around the 68 points in a prepared picture, px."""
_REACH = 1.3
"""How far a prepared picture reaches from the face's centre if its source does, in face sizes."""
_LEAST_REACH = 0.8
"""How far it reaches in any case: beyond the source's border its edge goes on, softer, darker."""
_DARKEST = 0.2
"""Brightness of such an edge far out, as a share of the border's."""
_SAME_FACE = 0.4
"""A found box is the wanted face where intersection over union is at least this."""

Box = tuple[int, int, int, int]

_PICTURES: Mapping[tuple[str, str], Mapping[str, Box]] = {
    ("skimage", "data/astronaut.png"): {"astronaut": (179, 83, 267, 171)},
    ("insightface", "data/images/t1.jpg"): {
        "t1_0": (65, 284, 170, 389),
        "t1_1": (275, 179, 363, 267),
        "t1_2": (452, 300, 578, 425),
        "t1_3": (734, 365, 838, 470),
        "t1_4": (883, 89, 988, 193),
        "t1_5": (1114, 284, 1218, 389),
    },
    ("insightface", "data/images/Tom_Hanks_54745.png"): {"Tom_Hanks": (16, 26, 103, 113)},
}
"""(package, file in it) -> identity -> where its face is: x1, y1, x2, y2 in px. A face is used only
where the detector finds it there again; t1's six are numbered from left to right."""

IDENTITIES = tuple(name for faces in _PICTURES.values() for name in faces)


@dataclass(frozen=True)
class Person:
    """One identity, ready to be filmed.

    Attributes:
        name: one of :data:`IDENTITIES`.
        picture: uint8 (H, W, 3) RGB, the surroundings of the face, enlarged.
        points: 68 points in picture px, their box's longer side being :data:`FACE_PX`.
    """

    name: str
    picture: Image
    points: Points

    @cached_property
    def grey(self) -> bool:
        """Whether the picture has no colors."""
        return bool(np.ptp(self.picture, axis=2).max() == 0)


@cache
def people() -> Mapping[str, Person]:
    """All eight, by name. Raises UserError where a picture or a face in it is not found."""
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(model_path(LANDMARKS_68)))
    found = {}
    for (package, file), faces in _PICTURES.items():
        picture = _read(package, file)
        boxes = detector(picture, 0)
        for name, wanted in faces.items():
            box = max(boxes, key=lambda b: _overlap(b, wanted), default=None)
            if box is None or _overlap(box, wanted) < _SAME_FACE:
                raise UserError(
                    f"The picture {file} of the installed {package} does not show the expected face"
                    f" at {wanted}. Install the {package} version named in constraints.txt."
                )
            found[name] = _prepare(name, picture, _upright_points(predictor, picture, box))
    return found


def _read(package: str, file: str) -> Image:
    # The package is found, not imported: importing insightface alone takes seconds.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"{package} is not installed; the sample faces come from its pictures.")
    path = Path(spec.submodule_search_locations[0]) / file
    if not path.is_file():
        raise UserError(f"{path} is missing; the sample faces come from it. Reinstall {package}.")
    return decode_rgb(path.read_bytes())


def _overlap(found: dlib.rectangle, wanted: Box) -> float:
    x1, y1 = max(found.left(), wanted[0]), max(found.top(), wanted[1])
    x2, y2 = min(found.right() + 1, wanted[2]), min(found.bottom() + 1, wanted[3])
    shared = max(0, x2 - x1) * max(0, y2 - y1)
    area = (wanted[2] - wanted[0]) * (wanted[3] - wanted[1])
    return float(shared / (found.area() + area - shared))


def roll_deg(points: Points) -> float:
    """Clockwise tilt of the head in degrees, from the eyes."""
    across = points[42:48].mean(axis=0) - points[36:42].mean(axis=0)
    return float(np.rad2deg(np.arctan2(across[1], across[0])))


def _upright_points(predictor: dlib.shape_predictor, picture: Image, box: dlib.rectangle) -> Points:
    # The predictor knows upright heads: its first answer is good enough to set the head upright.
    middle = (box.center().x, box.center().y)
    first = _points(predictor, picture, box)
    matrix = cv2.getRotationMatrix2D(middle, roll_deg(first), 1.0)
    size = (picture.shape[1], picture.shape[0])
    upright = cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    points = _points(predictor, np.asarray(upright, np.uint8), box)
    back = cv2.invertAffineTransform(matrix)
    return np.asarray(points[:, :1] * back[:, 0] + points[:, 1:] * back[:, 1] + back[:, 2])


def _points(predictor: dlib.shape_predictor, picture: Image, box: dlib.rectangle) -> Points:
    return np.array([(p.x, p.y) for p in predictor(picture, box).parts()], np.float64)


def _prepare(name: str, picture: Image, points: Points) -> Person:
    low, high = points.min(axis=0), points.max(axis=0)  # (2,)
    size = float((high - low).max())
    centre = (low + high) / 2
    height, width = picture.shape[:2]
    frame = np.array([width, height])
    start = np.maximum(np.floor(centre - _REACH * size), 0).astype(int)
    stop = np.minimum(np.ceil(centre + _REACH * size), frame).astype(int)
    before = np.maximum(np.ceil(start - (centre - _LEAST_REACH * size)), 0).astype(int)
    after = np.maximum(np.ceil(centre + _LEAST_REACH * size - stop), 0).astype(int)
    crop = picture[start[1] : stop[1], start[0] : stop[0]]
    crop = _extended(crop, before[1], after[1], before[0], after[0])
    scale = FACE_PX / size
    side = (round(crop.shape[1] * scale), round(crop.shape[0] * scale))
    enlarged = np.asarray(cv2.resize(crop, side, interpolation=cv2.INTER_CUBIC), np.uint8)
    true_scale = np.array(side) / (crop.shape[1], crop.shape[0])
    moved = (points - start + before + 0.5) * true_scale - 0.5
    return Person(name, enlarged, np.round(moved, 2))


def _extended(crop: Image, top: int, bottom: int, left: int, right: int) -> Image:
    if not any((top, bottom, left, right)):
        return crop
    wide = cv2.copyMakeBorder(crop, top, bottom, left, right, cv2.BORDER_REPLICATE)
    outside = np.zeros(crop.shape[:2], np.uint8)
    outside = np.asarray(
        cv2.copyMakeBorder(outside, top, bottom, left, right, cv2.BORDER_CONSTANT, None, (255,))
    )
    away = cv2.distanceTransform(outside, cv2.DIST_L1, 3)[:, :, None]  # (H, W, 1)
    # Repeated edges are streaks: blur them, more so further out, and let them fall into shadow.
    for sigma in (1.5, 3.0):
        wide = np.where(away > sigma, cv2.GaussianBlur(wide, (0, 0), sigma), wide)
    shade = _DARKEST + (1 - _DARKEST) / (1 + away / 6)
    return np.rint(np.where(away > 0, wide * shade, wide)).astype(np.uint8)
