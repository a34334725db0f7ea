"""Images of the assets, decoded plainly, and what is known about them."""

import functools
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.params import FacesParams
from pipeline.config.values import Weights
from pipeline.faces.detect import Detection
from pipeline.video.decode import VideoReader

SCRFD = ("det_2.5g.onnx", "041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9")
MOBILENET = (
    "retinaface_mobilenet0.25.pth",
    "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
)

SHORT_CLIPS = (
    "videos/fake/ghost_elon.webm",
    "videos/fake/lp_inference_3panel.gif",
    "videos/fake/w2l_kennedy.mp4",
    "videos/real/asl_book.mkv",
    "videos/real/head_pose_two.gif",
    "videos/real/lp_d18.mp4",
    "videos/real/noface_bottles.mp4",
    "videos/real/vr_face5.mp4",
    "videos/real/walking_group.gif",
)


def weights(assets: Path, name: str, sha256: str) -> Weights:
    return Weights(str(assets / "weights" / name), sha256)


def scrfd(assets: Path, **changes: object) -> FacesParams:
    return FacesParams(**{"detector": "scrfd", "weights": weights(assets, *SCRFD)} | changes)


def retinaface(assets: Path, **changes: object) -> FacesParams:
    usual = {"detector": "retinaface", "weights": weights(assets, *MOBILENET)}
    return FacesParams(**usual | {"backbone": "mobilenet0.25"} | changes)


@functools.cache
def known_faces(assets: Path, detector: str) -> dict[str, list[int]]:
    """Published face counts per file: of the image, or at 0, 1, 2 … s of the clip."""
    index = json.loads((assets / "index.json").read_text())
    return {entry["file"]: entry["faces"][detector] for entry in index if entry.get("faces")}


@functools.cache
def images(assets: Path, file: str, count: int) -> tuple[NDArray[np.uint8], ...]:
    """The image, or the first ones of the clip at 1 FPS, uint8 (H, W, 3) RGB."""
    if file.startswith("images/"):
        bgr = cv2.imread(str(assets / file), cv2.IMREAD_COLOR)
        return (np.ascontiguousarray(bgr[:, :, ::-1]),)
    with VideoReader(assets / file, 8192) as reader:
        return tuple(
            p.image for p in reader.frames_at([float(t) for t in range(count)]) for _ in p.samples
        )


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def best_overlap(face: Detection, others: list[Detection]) -> float:
    return max((overlap(face.box, other.box) for other in others), default=0.0)
