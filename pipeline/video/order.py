"""The order in which frames of H.264 and HEVC are shown, from the first bits of their slices.

Each slice tells its frame's place (the picture order count, of which the last bits are stored),
and the sets of parameters tell how many bits that are. Stamps of a container may tell another
order; the decoder follows this one. (ITU-T H.264, 7.3 and 8.2.1; H.265, 7.3 and 8.3.1)
"""

from typing import NamedTuple

_PARAMETER_BYTES = 4096
_SLICE_BYTES = 64
_H264_HIGH = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_H264_IDR, _H264_SPS, _H264_PPS = 5, 7, 8
_HEVC_IDR, _HEVC_SPS, _HEVC_PPS = (19, 20), 33, 34
_HEVC_RANDOM_ACCESS, _HEVC_STARTS = range(16, 24), range(16, 22)
_HEVC_LEADING, _HEVC_NOT_NEEDED = range(6, 10), range(0, 16, 2)


class _Bits:
    """Reads numbers from the start of a unit."""

    def __init__(self, data: bytes) -> None:
        data = data.replace(b"\0\0\3", b"\0\0")  # the 3 keeps start codes out of the content
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("the unit ends")
        return self._value >> self._left & (1 << count) - 1

    def golomb(self) -> int:
        """An Exp-Golomb code without sign."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def skip_golombs(self, count: int) -> None:
        for _ in range(count):
            self.golomb()


class _Sequence(NamedTuple):
    """What slices need of a set of parameters of a sequence."""

    place_bits: int
    """0 where frames are shown as they are stored (H.264)."""
    number_bits: int
    """Of ``frame_num`` (H.264)."""
    frames_only: bool
    planes_apart: bool


class _PictureParameters(NamedTuple):
    """What slices need of a picture parameter set."""

    sequence: int
    output_flag: bool
    extra_bits: int


class SliceOrder:
    """Follows the units of one stream.

    Args:
        codec: ``h264`` or ``hevc``.
        extra: the stream's header; its sets of parameters hold until others come.
    """

    def __init__(self, codec: str, extra: bytes) -> None:
        self._hevc = codec == "hevc"
        self._sequences: dict[int, _Sequence] = {}
        self._picture_parameters: dict[int, _PictureParameters] = {}
        self._before = self._place = 0
        for unit in _header_units(extra, hevc=self._hevc):
            self.parameters(unit)

    def parameters(self, unit: bytes) -> None:
        """Is told each set of parameters (from its header on; more may follow) in order."""
        kind = unit[0] >> 1 & 0x3F if self._hevc else unit[0] & 0x1F
        bits = _Bits(unit[2 if self._hevc else 1 : _PARAMETER_BYTES])
        try:
            if kind == (_HEVC_SPS if self._hevc else _H264_SPS):
                number, sequence = (_hevc_sequence if self._hevc else _h264_sequence)(bits)
                self._sequences[number] = sequence
            elif kind == (_HEVC_PPS if self._hevc else _H264_PPS):
                number, of = bits.golomb(), bits.golomb()
                bits.read(1)
                self._picture_parameters[number] = _PictureParameters(
                    of, bool(bits.read(1)), bits.read(3)
                )
        except ValueError:
            # One that is not understood, or in its place an older one that does not hold.
            self._sequences.clear()

    def place(self, unit: bytes) -> int | None:
        """Place of a frame among those since decoding could start last.

        Args:
            unit: first slice of the frame, from its header on; more may follow.

        Returns:
            Only the order counts; None where it is not known.
        """
        try:
            return self._hevc_place(unit) if self._hevc else self._h264_place(unit)
        except (ValueError, KeyError):
            return None

    def _h264_place(self, unit: bytes) -> int:
        kind, needed = unit[0] & 0x1F, unit[0] & 0x60
        bits = _Bits(unit[1:_SLICE_BYTES])
        bits.skip_golombs(2)
        sequence = self._sequences[self._picture_parameters[bits.golomb()].sequence]
        bits.read(2 * sequence.planes_apart + sequence.number_bits)
        if not sequence.frames_only and bits.read(1):
            bits.read(1)
        if kind == _H264_IDR:
            bits.golomb()
            self._before = 0
        if not sequence.place_bits:
            self._before += 1
            return self._before
        place = _nearest(bits.read(sequence.place_bits), sequence.place_bits, self._before)
        if needed:
            self._before = place
        return place

    def _hevc_place(self, unit: bytes) -> int:
        kind, layer = unit[0] >> 1 & 0x3F, unit[1] & 7
        bits = _Bits(unit[2:_SLICE_BYTES])
        bits.read(2 if kind in _HEVC_RANDOM_ACCESS else 1)
        parameters = self._picture_parameters[bits.golomb()]
        sequence = self._sequences[parameters.sequence]
        bits.read(parameters.extra_bits)
        bits.golomb()
        bits.read(parameters.output_flag + 2 * sequence.planes_apart)
        stored = 0 if kind in _HEVC_IDR else bits.read(sequence.place_bits)
        starts = kind in _HEVC_STARTS
        place = stored if starts else _nearest(stored, sequence.place_bits, self._before)
        if layer == 1 and kind not in _HEVC_LEADING and kind not in _HEVC_NOT_NEEDED:
            self._before = place
        return place


def _nearest(stored: int, bits: int, before: int) -> int:
    """The number with these last bits that is nearest to another one."""
    size = 1 << bits
    away = (stored - before) % size
    return before + (away if away < size // 2 else away - size)


def _h264_sequence(bits: _Bits) -> tuple[int, _Sequence]:
    profile = bits.read(8)
    bits.read(16)
    number, planes_apart = bits.golomb(), False
    if profile in _H264_HIGH:
        chroma = bits.golomb()
        planes_apart = chroma == 3 and bool(bits.read(1))
        bits.skip_golombs(2)
        bits.read(1)
        if bits.read(1):
            for size in (16,) * 6 + (64,) * (6 if chroma == 3 else 2):
                _skip_scaling(bits, size)
    number_bits, kind, place_bits = bits.golomb() + 4, bits.golomb(), 0
    if kind == 0:
        place_bits = bits.golomb() + 4
    elif kind != 2:
        raise ValueError("an order by cycles, which few streams have")
    bits.golomb()
    bits.read(1)
    bits.skip_golombs(2)
    return number, _Sequence(place_bits, number_bits, bool(bits.read(1)), planes_apart)


def _skip_scaling(bits: _Bits, size: int) -> None:
    if not bits.read(1):
        return
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.golomb()
            following = (last + ((code + 1) // 2 if code % 2 else -(code // 2))) % 256
        last = following or last


def _hevc_sequence(bits: _Bits) -> tuple[int, _Sequence]:
    bits.read(4)
    layers = bits.read(3)
    bits.read(1 + 96)
    present = [(bits.read(1), bits.read(1)) for _ in range(layers)]
    if layers:
        bits.read(2 * (8 - layers))
    for profile, level in present:
        bits.read(88 * profile + 8 * level)
    number, chroma = bits.golomb(), bits.golomb()
    planes_apart = chroma == 3 and bool(bits.read(1))
    bits.skip_golombs(2)
    if bits.read(1):
        bits.skip_golombs(4)
    bits.skip_golombs(2)
    return number, _Sequence(bits.golomb() + 4, 0, frames_only=True, planes_apart=planes_apart)


def _header_units(extra: bytes, *, hevc: bool) -> list[bytes]:
    """Units of a header: behind start codes, or as MP4, Matroska and FLV list them."""
    if extra[:1] != b"\1":
        return [unit for unit in extra.split(b"\0\0\1")[1:] if len(unit) > 2]
    units: list[bytes] = []
    at, lists = (23, extra[22:23]) if hevc else (5, b"\2")
    for _ in range(lists[0] if lists else 0):
        width = 2 if hevc else 1
        at += hevc
        count = int.from_bytes(extra[at : at + width], "big") & (0xFFFF if hevc else 0x1F)
        at += width
        for _ in range(count):
            size = int.from_bytes(extra[at : at + 2], "big")
            units.append(extra[at + 2 : at + 2 + size])
            at += 2 + size
            if at >= len(extra):
                break
    return [unit for unit in units if len(unit) > 2]
