"""The pictures that are on screen at given times, exactly, in one pass over the file.

Time counts from the first picture shown. At time t the picture on screen is the last one whose
presentation time is at most t; the last picture of a video ends with its duration. All comparisons
are in whole ticks of the stream or fractions of them, so frame rates such as 30000/1001, variable
frame rates, edit lists and streams that start late need no special case.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

import av.error
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from pipeline.errors import Reject
from pipeline.video.plan import exact
from pipeline.video.probe import complaints, display_turn, open_video, packets

# ACCURATE_RND and BITEXACT make swscale's output the same with and without SIMD. Full chroma takes
# the path that rounds: the short cut otherwise taken darkens limited-range video, and only that, by
# up to two levels, which would let a detector see how a file was encoded.
_CONVERSION = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
)

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture and the wanted times it is on screen at."""

    samples: tuple[int, ...]
    """Places in the sequence of wanted times, ascending."""
    pts: int
    """Presentation time stamp in ticks of the stream."""
    image: NDArray[np.uint8]
    """uint8 (H, W, 3) RGB, turned for display, contiguous."""


@dataclass(frozen=True)
class Span(Generic[_T]):
    """What is on screen in the ticks [start, end), counted from the first picture."""

    start: int
    end: int
    shown: _T


class VideoReader:
    """Reads one video file from its start to the last picture wanted.

    Use as a context manager; :meth:`pictures_at` may be called once. Decoding is single-threaded:
    one process per core is faster than threads in one process.

    Attributes:
        end_s: after iteration, when the last picture read leaves the screen, in seconds from the
            first one. Where a wanted time was not reached, that is the end of the video.
        damage: "" or the first complaint of the demuxer or decoder.
    """

    def __init__(self, path: Path, max_side_px: int) -> None:
        self.path = path
        self.max_side_px = max_side_px
        self.end_s = 0.0
        self.damage = ""
        self._reformatter = VideoReformatter()

    def __enter__(self) -> Self:
        """Opens the file. Raises Reject as :func:`pipeline.video.probe.open_video`."""
        self._complaints = complaints()[0]
        self._container, self._stream = open_video(self.path, self.max_side_px)
        self._stream.codec_context.thread_count = 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the file."""
        self._container.close()

    def pictures_at(self, times_s: Sequence[float]) -> Iterator[Picture]:
        """Pictures on screen at the times, in presentation order; each picture once.

        Times at or after the end of the last picture that can be decoded are never yielded. Reading
        stops after the last wanted picture.

        Args:
            times_s: seconds from the first picture, 0 or more, in any order.

        Raises:
            Reject: ``decode_error`` where no picture can be decoded or converted.
        """
        if not times_s:
            return
        tick_s = self._stream.time_base
        if tick_s is None:
            raise Reject("decode_error", "the stream has no time base")
        wanted = deque(sorted((exact(t) / tick_s, i) for i, t in enumerate(times_s)))
        decoded = False
        for span in spans(self._stamped()):
            decoded = True
            self.end_s = float(span.end * tick_s)
            samples = []
            while wanted and wanted[0][0] < span.end:
                samples.append(wanted.popleft()[1])
            if samples:
                pts = span.shown.pts or 0
                yield Picture(tuple(sorted(samples)), pts, self._rgb(span.shown))
            if not wanted:
                return
        if not decoded:
            raise Reject("decode_error", self.damage or "the stream holds no picture")

    def _stamped(self) -> Iterator[tuple[int, int, VideoFrame]]:
        """Tick, duration in ticks and picture, in the order the decoder shows them."""
        usual = self._usual_duration()
        # AVI stores no presentation times: what FFmpeg reports as such is the order of the packets,
        # while the packet that pushed a picture out runs in step with the pictures.
        by_packet = self._container.format.name == "avi"
        following = 0
        latest = None
        for frame in self._frames():
            stamp = frame.dts if by_packet else frame.pts
            at = following if stamp is None else stamp
            if latest is not None and at < latest:
                self._note("time stamps run backwards")
                continue
            duration = frame.duration or usual
            latest, following = at, at + duration
            frame.pts = at
            yield at, duration, frame

    def _usual_duration(self) -> int:
        rate, tick_s = self._stream.average_rate, self._stream.time_base
        return max(1, round(1 / (rate * tick_s))) if rate and tick_s else 1

    def _frames(self) -> Iterator[VideoFrame]:
        """Everything that can be decoded, in presentation order; complaints are noted."""
        try:
            for packet in packets(self._container, self._stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError as error:
                    self._note(error.strerror or str(error))
                    continue
                count, last = complaints()
                if count > self._complaints:
                    self._note(last)
                    self._complaints = count
                yield from frames
        except av.error.FFmpegError as error:
            self._note(error.strerror or str(error))

    def _note(self, complaint: str) -> None:
        self.damage = self.damage or complaint

    def _rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        try:
            rgb = self._reformatter.reformat(
                frame, format="rgb24", interpolation=_CONVERSION, threads=1
            )
        except av.error.FFmpegError as error:
            raise Reject("decode_error", f"cannot convert {frame.format.name} to RGB") from error
        image = np.asarray(rgb.to_ndarray(), np.uint8)  # (H, W, 3)
        turn_deg, mirrored = display_turn(frame)
        if mirrored:
            image = image[:, ::-1]
        return np.ascontiguousarray(np.rot90(image, -turn_deg // 90))


def spans(stamped: Iterable[tuple[int, int, _T]]) -> Iterator[Span[_T]]:
    """From stamps to spans: each picture stays until the next one comes, the last for its duration.

    Args:
        stamped: tick, duration in ticks, picture; ticks never descend. A picture that the next one
            replaces in the same tick has an empty span.
    """
    first = 0
    held: tuple[int, int, _T] | None = None
    for stamp in stamped:
        if held is None:
            first = stamp[0]
        else:
            yield Span(held[0] - first, stamp[0] - first, held[2])
        held = stamp
    if held is not None:
        at, duration, shown = held
        yield Span(at - first, at + duration - first, shown)
