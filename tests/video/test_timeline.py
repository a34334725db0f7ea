"""How long frames are shown and which is the n-th, against what FFmpeg decodes and stripes."""

import re
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from pipeline.config.params import FramesParams, Sampling
from pipeline.errors import Reject
from pipeline.video.decode import VideoReader
from pipeline.video.plan import FramesTask, planned_times, sampling_text
from pipeline.video.probe import probe
from tests.video.clips import number_of, numbered, write_clip

SIDE_PX = 4096
NTSC = Fraction(1001, 30000)
VARIABLE = [0, 1, 2, 7, 20, 21, 29, 30, 31, 32, 50, 52, 54, 56, 80, 81, 83, 84, 90, 99, 110, 111]
REORDERED = {"bf": "2", "b_strategy": "0", "g": "12"}


def shown(path: Path) -> list[tuple[float, int]]:
    """Time in s from the first frame, and number, of all frames that FFmpeg decodes."""
    with av.open(str(path)) as container:
        frames = [(p.time, number_of(p.to_ndarray(format="rgb24"))) for p in container.decode()]
    return [(time - frames[0][0], number) for time, number in frames]


def shown_s(path: Path) -> float:
    """How long all frames that FFmpeg decodes are on screen together."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    end = frames[-1].pts + frames[-1].duration
    return float((end - frames[0].pts) * frames[0].time_base)


def read(path: Path, times_s: Sequence[float]) -> list[int]:
    """Numbers of the frames at the times; -1 where nothing is on screen."""
    with VideoReader(path, SIDE_PX) as reader:
        found = {k: number_of(p.image) for p in reader.frames_at(times_s) for k in p.samples}
    return [found.get(k, -1) for k in range(len(times_s))]


def planned(
    path: Path,
    sampling: Sampling,
    segments_s: Sequence[float] = (),
    segments_frames: Sequence[int] = (),
) -> list[float]:
    """Times that the stage plans."""
    inputs = {"file": str(path), "media": "video", "segments_s": list(segments_s), "outside": 0}
    inputs["segments_frames"] = list(segments_frames)
    result = FramesTask(FRAMES).work({**inputs, "sampling": sampling_text(sampling)})
    return [float(output.fields["time_s"]) for output in result.outputs]


FRAMES = FramesParams()


def with_edits(clip: Path, edits: Sequence[tuple[int, int]]) -> Path:
    """Gives an MP4 of one track another edit list: duration in ms, start in frames (-1: empty).

    A start counts from what is shown first.
    """
    data = clip.read_bytes()
    at = data.index(b"elst") - 4
    size, media_start = (
        int.from_bytes(data[at : at + 4], "big"),
        int.from_bytes(data[at + 20 : at + 24], "big"),
    )
    ticks = 512  # of a frame, at 25 a second
    entries = [
        duration_ms.to_bytes(4, "big")
        + (-1 if start < 0 else media_start + int(start * ticks)).to_bytes(4, "big", signed=True)
        + (1 << 16).to_bytes(4, "big")
        for duration_ms, start in edits
    ]
    box = b"elst" + bytes(4) + len(entries).to_bytes(4, "big") + b"".join(entries)
    longer = len(box) + 4 - size
    head = bytearray(data[:at])
    assert head.index(b"mdat") < head.index(b"moov"), "offsets would have to change"
    for name in (b"moov", b"trak", b"edts"):
        place = head.rindex(name) - 4
        length = int.from_bytes(head[place : place + 4], "big") + longer
        head[place : place + 4] = length.to_bytes(4, "big")
    clip.write_bytes(bytes(head) + (len(box) + 4).to_bytes(4, "big") + box + data[at + size :])
    return clip


@pytest.mark.parametrize("options", [{"bf": "0", "g": "12"}, REORDERED])
@pytest.mark.parametrize(
    ("edits", "first", "count"),
    [
        ([(500, -1), (1200, 0)], 0, 30),
        ([(500, -1), (1190, 0)], 0, 30),
        ([(1510, 0)], 0, 38),
        ([(1999, 0)], 0, 50),
        ([(1200, 3.5)], 4, 30),
        ([(300, -1), (1210, 3.5)], 4, 30),
    ],
)
def test_edit_lists_that_delay_and_cut(tmp_path, edits, first, count, options):
    """Also in the midst of a frame: FFmpeg leaves out one that began before, and shows the last
    one whole."""
    clip = with_edits(write_clip(tmp_path / "a.mp4", range(50), options=options), edits)
    assert [number for _, number in shown(clip)] == [*range(first, first + count)]
    assert probe(clip, SIDE_PX).duration_s == pytest.approx(count / 25, abs=1e-6)
    times = planned(clip, Sampling(fps=25.0))
    assert read(clip, times) == [*range(first, first + count)]


SOUNDS = {
    "a.flv": ("libx264", "aac", "fltp"),
    "a.mov": ("libx264", "aac", "fltp"),
    "a.3gp": ("libx264", "aac", "fltp"),
    "a.ts": ("libx264", "aac", "fltp"),
    "a.mkv": ("libx264", "aac", "fltp"),
    "a.avi": ("mpeg4", "mp3", "fltp"),
    "a.mpg": ("mpeg2video", "mp2", "s16"),
    "a.asf": ("mpeg4", "mp2", "s16"),
    "a.ogg": ("libvpx", "libopus", "flt"),
    "a.webm": ("libvpx-vp9", "libopus", "flt"),
}


def with_sound(path: Path, sound_s: float) -> Path:
    """30 frames in 1.2 s, and silence."""
    codec, sound_codec, form = SOUNDS[path.name]
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 128, 32, "yuv420p"
        sound = container.add_stream(sound_codec, rate=48_000, layout="mono")
        silence = np.zeros((1, int(sound_s * 48_000)), np.int16 if form == "s16" else np.float32)
        frame = av.AudioFrame.from_ndarray(silence, form, "mono")
        frame.sample_rate = 48_000
        packets = [*sound.encode(frame), *sound.encode()]
        for i in range(30):
            frame = av.VideoFrame.from_ndarray(numbered(i), "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            packets += video.encode(frame)
        packets += video.encode()
        for packet in sorted(packets, key=lambda p: (p.dts or 0) * p.time_base):
            container.mux(packet)
    return path


@pytest.mark.parametrize("sound_s", [0.5, 3.0])
@pytest.mark.parametrize("name", SOUNDS)
def test_sound_of_another_length(tmp_path, name, sound_s):
    path = with_sound(tmp_path / name, sound_s)
    if name in ("a.mkv", "a.webm"):
        data = path.read_bytes()  # as of muxers that write no lengths of tracks
        assert data.count(b"DURATION") == 2
        path.write_bytes(data.replace(b"DURATION", b"DURATIOM"))
    assert probe(path, SIDE_PX).duration_s == pytest.approx(1.2, abs=2e-3)
    assert read(path, planned(path, Sampling(fps=10.0))) == [k * 5 // 2 for k in range(12)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.avi", "mpeg4"), ("a.avi", "libx264"), ("a.asf", "mpeg4"), ("a.asf", "libx264")],
)
@pytest.mark.parametrize("stamps", [VARIABLE, [0, 4, 8, 9, 10, 11, 14], [k + 57 for k in VARIABLE]])
def test_frames_out_of_order_in_containers_without_their_times(tmp_path, name, codec, stamps):
    """As the ffmpeg program shows them, but for the last ones, the times of which are not in the
    file: they follow one by one."""
    clip = write_clip(tmp_path / name, stamps, codec=codec, options=REORDERED)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(clip), "-vf", "showinfo"]
    command += ["-fps_mode", "passthrough", "-f", "null", "-"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    starts = [round(float(text) * 25) for text in re.findall(r" pts_time:(\S+)", run.stderr)]
    unsure = 1 if codec == "mpeg4" else 2
    starts = [start - starts[0] for start in starts[:-unsure]]
    assert starts == [stamp - stamps[0] for stamp in stamps[:-unsure]]
    starts += [starts[-1] + 1 + k for k in range(unsure)]
    assert probe(clip, SIDE_PX).duration_s == pytest.approx((starts[-1] + 1) / 25, abs=2e-3)
    assert read(clip, [(start + 0.5) / 25 for start in starts]) == [*range(len(stamps))]
    assert read(clip, planned(clip, Sampling(fps=0.0, every_n=2))) == [*range(0, len(stamps), 2)]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.asf", "mpeg4"), ("a.asf", "mpeg2video"), ("b.asf", "libx264")]
)
def test_no_frame_of_asf_falls_on_another(tmp_path, name, codec):
    """What FFmpeg guesses of the times of frames there is wrong for some."""
    clip = write_clip(tmp_path / name, range(70), NTSC, codec=codec, options=REORDERED)
    assert read(clip, [float((k + 0.5) * NTSC) for k in range(70)]) == [*range(70)]
    assert probe(clip, SIDE_PX).duration_s == pytest.approx(70 * NTSC, abs=2e-3)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.ts", "mpeg2video", REORDERED),
        ("a.ts", "libx265", {"x265-params": "log-level=none:keyint=12:bframes=3:b-adapt=0"}),
        ("a.avi", "mpeg4", REORDERED),
        ("a.mkv", "mpeg4", REORDERED),
    ],
)
def test_frames_that_a_cut_has_taken_the_start_of(tmp_path, name, codec, options):
    """The first ones refer to what was cut off, and cannot be shown."""
    clip = write_clip(tmp_path / f"whole-{name}", range(70), codec=codec, options=options)
    cut = tmp_path / name
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-ss", "1.03", "-i", str(clip)]
    subprocess.run([*command, "-t", "1.2", "-c", "copy", str(cut)], check=True)
    numbers = [number for _, number in shown(cut)]
    assert 20 < len(numbers) < 58
    assert probe(cut, SIDE_PX).duration_s == pytest.approx(shown_s(cut), abs=2e-3)
    assert -1 not in read(cut, planned(cut, Sampling(fps=25.0)))
    assert read(cut, planned(cut, Sampling(fps=0.0, every_n=3))) == numbers[::3]


def test_packets_without_a_time(tmp_path):
    """MPEG's older container tells only some times of H.264."""
    clip = write_clip(tmp_path / "a.mpg", range(70), options=REORDERED)
    with av.open(str(clip)) as container:
        assert sum(p.pts is None for p in container.demux(video=0) if p.size) > 30
    assert probe(clip, SIDE_PX).duration_s == pytest.approx(2.8, abs=1e-3)
    assert read(clip, planned(clip, Sampling(fps=0.0, every_n=7))) == [*range(0, 70, 7)]


COUNTED = [Sampling(fps=0.0, every_n=3), Sampling(fps=0.0, stride_int_fps=True)]


STAMPS = [VARIABLE, range(-17, 40), [*range(60), *range(60, 600, 60)]]
CLIPS = [
    ("a.mp4", "libx264", REORDERED),
    ("a.mov", "mpeg4", {"bf": "2"}),
    ("a.mkv", "libx264", REORDERED),
    ("a.ts", "libx264", REORDERED),
    ("a.flv", "libx264", {"bf": "0"}),
    ("a.webm", "libvpx-vp9", {}),
    ("a.avi", "mpeg4", {}),
    ("a.asf", "mpeg4", {}),
    ("a.gif", "gif", {}),
]
CUTS_OFF = ("a.mp4", "a.mov")
"""Only an edit list can leave out frames before 0."""


@pytest.mark.parametrize("sampling", COUNTED)
@pytest.mark.parametrize(
    ("stamps", "name", "codec", "options"),
    [(s, *clip) for s in STAMPS for clip in CLIPS if s[0] >= 0 or clip[0] in CUTS_OFF],
)
def test_every_nth_frame_whatever_the_rate(tmp_path, name, codec, options, stamps, sampling):
    """By number, not by time: the rate is only an average."""
    pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
    clip = write_clip(tmp_path / name, stamps, codec=codec, pix_fmt=pix_fmt, options=options)
    numbers = [number for number, stamp in enumerate(stamps) if stamp >= 0]
    every = sampling.every_n or int(probe(clip, SIDE_PX).average_fps)
    assert read(clip, planned(clip, sampling)) == numbers[::every]


def test_counted_frames_lie_within_the_parts(tmp_path):
    clip = write_clip(tmp_path / "a.mkv", VARIABLE, options=REORDERED)
    times = planned(clip, Sampling(fps=0.0, every_n=3, parts="grid"), [0.5, 1.25, 2.0, 9.0])
    assert read(clip, times) == [3, 6, 12, 15, 18, 21]


@pytest.mark.parametrize("stamps", [range(40), [n * n for n in range(40)]])
@pytest.mark.parametrize("sampling", [Sampling(fps=25.0), Sampling(fps=0.0, every_n=1)])
@pytest.mark.parametrize(
    ("parts", "wanted"),
    [([3, 9], range(3, 9)), ([30, 99, 2, 4], [2, 3, *range(30, 40)]), ([0, 40], range(40))],
)
def test_parts_counted_in_frames(tmp_path, stamps, sampling, parts, wanted):
    """At variable rates too, whatever is sampled: the frames are those of the list."""
    clip = write_clip(tmp_path / "a.mkv", stamps, options={"bf": "2"})
    found = read(clip, planned(clip, sampling, segments_frames=parts))
    assert sorted(set(found)) == list(wanted)


def test_parts_behind_the_last_frame(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(40))
    with pytest.raises(Reject) as caught:
        planned(clip, Sampling(), segments_frames=[40, 50])
    assert caught.value.reason == "past_end"


def test_counted_times_of_a_constant_rate_are_those_of_the_rate(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(90), NTSC, options=REORDERED)
    for sampling in COUNTED:
        assert planned(clip, sampling) == planned_times(probe(clip, SIDE_PX), sampling)


def test_what_is_missing_of_a_cut_file_is_counted_too(tmp_path):
    """By the average rate, so that it is told."""
    clip = write_clip(tmp_path / "a.mkv", range(60), options={"g": "10"})
    sampling = Sampling(fps=0.0, every_n=5)
    whole = planned(clip, sampling)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    assert planned(clip, sampling) == pytest.approx(whole, abs=1e-3)
    assert -1 in read(clip, whole)


@pytest.mark.slow
def test_frames_that_only_others_refer_to_do_not_count(tmp_path):
    """VP8 stores them in packets of their own; encoders of two passes make them."""
    random = np.random.Generator(np.random.Philox(key=7))
    texture = random.integers(0, 64, (64, 256, 3), np.uint8)
    frames = [
        np.kron(numbered(i) // 2, np.ones((2, 2, 1), np.uint8)) + np.roll(texture, i, 1)
        for i in range(100)
    ]
    raw = write_clip(tmp_path / "raw.mkv", range(100), codec="ffv1", frames=frames)
    path = tmp_path / "a.webm"
    for number in ("1", "2"):
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(raw)]
        command += ["-c:v", "libvpx", "-g", "40", "-b:v", "150k", "-auto-alt-ref", "1"]
        command += ["-lag-in-frames", "25", "-arnr-maxframes", "7", "-arnr-strength", "5"]
        command += ["-pass", number, "-passlogfile", str(tmp_path / "log"), str(path)]
        subprocess.run(command, check=True)
    with av.open(str(path)) as container:
        assert sum(bool(p.size) for p in container.demux(video=0)) > 100, "the clip is no trap"
    assert read(path, planned(path, Sampling(fps=0.0, every_n=4))) == [*range(0, 100, 4)]


@pytest.mark.parametrize("options", [{"bf": "0", "g": "12"}, REORDERED])
def test_avi_of_many_ticks_to_a_frame(tmp_path, options):
    """As the ffmpeg program copies MP4 to AVI."""
    clip = write_clip(tmp_path / "a.mp4", range(70), options=options)
    path = tmp_path / "a.avi"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(clip), "-c", "copy"]
    subprocess.run([*command, str(path)], check=True)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate > 100, "the clip is no trap"
    facts = probe(path, SIDE_PX)
    assert (facts.duration_s, facts.average_fps) == (pytest.approx(2.8), 25)
    assert read(path, [(k + 0.9) / 25 for k in range(70)]) == [*range(70)]
    assert read(path, planned(path, Sampling(fps=0.0, stride_int_fps=True))) == [0, 25, 50]


@pytest.mark.parametrize("frame", [9, 14, 20])
@pytest.mark.parametrize("name", ["a.flv", "a.mkv"])
def test_what_is_missing_of_a_cut_file_with_sound_is_planned(tmp_path, name, frame):
    """Though its frames may end before the sound does; cut between two packets."""
    path = with_sound(tmp_path / name, 3.0)
    with av.open(str(path)) as container:
        starts = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes().replace(b"DURATION", b"DURATIOM")
    path.write_bytes(data[: starts[frame] - 16])
    times = planned(path, Sampling(fps=10.0))
    assert len(times) >= 12
    numbers = read(path, times)
    assert numbers[:2] == [0, 2]
    assert numbers[-1] == -1


@pytest.mark.parametrize(
    ("name", "stamps", "codec", "options"),
    [
        ("b.flv", VARIABLE, "libx264", REORDERED),
        ("b.mp4", range(-17, 50), "mpeg4", REORDERED),
        ("b.mp4", range(-17, 50), "libx264", REORDERED),
        ("b.mp4", VARIABLE, "libx264", REORDERED),
        ("b.mkv", VARIABLE, "libx264", REORDERED),
    ],
)
def test_what_the_ffmpeg_program_copies(tmp_path, name, stamps, codec, options):
    """To FLV, which starts late then; to fragments, which lose the edit list."""
    clip = write_clip(tmp_path / "a.mp4", stamps, codec=codec, options=options)
    path = tmp_path / name
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(clip), "-c", "copy"]
    fragments = ["-movflags", "frag_keyframe+empty_moov"] if name == "b.mp4" else []
    subprocess.run([*command, *fragments, str(path)], check=True)
    assert probe(path, SIDE_PX).duration_s == pytest.approx(shown_s(path), abs=2e-3)
    numbers = [number for _, number in shown(path)]
    assert read(path, planned(path, Sampling(fps=0.0, every_n=2))) == numbers[::2]
