"""What the times in a container are worth: stamps of frames, their rate, their usual duration."""

import math
from fractions import Fraction

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream


def length_per_track(container: InputContainer) -> bool:
    """Whether a container holds a length for the frames alone. Elsewhere sound may be longer."""
    return container.format.name.startswith(("mov", "avi"))


def by_packet(container: InputContainer) -> bool:
    """Whether a container stores the order of its packets alone, and no times of frames.

    What FFmpeg reports as such in AVI and ASF is that order, or a guess from it, and durations are
    single ticks or none, while the packet that pushed a frame out runs in step with the frames.
    So the last frames of a stream whose frames are out of order have no times: they follow at
    the usual rate.
    """
    return container.format.name in ("avi", "asf")


class BestEffort:
    """Stamps of decoded frames by the rule of FFmpeg's ``best_effort_timestamp``.

    A frame has the time of its own packet, and that of the packet that pushed it out. The first
    counts, unless more of them than of the others have failed to ascend so far.
    """

    def __init__(self, container: InputContainer) -> None:
        self._by_packet = by_packet(container)
        self._last_own = self._last_pushed = -math.inf
        self._faulty_own = self._faulty_pushed = 0

    def stamp(self, frame: VideoFrame) -> int | None:
        """When the next frame in order is first shown, in ticks; None where nothing tells."""
        own, pushed = frame.pts, frame.dts
        if self._by_packet:
            return pushed
        if pushed is not None:
            self._faulty_pushed += pushed <= self._last_pushed
            self._last_pushed = pushed
        elif own is not None:
            self._last_pushed = own
        if own is not None:
            self._faulty_own += own <= self._last_own
            self._last_own = own
        elif pushed is not None:
            self._last_own = pushed
        if own is not None and (self._faulty_own <= self._faulty_pushed or pushed is None):
            return own
        return pushed


def average_rate(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Frames per second on average; None where nothing tells.

    Of AVI, FFmpeg's own average is the rate of ticks, of which a frame may take many.
    """
    if by_packet(container):
        return stream.guessed_rate or stream.average_rate
    return stream.average_rate or stream.guessed_rate


def usual_duration(container: InputContainer, stream: VideoStream) -> int:
    """Ticks that a frame lasts where nothing says so, at least 1."""
    rate, tick_s = average_rate(container, stream), stream.time_base
    return max(1, round(1 / (rate * tick_s))) if rate and tick_s else 1
