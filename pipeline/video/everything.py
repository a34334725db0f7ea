"""Decoding all frames of a stream in order, told which of them are damaged.

A decoder that meets damage patches the frame up, and what refers to it inherits the patch. So a
frame is damaged from the first complaint of its stream to the next frame that decoding may
start at and that came without one. A complaint about a frame that no other one needs costs that
frame alone; then nothing depends on whether it was left out.
"""

import re
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from pipeline.video.bitstream import IN_ORDER, Looker
from pipeline.video.complaints import packets_and_complaints
from pipeline.video.container import complaints
from pipeline.video.stamps import BestEffort, by_packet, usual_duration

_MARKS_WHOLE = "mpegts"
"""Its packets before a joint carry the mark "corrupt" though they are whole."""
_OTHER_STREAM = re.compile(r"stream (\d+)")


@dataclass(frozen=True)
class Decoded:
    """A position in a stream at which a frame is shown."""

    frame: VideoFrame | None
    """None where the packet is there, but the decoder made no frame of it."""
    damaged: bool
    """As the module says; always where there is no frame."""
    pixel_shape: Fraction | None = None
    """Width of a coded pixel over its height as the stream tells; None where it does not."""


def stamped_frames(
    container: InputContainer, stream: VideoStream, known: int, note: Callable[[str], object]
) -> Iterator[tuple[int, int, Decoded]]:
    """Decodes everything that can be decoded, in order of presentation.

    Args:
        container: an open container that nothing has been read from.
        stream: its stream; the decoder must work in one thread.
        known: how many complaints there were before the file was opened.
        note: is told every further complaint of the demuxer or decoder.

    Returns:
        Tick, duration in ticks and frame; the frame's ``pts`` is set to the tick.
    """
    usual, in_order = usual_duration(container, stream), by_packet(container)
    best = BestEffort(container)
    following = 0
    latest: int | None = None
    damage = _Damage(container, stream, usual)
    for frame, shape in _frames(container, stream, known, note, damage):
        stamp = best.stamp(frame)
        at = following if stamp is None else stamp
        damaged = damage.has(frame)
        for lost in damage.lost_before(at):
            if latest is not None and lost > latest:
                latest = lost
                yield lost, usual, Decoded(None, True)
        if latest is not None and at < latest:
            note("time stamps run backwards")
            continue
        duration = usual if in_order else frame.duration or usual
        latest, following = at, at + duration
        frame.pts = at
        yield at, duration, Decoded(frame, damaged, shape)
    for lost in damage.lost_before(None):
        if latest is not None and lost > latest:
            latest = lost
            yield lost, usual, Decoded(None, True)


def _frames(
    container: InputContainer,
    stream: VideoStream,
    known: int,
    note: Callable[[str], object],
    damage: "_Damage",
) -> Iterator[tuple[VideoFrame, Fraction | None]]:
    """Frames, and the shape of pixels that held when their packets were decoded."""

    def complained(before: int) -> bool:
        count, last = complaints()
        if count > before:
            note(last)
        return count > before

    marks_whole = container.format.name == _MARKS_WHOLE
    stream.codec_context.copy_opaque = True
    index, from_index, shapes = -1, [-1], [stream.codec_context.sample_aspect_ratio]
    try:
        for packet, of_demuxer in packets_and_complaints(container, stream, known):
            known = complaints()[0]
            if of_demuxer:
                note(of_demuxer)
            frames: list[VideoFrame] = []
            if damage.next(packet):
                note("a picture is missing")
            index += bool(packet.size)
            if packet.is_corrupt and not marks_whole:
                note("a packet is not whole")
                damage.met()
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                note(error.strerror or str(error))
                damage.met()
            if complained(known):
                damage.met()
            elif of_demuxer:
                damage.met_before(of_demuxer)
            known = complaints()[0]
            shape = stream.codec_context.sample_aspect_ratio
            if shape != shapes[-1]:
                from_index.append(index)
                shapes.append(shape)
            for frame in frames:
                of = frame.opaque if isinstance(frame.opaque, int) else index
                yield frame, shapes[bisect_right(from_index, of) - 1]
    except av.error.FFmpegError as error:
        complained(known)
        note(error.strerror or str(error))


class _Damage:
    """Follows the packets and frames of one stream, and where its decoder complained."""

    def __init__(self, container: InputContainer, stream: VideoStream, usual: int) -> None:
        codec = stream.codec_context.codec.canonical_name
        self._demuxer, self._codec, self._index = container.format.name, codec, stream.index
        self._looker = Looker(stream)
        self._in_order = by_packet(container)
        self._packet_index = -1
        self._look = self._looker.nothing
        self._stamp: int | None = None
        self._usual = usual
        self._end = 0
        self._newest = -1
        self._start_stamp: int | None = None
        self._starts: dict[int, bool] = {}
        self._spreading: list[int] = []
        self._alone: set[int] = set()
        self._clean_start = -1
        self._awaited: dict[int, int] = {}

    def next(self, packet: "Packet[VideoStream]") -> bool:
        """Is told each packet before it is decoded; whether something is missing before it."""
        if not packet.size:
            self._stamp = None
            return False
        if self._stamp is not None:
            self._end = max(self._end, self._stamp + self._usual)
        self._packet_index += 1
        packet.opaque = self._packet_index
        self._look = self._looker.look(packet)
        shown = self._look.shown and not packet.is_discard
        stamp = packet.dts if self._in_order else packet.pts
        self._stamp = stamp if shown else None
        if self._look.safe:
            self._starts[self._packet_index] = True
            self._start_stamp = stamp
        if self._spreading and self._stamp is not None:
            self._awaited[self._packet_index] = self._stamp
        if self._look.missing and self._packet_index - 1 not in self._spreading:
            insort(self._spreading, self._packet_index - 1)
        return self._look.missing

    def met(self) -> None:
        """The decoder complained about the packet told last."""
        if self._packet_index in self._spreading or self._packet_index in self._alone:
            return
        self._starts.pop(self._packet_index, None)
        # What is stored behind a start, but shown before it, is needed by nothing behind that.
        stamps = self._stamp, self._start_stamp
        leading = stamps[0] is not None and stamps[1] is not None and stamps[0] < stamps[1]
        if self._look.needed_by_others and not leading:
            self._spreading.append(self._packet_index)
        else:
            self._alone.add(self._packet_index)
        if self._stamp is not None:
            self._awaited[self._packet_index] = self._stamp

    def met_before(self, complaint: str) -> None:
        """The demuxer complained on its way to the packet told last: something may be missing.

        What was shown last does not stay on screen then.
        """
        source, _, text = complaint.partition(": ")
        other = _OTHER_STREAM.search(text)
        of_another = other is not None and int(other[1]) != self._index
        if source not in (self._demuxer, self._codec) or of_another:
            return
        self._awaited[-1] = self._end
        if not self._look.safe:
            self.met()

    def has(self, frame: VideoFrame) -> bool:
        """Whether a frame is damaged; to be asked of each, in order of presentation."""
        index = frame.opaque if isinstance(frame.opaque, int) else self._packet_index
        self._awaited.pop(index, None)
        if self._codec in IN_ORDER and index <= self._newest:
            self.met()  # an old frame came for a new packet
        self._newest = max(self._newest, index)
        if frame.is_corrupt and index not in self._alone and index not in self._spreading:
            insort(self._spreading, index)
        start = self._starts.pop(index, False) or (
            not self._looker.known and frame.key_frame and frame.pict_type == PictureType.I
        )
        if start and index not in self._spreading:
            self._clean_start = max(self._clean_start, index)
        before = bisect_right(self._spreading, index)
        return index in self._alone or (
            before > 0 and self._spreading[before - 1] > self._clean_start
        )

    def lost_before(self, at: int | None) -> list[int]:
        """Stamps, in order, of packets whose frames would have come before a tick; each once."""
        lost = sorted((s, index) for index, s in self._awaited.items() if at is None or s < at)
        for _, index in lost:
            del self._awaited[index]
        return [stamp for stamp, _ in lost]
