"""68 facial points (iBUG order) on stored crops.

Two landmarkers behind one protocol: ``dlib`` (regression trees, from package files) and ``fan``
(2DFAN-4 of Bulat and Tzimiropoulos 2017, SJEDD's reference [96], through face-alignment). Each
expects the boxes of one kind of detector; other boxes are brought to that form first.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from faceshards import images
from pipeline import weights
from pipeline.config.params import LandmarksParams
from pipeline.engine.rows import Inputs, Output, RowResult
from pipeline.errors import Reject, UserError
from pipeline.faces.boxes import BoxesOf, hog_box
from pipeline.faces.dlib_models import LANDMARKS_68, model_path
from pipeline.files.stored import read_stored

Points = NDArray[np.float32]
"""float32 (68, 2): x, y in px; whole numbers are pixel centres."""

POINT_COUNT = 68
NO_SCORE = -1.0

FAN_MODEL = "2DFAN4-11f355bf06.pth.tar"
"""Official file name of the 2DFAN-4 weights."""

MIN_INSIDE = 0.5
"""A face with a smaller share of its points in the crop has no usable landmarks."""


class Landmarker(Protocol):
    """Finds the 68 points of one face."""

    def points(
        self, image: images.Image, box: Sequence[float], boxes_of: BoxesOf
    ) -> tuple[Points, float]:
        """Points and confidence of the face in a box.

        Args:
            image: uint8 (H, W, 3) RGB.
            box: x1, y1, x2, y2 of the face in px.
            boxes_of: who gave the box; each draws them differently.

        Returns:
            float32 (68, 2) in px, rounded to 1/64; may lie outside the image. Confidence rounded
            to 1e-4, >= 0; or -1 where the landmarker has none.
        """


class DlibLandmarker:
    """dlib's regression trees; whole-pixel points, no confidence."""

    def __init__(self) -> None:
        import dlib

        self._rectangle = dlib.rectangle
        self._predictor = dlib.shape_predictor(str(model_path(LANDMARKS_68)))

    def points(
        self, image: images.Image, box: Sequence[float], boxes_of: BoxesOf
    ) -> tuple[Points, float]:
        """See :class:`Landmarker`."""
        sides = (round(side) for side in hog_box(box, boxes_of))
        found = self._predictor(image, self._rectangle(*sides))
        return np.array([(p.x, p.y) for p in found.parts()], np.float32), NO_SCORE


def make_landmarker(params: LandmarksParams) -> Landmarker:
    """The landmarker that the parameters name, which is not ``none``, loaded and ready.

    Raises:
        UserError: weights are missing or wrong, or the provider is not available.
    """
    _check(params)
    if params.landmarker == "dlib":
        return DlibLandmarker()
    from pipeline.faces.fan import FanLandmarker

    return FanLandmarker(_fan_path(params), params.provider)


def landmarker_settings(params: LandmarksParams) -> dict[str, object]:
    """What decides the points besides the crop, its box and who gave it; JSON-serialisable.

    Raises:
        UserError: weights are missing or wrong, or provider and landmarker do not go together.
    """
    _check(params)
    if params.landmarker == "none":
        return {"landmarker": "none"}
    path = model_path(LANDMARKS_68) if params.landmarker == "dlib" else _fan_path(params)
    return {
        "landmarker": params.landmarker,
        "weights": weights.sha256(path),
        "provider": params.provider,
    }


def _check(params: LandmarksParams) -> None:
    if params.landmarker == "dlib" and params.provider != "cpu":
        raise UserError(
            f"landmarks.provider is {params.provider}, but the landmarker dlib runs on the CPU "
            "only. Set landmarks.provider: cpu, or landmarks.landmarker: fan."
        )


def _fan_path(params: LandmarksParams) -> Path:
    purpose = f"The landmarker fan (official file {FAN_MODEL})"
    return weights.find(params.weights, "landmarks.weights", purpose)


class LandmarksTask:
    """The work of the stage ``landmarks``: one row is one face, one output its 68 points.

    A row brings ``digest``, ``box_in_crop`` (x1, y1, x2, y2 in crop px) and ``detector`` (who gave
    the box), and where the crop lies: ``tar`` (absolute path), ``offset``, ``size``.
    """

    def __init__(self, params: LandmarksParams) -> None:
        self._params = params
        self._landmarker: Landmarker | None = None

    def settings(self) -> Mapping[str, Any]:
        """See :func:`landmarker_settings`."""
        return landmarker_settings(self._params)

    def open(self) -> None:
        """Loads the landmarker."""
        self._landmarker = make_landmarker(self._params)

    def units(self, inputs: Inputs) -> Sequence[str]:  # noqa: ARG002 - the row is the unit
        """The face itself."""
        return ("",)

    def identify(self, row_id: str, fields: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002
        """The face's id."""
        return {"face_id": row_id}

    def work(self, inputs: Inputs) -> RowResult:
        """Finds the points of one face.

        Raises:
            Reject: ``no_landmarks`` where most points lie outside the crop.
            UserError: the crop is not where the table says.
        """
        if self._landmarker is None:
            raise RuntimeError("LandmarksTask.work() before open()")
        where = Path(inputs["tar"]), inputs["offset"], inputs["size"]
        image = images.decode_rgb(read_stored(*where, inputs["digest"], "faces"))
        points, score = self._landmarker.points(image, inputs["box_in_crop"], inputs["detector"])
        height, width = image.shape[:2]
        inside = int(((points >= 0) & (points <= (width - 1, height - 1))).all(axis=1).sum())
        if inside < MIN_INSIDE * POINT_COUNT:
            raise Reject("no_landmarks", f"only {inside} of {POINT_COUNT} points lie in the crop")
        return RowResult([Output({"points": points.ravel().tolist(), "score": score})], done=1)
