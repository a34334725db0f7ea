"""Exactness in time, color and orientation, and what damage does."""

import resource
import struct
import subprocess
from bisect import bisect_right
from fractions import Fraction
from pathlib import Path

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from pipeline.errors import Reject
from pipeline.video.decode import VideoReader
from pipeline.video.probe import probe
from pipeline.video.timeline import spans
from tests.video.clips import lacks_encoder, number_of, numbered, write_clip

SIDE_PX = 4096
NTSC = Fraction(1001, 30000)
VARIABLE = [0, 1, 2, 7, 20, 21, 29, 30, 31, 32, 50, 52, 54, 56, 80]
LOSSLESS = {"qp": "0"}
REORDERED = {"bf": "2", "b_strategy": "0"}


def numbers_at(path: Path, times_s, reader=None) -> dict[int, int]:
    """Number of the frame at each time (by its place); absent where nothing is on screen."""
    with reader or VideoReader(path, SIDE_PX) as video:
        frames = list(video.frames_at(times_s))
    stamps = [p.pts for p in frames]
    assert stamps == sorted(set(stamps)), "presentation order, each frame once"
    return {sample: number_of(p.image) for p in frames for sample in p.samples}


@pytest.mark.parametrize(
    ("name", "codec", "stamps", "tick_s", "options"),
    [
        ("b.mp4", "libx264", range(90), Fraction(1, 25), REORDERED),
        ("ntsc.mp4", "libx264", range(90), NTSC, {}),
        ("late.mp4", "libx264", range(57, 120), NTSC, REORDERED),
        ("late.ts", "libx264", range(57, 120), Fraction(1, 25), REORDERED),
        ("vfr.mp4", "libx264", VARIABLE, Fraction(1, 25), {"bf": "0"}),
        ("vfr-b.mkv", "libx264", VARIABLE, Fraction(1, 25), REORDERED),
        ("late.mkv", "libx264", range(57, 120), Fraction(1, 25), {}),
        ("hevc.mp4", "libx265", range(60), Fraction(1, 25), {"x265-params": "log-level=none"}),
        ("cfr.webm", "libvpx-vp9", range(60), Fraction(1, 25), {}),
        ("cfr.avi", "mpeg4", range(60), Fraction(1, 25), {}),
        ("b.avi", "mpeg4", range(60), Fraction(1, 25), {"bf": "2"}),
        ("b264.avi", "libx264", range(60), Fraction(1, 25), REORDERED),
        ("b.asf", "mpeg4", range(60), Fraction(1, 25), {"bf": "2"}),
        ("b264.asf", "libx264", range(60), Fraction(1, 25), REORDERED),
        ("vfr.avi", "mpeg4", VARIABLE, Fraction(1, 25), {}),
        ("slow.mp4", "libx264", range(12), Fraction(5), REORDERED),
        ("cfr.mpg", "mpeg2video", range(60), Fraction(1, 25), {"bf": "2"}),
        ("cfr.flv", "libx264", range(60), Fraction(1, 25), REORDERED),
        ("vfr.gif", "gif", VARIABLE, Fraction(1, 25), {}),
    ],
)
def test_the_frame_on_screen(tmp_path, name, codec, stamps, tick_s, options):
    """At the very start of each frame, just before its end and in between."""
    if lacks_encoder(codec):
        pytest.skip(f"this PyAV has no encoder {codec}")
    pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
    clip = write_clip(
        tmp_path / name, stamps, tick_s, codec=codec, pix_fmt=pix_fmt, options=options
    )
    starts = [(s - stamps[0]) * tick_s for s in stamps]
    end = starts[-1] + tick_s
    tenth = tick_s / 10
    wanted = [starts, [s + tenth for s in starts], [s - tenth for s in [*starts[1:], end]]]
    times = [t for kind in wanted for t in kind] + [Fraction(k, 7) for k in range(int(end * 7))]
    expected = {i: bisect_right(starts, t) - 1 for i, t in enumerate(times)}
    assert numbers_at(clip, [float(t) for t in times]) == expected


def test_clips_have_the_traits_they_are_named_for(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(90), options=REORDERED)
    with av.open(str(clip)) as container:
        stamps = [p.pts for p in container.demux(video=0) if p.pts is not None]
    assert stamps != sorted(stamps), "no B-frames"


def test_a_long_clip_does_not_drift(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(240), NTSC)
    frames = {k: int(k / NTSC) for k in range(8)}
    assert frames[7] == 209, "30 fps would be 210"
    assert numbers_at(clip, range(8)) == frames


def test_times_that_no_float_can_hold(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(30), Fraction(1, 30))
    assert numbers_at(clip, [1 / 3, 2 / 3, 0.1, 0.7]) == {0: 10, 1: 20, 2: 3, 3: 21}


def test_frames_cut_off_by_an_edit_list_are_not_shown(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(-10, 20))
    with av.open(str(clip)) as container:
        assert sum(p.is_discard for p in container.demux(video=0)) == 10
    assert probe(clip, SIDE_PX).duration_s == pytest.approx(20 / 25)
    assert numbers_at(clip, [0, 0.04, 0.76]) == {0: 10, 1: 11, 2: 29}


def test_a_frame_that_stays_is_given_once(tmp_path):
    clip = write_clip(tmp_path / "a.mkv", [0, 100], Fraction(1, 25))
    with VideoReader(clip, SIDE_PX) as video:
        frames = list(video.frames_at([3.0, 0.0, 4.0, 1.0, 2.0]))
    assert [p.samples for p in frames] == [(0, 1, 3, 4), (2,)]


def test_the_end(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(30))
    video = VideoReader(clip, SIDE_PX)
    assert numbers_at(clip, [1.19, 1.2, 99.0], video) == {0: 29}
    assert video.end_s == pytest.approx(1.2)
    assert video.damage == ""


def test_the_last_frame_stays_for_its_own_duration(tmp_path):
    clip = tmp_path / "a.gif"
    with av.open(str(clip), "w", options={"final_delay": "300"}) as container:  # 3 s
        stream = container.add_stream("gif", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 32, "rgb8"
        for i in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(i), "rgb24")))
        container.mux(stream.encode())
    assert probe(clip, SIDE_PX).duration_s == pytest.approx(0.16 + 3)
    assert numbers_at(clip, [0.15, 0.17, 3.15, 3.17]) == {0: 3, 1: 4, 2: 4}


def test_stamps_that_run_backwards_are_not_shown(tmp_path):
    first = write_clip(tmp_path / "a.ts", range(25))
    again = write_clip(tmp_path / "b.ts", range(24), frames=[numbered(100 + i) for i in range(24)])
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + again.read_bytes())
    video = VideoReader(both, SIDE_PX)
    assert numbers_at(both, [k / 25 for k in range(30)], video) == {k: k for k in range(25)}
    assert "backwards" in video.damage


def test_nothing_wanted_nothing_read(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(3))
    assert numbers_at(clip, []) == {}


def test_spans():
    assert [(s.start, s.end, s.shown) for s in spans([(5, 2, "a"), (7, 9, "b"), (7, 3, "c")])] == [
        (0, 2, "a"),
        (2, 2, "b"),
        (2, 5, "c"),
    ]
    assert list(spans([])) == []


def test_truncated_file(assets):
    """The first 102 of 175 frames are there; asking for no more meets no damage."""
    clip = assets / "videos/odd/lp_d20_truncated.mp4"
    whole = assets / "videos/real/lp_d20.mp4"
    times = [k / 25 for k in range(175)]
    video = VideoReader(clip, SIDE_PX)
    with video, VideoReader(whole, SIDE_PX) as reference:
        pairs = zip(video.frames_at(times), reference.frames_at(times), strict=False)
        same = [np.array_equal(a.image, b.image) and a.samples == b.samples for a, b in pairs]
    assert same == [True] * 102
    assert video.end_s == pytest.approx(102 / 25)
    assert "partial file" in video.damage
    early = VideoReader(clip, SIDE_PX)
    with early:
        assert len(list(early.frames_at([0, 1, 2, 3]))) == 4
    assert early.damage == ""


def test_damage_is_told_each_time(assets):
    """FFmpeg's repeated messages are not swallowed."""
    damages = []
    for _ in range(2):
        video = VideoReader(assets / "videos/odd/lp_d20_truncated.mp4", SIDE_PX)
        with video:
            list(video.frames_at([6.0]))
        damages.append(video.damage)
    assert damages[0] == damages[1] != ""


def test_a_broken_packet_costs_its_frame_only(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(30), options={"g": "1", "bf": "0"})
    with av.open(str(clip)) as container:
        packet = next(p for i, p in enumerate(container.demux(video=0)) if i == 12)
        at, size = packet.pos, packet.size
    data = bytearray(clip.read_bytes())
    data[at : at + size] = b"\xff" * size
    clip.write_bytes(data)
    video = VideoReader(clip, SIDE_PX)
    numbers = numbers_at(clip, [k / 25 for k in range(30)], video)
    assert numbers == {k: k for k in range(30) if k != 12}
    assert {k: problem.reason for k, problem in video.problems.items()} == {12: "damaged"}
    assert video.damage


def test_no_frame_at_all(tmp_path):
    clip = write_clip(tmp_path / "a.webm", range(30), codec="libvpx-vp9")
    with av.open(str(clip)) as container:
        start = min(p.pos for p in container.demux(video=0) if p.size)
    clip.write_bytes(clip.read_bytes()[: start + 8])
    with VideoReader(clip, SIDE_PX) as video, pytest.raises(Reject) as caught:
        list(video.frames_at([0.0]))
    assert caught.value.reason == "decode_error"


def test_a_stream_that_grows_past_the_limit_is_not_decoded(tmp_path):
    small = write_clip(tmp_path / "small.ts", range(25))
    large = write_clip(
        tmp_path / "large.ts", range(25, 50), frames=[np.zeros((512, 512, 3), np.uint8)] * 25
    )
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    with VideoReader(both, SIDE_PX) as video:
        assert {p.image.shape for p in video.frames_at([0, 1.5])} == {(32, 128, 3), (512, 512, 3)}
    limited = VideoReader(both, 128)
    with limited:
        assert {p.image.shape for p in limited.frames_at([0, 1.5])} == {(32, 128, 3)}
    assert limited.damage


def rgb_of(y, u, v, *, full: bool, bt709: bool):
    """RGB by the definition of Y'CbCr: luma weights of BT.601 or BT.709, limited or full range."""
    red, blue = (0.2126, 0.0722) if bt709 else (0.299, 0.114)
    luma = y / 255 if full else (y - 16) / 219
    cb, cr = (u - 128) / (255 if full else 224), (v - 128) / (255 if full else 224)
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.stack([r, g, b], -1), 0, 1) * 255


@pytest.mark.parametrize("bt709", [False, True])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv420p10le", "yuv444p"])
def test_colors_follow_range_and_matrix(tmp_path, pix_fmt, bt709):
    full, deep = pix_fmt == "yuvj420p", pix_fmt.endswith("10le")
    values = [(16, 128, 128), (235, 128, 128), (120, 90, 160), (80, 150, 110), (180, 100, 140)]
    clip = tmp_path / "a.mkv"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=LOSSLESS)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pix_fmt
        stream.codec_context.color_range = 2 if full else 1
        stream.codec_context.colorspace = 1 if bt709 else 6
        for i, yuv in enumerate(values):
            frame = av.VideoFrame(64, 64, pix_fmt)
            for plane, value in zip(frame.planes, yuv, strict=True):
                kind, level = (np.uint16, value << 2) if deep else (np.uint8, value)
                plane.update(np.full(plane.buffer_size // kind().itemsize, level, kind).tobytes())
            frame.pts, frame.color_range = i, 2 if full else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with VideoReader(clip, SIDE_PX) as video:
        images = [p.image for p in video.frames_at([i / 25 for i in range(len(values))])]
    for yuv, image in zip(values, images, strict=True):
        expected = rgb_of(*map(float, yuv), full=full, bt709=bt709)
        assert np.abs(image - expected).max() <= 1, yuv


@pytest.mark.parametrize(
    ("name", "full", "bt709"),
    [
        ("asl_book.mkv", True, False),
        ("vr_face5.mp4", False, False),
        ("hamilton_dark.mp4", False, True),
        ("lp_s18_wide.mp4", False, True),
    ],
)
def test_colors_of_real_clips(assets, name, full, bt709):
    """The right reading of the planes fits far better than the other range or matrix."""
    path = assets / "videos/real" / name
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        height, width = frame.height, frame.width
        planes = [
            np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width]
            for p in frame.planes
        ]
    y, u, v = (
        np.repeat(np.repeat(p, height // p.shape[0], 0), width // p.shape[1], 1).astype(float)
        for p in planes
    )
    with VideoReader(path, SIDE_PX) as video:
        image = next(video.frames_at([0.0])).image
    errors = {
        (f, m): np.abs(image - rgb_of(y, u, v, full=f, bt709=m)).mean()
        for f in (False, True)
        for m in (False, True)
    }
    assert errors[full, bt709] < 0.7
    others = [e for reading, e in errors.items() if reading != (full, bt709)]
    assert min(others) > 1.3 * errors[full, bt709]


def test_alpha_is_dropped(tmp_path):
    clip = tmp_path / "a.mov"
    given = np.dstack([numbered(77) // 2 + 20, np.full((32, 128), 60, np.uint8)])
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 32, "rgba"
        frame = av.VideoFrame.from_ndarray(given, "rgba")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with VideoReader(clip, SIDE_PX) as video:
        image = next(video.frames_at([0.0])).image
    assert np.array_equal(image, given[:, :, :3])


def test_rotation_as_opencv_turns_it(assets):
    path = assets / "videos/odd/lp_s18_rot90flag.mp4"
    reference = cv2.VideoCapture(str(path)).read()[1][:, :, ::-1]
    with VideoReader(path, SIDE_PX) as video:
        image = next(video.frames_at([0.0])).image
    assert image.shape == reference.shape == (1280, 720, 3)
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - reference).mean() < 3
    assert np.abs(image[::-1, ::-1].astype(int) - reference).mean() > 30


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("counter_clockwise_deg", [0, 90, 180, 270])
def test_every_turn_and_mirror(tmp_path, counter_clockwise_deg, flip):
    frame = np.zeros((64, 128, 3), np.uint8)
    frame[:32, :64] = 255  # only the upper left is bright: no turn looks like another
    frame[:32, 64:] = 120
    clip = write_clip(
        tmp_path / "a.mp4",
        [0, 1],
        frames=[frame] * 2,
        rotate_deg=counter_clockwise_deg,
        flip=flip,
        options=LOSSLESS,
    )
    expected = np.rot90(frame, counter_clockwise_deg // 90)
    expected = expected[:, ::-1] if flip else expected
    with VideoReader(clip, SIDE_PX) as video:
        image = next(video.frames_at([0.0])).image
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 1
    if not flip:
        assert probe(clip, SIDE_PX).rotation_deg == -counter_clockwise_deg % 360


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_frames_are_freed(assets):
    """Memory holds a few frames, not all of them (6 MB each here)."""
    path = assets / "videos/real/fsgan_conan_1080p.mp4"
    with VideoReader(path, SIDE_PX) as video:
        sizes = []
        for _ in video.frames_at([k / 30 for k in range(60)]):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            sizes.append(pages * resource.getpagesize())
    assert sizes[-1] - sizes[20] < 40e6


def test_same_pixels_every_time(assets):
    path = assets / "videos/real/vr_face1_vfr.mp4"
    runs = []
    for _ in range(2):
        with VideoReader(path, SIDE_PX) as video:
            runs.append([p.image.tobytes() for p in video.frames_at([0.0, 1.0])])
    assert runs[0] == runs[1]


def with_clap(clip: Path, width: int, height: int, right: int, down: int) -> Path:
    """Gives an MP4 a crop of this size, whose middle is moved by so much."""
    data = bytearray(clip.read_bytes())
    assert data.index(b"mdat") < data.index(b"moov"), "offsets would have to change"
    box = struct.pack(">I4s8i", 40, b"clap", width, 1, height, 1, right, 1, down, 1)
    at = data.rindex(b"avc1") - 4
    end = at + int.from_bytes(data[at : at + 4], "big")
    data[end:end] = box
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        place = data.rindex(name, 0, at + 8) - 4
        size = int.from_bytes(data[place : place + 4], "big") + len(box)
        data[place : place + 4] = size.to_bytes(4, "big")
    clip.write_bytes(data)
    return clip


@pytest.mark.parametrize("rotate_deg", [0, 90])
def test_what_the_container_cuts_off_is_cut_off_as_ffmpeg_does(tmp_path, rotate_deg):
    random = np.random.Generator(np.random.Philox(key=1))
    frames = [cv2.resize(random.integers(0, 255, (8, 16, 3), "u1"), (128, 64))] * 10
    options = {"qp": "4"}
    clip = tmp_path / "a.mp4"
    write_clip(clip, range(10), frames=frames, options=options, rotate_deg=rotate_deg)
    whole = read_one(clip)
    # 128 x 64 px: 4 px on the left, 28 on the right, 2 on top and 14 at the bottom.
    cropped = read_one(with_clap(clip, 96, 48, -12, -6))
    unturned = np.rot90(whole, -rotate_deg // 90)[2:50, 4:100]
    assert np.array_equal(cropped, np.rot90(unturned, rotate_deg // 90))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(clip), "-frames:v", "1"]
    form = ["-vf", "scale=flags=bilinear+accurate_rnd+full_chroma_int+bitexact", "-f", "rawvideo"]
    data = subprocess.run(
        [*command, *form, "-pix_fmt", "rgb24", "-"], check=True, capture_output=True
    ).stdout
    theirs = np.frombuffer(data, np.uint8).reshape(cropped.shape)
    grey, their_grey = (cv2.cvtColor(i, cv2.COLOR_RGB2GRAY).astype(int) for i in (cropped, theirs))
    assert np.abs(grey - their_grey).mean() < 1
    assert np.abs(np.roll(grey, 1, 1) - their_grey).mean() > 2, "a pixel aside would be seen"


def with_pixel_crop(clip: Path, left: int, right: int, top: int, bottom: int) -> Path:
    """Gives a Matroska file PixelCrop elements; padding in front gives way, so nothing else moves.

    The masters around them are those of FFmpeg: Tracks with a size of two bytes and a CRC, which
    becomes padding, TrackEntry with one of eight bytes, Video with one of one.
    """
    data = bytearray(clip.read_bytes())
    ids = (b"\x54\xcc", b"\x54\xdd", b"\x54\xbb", b"\x54\xaa")
    sides = zip(ids, (left, right, top, bottom), strict=True)
    crop = b"".join(name + bytes([0x81, px]) for name, px in sides)
    tracks = data.index(b"\x16\x54\xae\x6b\x40")  # and not where SeekHead names it
    entry, video = data.index(b"\xae\x01\0", tracks + 6), data.index(b"\xe0\x8a\xb0", tracks)
    data[tracks + 6] = 0xEC
    data[video + 12 : video + 12] = crop
    data[video + 1] += len(crop)
    for at, size_bytes in ((entry + 1, 8), (tracks + 4, 2)):
        size = int.from_bytes(data[at : at + size_bytes], "big") + len(crop)
        data[at : at + size_bytes] = size.to_bytes(size_bytes, "big")
    padding = data.index(b"\xec\x01\0")
    assert padding < tracks
    size = int.from_bytes(data[padding + 1 : padding + 9], "big") - len(crop)
    data[padding + 1 : padding + 9] = size.to_bytes(8, "big")
    del data[padding + 9 : padding + 9 + len(crop)]
    clip.write_bytes(data)
    return clip


def test_what_matroska_cuts_off_is_cut_off(tmp_path):
    random = np.random.Generator(np.random.Philox(key=1))
    frames = [cv2.resize(random.integers(0, 255, (8, 16, 3), "u1"), (96, 64))] * 10
    clip = write_clip(tmp_path / "a.mkv", range(10), frames=frames, options={"qp": "4"})
    whole = read_one(clip)
    cropped = read_one(with_pixel_crop(clip, 4, 28, 2, 14))
    assert np.array_equal(cropped, whole[2:50, 4:68])


def test_a_crop_that_leaves_nothing_is_none(tmp_path):
    clip = with_clap(write_clip(tmp_path / "a.mp4", range(3)), 0, 0, 0, 0)
    assert read_one(clip).shape == (32, 128, 3)


def read_one(clip: Path):
    with VideoReader(clip, SIDE_PX) as reader:
        return next(iter(reader.frames_at([0.0]))).image


def test_the_shape_of_pixels_may_change(assets):
    """Two recordings; the first frame of the second one has a time of the first one."""
    clip = assets / "failing/pixel_shape_changes.ts"
    times = [k / 10 for k in range(60)]
    with VideoReader(clip, SIDE_PX) as reader:
        shapes = {times[k]: p.image.shape for p in reader.frames_at(times) for k in p.samples}
    assert shapes == {t: (128, 384 if t >= 2.9 else 192, 3) for t in times[:58]}


@pytest.mark.parametrize("order", [("1", "2"), ("2", "1/2")])
def test_each_frame_has_its_shape_whatever_else_is_asked_for(tmp_path, order):
    clip = tmp_path / "a.ts"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-t", "2", "-i"]
    for n, shape in enumerate(order):
        source = [f"testsrc=size=64x32:rate=10,setsar={shape}", "-c:v", "libx264", "-g", "5"]
        form = ["-output_ts_offset", str(2.2 * n), "-f", "mpegts", "-"]
        done = subprocess.run([*command, *source, *form], check=True, capture_output=True)
        with clip.open("ab") as file:
            file.write(done.stdout)
    sizes = {"1": (32, 64, 3), "2": (32, 128, 3), "1/2": (64, 64, 3)}
    times = [0.05, 1.95, 2.05, 3.85]
    for asked in ([0.05], [1.95], [2.05], [3.85], times, [0.05, 3.85]):
        with VideoReader(clip, SIDE_PX) as reader:
            shapes = [p.image.shape for p in reader.frames_at(asked)]
        assert shapes == [sizes[order[int(t // 2)]] for t in asked]
    if order[0] == "1":
        with VideoReader(clip, 100) as reader:
            assert [p.samples for p in reader.frames_at(times)] == [(0,), (1,)]
        assert {problem.reason for problem in reader.problems.values()} == {"bad_dimensions"}
