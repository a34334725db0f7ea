"""2DFAN-4 (Bulat and Tzimiropoulos 2017): 68 points from heat maps, given our own boxes.

The network and its weights are face-alignment's. What goes in and how the maps are read follows the
same procedure in our own code: the package fetches a detector first, cuts points down to whole
pixels, and compiles for seconds in every process.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from face_alignment.models import FAN
from numpy.typing import NDArray

from faceshards.images import Image
from pipeline import weights
from pipeline.errors import UserError
from pipeline.faces.boxes import BoxesOf, tight_box
from pipeline.faces.crop import Window, frame_to_crop, invert, map_points

INPUT_PX = 256
MAP_PX = 64
STACKS = 4
LOOSE_PX, TIGHT_PX = 195.0, 165.0
"""FAN sees a square of side 200 (w + h) / reference. These are face-alignment's numbers for its own
detectors: 195 for loose boxes, as dlib's, 165 for tight ones, as those of SCRFD and RetinaFace."""
SQUARE_PER_REFERENCE = 200.0
RAISED = 0.12
"""The square's centre lies this share of the box's height above the box's."""

MIRRORED = (
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
)  # fmt: skip
"""Point i of a face is point MIRRORED[i] of its mirror image (iBUG order)."""

_STEPS_PER_PX = 64
_SCORE_DECIMALS = 4


class FanLandmarker:
    """2DFAN-4 on one face at a time, and on its mirror image; the two maps of a point are averaged.

    The confidence is the mean height of the maps' peaks: near 1 for a clear face, near 0 for none.

    Args:
        path: weights file, found and checked.
        provider: where the network runs.

    Raises:
        UserError: the file does not hold 2DFAN-4, or there is no CUDA device.
    """

    def __init__(self, path: Path, provider: Literal["cpu", "cuda"]) -> None:
        if provider == "cuda" and not torch.cuda.is_available():
            raise UserError(
                "landmarks.provider is cuda, but torch finds no CUDA device. "
                "Install a driver and a CUDA build of torch, or set landmarks.provider: cpu."
            )
        network: torch.nn.Module = FAN(STACKS)
        weights.load_into(network, path, "2DFAN-4", "Use face-alignment's own file for it.")
        self._network = network.eval().to(provider)
        self._provider = provider

    def points(
        self, image: Image, box: Sequence[float], boxes_of: BoxesOf
    ) -> tuple[NDArray[np.float32], float]:
        """See :class:`pipeline.faces.landmarks.Landmarker`."""
        reference = LOOSE_PX if boxes_of == "dlib" else TIGHT_PX
        window = square(tight_box(box, boxes_of), reference)
        seen = torch.from_numpy(cut(image, window)).permute(2, 0, 1)[None]  # (1, 3, 256, 256)
        seen = seen.to(self._provider).float() / 255
        with torch.inference_mode():
            plain = self._network(seen)[-1][0]  # (68, 64, 64)
            turned = self._network(seen.flip(3))[-1][0].flip(2)[list(MIRRORED)]
        maps = ((plain + turned) / 2).cpu().numpy()
        places, peaks = read_maps(maps)
        points = map_points(invert(frame_to_crop(window, MAP_PX)), places)  # (68, 2)
        points = np.round(points * _STEPS_PER_PX) / _STEPS_PER_PX
        score = max(0.0, round(float(peaks.mean(dtype=np.float64)), _SCORE_DECIMALS))
        return points.astype(np.float32), score


def square(box: Sequence[float], reference_px: float) -> Window:
    """Whole-pixel square that FAN sees for a box x1, y1, x2, y2."""
    x1, y1, x2, y2 = box
    side = max(1, round(SQUARE_PER_REFERENCE * (x2 - x1 + y2 - y1) / reference_px))
    x, y = (x1 + x2) / 2, (y1 + y2) / 2 - RAISED * (y2 - y1)
    return Window(int(np.ceil(x - side / 2)), int(np.ceil(y - side / 2)), side, side)


def cut(image: Image, window: Window) -> Image:
    """The window of an image, black outside it, as uint8 (256, 256, 3)."""
    height, width = image.shape[:2]
    left, top = max(0, window.left), max(0, window.top)
    right, bottom = window.left + window.width, window.top + window.height
    part = image[top : max(top, min(bottom, height)), left : max(left, min(right, width))]
    canvas = np.zeros((window.height, window.width, 3), np.uint8)
    if part.size:
        y, x = top - window.top, left - window.left
        canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    size = (INPUT_PX, INPUT_PX)
    return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)


def read_maps(maps: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Place and height of each map's peak.

    A peak is moved a quarter of a map pixel towards the higher neighbour in x and in y, unless it
    touches the border.

    Args:
        maps: (N, H, W).

    Returns:
        float64 (N, 2) as x, y in map pixels, whole numbers their centres; and the heights (N,).
    """
    count, height, width = maps.shape
    n = np.arange(count)
    y, x = np.divmod(maps.reshape(count, -1).argmax(axis=1), width)  # (N,), (N,)
    inner = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    u, v = x.clip(1, width - 2), y.clip(1, height - 2)
    shift_x = np.sign(maps[n, v, u + 1] - maps[n, v, u - 1])
    shift_y = np.sign(maps[n, v + 1, u] - maps[n, v - 1, u])
    shifts = np.stack([shift_x, shift_y], axis=1) * inner[:, None] / 4  # (N, 2)
    return np.stack([x, y], axis=1) + shifts.astype(np.float64), maps[n, y, x]
