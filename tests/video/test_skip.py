"""Leaving out what is not needed changes nothing: every trap, against truth and all-decoding."""

import subprocess
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from pipeline.errors import Reject
from pipeline.video import decode
from pipeline.video.bitstream import Looker
from pipeline.video.decode import VideoReader
from pipeline.video.probe import probe
from pipeline.video.skip import Odd, Skipper
from tests.video.clips import lacks_encoder, number_of, numbered, write_clip

SIDE_PX = 4096
NTSC = Fraction(1001, 30000)
VARIABLE = [0, 1, 2, 7, 20, 21, 29, 30, 31, 32, 50, 52, 54, 56, 80, 81, 83, 84, 90, 99, 110, 111]


def x264(text: str) -> dict[str, str]:
    return {"x264-params": text}


def x265(text: str) -> dict[str, str]:
    return {"x265-params": f"log-level=none:{text}"}


@dataclass(frozen=True)
class Trap:
    name: str
    stamps: object = range(70)
    tick_s: Fraction = Fraction(1, 25)
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    rotate_deg: int = 0
    whole: bool = False
    """Everything has to be decoded."""


TRAPS = [
    Trap("default.mp4"),
    Trap("gop12.mp4", options={"g": "12"}),
    Trap("gop12.mkv", options={"g": "12", "bf": "3"}),
    Trap("gop12.ts", options={"g": "12", "bf": "3"}),
    Trap("gop12.flv", options={"g": "12", "bf": "2"}),
    Trap("ntsc.mp4", tick_s=NTSC, options={"g": "15"}),
    Trap("variable.mp4", VARIABLE, options={"g": "5", "bf": "2"}),
    Trap("variable.mkv", VARIABLE, options={"g": "5", "bf": "2"}),
    Trap("pyramid.mp4", options=x264("keyint=40:bframes=7:b-pyramid=normal:b-adapt=0:ref=4")),
    Trap("strict.mp4", options=x264("keyint=24:bframes=5:b-pyramid=strict:b-adapt=0")),
    Trap("open.mp4", options=x264("keyint=12:open-gop=1:bframes=3:b-adapt=0")),
    Trap("open.ts", options=x264("keyint=12:open-gop=1:bframes=3:b-adapt=0")),
    Trap("refresh.mp4", options=x264("keyint=10:intra-refresh=1:bframes=0")),
    Trap("refresh.ts", options=x264("keyint=10:intra-refresh=1:bframes=0")),
    Trap("cut.mp4", range(-17, 50), options={"g": "12", "bf": "2"}),
    Trap("late.ts", range(57, 120), options={"g": "12", "bf": "2"}),
    Trap("late.mkv", range(57, 120), options={"g": "12", "bf": "2"}),
    Trap("fields.mp4", options=x264("keyint=12:interlaced=1:tff=1:bframes=2")),
    Trap("fields.ts", options=x264("keyint=12:interlaced=1:tff=1:bframes=2")),
    Trap("turned.mp4", options={"g": "12"}, rotate_deg=90),
    Trap("slices.ts", options=x264("keyint=12:slices=4:bframes=2")),
    Trap("hevc.mp4", codec="libx265", options=x265("keyint=12:bframes=4:b-adapt=0")),
    Trap("hevc.ts", codec="libx265", options=x265("keyint=12:bframes=4:b-adapt=0")),
    Trap("closed.mp4", codec="libx265", options=x265("keyint=12:open-gop=0:radl=2:bframes=4")),
    Trap("layers.mp4", codec="libx265", options=x265("keyint=24:temporal-layers=3:bframes=4")),
    Trap("vp9.webm", codec="libvpx-vp9", options={"g": "12", "lag-in-frames": "8"}),
    Trap("vp8.webm", codec="libvpx", options={"g": "12", "lag-in-frames": "8"}),
    Trap("av1.mp4", range(40), codec="libsvtav1", options={"g": "16", "preset": "12"}),
    Trap("mpeg4.avi", codec="mpeg4", options={"g": "12"}),
    Trap("empty.avi", VARIABLE, codec="mpeg4", options={"g": "5"}),
    Trap("one.mp4", range(1)),
    Trap("one.ts", range(1)),
    Trap("slow.mp4", range(12), Fraction(5), options={"g": "4", "bf": "2"}),
    Trap("slow.ts", range(12), Fraction(5), options={"g": "4", "bf": "2"}),
    Trap("b.asf", options={"g": "12", "bf": "2", "b_strategy": "0"}, whole=True),
    Trap("mpeg4.mp4", codec="mpeg4", options={"g": "12", "bf": "2"}),
    Trap("b.avi", codec="mpeg4", options={"g": "12", "bf": "2"}, whole=True),
    Trap("mpeg2.mpg", codec="mpeg2video", options={"g": "12", "bf": "2"}),
    Trap("mpeg2.ts", codec="mpeg2video", options={"g": "12", "bf": "2"}),
    Trap("motion.avi", codec="mjpeg", pix_fmt="yuvj420p"),
    Trap("a.gif", VARIABLE, codec="gif", pix_fmt="rgb8", whole=True),
]
POSSIBLE = [pytest.param(t, id=t.name) for t in TRAPS if not lacks_encoder(t.codec)]


def made(folder: Path, trap: Trap) -> Path:
    return write_clip(
        folder / trap.name,
        trap.stamps,
        trap.tick_s,
        codec=trap.codec,
        pix_fmt=trap.pix_fmt,
        options=trap.options,
        rotate_deg=trap.rotate_deg,
    )


def read(path: Path, times_s) -> tuple[dict[int, np.ndarray], VideoReader]:
    with VideoReader(path, SIDE_PX) as reader:
        frames = list(reader.frames_at(times_s))
    return {sample: p.image for p in frames for sample in p.samples}, reader


def refuse(self, packets):
    raise Odd("asked for")


def read_whole(path: Path, times_s, monkeypatch) -> tuple[dict[int, np.ndarray], VideoReader]:
    """The same by decoding everything."""
    with monkeypatch.context() as patch:
        patch.setattr(Skipper, "frames", refuse)
        frames, reader = read(path, times_s)
    assert reader.fell_back
    return frames, reader


def assert_same(got: dict[int, np.ndarray], wanted: dict[int, np.ndarray]) -> None:
    assert got.keys() == wanted.keys()
    assert all(np.array_equal(got[k], wanted[k]) for k in wanted)


@pytest.mark.parametrize("trap", POSSIBLE)
def test_every_choice_of_frames_is_as_by_decoding_all(tmp_path, monkeypatch, trap):
    """Each frame alone, each pair a group apart, random choices, all: truth and equal bytes."""
    path = made(tmp_path, trap)
    shown = [s for s in trap.stamps if s >= 0]
    times = [float((s - shown[0]) * trap.tick_s + trap.tick_s / 3) for s in shown]
    whole, _ = read_whole(path, times, monkeypatch)
    turned = {k: np.rot90(image, -trap.rotate_deg // 90) for k, image in whole.items()}
    first = trap.stamps.index(shown[0])
    assert [number_of(turned[k]) for k in sorted(turned)] == [first + k for k in range(len(shown))]
    random = np.random.Generator(np.random.Philox(key=5))
    choices = [[k] for k in range(0, len(times), 3)]
    choices += [[k, k + 20] for k in range(0, len(times) - 20, 7)]
    choices += [np.flatnonzero(random.random(len(times)) < p).tolist() for p in (0.1, 0.3, 0.3)]
    choices.append(list(range(len(times))))
    for chosen in choices:
        got, reader = read(path, [times[k] for k in chosen])
        assert_same(got, {i: whole[k] for i, k in enumerate(chosen)})
        assert not chosen or reader.fell_back == trap.whole, chosen


@dataclass(frozen=True)
class Traits:
    flagged: int
    safe: int
    leading: int
    layers: int
    interlaced: bool


def traits(path: Path) -> Traits:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        looker = Looker(stream)
        packets = [p for p in container.demux(stream) if p.size]
        looks = [looker.look(p) for p in packets]
    with av.open(str(path)) as container:
        interlaced = next(container.decode(video=0)).interlaced_frame
    starts = [i for i, look in enumerate(looks) if look.safe]
    leading = sum(
        packet.pts < packets[start].pts
        for start, end in pairwise([*starts, len(packets)])
        for packet in packets[start:end]
    )
    flagged = sum(p.is_keyframe for p in packets)
    return Traits(flagged, len(starts), leading, max(k.layer for k in looks) + 1, interlaced)


def test_clips_have_the_traits_they_are_named_for(tmp_path):
    found = {
        trap.name: traits(made(tmp_path, trap))
        for trap in TRAPS
        if trap.name.startswith(("open", "refresh", "fields", "hevc", "layers", "gop12", "pyramid"))
        and not lacks_encoder(trap.codec)
    }
    for name in ("open.mp4", "open.ts", "refresh.mp4", "refresh.ts"):
        assert found[name].safe == 1 < found[name].flagged, "flags that are no safe places"
    assert found["gop12.mp4"].safe >= 6
    assert found["hevc.mp4"].leading >= 4
    assert found["layers.mp4"].layers == 3
    assert found["fields.mp4"].interlaced
    assert not found["gop12.mp4"].interlaced


@pytest.mark.parametrize("trap", POSSIBLE)
def test_the_end_is_where_decoding_all_finds_it(tmp_path, monkeypatch, trap):
    path = made(tmp_path, trap)
    for times in ([0.0, 99.0], [1.0], [probe(path, SIDE_PX).duration_s - 1e-3]):
        got, reader = read(path, times)
        wanted, reference = read_whole(path, times, monkeypatch)
        assert_same(got, wanted)
        assert (reader.end_s, reader.damage) == (reference.end_s, reference.damage)


@pytest.mark.parametrize("last_ms", [1000, 1500])
def test_an_edit_list_that_ends_early(tmp_path, monkeypatch, last_ms):
    """Frames behind its end are stored, and not shown."""
    path = write_clip(tmp_path / "a.mp4", range(-17, 50), options={"g": "12", "bf": "2"})
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    data[at : at + 4] = last_ms.to_bytes(4, "big")
    path.write_bytes(data)
    times = [0.0, 0.5, last_ms / 1000 - 0.05, last_ms / 1000 + 0.1]
    got, reader = read(path, times)
    wanted, reference = read_whole(path, times, monkeypatch)
    assert_same(got, wanted)
    assert list(got) == [0, 1, 2]
    assert number_of(got[2]) == 17 + (last_ms - 50) * 25 // 1000
    assert (reader.end_s, reader.damage) == (reference.end_s, reference.damage)
    assert not reader.fell_back


@pytest.mark.slow
def test_real_clips(assets, monkeypatch):
    """All of them, the damaged and the turned one too."""
    fell_back = []
    for path in sorted((assets / "videos").rglob("*.*")):
        try:
            facts = probe(path, 8192)
        except Reject:
            assert path.name == "not_a_video.mp4"
            continue
        times = [k * 1.37 for k in range(int(facts.duration_s / 1.37) + 1)]
        got, reader = read(path, times)
        wanted, reference = read_whole(path, times, monkeypatch)
        assert_same(got, wanted)
        assert (reader.end_s, reader.damage) == (reference.end_s, reference.damage)
        fell_back += [path.name] * reader.fell_back
    gifs = {p.name for p in (assets / "videos").rglob("*.gif")}
    assert set(fell_back) == gifs | {"lp_d20_truncated.mp4"}


@pytest.fixture
def given(monkeypatch) -> list[int]:
    """Sizes of the packets that the decoder is given."""
    sizes: list[int] = []
    original = Skipper._given

    def count(self, packet):
        if packet is not None:
            sizes.append(packet.size)
        return original(self, packet)

    monkeypatch.setattr(Skipper, "_given", count)
    return sizes


def test_groups_without_a_wanted_frame_are_passed_by(tmp_path, given):
    options = x264("keyint=10:scenecut=0:bframes=0")
    path = write_clip(tmp_path / "a.mp4", range(100), options=options)
    got, _ = read(path, [0.0, 43 / 25, 92 / 25])
    assert [number_of(image) for image in got.values()] == [0, 43, 92]
    assert len(given) == 1 + 4 + 3


def test_only_wanted_frames_are_converted(tmp_path, monkeypatch):
    options = x264("keyint=10:scenecut=0:bframes=2")
    path = write_clip(tmp_path / "a.mp4", range(100), options=options)
    converted = []
    original = VideoReader._rgb
    monkeypatch.setattr(
        VideoReader, "_rgb", lambda self, *of: converted.append(1) or original(self, *of)
    )
    for read_ in (read, lambda *a: read_whole(*a, monkeypatch)):
        converted.clear()
        got, _ = read_(path, [0.0, 1.0, 1.01, 3.0])
        assert len(got) == 4
        assert len(converted) == 3, "two times have one frame"


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.flv", "a.webm"])
@pytest.mark.slow
def test_every_byte_is_read_once(tmp_path, name):
    """Also where only few frames are wanted, far apart."""
    random = np.random.Generator(np.random.Philox(key=6))
    noise = [random.integers(0, 256, (128, 256, 3), np.uint8) for _ in range(90)]
    codec, options = ("libx264", {"qp": "8", "g": "10"})
    if name == "a.webm":
        codec, options = ("libvpx-vp9", {"b": "20M", "g": "10", "deadline": "realtime"})
    path = write_clip(tmp_path / name, range(90), codec=codec, options=options, frames=noise)
    size = path.stat().st_size
    assert size > 1 << 20

    def bytes_read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    before = bytes_read()
    got, reader = read(path, [0.0, 1.7, 3.5])
    assert len(got) == 3
    assert not reader.fell_back
    assert bytes_read() - before < size + (256 << 10), "but for the header"


def test_reading_stops_behind_the_last_wanted_frame(tmp_path, monkeypatch):
    options = x264("keyint=10:scenecut=0:bframes=0")
    path = write_clip(tmp_path / "a.mp4", range(100), options=options)
    seen = []
    original = Looker.look
    monkeypatch.setattr(Looker, "look", lambda self, p: seen.append(p.pts) or original(self, p))
    read(path, [0.0, 33 / 25])
    assert len(seen) <= 51


def decoded_for(path: Path, time_s: float, monkeypatch) -> int:
    """How many frames the decoder gives out for one that is wanted."""
    decoded = []

    class Counting(Skipper):
        def _given(self, packet):
            decoded.extend(self._context.decode(packet))
            return iter(())

    with monkeypatch.context() as patch, VideoReader(path, SIDE_PX) as reader:
        patch.setattr(decode, "Skipper", Counting)
        list(reader.frames_at([time_s]))
    return len(decoded)


def test_unneeded_frames_are_left_out(tmp_path, monkeypatch):
    """Of every four frames, one is needed by others."""
    options = x264("keyint=250:bframes=3:b-pyramid=none:b-adapt=0:scenecut=0")
    path = write_clip(tmp_path / "a.mp4", range(81), options=options)
    assert decoded_for(path, 3.2, monkeypatch) <= 25


def test_layers_may_need_what_their_own_layer_does_not(tmp_path, monkeypatch):
    counts = {}
    for layers in (1, 3):
        text = f"keyint=250:bframes=3:b-adapt=0:scenecut=0:temporal-layers={layers}"
        path = write_clip(
            tmp_path / f"{layers}.mp4", range(61), codec="libx265", options=x265(text)
        )
        counts[layers] = decoded_for(path, 2.4, monkeypatch)
    assert counts[1] < 40 < 55 < counts[3]


def test_parameters_of_a_part_that_was_passed_by(tmp_path, monkeypatch):
    """The second half has another base of quantisers, told once; nothing breaks without it, but
    frames come out wrong."""
    halves = []
    for name, start, text in (("a", 0, "cabac=0:qp=12"), ("b", 40, "cabac=0:qp=44")):
        part = write_clip(
            tmp_path / f"{name}.mp4",
            range(start, start + 40),
            options=x264(f"keyint=8:scenecut=0:bframes=0:{text}"),
            frames=[numbered(start + i) for i in range(40)],
        )
        halves.append(part)
    path = tmp_path / "joined.mkv"
    with av.open(str(halves[0])) as a, av.open(str(halves[1])) as b, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(a.streams.video[0])
        for place, source in enumerate((a, b)):
            origin = source.streams.video[0]
            for number, packet in enumerate(p for p in source.demux(origin) if p.size):
                data = bytes(packet)
                if place and not number:
                    data = parameter_sets(origin.codec_context.extradata) + data
                copy = av.Packet(data)
                copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
                copy.pts = copy.dts = packet.pts
                copy.stream = stream
                out.mux(copy)
    times = [0.0, 70 / 25]
    got, reader = read(path, times)
    assert [number_of(image) for image in got.values()] == [0, 70]
    assert reader.fell_back
    assert_same(got, read_whole(path, times, monkeypatch)[0])
    got, reader = read(path, [0.0, 41 / 25, 70 / 25])
    assert [number_of(image) for image in got.values()] == [0, 41, 70]
    assert not reader.fell_back, "here they are met on the way"


def parameter_sets(record: bytes) -> bytes:
    """The parameter sets of an avcC record as units of a packet."""
    at, units = 5, b""
    for mask in (0x1F, 0xFF):
        count, at = record[at] & mask, at + 1
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2], "big")
            units += size.to_bytes(4, "big") + record[at + 2 : at + 2 + size]
            at += 2 + size
    return units


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_frames_that_are_stored_and_never_shown(tmp_path, monkeypatch, codec):
    """Only encoders of two passes make them; VP8 puts them into packets of their own."""
    random = np.random.Generator(np.random.Philox(key=7))
    texture = random.integers(0, 64, (64, 256, 3), np.uint8)
    frames = [
        np.kron(numbered(i) // 2, np.ones((2, 2, 1), np.uint8)) + np.roll(texture, i, 1)
        for i in range(100)
    ]
    raw = write_clip(tmp_path / "a.mkv", range(100), codec="ffv1", pix_fmt="yuv420p", frames=frames)
    path = tmp_path / "a.webm"
    for number in ("1", "2"):
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(raw)]
        command += ["-c:v", codec, "-g", "40", "-b:v", "150k", "-auto-alt-ref", "1"]
        command += ["-lag-in-frames", "25", "-arnr-maxframes", "7", "-arnr-strength", "5"]
        # One thread: on a busy machine this encoder's own may wait for each other for ever.
        command += ["-threads", "1", "-pass", number, "-passlogfile", str(tmp_path / "log")]
        subprocess.run([*command, str(path)], check=True, timeout=300)
    with av.open(str(path)) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    # VP8: a bit of the first byte says so. VP9: several frames in one packet, with an index.
    hidden = [p[-1] >> 5 == 6 if codec == "libvpx-vp9" else not p[0] >> 4 & 1 for p in packets]
    assert sum(hidden) >= 3, "the clip is no trap"
    times = [(k + 1 / 3) / 25 for k in range(100)]
    whole, _ = read_whole(path, times, monkeypatch)
    assert [number_of(whole[k]) for k in sorted(whole)] == list(range(100))
    for chosen in (range(100), range(0, 100, 9), [57], [12, 83]):
        got, _ = read(path, [times[k] for k in chosen])
        assert_same(got, {i: whole[k] for i, k in enumerate(chosen)})


def test_a_false_keyframe_flag_is_not_believed(tmp_path):
    """The first frame behind a jump shows whether it was a keyframe."""
    path = write_clip(tmp_path / "a.mp4", range(60), codec="mpeg4", options={"g": "100"})
    with av.open(str(path)) as source, av.open(str(tmp_path / "lies.mp4"), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream, packet.is_keyframe = stream, True
                out.mux(packet)
    got, reader = read(tmp_path / "lies.mp4", [0.0, 50 / 25])
    assert [number_of(image) for image in got.values()] == [0, 50]
    assert reader.fell_back


def test_a_stream_that_starts_inside_a_group(tmp_path, monkeypatch):
    whole = write_clip(tmp_path / "a.mp4", range(80), options={"g": "20", "bf": "2"})
    path = tmp_path / "late.ts"
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        origin = source.streams.video[0]
        stream = out.add_stream_from_template(origin)
        for number, packet in enumerate(p for p in source.demux(origin) if p.size):
            if number >= 7:
                packet.stream = stream
                out.mux(packet)
    times = [0.0, 1.0, 2.0]
    got, reader = read(path, times)
    assert reader.fell_back
    assert_same(got, read_whole(path, times, monkeypatch)[0])


def test_damage_in_a_needed_group_is_met_as_by_decoding_all(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "a.mkv", range(80), options={"g": "20", "bf": "2"})
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    at, size = packets[25]
    data[at + size // 2 : at + size] = b"\xff" * (size - size // 2)
    path.write_bytes(data)
    times = [0.0, 33 / 25, 70 / 25]
    got, reader = read(path, times)
    wanted, reference = read_whole(path, times, monkeypatch)
    assert_same(got, wanted)
    assert reader.damage == reference.damage


def test_a_frame_does_not_stay_over_broken_ones(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "a.mkv", range(60), options={"g": "1", "bf": "0"})
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for at, size in packets[10:30]:
        data[at + 8 : at + size] = b"\xff" * (size - 8)
    path.write_bytes(data)
    given = []
    for whole in (False, True):
        with monkeypatch.context() as patch, VideoReader(path, SIDE_PX) as reader:
            if whole:
                patch.setattr(Skipper, "frames", refuse)
            frames = list(reader.frames_at([k / 25 for k in (4, 9, 14, 20, 40)]))
        given.append([(p.samples, p.pts, number_of(p.image)) for p in frames])
        assert reader.fell_back
        assert reader.damage
        assert {place: p.reason for place, p in reader.problems.items()} == {
            2: "damaged",
            3: "damaged",
        }
    assert given[0] == given[1]
    assert [samples for samples, *_ in given[0]] == [(0,), (1,), (4,)]


def test_start_codes_and_lengths_are_told_apart(tmp_path):
    """The same packets in both forms look the same."""
    path = write_clip(tmp_path / "a.mp4", range(40), options={"g": "8", "bf": "2"})
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        looker = Looker(stream)
        packets = [p for p in container.demux(stream) if p.size]
        plain = [looker.look(p).safe for p in packets]
        to_start_codes = BitStreamFilterContext("h264_mp4toannexb", stream)
        other = Looker(stream)
        other._length_bytes = 0
        coded = [other.look(q).safe for p in packets for q in to_start_codes.filter(p)]
    assert plain == coded
    assert sum(plain) == 5


@pytest.mark.parametrize("name", ["xvid_b_frames.mp4", "skip_differs_from_all.mp4"])
def test_times_that_are_the_order_of_storing(assets, monkeypatch, name):
    path = assets / "failing" / name
    length_s = float(probe(path, SIDE_PX).duration_s)
    times = [k * length_s / 40 for k in range(40)]
    reference = read_whole(path, times, monkeypatch)[0]
    assert_same(read(path, times)[0], reference)
    for place, time_s in enumerate(times):
        alone = read(path, [time_s])[0]
        assert set(alone) == ({0} if place in reference else set())
        if alone:
            assert np.array_equal(alone[0], reference[place])
