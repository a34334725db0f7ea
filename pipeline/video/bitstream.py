"""What single packets say about where decoding may start and what may be left out.

A container's keyframe flag is no promise: streams with intra refresh, and open groups of pictures,
carry it where frames still depend on earlier ones. So H.264, HEVC and MPEG-2 are looked into; a
packet's first units are read, never its frame.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.video.numbering import PictureNumbers
from pipeline.video.order import SliceOrder

_HEAD_BYTES = 1 << 16
"""Where the first slice has not begun by then, the packet is no place to start at."""
_START_CODE = b"\0\0\1"
_SEQUENCE_HEADER = b"\0\0\1\xb3"
_PICTURE_HEADER = b"\0\0\1\0"
_VOP_HEADER = b"\0\0\1\xb6"
_MPEG_B = 3

_H264_IDR, _H264_SLICES, _H264_PARAMETERS = 5, range(1, 6), {7, 8}
_H264_NEEDED = 0x60
"""Bits of ``nal_ref_idc``."""
_HEVC_NOT_NEEDED = range(0, 16, 2)
_HEVC_RANDOM_ACCESS, _HEVC_SLICES, _HEVC_PARAMETERS = range(16, 22), range(32), {33, 34}

_BY_FLAG = {"mpeg4", "vp8", "vp9", "av1", "mjpeg", "prores"}
"""Codecs in which a keyframe needs nothing before it. That the decoder takes the frame for one
too is checked when it comes."""
_SKIPS_UNREFERENCED = {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"}
"""Codecs whose decoders leave out frames that no other one needs, with no effect on the rest."""


IN_ORDER = {"vp8", "vp9", "av1"}
"""Codecs whose decoders give frames in the order of their packets."""
_AS_STORED = _BY_FLAG - {"mpeg4"}


@dataclass(frozen=True)
class Look:
    """What one packet is."""

    safe: bool
    """Decoding may start here, without anything before."""
    parameters: frozenset[int] = frozenset()
    """Kinds of parameter sets it carries (H.264, HEVC); later packets may need them."""
    layer: int = 0
    """Temporal layer (HEVC). A frame that its own layer does not need may be needed by another's,
    so that in streams of several layers none is left out."""
    shown: bool = True
    """As :func:`shows`."""
    needed_by_others: bool = True
    """False where no other frame refers to this one; True also where that is not known."""
    missing: bool = False
    """Whether one is missing that this or the one stored before may refer to (MPEG-1, MPEG-2)."""
    place: int | None = None
    """In the order of showing (H.264, HEVC), counted from where decoding could start last; None
    where it is not known."""


class Looker:
    """Looks at the packets of one stream.

    Attributes:
        known: False for codecs of which nothing is known; every packet would be unsafe.
        skips_unreferenced: whether the decoder leaves out unneeded frames exactly.
        needed: kinds of parameter sets that a packet carries where it brings all of them.
    """

    def __init__(self, stream: VideoStream) -> None:
        context = stream.codec_context
        codec = context.codec.canonical_name
        extra = context.extradata or b""
        self._codec = codec
        self._stream = stream
        self._length_bytes = _length_bytes(codec, extra)
        self._order = SliceOrder(codec, extra) if codec in ("h264", "hevc") else None
        self._numbers = PictureNumbers(reorders=bool(stream.has_b_frames))
        self.known = codec in _BY_FLAG or codec in _SKIPS_UNREFERENCED
        self.skips_unreferenced = codec in _SKIPS_UNREFERENCED
        self.needed = frozenset(
            {"h264": _H264_PARAMETERS, "hevc": _HEVC_PARAMETERS}.get(codec, set())
        )

    nothing = Look(False)

    def look(self, packet: "Packet[VideoStream]") -> Look:
        """Reads the head of a packet."""
        if self._order:
            return (self._h264 if self._codec == "h264" else self._hevc)(packet, self._order)
        if self._codec in ("mpeg1video", "mpeg2video"):
            # Without its sequence header, a frame would take the tables of another part.
            head = self._head(packet)
            safe = packet.is_keyframe and head[:4] == _SEQUENCE_HEADER
            needed = mpeg2_type(head) != _MPEG_B
            return Look(safe, needed_by_others=needed, missing=self._numbers.missing(head))
        safe = packet.is_keyframe and self._codec in _BY_FLAG
        needed = self._codec != "mpeg4" or mpeg4_type(self._head(packet)) != _MPEG_B
        return Look(safe, shown=shows(self._codec, packet), needed_by_others=needed)

    def tells_order(self, stamps: Sequence[int], looks: Sequence[Look]) -> bool:
        """Whether the stamps of packets can be those of their frames, as far as one can see.

        Args:
            stamps: of the packets of one part of the stream, in order of storing, from where
                decoding may start.
            looks: at each.
        """
        if self._order:
            return _ascend(stamps, looks)
        reorders = self._stream.has_b_frames and self._codec not in _AS_STORED
        if not reorders:
            return all(a <= b for a, b in pairwise(stamps))
        shown: list[int] = []
        anchor: list[int] = []
        for stamp, look in zip(stamps, looks, strict=True):
            if look.needed_by_others:
                shown += anchor
                anchor = [stamp]
            else:
                shown.append(stamp)
        return all(a < b for a, b in pairwise(shown + anchor))

    def _h264(self, packet: "Packet[VideoStream]", order: SliceOrder) -> Look:
        found: set[int] = set()
        data = self._head(packet)
        for at in _units(data, self._length_bytes):
            kind = data[at] & 0x1F
            if kind in _H264_SLICES:
                needed, place = bool(data[at] & _H264_NEEDED), order.place(data[at:])
                safe = kind == _H264_IDR
                return Look(safe, frozenset(found), needed_by_others=needed, place=place)
            if kind in _H264_PARAMETERS:
                found.add(kind)
                order.parameters(data[at:])
        return Look(False, frozenset(found))

    def _hevc(self, packet: "Packet[VideoStream]", order: SliceOrder) -> Look:
        found: set[int] = set()
        data = self._head(packet)
        for at in _units(data, self._length_bytes):
            kind = data[at] >> 1 & 0x3F
            if kind in _HEVC_SLICES:
                layer = max(0, (data[at + 1] & 7) - 1)
                needed = kind not in _HEVC_NOT_NEEDED
                safe = kind in _HEVC_RANDOM_ACCESS
                place = order.place(data[at:])
                return Look(safe, frozenset(found), layer, needed_by_others=needed, place=place)
            if kind in _HEVC_PARAMETERS:
                found.add(kind)
                order.parameters(data[at:])
        return Look(False, frozenset(found))

    def _head(self, packet: "Packet[VideoStream]") -> bytes:
        return bytes(memoryview(packet)[:_HEAD_BYTES])


def shows(codec: str, packet: "Packet[Any]") -> bool:
    """Whether a packet holds a frame that is shown; VP8 has some that others only refer to."""
    return codec != "vp8" or bool(memoryview(packet)[0] >> 4 & 1)


def mpeg2_type(head: bytes) -> int:
    """Type of an MPEG-1 or MPEG-2 frame: 1 I, 2 P, 3 B; 0 where its header is not found."""
    at = head.find(_PICTURE_HEADER)
    return head[at + 5] >> 3 & 7 if 0 <= at < len(head) - 5 else 0


def mpeg4_type(head: bytes) -> int:
    """Type of an MPEG-4 frame as of :func:`mpeg2_type`; 4 where it moves as a whole (S)."""
    at = head.find(_VOP_HEADER)
    return (head[at + 4] >> 6) + 1 if 0 <= at < len(head) - 4 else 0


def _ascend(stamps: Sequence[int], looks: Sequence[Look]) -> bool:
    """Whether stamps have the order that the frames tell of themselves."""
    start = 0
    order: list[tuple[int, int, int]] = []
    for stamp, look in zip(stamps, looks, strict=True):
        start += look.safe
        if look.place is None:
            return False
        order.append((stamp, start, look.place))
    order.sort()
    return all(a[0] < b[0] and a[1:] < b[1:] for a, b in pairwise(order))


def _length_bytes(codec: str, extra: bytes) -> int:
    """Bytes of the length before each unit; 0 where start codes separate them."""
    at = {"h264": 4, "hevc": 21}.get(codec)
    if at is None or len(extra) <= at or extra[:3] in (b"\0\0\0", _START_CODE):
        return 0
    return (extra[at] & 3) + 1


def _units(data: bytes, length_bytes: int) -> Iterator[int]:
    """Offsets of the first byte (of at least two) of each unit in the head of a packet."""
    at = 0
    while at + length_bytes + 1 < len(data):
        if length_bytes:
            size = int.from_bytes(data[at : at + length_bytes], "big")
            yield at + length_bytes
            at += length_bytes + size
        else:
            found = data.find(_START_CODE, at)
            if found < 0 or found + 4 >= len(data):
                return
            yield found + 3
            at = found + 3
