"""Decoding only what wanted frames need, in one pass over the file and without seeking.

The packets are cut into segments at the points where decoding may start. A segment with nothing
wanted is passed by, one with something wanted is decoded from its start to its last wanted frame,
and frames that no other one needs are left out on the way. What comes out is what decoding
everything gives, frame for frame; where that is in doubt, :class:`Odd` is raised and the caller
decodes everything instead.
"""

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, pairwise

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.video.bitstream import Look, Looker
from pipeline.video.container import complaints

MAX_SEGMENT_BYTES = 128 << 20
"""Two segments are held in memory. Where one is longer, everything is decoded instead."""


class Odd(Exception):  # noqa: N818 - nobody's error: the other way of decoding is taken
    """The stream is not what this way of decoding relies on."""


@dataclass(frozen=True)
class Wanted:
    """A wanted time, in whole ticks from the first frame, and its index among the wanted ones."""

    tick: int
    index: int


@dataclass(frozen=True)
class Shown:
    """A frame and the wanted times it is on screen at; none for the last one, where it ended."""

    pts: int
    end: int
    """When it leaves the screen, in ticks from the first frame."""
    indices: tuple[int, ...]
    frame: VideoFrame


@dataclass(frozen=True)
class _Expected:
    """A frame that has to come out of the decoder next."""

    stamp: int
    end: int | None
    """None: it is the last of the file."""
    wanted: Sequence[Wanted]
    key: bool


@dataclass
class _Segment:
    """Packets in order of decoding; decoding may start at the first."""

    packets: "list[Packet[VideoStream]]" = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    """Stamps of the frames that are shown; sorted once the segment is whole."""
    size: int = 0

    def add(self, packet: "Packet[VideoStream]", stamp: int, look: Look) -> None:
        self.packets.append(packet)
        self.stamps.append(stamp)
        self.looks.append(look)
        if look.shown and not packet.is_discard:
            self.shown.append(stamp)
        self.size += packet.size

    def close(self) -> "_Segment":
        self.shown.sort()
        if any(a == b for a, b in pairwise(self.shown)):
            raise Odd("two frames at the same time")
        return self


class Skipper:
    """Decodes the wanted frames of a stream that nothing has been read from yet.

    Args:
        stream: the stream; its decoder must work in one thread.
        wanted: ascending by tick.
        by_packet: whether only the order of packets tells times (AVI, ASF).
        usual_duration: ticks that a frame lasts where nothing says so.
        pixel_shape: what the decoder has to tell at every frame; None where it does not matter.
    """

    def __init__(
        self,
        stream: VideoStream,
        wanted: Sequence[Wanted],
        *,
        by_packet: bool,
        usual_duration: int,
        pixel_shape: Fraction | None = None,
    ) -> None:
        self._stream = stream
        self._context = stream.codec_context
        self._wanted = wanted
        self._by_packet = by_packet
        self._usual = usual_duration
        self._pixel_shape = pixel_shape
        self._looker = Looker(stream)
        self._complaints = complaints()[0]
        self._first = 0
        self._expected: deque[_Expected] = deque()
        self._newest: float = -math.inf
        self._in_step = False  # the decoder has been given everything up to here
        self._lost_parameters = False

    @property
    def able(self) -> bool:
        """Whether the stream is of a kind that can be decoded in part.

        Not where nothing is known of the codec, nor where frames are out of order (B) in a
        container that stores no times to order them by.
        """
        return self._looker.known and not (self._by_packet and self._stream.has_b_frames)

    def frames(self, packets: "Iterable[Packet[VideoStream]]") -> Iterator[Shown]:
        """Wanted frames in order of presentation; stops reading after the last.

        Raises:
            Odd: what was given out is right; the rest has to be decoded in another way.
            av.error.FFmpegError: the same.
        """
        assigned = 0
        beginning = True
        for current, following in pairwise(chain(self._segments(packets), [None])):
            if current is None:
                break
            if following and current.shown[-1] >= following.shown[0]:
                raise Odd("time stamps run backwards")
            if beginning:
                self._first = current.shown[0]
            targets: dict[int, list[Wanted]] = {}
            while assigned < len(self._wanted):
                at = self._first + self._wanted[assigned].tick
                if following and at >= following.shown[0]:
                    break
                stamp = current.shown[bisect_right(current.shown, at) - 1]
                targets.setdefault(stamp, []).append(self._wanted[assigned])
                assigned += 1
            if beginning:
                targets.setdefault(self._first, [])
            leads_on = self._wants_leading(following, assigned)
            if targets or leads_on:
                yield from self._decode(current, following, targets, leads_on)
            else:
                yield from self._leave(current)
            beginning = False
            if assigned == len(self._wanted):
                break
        if beginning:
            raise Odd("nothing is shown")
        yield from self._drain()

    def _segments(self, packets: "Iterable[Packet[VideoStream]]") -> Iterator[_Segment]:
        segment = _Segment()
        for packet in packets:
            if not packet.size:
                continue
            stamp = packet.dts if self._by_packet else packet.pts
            if stamp is None or packet.is_corrupt or packet.has_sidedata("new_extradata"):
                raise Odd("a packet without a time, damaged, or with a new header")
            look = self._looker.look(packet)
            if look.missing:
                raise Odd("a picture is missing")
            if look.safe and segment.shown:
                yield self._closed(segment)
                segment = _Segment()
            elif not look.safe and not segment.packets:
                raise Odd("the stream starts where decoding may not")
            segment.add(packet, stamp, look)
            if segment.size > MAX_SEGMENT_BYTES:
                raise Odd("too much between two points to start at")
        if segment.shown:
            yield self._closed(segment)

    def _closed(self, segment: _Segment) -> _Segment:
        """Checks that the times of a segment can be those of its frames.

        A container may have taken the order of storing for that of showing. FFmpeg notices when
        frames come out; what was passed by has to be told by its packets.
        """
        if not self._looker.tells_order(segment.stamps, segment.looks):
            raise Odd("the times of packets are not those of their frames")
        return segment.close()

    def _wants_leading(self, following: _Segment | None, assigned: int) -> bool:
        """Whether a frame is wanted that is stored behind the next start, but shown before it.

        Such frames may depend on what is stored before.
        """
        if following is None or assigned == len(self._wanted):
            return False
        at = self._first + self._wanted[assigned].tick
        key = following.stamps[0]
        return following.shown[0] < key and at < key

    def _decode(
        self,
        segment: _Segment,
        following: _Segment | None,
        targets: dict[int, list[Wanted]],
        leads_on: bool,
    ) -> Iterator[Shown]:
        if not self._in_step and self._lost_parameters:
            if not self._looker.needed <= segment.looks[0].parameters:
                raise Odd("parameters of the decoder may have been passed by")
            self._lost_parameters = False
        self._expect(segment, following, targets)
        last = max(segment.stamps.index(stamp) for stamp in targets) if targets else 0
        if leads_on:
            last = len(segment.packets) - 1
        droppable = self._looker.skips_unreferenced and not any(k.layer for k in segment.looks)
        for index in range(last + 1):
            stamp = segment.stamps[index]
            drop = droppable and index and stamp not in targets
            self._context.skip_frame = "NONREF" if drop else "DEFAULT"
            yield from self._given(segment.packets[index])
        self._in_step = last == len(segment.packets) - 1
        if not self._in_step:
            self._lost_parameters |= any(k.parameters for k in segment.looks[last + 1 :])
            yield from self._drain()

    def _expect(
        self, segment: _Segment, following: _Segment | None, targets: dict[int, list[Wanted]]
    ) -> None:
        key = segment.stamps[0]
        after = following.shown[:1] if following else []
        ends = dict(zip(segment.shown, [*segment.shown[1:], *after], strict=False))
        checked = {key} & set(segment.shown)
        for stamp in sorted(checked | set(targets)):
            wanted = targets.get(stamp, [])
            self._expected.append(_Expected(stamp, ends.get(stamp), wanted, stamp == key))

    def _leave(self, segment: _Segment) -> Iterator[Shown]:
        """Passes a segment by."""
        yield from self._drain()
        self._lost_parameters |= any(look.parameters for look in segment.looks)

    def _drain(self) -> Iterator[Shown]:
        """Takes what is left out of the decoder, which may then start anywhere."""
        yield from self._given(None)
        self._context.flush_buffers()
        self._in_step = False
        if self._expected:
            raise Odd("a frame did not come")

    def _given(self, packet: "Packet[VideoStream] | None") -> Iterator[Shown]:
        frames = self._context.decode(packet)
        if complaints()[0] > self._complaints:
            raise Odd("the decoder complains")
        if self._pixel_shape and (self._context.sample_aspect_ratio or 1) != self._pixel_shape:
            raise Odd("the shape of pixels changes")
        for frame in frames:
            stamp = frame.dts if self._by_packet else frame.pts
            if stamp is None or frame.is_corrupt:
                raise Odd("a frame without a time, or a damaged one")
            if stamp <= self._newest:
                raise Odd("frames come in another order than their times")
            self._newest = stamp
            if not self._expected or stamp < self._expected[0].stamp:
                continue
            expected = self._expected.popleft()
            if stamp != expected.stamp or (expected.key and not frame.key_frame):
                raise Odd("another frame came than its packet promised")
            yield from self._shown(expected, frame)

    def _shown(self, expected: _Expected, frame: VideoFrame) -> Iterator[Shown]:
        end = expected.end
        if end is None:
            own = 0 if self._by_packet else frame.duration
            end = expected.stamp + (own or self._usual)
        ticks = end - self._first
        indices = tuple(sorted(w.index for w in expected.wanted if w.tick < ticks))
        if expected.wanted:
            yield Shown(expected.stamp, ticks, indices, frame)
