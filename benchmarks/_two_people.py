"""Films of two people of whom one is altered, and which of their faces are judged to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.params import FaceChoice, FacesParams, LandmarksParams
from pipeline.config.values import Weights
from pipeline.expansion.alignment import similarity
from pipeline.expansion.blending import correct, moments
from pipeline.faces.detect import Detector, make_detector
from pipeline.faces.extract import FacesTask
from pipeline.faces.landmarks import make_landmarker
from pipeline.selection.face_choice import altered
from pipeline.video.reader import decode, open_reader

Image = NDArray[np.uint8]
Points = NDArray[np.float64]

CRFS = (0, 23, 40)
"""FaceForensics++'s raw, c23 and c40."""
ALTERATIONS = ("swap", "blur strongly", "blur mildly", "warp strongly", "warp mildly", "mouth")
RATE = 25
"""Frames a second of the films."""
_EDGE_SHARE, _WIDE_EDGE_SHARE = 1 / 30, 1 / 15
_BLUR_SHARE = {"blur strongly": 0.04, "blur mildly": 0.015}
_WARP_SHARE = {"warp strongly": 0.06, "warp mildly": 0.02}
_OPEN = 0.35
"""The mouth is stretched by so much."""
_DETECTOR = "weights/det_500m.onnx"
_DETECTOR_SHA256 = "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a"
_BELOW_PX = 8192
_MAX_GAIN = 2.0


@dataclass(frozen=True)
class Film:
    """Two people side by side; the one on the right is altered."""

    frames: list[Image]
    middle_px: int
    """Where the frame of the right one begins."""
    points: list[Points]
    """float64 (68, 2) of the right face in each frame."""


class Studio:
    """Makes films of the clips and photographs of an assets folder, and alters them."""

    def __init__(self, assets: Path) -> None:
        self.assets = assets
        weights = Weights(str(assets / _DETECTOR), _DETECTOR_SHA256)
        self.faces = FacesParams(detector="scrfd", weights=weights, input_size_px=640)
        self._detector: Detector = make_detector(self.faces)
        self._landmarker = make_landmarker(LandmarksParams())
        donor = decode((assets / "images/biden.jpg").read_bytes(), _BELOW_PX)
        points = self._points(donor, 0)
        if points is None:
            raise ValueError("no face in the donor's photograph")
        self._donor = donor, points

    def side_by_side(self, left: str, right: str, count: int, height_px: int) -> Film:
        """The first frames of two clips; one that is too short is shown to and fro."""
        halves = [self._clip(name, count, height_px) for name in (left, right)]
        frames = [np.hstack(pair) for pair in zip(*halves, strict=True)]
        return self._film(frames, halves[0][0].shape[1])

    def photograph(self, name: str, count: int, height_px: int) -> Film:
        """A photograph of two people that the camera pans over."""
        image = _scaled(decode((self.assets / "images" / name).read_bytes(), _BELOW_PX), height_px)
        width = image.shape[1] - count - image.shape[1] % 2 - count % 2
        frames = [np.ascontiguousarray(image[:, n : n + width]) for n in range(count)]
        boxes = sorted(face.box for face in self._detector.detect_all(frames[:1])[0])
        return self._film(frames, round((boxes[0][2] + boxes[-1][0]) / 2))

    def _film(self, frames: list[Image], middle_px: int) -> Film:
        points: list[Points] = []
        for frame in frames:
            found = self._points(frame, middle_px)
            points.append(points[-1] if found is None else found)
        return Film(frames, middle_px, points)

    def altered(self, film: Film, how: str) -> list[Image]:
        """The film's frames, the face on the right altered."""
        made = []
        for frame, points in zip(film.frames, film.points, strict=True):
            image = frame.copy()
            around = _around(points, frame)
            corner = np.array([around[1].start, around[0].start])
            image[around] = self._alter(frame[around], points - corner, how)
            made.append(image)
        return made

    def judged(
        self, fake: Path, pair: Path, film: Film, times_s: Sequence[float]
    ) -> list[tuple[bool, bool]]:
        """Of every face that is found in a fake: whether it is altered, and is judged to be."""
        task = FacesTask({"": self.faces}, _BELOW_PX)
        task.open()
        inputs: dict[str, Any] = {"fingerprint": "", "media": "video", "file": str(fake)}
        inputs |= {"times_s": list(times_s), "encoding": "png", "rules": "", "shipped": ""}
        inputs |= {"min_frames": 1, "altered": "pair:", "reference": str(pair)}
        faces = [output.fields for output in task.work(inputs).outputs]
        share, track = (np.array([face[name] for face in faces]) for name in ("altered", "track"))
        chosen = altered(np.zeros(len(faces), np.int64), track, share, FaceChoice.min_altered)
        truth = [(face["box"][0] + face["box"][2]) / 2 > film.middle_px for face in faces]
        return list(zip(truth, chosen.tolist(), strict=True))

    def _points(self, frame: Image, right_of_px: int) -> Points | None:
        boxes = [face.box for face in self._detector.detect_all([frame])[0]]
        boxes = [box for box in boxes if (box[0] + box[2]) / 2 > right_of_px]
        if not boxes:
            return None
        return self._landmarker.points(frame, boxes[0], "scrfd")[0].astype(np.float64)

    def _clip(self, name: str, count: int, height_px: int) -> list[Image]:
        with open_reader("video", str(self.assets / "videos" / name), _BELOW_PX) as reader:
            times = [n / RATE for n in range(count)]
            frames = [_scaled(shown.image, height_px) for shown in reader.frames_at(times)]
        while len(frames) < count:
            frames += frames[::-1]
        return frames[:count]

    def _alter(self, frame: Image, points: Points, how: str) -> Image:
        size_px = float(np.ptp(points[:, 0]))
        height, width = frame.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float32)  # (H, W) each
        if how == "swap":
            donor, donor_points = self._donor
            alpha = _hull(frame, points, size_px * _EDGE_SHARE)
            turn = similarity(donor_points, points)
            over = cv2.warpAffine(donor, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
            under = frame.astype(np.float32) / 255
            over = _toned(over.astype(np.float32) / 255, under, alpha)
            return np.asarray(np.rint((under + alpha * (over - under)) * 255), np.uint8)
        if how in _BLUR_SHARE:
            alpha = _hull(frame, points, size_px * _EDGE_SHARE)
            blurred = cv2.GaussianBlur(frame, (0, 0), size_px * _BLUR_SHARE[how])
            return np.asarray(
                np.rint(frame + alpha * (blurred.astype(np.float32) - frame)), np.uint8
            )
        if how in _WARP_SHARE:
            far = _hull(frame, points, size_px * _WIDE_EDGE_SHARE)[..., 0] * size_px
            far *= _WARP_SHARE[how]
            middle_x, middle_y = points[17:].mean(axis=0)
            x = x + far * np.sin((y - middle_y) / size_px * 6)
            y = y + far * np.cos((x - middle_x) / size_px * 6)
        else:
            alpha = _hull(frame, points[48:60], size_px * _EDGE_SHARE)[..., 0]
            middle_y = points[48:60, 1].mean()
            y = middle_y + (y - middle_y) * (1 - _OPEN * alpha)
        moved = cv2.remap(
            frame,
            x.astype(np.float32),
            y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(moved, np.uint8)


def encode(path: Path, frames: Sequence[Image], crf: int) -> Path:
    """Writes an MP4 in H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": str(crf)})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _scaled(image: Image, height_px: int) -> Image:
    width = round(image.shape[1] * height_px / image.shape[0] / 2) * 2
    return np.asarray(cv2.resize(image, (width, height_px), interpolation=cv2.INTER_AREA), np.uint8)


def _around(points: Points, frame: Image) -> tuple[slice, slice]:
    """Rows and columns of a face with half its size on each side, within the frame."""
    margin = np.ptp(points, axis=0) / 2
    left, top = np.maximum(points.min(axis=0) - margin, 0).astype(int)
    right, bottom = (points.max(axis=0) + margin).astype(int)
    return slice(top, min(bottom, frame.shape[0])), slice(left, min(right, frame.shape[1]))


def _hull(frame: Image, points: Points, sigma_px: float) -> NDArray[np.float32]:
    """float32 (H, W, 1), 1 within the hull of the points, with a soft edge."""
    mask = np.zeros(frame.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.int32)), 255)
    soft = cv2.GaussianBlur(mask, (0, 0), sigma_px)
    return np.asarray(soft[..., None].astype(np.float32) / 255, np.float32)


def _toned(
    over: NDArray[np.float32], under: NDArray[np.float32], alpha: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The face ``over`` in the colors of the one ``under`` it, where alpha is."""
    weight = (alpha / alpha.sum()).ravel()
    lab = [np.asarray(cv2.cvtColor(one, cv2.COLOR_RGB2Lab), np.float32) for one in (over, under)]
    return correct(over, lab[0], *(moments(one, weight) for one in lab), _MAX_GAIN)
