"""SCRFD (Guo et al. 2021) through insightface's model zoo: what insightface ships after RetinaFace.

insightface runs the network and decodes its output; resizing, scales and the choice of faces are
ours, so that all detectors follow the same rules.
"""

from typing import Any

import insightface.model_zoo
import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from pipeline.config import FacesParams
from pipeline.errors import UserError
from pipeline.faces.detect import (
    Candidates,
    lowest_score,
    merge,
    pad_to,
    resize_longer_side,
    weights_file,
)
from pipeline.images import Image

AUTO_SIDES_PX = (128, 640)
"""insightface's own default: at 640 alone, faces that fill the picture are missed."""
STRIDE_PX = 32
"""Input sides are multiples of the coarsest stride."""
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_UNREADABLE = (
    onnxruntime_errors.Fail,
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.InvalidProtobuf,
    onnxruntime_errors.NotImplemented,
    onnxruntime_errors.RuntimeException,
)
_ERRORS_ONLY = 3
_KEEP_ALL = 1.0
"""Overlap above which insightface would drop a box: never, that is done on rounded boxes."""


class ScrfdDetector:
    """SCRFD on one picture at a time, padded to a square in black at its right or lower side.

    ``input_size_px``: a number = side of the square, which must be a multiple of 32; the picture's
    longer side is brought to it, enlarged where it was smaller (insightface's ``det_size``);
    ``auto`` = 128 and 640 together; ``full`` = as decoded, padded to multiples of 32, not square.
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
        return merge([self._at_side(image, int(side)) for side in sides])

    def _at_side(self, image: Image, side_px: int) -> Candidates:
        resized, scale_x, scale_y = resize_longer_side(image, side_px)
        return self._at_size(pad_to(resized, side_px, side_px)).scaled(1 / scale_x, 1 / scale_y)

    def _at_size(self, padded: Image) -> Candidates:
        bgr = np.ascontiguousarray(padded[:, :, ::-1])
        size = (padded.shape[1], padded.shape[0])
        found, points = self.model.detect(bgr, input_size=size, det_thresh=self.lowest_score)
        if points is None:
            points = np.zeros((len(found), 0, 2))
        landmarks = points.reshape(len(found), 2 * points.shape[1])
        return Candidates(
            found[:, :4].astype(np.float64),
            found[:, 4].astype(np.float64),
            landmarks.astype(np.float64),
        )


def make(params: FacesParams) -> ScrfdDetector:
    """Loads the .onnx file that the parameters name, one thread, on the provider they name.

    Raises:
        UserError: the file is missing, another one or no SCRFD, takes another input size than asked
            for, or the provider is not available.
    """
    provider = _PROVIDERS[params.provider]
    if provider not in onnxruntime.get_available_providers():
        raise _no_provider(params.provider)
    path = weights_file(params)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    try:
        # One session for all sizes: with `full`, a data set would need one for each of its sizes.
        model = insightface.model_zoo.get_model(
            str(path), providers=[provider], sess_options=options, static_shape_sessions=False
        )
    except _UNREADABLE as error:
        raise UserError(
            f"{path} is not an ONNX model that onnxruntime can read: {error}"
        ) from error
    if not hasattr(model, "fmc"):
        raise UserError(
            f"{path} is no SCRFD detector. Name the detection model in faces.weights.path."
        )
    if model.session.get_providers()[0] != provider:
        raise _no_provider(params.provider)
    _check_size(params.input_size_px, model.static_input_size)
    return ScrfdDetector(model, params)


def _no_provider(provider: str) -> UserError:
    return UserError(
        f"faces.provider is {provider}, but onnxruntime offers only "
        f"{', '.join(onnxruntime.get_available_providers())}. Install onnxruntime-gpu with its "
        "CUDA libraries in place of onnxruntime, or set faces.provider to cpu."
    )


def _check_size(input_size_px: int | str, fixed: tuple[int, int] | None) -> None:
    if fixed is not None and (input_size_px, input_size_px) != fixed:
        raise UserError(
            f"faces.input_size_px is {input_size_px}, but this SCRFD file was exported for "
            f"{fixed[0]} x {fixed[1]} px only. Set it to that or use a file with a free input size."
        )
    if isinstance(input_size_px, int) and input_size_px % STRIDE_PX:
        raise UserError(
            f"faces.input_size_px is {input_size_px}, but scrfd needs a multiple of {STRIDE_PX}."
        )
