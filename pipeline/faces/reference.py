"""A fake's mask or pristine pair, read frame by frame along with it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self, cast

from faceshards.images import Image
from pipeline.errors import Reject
from pipeline.faces.altered import UNKNOWN, Box, Kind, Look, difference, masked_share
from pipeline.video.decode import Frame
from pipeline.video.reader import open_reader

_SAME_SHAPE = 0.02
"""Frames whose aspect ratios differ by more are not the same frame."""


class ReferenceReader:
    """A mask or pair, read frame by frame along with its fake; a context manager.

    Args:
        kind: what the file is.
        media: the fake's; the reference is of the same.
        location: absolute path; "" where there is none, and nothing is known.
        times_s: those of the fake.
        max_side_px: larger frames are not decoded.
    """

    def __init__(
        self, kind: Kind, media: str, location: str, times_s: Sequence[float], max_side_px: int
    ) -> None:
        self.kind = kind
        self._source = media, location, max_side_px
        self._times_s = times_s
        self._frames: Iterator[Frame] = iter(())
        self._held: Frame | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Opens the file; where that fails, nothing is known."""
        media, location, max_side_px = self._source
        # A folder and a film do not tell time alike.
        if location and Path(location).is_dir() == (media == "frames"):
            try:
                reader = self._open.enter_context(open_reader(media, location, max_side_px))
                self._frames = reader.frames_at(self._times_s)
            except Reject:
                pass
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self._open.close()

    def looks(self, frame: Frame, boxes: Sequence[Box]) -> list[Look]:
        """What there is to see of each box of a frame; :data:`UNKNOWN` where nobody knows.

        Frames must come in order of time.
        """
        reference = self._at(frame.samples[0]) if boxes else None
        if reference is None or not _same_shape(frame.image, reference):
            return [UNKNOWN] * len(boxes)
        if self.kind == "mask":
            size = cast(tuple[int, int], frame.image.shape[:2])
            return [masked_share(reference, size, box) for box in boxes]
        return [difference(frame.image, reference, box, boxes) for box in boxes]

    def _at(self, sample: int) -> Image | None:
        """The reference's frame at a planned time; None where it has none."""
        try:
            while self._held is None or self._held.samples[-1] < sample:
                self._held = next(self._frames)
        except (StopIteration, Reject):
            self._frames = iter(())
            return None
        return self._held.image if sample in self._held.samples else None


def _same_shape(one: Image, other: Image) -> bool:
    ratios = [image.shape[1] / image.shape[0] for image in (one, other)]
    return bool(abs(ratios[0] / ratios[1] - 1) <= _SAME_SHAPE)
