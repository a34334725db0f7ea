"""Face detectors behind one protocol: what a detection is, how candidates become faces.

Every detector gives raw candidates; what counts as a face is decided here, alike for all of them
and on rounded numbers, so that the last bits of a network's output never decide.
"""

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image
from pipeline import weights
from pipeline.config.params import FacesParams
from pipeline.faces import centerface_file

NMS_IOU = 0.4
"""Of two boxes that overlap more, the better one stays (as in public RetinaFace and SCRFD code)."""

INSIGHTFACE_PACKS = Path("~/.insightface/models")
"""Where insightface keeps its packs, one folder each (buffalo_l, antelopev2 …)."""

_STEPS_PER_PX = 16
_SCORE_DECIMALS = 4
_MODULES = {
    "dlib": "pipeline.faces.dlib_models",
    "scrfd": "pipeline.faces.scrfd",
    "retinaface": "pipeline.faces.retinaface",
    "centerface": "pipeline.faces.centerface",
}
"""Each has ``make(params) -> RawDetector``."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Detection:
    """One face in one image."""

    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 in px of the image, rounded to 1/16; may reach over its border."""
    score: float
    """Confidence in [0, 1], rounded to 1e-4; its meaning is the detector's own. -1 where an image
    or box was given without one."""
    landmarks5: tuple[float, ...]
    """Left eye, right eye, nose, left and right mouth corner as seen in the image: x, y, x, y …
    in px, rounded to 1/16; () where the detector gives none."""


@dataclass(frozen=True)
class Candidates:
    """What a detector saw, overlapping and unsorted, in px of the image it was given."""

    boxes: Floats
    """float64 (N, 4): x1, y1, x2, y2."""
    scores: Floats
    """float64 (N,) in [0, 1]."""
    landmarks: Floats
    """float64 (N, 10), or (N, 0)."""

    def scaled(self, x: float, y: float) -> "Candidates":
        """The same in px of an image x times as wide and y times as high."""
        boxes = self.boxes * np.array([x, y, x, y])
        points = self.landmarks * np.tile([x, y], self.landmarks.shape[1] // 2)
        return Candidates(boxes, self.scores, points)


class RawDetector(Protocol):
    """A detector before the common rules."""

    batch: int
    """How many images at once suit it."""

    def candidates(self, images: Sequence[Image]) -> list[Candidates]:
        """Candidates of each image, with at least the score the detector was made with."""


class Detector(Protocol):
    """Finds faces in images."""

    batch: int
    """How many images at once suit it; 1 where more are no faster."""

    def detect(self, image: Image) -> list[Detection]:
        """Faces of a uint8 (H, W, 3) RGB image, largest first (area, then box)."""

    def detect_all(self, images: Sequence[Image]) -> list[list[Detection]]:
        """Faces of each image; images may differ in size."""


class _Rules:
    def __init__(self, raw: RawDetector, params: FacesParams) -> None:
        self.raw = raw
        self.batch = raw.batch
        self._limits = params.score_threshold, params.min_face_px

    def detect(self, image: Image) -> list[Detection]:
        return self.detect_all([image])[0]

    def detect_all(self, images: Sequence[Image]) -> list[list[Detection]]:
        found = self.raw.candidates(images)
        return [
            choose(candidates, image.shape[1], image.shape[0], *self._limits)
            for image, candidates in zip(images, found, strict=True)
        ]


def choose(
    candidates: Candidates, width_px: int, height_px: int, score_threshold: float, min_face_px: int
) -> list[Detection]:
    """Faces among candidates: rounds, then thresholds, then removes overlaps, then sorts.

    A candidate stays when its score is at least ``score_threshold``, its longer side at least
    ``min_face_px``, its area positive, some of it inside the image, and no better one overlaps it
    by more than :data:`NMS_IOU` (intersection over union). Better = higher score, then larger, then
    box. Returned largest first (area, then box).
    """
    boxes = np.round(candidates.boxes * _STEPS_PER_PX) / _STEPS_PER_PX  # (N, 4)
    scores = np.round(candidates.scores, _SCORE_DECIMALS)  # (N,)
    points = np.round(candidates.landmarks * _STEPS_PER_PX) / _STEPS_PER_PX  # (N, 10) or (N, 0)
    sides = boxes[:, 2:] - boxes[:, :2]  # (N, 2)
    inside = (boxes[:, :2] < (width_px, height_px)).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    stays = (scores >= score_threshold) & (sides > 0).all(axis=1) & inside
    stays &= sides.max(axis=1, initial=0) >= min_face_px
    boxes, scores, points = boxes[stays], scores[stays], points[stays]
    kept = non_maximum_suppression(boxes, scores, NMS_IOU)
    faces = [rounded(boxes[i], scores[i], points[i]) for i in kept]
    return sorted(faces, key=lambda face: (-area(face.box), face.box))


def rounded(box: Iterable[float], score: float, points: Iterable[float]) -> Detection:
    """A detection of numbers as they come: 4 for the box, 10 or none for the points."""
    x1, y1, x2, y2 = (round(float(side) * _STEPS_PER_PX) / _STEPS_PER_PX for side in box)
    landmarks = tuple(round(float(p) * _STEPS_PER_PX) / _STEPS_PER_PX for p in points)
    return Detection((x1, y1, x2, y2), round(float(score), _SCORE_DECIMALS), landmarks)


def area(box: tuple[float, float, float, float]) -> float:
    """Area of a box in px²."""
    return (box[2] - box[0]) * (box[3] - box[1])


def non_maximum_suppression(boxes: Floats, scores: Floats, iou: float) -> list[int]:
    """Indices of the boxes (N, 4) that no better box overlaps by more than ``iou``, best first.

    Equal scores are settled by area, then by the box itself, never by the order of the input.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.lexsort((boxes[:, 3], boxes[:, 2], boxes[:, 1], boxes[:, 0], -areas, -scores))
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[rest, :2])  # (R, 2)
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])  # (R, 2)
        shared = np.prod(np.clip(high - low, 0, None), axis=1)  # (R,)
        order = rest[shared <= iou * (areas[best] + areas[rest] - shared)]
    return kept


def lowest_score(score_threshold: float) -> float:
    """The lowest raw score in (0, 1) that rounds to at least the threshold."""
    half_step = 0.5 * 10.0**-_SCORE_DECIMALS
    return min(max(score_threshold - half_step, half_step), 1 - half_step)


def resize_longer_side(image: Image, side_px: int) -> tuple[Image, float, float]:
    """Image with its longer side at ``side_px``, larger or smaller, and its x and y scale."""
    height, width = image.shape[:2]
    longer = max(height, width)
    # As insightface does it: the shorter side is cut to whole pixels, not rounded.
    new_width, new_height = max(1, width * side_px // longer), max(1, height * side_px // longer)
    if (new_width, new_height) != (width, height):
        image = np.asarray(cv2.resize(image, (new_width, new_height)), np.uint8)
    return image, new_width / width, new_height / height


def pad_to(image: Image, width_px: int, height_px: int) -> Image:
    """Image in the top left corner of a black one."""
    canvas = np.zeros((height_px, width_px, 3), np.uint8)
    canvas[: image.shape[0], : image.shape[1]] = image
    return canvas


def merge(found: Sequence[Candidates]) -> Candidates:
    """Candidates found at several sizes, all in px of the same image."""
    return Candidates(
        np.concatenate([c.boxes for c in found]),
        np.concatenate([c.scores for c in found]),
        np.concatenate([c.landmarks for c in found]),
    )


def at_sizes(
    image: Image,
    input_size_px: str | int,
    auto_sides_px: Sequence[int],
    look: Callable[[Image], Candidates],
) -> Candidates:
    """Candidates of one image that a network looks at once or several times, in the image's px.

    Args:
        image: uint8 (H, W, 3) RGB.
        input_size_px: ``full`` = as decoded; ``auto`` = at each of ``auto_sides_px``; a number =
            the longer side is brought to it.
        auto_sides_px: lengths of the longer side, in px.
        look: gives the candidates of an image of any size, in px of that image.
    """
    if input_size_px == "full":
        return look(image)
    found = []
    for side_px in auto_sides_px if input_size_px == "auto" else (int(input_size_px),):
        resized, scale_x, scale_y = resize_longer_side(image, side_px)
        found.append(look(resized).scaled(1 / scale_x, 1 / scale_y))
    return merge(found)


def weights_file(params: FacesParams) -> Path | None:
    """The checked weights file of the detector; None for those that need none.

    Raises:
        UserError: the file is missing or another one than the parameters say.
    """
    if params.detector in ("dlib", "precomputed"):
        return None
    if params.detector == "centerface":
        return centerface_file.model_file()
    if params.detector == "scrfd":
        packs = INSIGHTFACE_PACKS.expanduser()
        return weights.find(params.weights, "faces.weights", "The detector scrfd", "*.onnx", packs)
    return weights.find(params.weights, "faces.weights", "The detector retinaface", "*.pt*")


def detector_settings(params: FacesParams) -> dict[str, object]:
    """What decides what the detector finds, JSON-serialisable; weights by digest.

    Loads no network, but reads the weights file.

    Raises:
        UserError: weights are missing or wrong.
    """
    file = weights_file(params)
    digest = params.weights.sha256.lower() if file else ""
    if params.detector == "centerface":
        digest = centerface_file.SHA256
    return {
        "detector": params.detector,
        "backbone": params.backbone if params.detector == "retinaface" else "",
        "weights": digest,
        "provider": params.provider,
        "input_size_px": params.input_size_px,
        "score_threshold": params.score_threshold,
        "min_face_px": params.min_face_px,
    }


def make_detector(params: FacesParams) -> Detector:
    """The detector that the parameters name, loaded and ready.

    Raises:
        UserError: weights are missing, wrong or of another network, or the provider is not
            available.
    """
    # Imported here: each needs another heavy library, and only one of them is used.
    module = importlib.import_module(_MODULES[params.detector])
    raw: RawDetector = module.make(params)
    return _Rules(raw, params)
