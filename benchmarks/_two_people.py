"""Films of two people of whom one is altered, and which of their faces are judged to be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from benchmarks._alterations import ALTERATIONS, Face, Image, Points
from pipeline.config.params import FaceChoice, FacesParams, LandmarksParams
from pipeline.config.values import Weights
from pipeline.faces.detect import Detector, make_detector
from pipeline.faces.extract import FacesTask
from pipeline.faces.landmarks import make_landmarker
from pipeline.selection.face_choice import altered as chosen_of
from pipeline.video.reader import decode, open_reader

CRFS = (0, 23, 40)
"""FaceForensics++'s raw, c23 and c40."""
RATE = 25
"""Frames a second of the films."""
_DONORS = ("biden.jpg", "obama.jpg")
_LATER = 17
"""The other moment of a face is so many frames later."""
_DETECTOR = "weights/det_500m.onnx"
_DETECTOR_SHA256 = "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a"
_BELOW_PX = 8192


@dataclass(frozen=True)
class Film:
    """Two people side by side; the one on the right is altered."""

    frames: list[Image]
    middle_px: int
    """Where the frame of the right one begins."""


@dataclass(frozen=True)
class Clip:
    """A part of a clip of the assets."""

    name: str
    start_s: float = 0.0
    panel: tuple[int, int] = (0, 1)
    """Which of several panels beside each other, and how many there are."""

    def columns(self, image: Image) -> tuple[int, int]:
        """Where the panel begins and ends, in px."""
        number, count = self.panel
        width = image.shape[1] // count
        return number * width, (number + 1) * width


class Studio:
    """Makes films of the clips and photographs of an assets folder, and alters them."""

    def __init__(self, assets: Path) -> None:
        self.assets = assets
        weights = Weights(str(assets / _DETECTOR), _DETECTOR_SHA256)
        self.faces = FacesParams(detector="scrfd", weights=weights, input_size_px=640)
        self._detector: Detector = make_detector(self.faces)
        self._landmarker = make_landmarker(LandmarksParams())
        self._task = FacesTask({"": self.faces}, _BELOW_PX)
        self._task.open()
        self._donors = [self._donor(name) for name in _DONORS]

    def _donor(self, name: str) -> tuple[Image, Points]:
        image = decode((self.assets / "images" / name).read_bytes(), _BELOW_PX)
        points = self._points(image, 0)
        if points is None:
            raise ValueError(f"no face in {name}")
        return image, points

    def side_by_side(self, left: Clip, right: Clip, count: int, height_px: int) -> Film:
        """Two clips beside each other; one that is too short is shown to and fro."""
        halves = [self._clip(clip, count, height_px) for clip in (left, right)]
        frames = [np.hstack(pair) for pair in zip(*halves, strict=True)]
        return Film(frames, halves[0][0].shape[1])

    def alone(self, clip: Clip, count: int, height_px: int) -> Film:
        """A clip of two people."""
        frames = self._clip(clip, count, height_px)
        return Film(frames, self._between(frames[0]))

    def photograph(self, name: str, count: int, height_px: int) -> Film:
        """A photograph of two people that the camera pans over."""
        image = _scaled(decode((self.assets / "images" / name).read_bytes(), _BELOW_PX), height_px)
        width = image.shape[1] - count - image.shape[1] % 2 - count % 2
        frames = [np.ascontiguousarray(image[:, n : n + width]) for n in range(count)]
        return Film(frames, self._between(frames[0]))

    def _between(self, frame: Image) -> int:
        boxes = sorted(face.box for face in self._detector.detect_all([frame])[0])
        return round((boxes[0][2] + boxes[-1][0]) / 2)

    def altered(self, film: Film, ways: Sequence[str]) -> Iterator[tuple[str, list[Image]]]:
        """Ways, and the film's frames with the face on the right altered in each."""
        points: list[Points] = []
        for frame in film.frames:
            found = self._points(frame, film.middle_px)
            points.append(points[-1] if found is None else found)
        faces = [_cut_out(*each) for each in zip(film.frames, points, strict=True)]
        for how in ways:
            made = []
            for number, (frame, (image, its_points, around)) in enumerate(
                zip(film.frames, faces, strict=True)
            ):
                later = faces[(number + _LATER) % len(faces)][:2]
                altered = frame.copy()
                face = Face(number, image, its_points, later, self._donors)
                altered[around] = ALTERATIONS[how](face)
                made.append(altered)
            yield how, made

    def judged(
        self, fake: Path, pair: Path, film: Film, times_s: Sequence[float]
    ) -> list[tuple[bool, bool]]:
        """Of every face that is found in a fake: whether it is altered, and is judged to be."""
        inputs: dict[str, Any] = {"fingerprint": "", "media": "video", "file": str(fake)}
        inputs |= {"times_s": list(times_s), "encoding": "png", "rules": "", "shipped": ""}
        inputs |= {"min_frames": 1, "altered": "pair:", "reference": str(pair)}
        faces = [output.fields for output in self._task.work(inputs).outputs]
        share, track = (np.array([face[name] for face in faces]) for name in ("altered", "track"))
        chosen = chosen_of(np.zeros(len(faces), np.int64), track, share, FaceChoice.min_altered)
        truth = [(face["box"][0] + face["box"][2]) / 2 > film.middle_px for face in faces]
        return list(zip(truth, chosen.tolist(), strict=True))

    def _points(self, frame: Image, right_of_px: int) -> Points | None:
        boxes = [face.box for face in self._detector.detect_all([frame])[0]]
        boxes = [box for box in boxes if (box[0] + box[2]) / 2 > right_of_px]
        if not boxes:
            return None
        return self._landmarker.points(frame, boxes[0], "scrfd")[0].astype(np.float64)

    def _clip(self, clip: Clip, count: int, height_px: int) -> list[Image]:
        path = str(self.assets / "videos" / clip.name)
        with open_reader("video", path, _BELOW_PX) as reader:
            times = [clip.start_s + n / RATE for n in range(count)]
            frames = [
                _scaled(shown.image[:, slice(*clip.columns(shown.image))], height_px)
                for shown in reader.frames_at(times)
                for _ in shown.samples
            ]
        while len(frames) < count:
            frames += frames[::-1]
        return frames[:count]


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


def _cut_out(frame: Image, points: Points) -> tuple[Image, Points, tuple[slice, slice]]:
    """A face with what is around it, its points there, and the place in the frame."""
    around = _around(points, frame)
    return frame[around], points - [around[1].start, around[0].start], around


def _around(points: Points, frame: Image) -> tuple[slice, slice]:
    """Rows and columns of a face with half its size on each side, within the frame."""
    margin = np.ptp(points, axis=0) / 2
    left, top = np.maximum(points.min(axis=0) - margin, 0).astype(int)
    right, bottom = (points.max(axis=0) + margin).astype(int)
    return slice(top, min(bottom, frame.shape[0])), slice(left, min(right, frame.shape[1]))
