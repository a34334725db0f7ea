"""dlib's face detector and model files, all from PyPI packages: nothing to download.

The detector is dlib's HOG frontal one (Dalal and Triggs 2005; King 2015), built into dlib.
"""

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dlib
import numpy as np

from faceshards.images import Image
from pipeline.config.params import FacesParams
from pipeline.errors import UserError
from pipeline.faces.detect import Candidates, lowest_score, resize_longer_side

MODELS_PACKAGE = "face_recognition_models"
LANDMARKS_68 = "shape_predictor_68_face_landmarks.dat"
AUTO_DOUBLE_BELOW_PX = 1000
"""``auto`` doubles images whose longer side is shorter: the detector's window is 80 px."""


def model_path(name: str) -> Path:
    """A file of the installed ``face_recognition_models``, such as :data:`LANDMARKS_68`.

    The package is located, not imported: its import needs ``pkg_resources``, which is gone from
    current setuptools.

    Raises:
        UserError: the package or the file is not installed.
    """
    spec = importlib.util.find_spec(MODELS_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        path = Path(folder) / "models" / name
        if path.is_file():
            return path
    raise UserError(
        f"{name} of the package {MODELS_PACKAGE} is not installed. "
        f"Run `pip install {MODELS_PACKAGE}`."
    )


class DlibDetector:
    """dlib's HOG detector on one image at a time; finds upright, roughly frontal faces.

    ``input_size_px``: ``full`` = as decoded (faces from about 70 px); a number = the longer side is
    brought to it; ``auto`` = as decoded, doubled below :data:`AUTO_DOUBLE_BELOW_PX` (faces from
    about 35 px).

    The score is the logistic function of the detector's margin, so 0.5 is dlib's own threshold
    (margin 0) and 0.88 a margin of 2. It orders detections and is not a probability. There are no
    landmarks.
    """

    batch = 1

    def __init__(self, hog: Any, params: FacesParams) -> None:
        self.hog = hog
        self.input_size_px = params.input_size_px
        lowest = lowest_score(params.score_threshold)
        self.lowest_margin = math.log(lowest / (1 - lowest))

    def candidates(self, images: Sequence[Image]) -> list[Candidates]:
        """Candidates of uint8 (H, W, 3) RGB images in their px."""
        return [self._candidates(image) for image in images]

    def _candidates(self, image: Image) -> Candidates:
        doublings, scale_x, scale_y = 0, 1.0, 1.0
        if self.input_size_px == "auto":
            doublings = int(max(image.shape[:2]) < AUTO_DOUBLE_BELOW_PX)
        elif self.input_size_px != "full":
            image, scale_x, scale_y = resize_longer_side(image, int(self.input_size_px))
        found, margins, _ = self.hog.run(np.ascontiguousarray(image), doublings, self.lowest_margin)
        # dlib's right and bottom are the last pixels inside.
        corners = [(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in found]
        boxes = np.array(corners, np.float64).reshape(-1, 4)
        scores = np.array([1 / (1 + math.exp(-m)) for m in margins], np.float64)
        here = Candidates(boxes, scores, np.zeros((len(boxes), 0)))
        return here.scaled(1 / scale_x, 1 / scale_y)


def make(params: FacesParams) -> DlibDetector:
    """The frontal face detector, whose weights are part of dlib."""
    return DlibDetector(dlib.get_frontal_face_detector(), params)
