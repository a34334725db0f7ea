"""SCRFD (Guo et al. 2021) through insightface's model zoo: what insightface ships after RetinaFace.

insightface runs the network and decodes its output; resizing, scales and the choice of faces are ours,
so that all detectors follow the same rules.
"""

from pathlib import Path
from typing import Any

import insightface.model_zoo
import numpy as np
import onnxruntime

from pipeline import weights
from pipeline.config import FacesParams
from pipeline.errors import UserError
from pipeline.faces.detect import Candidates, lowest_score, merge, pad_to, resize_longer_side
from pipeline.images import Image

AUTO_SIDES_PX = (128, 640)
"""insightface's own default: at 640 alone, faces that fill the picture are missed."""
STRIDE_PX = 32
"""Input sides are multiples of the coarsest stride."""
PACKS = Path("~/.insightface/models")
"""Where insightface keeps its packs, one folder each (buffalo_l, antelopev2 …)."""

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_KEEP_ALL = 1.0
"""Overlap above which insightface would drop a box: never, that is done on rounded boxes."""


class ScrfdDetector:
    """SCRFD on one picture at a time, padded to a square in black at its right or lower side.

    ``input_size_px``: a number = side of the square, which must be a multiple of 32; the picture's
    longer side is brought to it, enlarged where it was smaller (insightface's ``det_size``); ``auto`` =
    128 and 640 together; ``full`` = as decoded, padded to multiples of 32, not square.
    """

    def __init__(self, model: Any, params: FacesParams) -> None:
        self.model = model
        self.model.prepare(0, nms_thresh=_KEEP_ALL)
        self.input_size_px = params.input_size_px
        self.lowest_score = lowest_score(params.score_threshold)

    def candidates(self, image: Image) -> Candidates:
        """Candidates of a uint8 (H, W, 3) RGB picture, from all sizes, in its px."""
        if self.input_size_px == "full":
            height, width = (-(-side // STRIDE_PX) * STRIDE_PX for side in image.shape[:2])
            return self._at_size(pad_to(image, width, height))
        sides = AUTO_SIDES_PX if self.input_size_px == "auto" else (self.input_size_px,)
        found, scales = [], []
        for side in sides:
            resized, scale_x, scale_y = resize_longer_side(image, side)
            found.append(self._at_size(pad_to(resized, side, side)))
            scales.append((scale_x, scale_y))
        return merge(found, scales)

    def _at_size(self, padded: Image) -> Candidates:
        bgr = np.ascontiguousarray(padded[:, :, ::-1])
        size = (padded.shape[1], padded.shape[0])
        found, points = self.model.detect(bgr, input_size=size, det_thresh=self.lowest_score)
        landmarks = np.zeros((len(found), 0)) if points is None else points.reshape(len(found), -1)
        return Candidates(
            found[:, :4].astype(np.float64),
            found[:, 4].astype(np.float64),
            landmarks.astype(np.float64),
        )


def _file(params: FacesParams) -> Path:
    return weights.find(
        params.weights, "faces.weights", "The detector scrfd", "*.onnx", PACKS.expanduser()
    )


def weights_digest(params: FacesParams) -> str:
    """SHA-256 of the .onnx file. Raises UserError where it is missing or another one."""
    return weights.sha256(_file(params))


def make(params: FacesParams) -> ScrfdDetector:
    """Loads the .onnx file that the parameters name, one thread, on the provider they name.

    Raises:
        UserError: the file is missing, another one or no detector, takes another input size, or the
            provider is not available.
    """
    path = _file(params)
    provider = _PROVIDERS[params.provider]
    if provider not in onnxruntime.get_available_providers():
        raise UserError(_no_provider(params))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        # One session for all sizes: pictures of a data set come in many.
        model = insightface.model_zoo.get_model(
            str(path), providers=[provider], sess_options=options, static_shape_sessions=False
        )
    except _ONNX_ERRORS as error:
        raise UserError(f"{path} is not an ONNX model that onnxruntime can run: {error}") from error
    if getattr(model, "taskname", "") != "detection":
        raise UserError(f"{path} is not a face detector. Name the detection model in faces.weights.")
    if model.session.get_providers()[0] != provider:
        raise UserError(_no_provider(params))
    _check_size(path, model.static_input_size, params.input_size_px)
    return ScrfdDetector(model, params)
