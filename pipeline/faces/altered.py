"""Which faces of a fake were altered: its frames held against its mask, or its pristine pair.

A fake with two people may have altered one of them, and the other's face is real. Where a dataset
ships masks, or the film that a fake was made of, each face gets the share of its box that was
altered. Row by row: whoever works a fake reads its mask or pair as well.

**Mask**: a film that is bright where the fake is altered.

**Pair**: both frames, brought to the scale at which the face is :data:`FACE_PX` long, are
subtracted. Two encodings of the same frame differ too, the more the harder they are compressed
and the more there is to see; so as much is taken for noise as the two differ where no face is and
where there is as much to see as in the face.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image
from pipeline.errors import Reject
from pipeline.video.decode import Frame
from pipeline.video.reader import open_reader

UNKNOWN = -1.0
"""Share of a face of which nobody knows; and of every face of a real."""

FACE_PX = 64
"""Differences are looked at where the box's longer side has this length; none is enlarged."""
LEAST_STEP = 2.0
"""A difference of at most so many levels (of 255) is never an alteration."""
NOISE_FACTOR = 1.3
"""What counts as altered differs by this many times the noise, and by :data:`LEAST_STEP` besides.
Found on clips of two people at H.264's CRF 0, 23 and 40; see docs/decisions.md."""
SHARPER = 0.12
"""What is more blurred or sharper counts as well: logarithm of the ratio of local contrasts."""
_NOISE_PERCENTILE = 90
_TEXTURE_PERCENTILES = (25, 90)
"""Noise is measured where local contrast lies between these percentiles of the face's own."""
_LEAST_PIXELS = 50
"""Fewer pixels tell no noise."""
_SMOOTH_PX, _CONTRAST_PX = 1.0, 2.0
"""Sigmas at that scale: of the smoothing of differences, and of the window of contrast."""
_DETAIL_PX, _SHARPNESS_PX = 1.0, 6.0
"""The same of the detail that blur takes away, and of the smoothing of its loss. That leaves little
of noise, which adds detail here and takes it there."""
_FAINT = 3.0
"""Contrast of so many levels is next to none."""
_AROUND_FACE = 1 / 3
"""So much of a box's sides around a face may be altered too, and tells no noise."""
_BRIGHT = 64
"""Masks are films that were compressed: darker levels (of 255) are traces of that."""
_SAME_SHAPE = 0.02
"""Frames whose aspect ratios differ by more are not the same frame."""
_DECIMALS = 4

Kind = Literal["", "mask", "pair"]
"""What a fake is held against; "" for nothing."""
Box = Sequence[float]


def masked_share(mask: Image, size: tuple[int, int], box: Box) -> float:
    """Share of a box that a mask covers, in [0, 1].

    Args:
        mask: uint8 (h, w, 3); any channel above a quarter counts.
        size: height and width of the frame that the box is in, in px; the mask may be smaller.
        box: x1, y1, x2, y2 in px of the frame.
    """
    height, width = mask.shape[:2]
    inside = _inside(box, width / size[1], height / size[0], width, height)
    return round(float((mask[inside].max(axis=2) > _BRIGHT).mean()), _DECIMALS)


def changed_share(fake: Image, pristine: Image, box: Box, boxes: Sequence[Box]) -> float:
    """Share of a box in which a fake differs from its pristine frame by more than noise.

    Args:
        fake: uint8 (H, W, 3) RGB.
        pristine: uint8 (h, w, 3) RGB, the same frame before it was altered, of the same shape.
        box: x1, y1, x2, y2 of the face in px of ``fake``.
        boxes: those of all faces of the frame.

    Returns:
        In [0, 1], rounded to 1e-4.
    """
    height, width = fake.shape[:2]
    scale = min(1.0, FACE_PX / max(box[2] - box[0], box[3] - box[1]))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    one, other = (_luma_chroma(image, small) for image in (fake, pristine))  # (h, w, 3) each
    difference = np.abs(_smooth(one - other, _SMOOTH_PX)).max(axis=2)  # (h, w)
    x, y = small[0] / width, small[1] / height
    inside = _inside(box, x, y, *small)
    elsewhere = np.ones(difference.shape, bool)
    for face in boxes:
        elsewhere[_inside(_grown(face), x, y, *small)] = False
    noise = _noise(difference, _contrast(other[..., 0], _CONTRAST_PX), inside, elsewhere)
    altered = difference > LEAST_STEP + NOISE_FACTOR * noise
    altered |= np.abs(_sharpness(one[..., 0], other[..., 0])) > SHARPER
    return round(float(altered[inside].mean()), _DECIMALS)


def _sharpness(fake: NDArray[np.float32], pristine: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much more detail there is about each pixel of a fake, as a logarithm; (h, w)."""
    here, there = (_contrast(luma, _DETAIL_PX) + _FAINT for luma in (fake, pristine))
    return _smooth(np.log(here / there), _SHARPNESS_PX)


def _noise(
    difference: NDArray[np.float32],
    contrast: NDArray[np.float32],
    inside: tuple[slice, slice],
    elsewhere: NDArray[np.bool_],
) -> float:
    low, high = np.percentile(contrast[inside], _TEXTURE_PERCENTILES)
    alike = elsewhere & (contrast >= low) & (contrast <= high)
    for where in (alike, elsewhere):
        if where.sum() >= _LEAST_PIXELS:
            return float(np.percentile(difference[where], _NOISE_PERCENTILE))
    return 0.0  # the face fills the frame


def _luma_chroma(image: Image, size: tuple[int, int]) -> NDArray[np.float32]:
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb).astype(np.float32)


def _smooth(plane: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), np.float32)


def _contrast(luma: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Standard deviation about each pixel, (h, w)."""
    mean = _smooth(luma, sigma_px)
    variance = _smooth(np.square(luma), sigma_px) - np.square(mean)
    return np.asarray(np.sqrt(np.maximum(variance, 0)), np.float32)


def _grown(box: Box) -> Box:
    x1, y1, x2, y2 = box
    wide, high = _AROUND_FACE * (x2 - x1), _AROUND_FACE * (y2 - y1)
    return x1 - wide, y1 - high, x2 + wide, y2 + high


def _inside(box: Box, x: float, y: float, width: int, height: int) -> tuple[slice, slice]:
    """Rows and columns of a box in a frame scaled by x and y; at least one of each."""
    left, right = (min(max(round(edge * x), 0), width) for edge in (box[0], box[2]))
    top, bottom = (min(max(round(edge * y), 0), height) for edge in (box[1], box[3]))
    left, top = min(left, width - 1), min(top, height - 1)
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the file."""
        self._open.close()

    def shares(self, frame: Frame, boxes: Sequence[Box]) -> list[float]:
        """Altered share of each box of a frame; :data:`UNKNOWN` where nobody knows.

        Frames must come in order of time.
        """
        reference = self._at(frame.samples[0]) if boxes else None
        if reference is None or not _same_shape(frame.image, reference):
            return [UNKNOWN] * len(boxes)
        if self.kind == "mask":
            size = cast(tuple[int, int], frame.image.shape[:2])
            return [masked_share(reference, size, box) for box in boxes]
        return [changed_share(frame.image, reference, box, boxes) for box in boxes]

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
