"""SCRFD (Guo et al. 2021), what insightface ships after RetinaFace, from insightface's .onnx files.

The network sees the image in its own shape. Padding it to a square, as insightface does, would
cost almost twice the time for a wide frame and give the same boxes.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from faceshards.images import Image
from pipeline.config.params import FacesParams
from pipeline.errors import UserError
from pipeline.faces.detect import (
    Candidates,
    at_sizes,
    lowest_score,
    pad_to,
    weights_file,
)
from pipeline.faces.onnx_session import open_session

AUTO_SIDES_PX = (128, 640)
"""insightface's own default: at 640 alone, faces that fill the image are missed."""
MEAN = 127.5
STD = 128.0

_LAYOUTS = {
    6: ((8, 16, 32), 2),
    9: ((8, 16, 32), 2),
    10: ((8, 16, 32, 64, 128), 1),
    15: ((8, 16, 32, 64, 128), 1),
}
"""Strides in px and anchors per cell, by the number of outputs: scores, boxes and perhaps points,
each for all strides."""


class ScrfdDetector:
    """SCRFD on one image at a time; the exported files take no batches.

    ``input_size_px``: a number = the image's longer side is brought to it, enlarged where it was
    smaller; ``auto`` = 128 and 640, both looked at; ``full`` = as decoded. Both sides are padded in
    black, right and below, to multiples of the coarsest stride (32 px for the usual files), or to
    the size that the file was exported for.
    """

    batch = 1

    def __init__(self, session: onnxruntime.InferenceSession, params: FacesParams) -> None:
        self.session = session
        self.strides_px, self.anchors = _LAYOUTS[len(session.get_outputs())]
        self.fixed_px = _fixed_size(session)
        self.input_size_px = params.input_size_px
        self.lowest_score = lowest_score(params.score_threshold)
        self._input = session.get_inputs()[0].name

    def candidates(self, images: Sequence[Image]) -> list[Candidates]:
        """Candidates of uint8 (H, W, 3) RGB images, from all sizes, in their px."""
        sides = AUTO_SIDES_PX
        return [at_sizes(image, self.input_size_px, sides, self._at_size) for image in images]

    def _at_size(self, image: Image) -> Candidates:
        coarsest = self.strides_px[-1]
        size = self.fixed_px or tuple(
            -(-side // coarsest) * coarsest for side in image.shape[1::-1]
        )
        blob = cv2.dnn.blobFromImage(
            pad_to(image, *size), 1 / STD, mean=(MEAN, MEAN, MEAN)
        )  # (1, 3, H, W)
        outputs = [np.asarray(output) for output in self.session.run(None, {self._input: blob})]
        return self._decode(outputs, size[0])

    def _decode(self, outputs: Sequence[NDArray[np.float32]], width: int) -> Candidates:
        """Candidates in px of what the network saw."""
        scores, boxes, points = [], [], []
        levels = len(self.strides_px)
        for level, stride in enumerate(self.strides_px):
            score = outputs[level].reshape(-1)  # (P,)
            likely = np.flatnonzero(score >= self.lowest_score)
            cell = likely // self.anchors
            row, column = np.divmod(cell, width // stride)
            centres = np.stack([column, row], axis=1).astype(np.float32) * stride  # (N, 2)
            sides = outputs[level + levels].reshape(-1, 4)[likely] * stride  # (N, 4)
            scores.append(score[likely])
            boxes.append(np.concatenate([centres - sides[:, :2], centres + sides[:, 2:]], axis=1))
            moved = np.zeros((len(likely), 0), np.float32)
            if len(outputs) == 3 * levels:
                offsets = outputs[level + 2 * levels].reshape(-1, 10)[likely] * stride  # (N, 10)
                moved = np.tile(centres, 5) + offsets
            points.append(moved)
        parts = (np.concatenate(part).astype(np.float64) for part in (boxes, scores, points))
        return Candidates(*parts)


def make(params: FacesParams) -> ScrfdDetector:
    """Loads the .onnx file that the parameters name, one thread, on the provider they name.

    Raises:
        UserError: the file is missing, another one or no SCRFD, takes another input size than asked
            for, or the provider is not available.
    """
    path = weights_file(params)
    if path is None:
        raise ValueError(f"make() of scrfd called for the detector {params.detector}")
    session = open_session(path, params.provider)
    if len(session.get_outputs()) not in _LAYOUTS or len(session.get_inputs()) != 1:
        raise UserError(
            f"{path} is no SCRFD detector. Name the detection model in faces.weights.path."
        )
    detector = ScrfdDetector(session, params)
    _check_size(params.input_size_px, detector)
    return detector


def _fixed_size(session: onnxruntime.InferenceSession) -> tuple[int, int] | None:
    """Width and height in px that the file was exported for; None where they are free."""
    height, width = session.get_inputs()[0].shape[2:4]
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _check_size(input_size_px: int | str, detector: ScrfdDetector) -> None:
    fixed, coarsest = detector.fixed_px, detector.strides_px[-1]
    if fixed is not None and (input_size_px, input_size_px) != fixed:
        raise UserError(
            f"faces.input_size_px is {input_size_px}, but this SCRFD file was exported for "
            f"{fixed[0]} x {fixed[1]} px only. Set it to that or use a file with a free input size."
        )
    if isinstance(input_size_px, int) and input_size_px % coarsest:
        raise UserError(
            f"faces.input_size_px is {input_size_px}, but scrfd needs a multiple of {coarsest}."
        )
