"""One way to read frames, whatever they come from: videos, folders, single frames, tars."""

from collections.abc import Iterator, Sequence
from math import floor
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import cv2
import numpy as np

from pipeline.errors import Reject
from pipeline.video import jpeg
from pipeline.video.decode import Frame, VideoReader
from pipeline.video.plan import exact
from pipeline.video.stills import checked_header, open_stills

_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


class Reader(Protocol):
    """Gives the frames that are on screen at given times; a context manager.

    Attributes:
        end_s: after iteration, when the last frame read leaves the screen.
        damage: "" or the first thing found wrong.
        fell_back: after iteration, whether every frame up to the last wanted one was decoded.
        problems: after iteration, what is wrong with frames that were not given, by the index of
            the wanted time; those that are not there at all are not among them.
    """

    end_s: float
    damage: str
    fell_back: bool
    problems: dict[int, Reject]

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """As :meth:`pipeline.video.decode.VideoReader.frames_at`."""


def open_reader(
    media: str, location: str, max_side_px: int, *, keep_damaged: bool = False
) -> Reader:
    """A reader, to be used in a ``with`` statement, which opens it.

    Args:
        media: as in the table ``videos``: ``video``, ``frames``, ``image`` or ``tar``.
        location: absolute path of the file or folder; for ``tar`` ``<tar>!<folder inside>``.
        max_side_px: larger frames are not decoded.
        keep_damaged: whether damaged frames are given too, where there is anything to give.
    """
    if media == "video":
        return VideoReader(Path(location), max_side_px, keep_damaged=keep_damaged)
    return StillsReader(media, location, max_side_px, keep_damaged=keep_damaged)


def enough(found: int, planned: int, min_frames: int, damage: str) -> None:
    """Raises Reject ``truncated`` where fewer than ``min_frames`` planned times have a frame.

    Args:
        found: planned times at which a frame was on screen.
        planned: planned times.
        min_frames: how many there must be.
        damage: what the reader says.
    """
    if found < min_frames:
        detail = f"{found} of {planned} planned pictures are there, {min_frames} are needed"
        raise Reject("truncated", f"{detail}; {damage}" if damage else detail)


class StillsReader:
    """Reads a sequence of still images, each one second long, so that its index is its time.

    Attributes:
        end_s: how many images there are.
        damage: "" or the first thing found wrong.
        fell_back: False: only wanted frames are decoded.
        problems: what is wrong with frames that were not given, by the index of the wanted time.
    """

    def __init__(
        self, media: str, location: str, max_side_px: int, *, keep_damaged: bool = False
    ) -> None:
        self.end_s = 0.0
        self.damage = ""
        self.fell_back = False
        self.problems: dict[int, Reject] = {}
        self._source = media, location
        self._keep_damaged = keep_damaged
        self._max_side_px = max_side_px

    def __enter__(self) -> Self:
        """Finds the frames. Raises Reject as :func:`pipeline.video.stills.open_stills`."""
        self._stills = open_stills(*self._source)
        self.end_s = float(self._stills.count)
        self.damage = self._stills.damage
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes what is open."""
        self._stills.close()

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """Frames at the times, in order; one that is damaged or too large is left out.

        Raises:
            Reject: ``decode_error`` where none of the wanted frames can be decoded.
        """
        wanted: dict[int, list[int]] = {}
        for sample, time_s in enumerate(times_s):
            index = floor(exact(time_s))
            if index < self._stills.count:
                wanted.setdefault(index, []).append(sample)
        indices = sorted(wanted)
        decoded = False
        for index, data in zip(indices, self._stills.read(indices), strict=True):
            try:
                if isinstance(data, Reject):
                    raise data
                image = decode(data, self._max_side_px, keep_damaged=self._keep_damaged)
            except Reject as problem:
                self.problems.update(dict.fromkeys(wanted[index], problem))
                self.damage = self.damage or f"picture {index}: {problem}"
                continue
            decoded = True
            yield Frame(tuple(wanted[index]), index, image)
        if indices and not decoded:
            raise Reject("decode_error", self.damage)


def decode(
    data: bytes, max_side_px: int, *, keep_damaged: bool = False
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """uint8 (H, W, 3) RGB of a still image, turned as its EXIF says; alpha is dropped.

    OpenCV tells of damage in a PNG, but gives what it can of a damaged JPEG: those are looked
    through once more (:mod:`pipeline.video.jpeg`).

    Args:
        data: the file.
        max_side_px: a larger frame is not decoded.
        keep_damaged: whether what can be made of a damaged or cut frame is returned.

    Raises:
        Reject: ``empty``, ``not_media``, ``bad_dimensions``, ``unsupported_media`` (a JPEG of which
            damage cannot be told), or ``decode_error`` for a frame that is damaged or whose end is
            missing.
    """
    if not data:
        raise Reject("empty")
    if not checked_header(data, max_side_px).whole:
        if not keep_damaged:
            raise Reject("decode_error", "the end of the picture is missing")
        if data[:2] == _JPEG:
            data += _JPEG_END  # without it, OpenCV gives nothing of the part that is there
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise Reject("decode_error", "the picture is damaged")
    if data[:2] == _JPEG and not keep_damaged:
        damage = jpeg.damage(data, max_side_px * max_side_px)
        if damage == jpeg.UNTOLD:
            raise Reject("unsupported_media", damage)
        if damage:
            raise Reject("decode_error", f"the picture is damaged: {damage}")
    return np.ascontiguousarray(image, np.uint8)
