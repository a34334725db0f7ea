"""The frames that are on screen at given times, exactly, in one pass over the file.

Time counts from the first frame shown. At time t the frame on screen is the last one whose
presentation time is at most t; the last frame of a video ends with its duration. All comparisons
are in whole ticks of the stream or fractions of them, so frame rates such as 30000/1001, variable
frame rates, edit lists and streams that start late need no special case.

What is not needed is not decoded (:mod:`pipeline.video.skip`). Where that is not safe, every
frame is; the result is the same.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av.error
import cv2
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.errors import Reject
from pipeline.video.complaints import packets_and_complaints
from pipeline.video.container import (
    Margins,
    complaints,
    container_crop,
    display_turn,
    open_video,
    shapes_may_change,
    square_size,
)
from pipeline.video.everything import stamped_frames
from pipeline.video.plan import exact
from pipeline.video.skip import Odd, Shown, Skipper, Wanted
from pipeline.video.stamps import by_packet, usual_duration
from pipeline.video.timeline import spans

# ACCURATE_RND and BITEXACT make swscale's output the same with and without SIMD. Full chroma takes
# the path that rounds: the short cut otherwise taken darkens limited-range video, and only that, by
# up to two levels, which would let a detector see how a file was encoded.
_CONVERSION = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
)

_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded frame and the wanted times it is on screen at."""

    samples: tuple[int, ...]
    """Places in the sequence of wanted times, ascending."""
    pts: int
    """Presentation time stamp in ticks of the stream."""
    image: NDArray[np.uint8]
    """uint8 (H, W, 3) RGB, turned for display, contiguous."""


class VideoReader:
    """Reads one video file from its start to the last frame wanted.

    Use as a context manager; :meth:`frames_at` may be called once.

    Attributes:
        fell_back: whether every frame had to be decoded.
        end_s: after iteration, when the last frame read leaves the screen, in seconds from the
            first one. Where a wanted time was not reached, that is the end of the video.
        damage: "" or the first complaint of the demuxer or decoder.
        problems: after iteration, why nothing was yielded for a wanted time, by its index: Reject
            ``damaged``. Times behind the last frame are not among them.

    Args:
        path: the file.
        max_side_px: as for :func:`pipeline.video.container.open_video`.
        keep_damaged: whether damaged frames are yielded. Where the decoder makes none, it is
            a problem all the same.
    """

    def __init__(self, path: Path, max_side_px: int, *, keep_damaged: bool = False) -> None:
        self.path = path
        self.max_side_px = max_side_px
        self.problems: dict[int, Reject] = {}
        self._keep_damaged = keep_damaged
        self.end_s = 0.0
        self.damage = ""
        self.fell_back = False
        self._reformatter = VideoReformatter()

    def __enter__(self) -> Self:
        """Opens the file. Raises Reject as :func:`pipeline.video.container.open_video`."""
        self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the file."""
        self._container.close()

    def _open(self) -> None:
        self._complaints = complaints()[0]
        self._container, self._stream = open_video(self.path, self.max_side_px)
        self._crop = container_crop(self._container, self._stream)
        self._shape = self._stream.sample_aspect_ratio
        self._shapes_change = shapes_may_change(self._container)

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """Frames on screen at the times, in presentation order; each frame once.

        Times at or after the end of the last frame that can be decoded are never yielded. Reading
        stops after the last wanted frame.

        Args:
            times_s: seconds from the first frame, 0 or more, in any order.

        Raises:
            Reject: ``decode_error`` where no frame can be decoded or converted.
        """
        if not times_s:
            return
        tick_s = self._stream.time_base
        if tick_s is None:
            raise Reject("decode_error", "the stream has no time base")
        # Frames change at whole ticks, so that a fraction of one decides nothing.
        ticks = [math.floor(exact(t) / tick_s) for t in times_s]
        wanted = [Wanted(tick, i) for tick, i in sorted(zip(ticks, range(len(ticks)), strict=True))]
        left = set(range(len(ticks)))
        held: Shown | None = None
        skipper = self._skipper(wanted)
        if skipper.able:
            try:
                # One is held back: where the next cannot be decoded, it may be on screen at its
                # times.
                for shown in skipper.frames(self._sound_packets()):
                    if held:
                        left.difference_update(held.indices)
                        yield self._frame(held)
                    held = shown
                if held:
                    self.end_s = float(held.end * tick_s)
                    if held.indices:
                        yield self._frame(held)
                return
            except (Odd, av.error.FFmpegError):
                self._container.close()
                self._open()
        self.fell_back = True
        yield from self._everything(deque(w for w in wanted if w.index in left), tick_s)

    def _frame(self, shown: Shown) -> Frame:
        return Frame(shown.indices, shown.pts, self._rgb(shown.frame, self._shape))

    def _sound_packets(self) -> "Iterator[Packet[VideoStream]]":
        told = packets_and_complaints(self._container, self._stream, self._complaints)
        for packet, complaint in told:
            if complaint:
                raise Odd(complaint)
            yield packet

    def _skipper(self, wanted: Sequence[Wanted]) -> Skipper:
        return Skipper(
            self._stream,
            wanted,
            by_packet=by_packet(self._container),
            usual_duration=usual_duration(self._container, self._stream),
            pixel_shape=(self._shape or Fraction(1)) if self._shapes_change else None,
        )

    def _everything(self, wanted: deque[Wanted], tick_s: Fraction) -> Iterator[Frame]:
        """Frames at the wanted ticks, by decoding all."""
        decoded = False
        for span in spans(
            stamped_frames(self._container, self._stream, self._complaints, self._note)
        ):
            frame = span.shown.frame
            decoded = decoded or frame is not None
            self.end_s = float(span.end * tick_s)
            indices = []
            while wanted and wanted[0].tick < span.end:
                indices.append(wanted.popleft().index)
            if not indices:
                pass
            elif frame is None or (span.shown.damaged and not self._keep_damaged):
                self.problems.update(dict.fromkeys(indices, Reject("damaged", self.damage)))
            else:
                shape = span.shown.pixel_shape if self._shapes_change else self._shape
                size = square_size(frame.width, frame.height, shape)
                if max(size) > self.max_side_px:
                    told = f"{size[0]} x {size[1]} px; at most {self.max_side_px} a side"
                    self.problems.update(dict.fromkeys(indices, Reject("bad_dimensions", told)))
                else:
                    yield Frame(tuple(sorted(indices)), frame.pts or 0, self._rgb(frame, shape))
            if not wanted:
                return
        if not decoded:
            raise Reject("decode_error", self.damage or "the stream holds no picture")

    def _note(self, complaint: str) -> None:
        self.damage = self.damage or complaint

    def _rgb(self, frame: VideoFrame, shape: Fraction | None) -> NDArray[np.uint8]:
        width, height = square_size(frame.width, frame.height, shape)
        # From YUV to planes is the same arithmetic as to packed pixels, at twice the speed.
        planar = not frame.format.is_rgb
        try:
            rgb = self._reformatter.reformat(
                frame,
                width=width,
                height=height,
                format="gbrp" if planar else "rgb24",
                interpolation=_CONVERSION,
                threads=1,
            )
        except av.error.FFmpegError as error:
            raise Reject("decode_error", f"cannot convert {frame.format.name} to RGB") from error
        image = _merged(rgb) if planar else np.asarray(rgb.to_ndarray(), np.uint8)  # (H, W, 3)
        image = _cropped(image, self._crop, frame.width, frame.height)
        turn_deg, mirrored = display_turn(frame)
        if mirrored:
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        if turn_deg:
            image = np.asarray(cv2.rotate(image, _TURNS[turn_deg]), np.uint8)
        return np.ascontiguousarray(image)


def _cropped(
    image: NDArray[np.uint8], crop: Margins, width_px: int, height_px: int
) -> NDArray[np.uint8]:
    """A frame without its margins, which count in pixels of one of this size."""
    height, width = image.shape[:2]
    left, right = (round(side * width / width_px) for side in (crop.left, crop.right))
    top, bottom = (round(side * height / height_px) for side in (crop.top, crop.bottom))
    if left + right >= width or top + bottom >= height:
        return image
    return image[top : height - bottom, left : width - right]


def _merged(planar: VideoFrame) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) RGB of a frame whose planes are green, blue, red."""
    green, blue, red = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[
            :, : plane.width
        ]
        for plane in planar.planes
    )  # (H, W) each
    return np.asarray(cv2.merge([red, green, blue]), np.uint8)
