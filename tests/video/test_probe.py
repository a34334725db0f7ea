"""Header facts, and every reason for which a file is refused."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from pipeline.errors import Reject
from pipeline.tables.schemas import REJECT_REASONS
from pipeline.video import probe as probing
from pipeline.video.probe import probe
from tests.video.clips import numbered, write_clip

SIDE_PX = 4096


def reason(path: Path, max_side_px: int = SIDE_PX) -> str:
    with pytest.raises(Reject) as caught:
        probe(path, max_side_px)
    assert caught.value.reason in REJECT_REASONS
    return caught.value.reason


def test_facts_of_a_clip(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(60), Fraction(1001, 30000))
    facts = probe(clip, SIDE_PX)
    assert (facts.container, facts.codec) == ("mov", "h264")
    assert (facts.width_px, facts.height_px, facts.rotation_deg) == (128, 32, 0)
    assert facts.duration_s == pytest.approx(60 * 1001 / 30000, abs=1e-9)
    assert facts.average_fps == pytest.approx(30000 / 1001, abs=1e-9)
    assert facts.frame_count == 60


@pytest.mark.parametrize("late", [0, 57])
@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.flv", "libx264", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.asf", "mpeg4", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
    ],
)
def test_duration_counts_from_the_first_frame(tmp_path, name, codec, pix_fmt, late):
    """Also where the container has no duration, or one that counts from zero."""
    late = 0 if name == "a.avi" else late  # AVI cannot start late
    clip = write_clip(tmp_path / name, range(late, late + 30), codec=codec, pix_fmt=pix_fmt)
    assert probe(clip, SIDE_PX).duration_s == pytest.approx(1.2, abs=1e-3)


UNEVEN = [*range(40), 65, 90, 115, 140]
"""The end is slower than the start: what is stored and what is shown take different times."""


def shown_s(path: Path) -> float:
    """How long all frames that FFmpeg decodes are on screen together."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    ends = frames[-1].pts + frames[-1].duration
    return float((ends - frames[0].pts) * frames[0].time_base)


def remuxed(clip: Path, path: Path, **options: str) -> Path:
    with av.open(str(clip)) as source, av.open(str(path), "w", options=options) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return path


@pytest.mark.parametrize("movflags", ["faststart", "frag_keyframe+empty_moov"])
@pytest.mark.parametrize("stamps", [UNEVEN, [0, 60, *range(61, 101)]])
def test_frames_out_of_order_that_stay_differently_long(tmp_path, stamps, movflags):
    """MP4's own length is the sum of the steps between frames in the order they are stored."""
    clip = write_clip(tmp_path / "a.mp4", stamps, options={"bf": "2", "b_strategy": "0"})
    path = remuxed(clip, tmp_path / "b.mp4", movflags=movflags)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        by_header = float(stream.duration * stream.time_base)
    assert abs(by_header - shown_s(path)) > 0.5, "the clip is no trap"
    assert probe(path, SIDE_PX).duration_s == pytest.approx(shown_s(path), abs=1e-6)
    assert shown_s(path) > stamps[-1] / 25


def test_such_a_clip_that_is_cut_lasts_as_its_header_says(tmp_path):
    """What is missing of it would not be told otherwise."""
    clip = write_clip(tmp_path / "a.mp4", UNEVEN, options={"bf": "2", "b_strategy": "0"})
    whole = remuxed(clip, tmp_path / "b.mp4", movflags="faststart")
    with av.open(str(whole)) as container:
        stream = container.streams.video[0]
        by_header = float(stream.duration * stream.time_base)
    data = whole.read_bytes()
    whole.write_bytes(data[: data.index(b"mdat") + 600])
    assert probe(whole, SIDE_PX).duration_s == by_header > 2


@pytest.mark.parametrize(
    ("name", "stamps"), [("a.mp4", range(60)), ("a.avi", range(60)), ("a.mkv", UNEVEN)]
)
def test_packets_are_walked_only_where_the_header_does_not_do(tmp_path, monkeypatch, name, stamps):
    clip = write_clip(tmp_path / name, stamps, options={"bf": "2", "g": "7"})
    monkeypatch.setattr(probing, "read_timeline", lambda *_: pytest.fail("packets are walked"))
    assert probe(clip, SIDE_PX).duration_s == pytest.approx((stamps[-1] + 1) / 25, abs=1e-3)


def with_sound(path: Path) -> Path:
    """30 frames in 1.2 s and 3 s of sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libvpx-vp9", rate=25)
        video.width, video.height, video.pix_fmt = 128, 32, "yuv420p"
        sound = container.add_stream("libopus", rate=48_000, layout="mono")
        audio = av.AudioFrame.from_ndarray(np.zeros((1, 144_000), np.float32), "flt", "mono")
        audio.sample_rate = 48_000
        for i in range(30):
            frame = av.VideoFrame.from_ndarray(numbered(i), "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        container.mux(sound.encode(audio))
        container.mux(sound.encode())
    return path


def test_the_packets_of_an_mp4_that_starts_late_are_not_walked(tmp_path, monkeypatch):
    """As muxers without edit lists write frames out of order."""
    clip = write_clip(tmp_path / "a.mp4", range(60), options={"bf": "2", "b_strategy": "0"})
    data = clip.read_bytes()
    assert data.count(b"edts") == 1
    clip.write_bytes(data.replace(b"edts", b"free"))
    with av.open(str(clip)) as container:
        assert container.streams.video[0].start_time > 0
    monkeypatch.setattr(probing, "read_timeline", lambda *_: pytest.fail("packets are walked"))
    assert probe(clip, SIDE_PX).duration_s == pytest.approx(2.4, abs=1e-6)


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.mp4"])
def test_sound_that_goes_on_does_not_count(tmp_path, name):
    path = with_sound(tmp_path / name)
    with av.open(str(path)) as container:
        assert container.duration / av.time_base == pytest.approx(3, abs=0.1)
    assert probe(path, SIDE_PX).duration_s == pytest.approx(1.2, abs=1e-3)


@pytest.mark.parametrize(
    "tag", [b"99:00:00.000000000", b"00:00:00.000000000", b"about a second..."]
)
def test_a_length_that_cannot_be_is_not_believed(tmp_path, tag):
    path = with_sound(tmp_path / "a.mkv")
    data = path.read_bytes()
    assert data.count(b"00:00:01.200000000") == 1
    path.write_bytes(data.replace(b"00:00:01.200000000", tag.ljust(18, b"\0")))
    assert probe(path, SIDE_PX).duration_s == pytest.approx(1.2, abs=1e-3)


def test_a_rate_that_only_frames_tell(tmp_path):
    """Ogg has no average; without a rate, frames could not be counted."""
    clip = write_clip(tmp_path / "a.ogg", range(30), codec="libvpx")
    assert probe(clip, SIDE_PX).average_fps == 25
    assert probe(clip, SIDE_PX).duration_s == pytest.approx(1.2)


def test_facts_of_real_clips(assets):
    turned = probe(assets / "videos/odd/lp_s18_rot90flag.mp4", SIDE_PX)
    assert (turned.width_px, turned.height_px, turned.rotation_deg) == (1280, 720, 90)
    gif = probe(assets / "videos/real/head_pose_two.gif", SIDE_PX)
    assert (gif.container, gif.frame_count, gif.duration_s) == ("gif", 56, 4.66)
    late = probe(assets / "videos/real/hamilton_dark.mp4", SIDE_PX)  # starts at 0.85 s
    assert late.duration_s == pytest.approx(275 / 29.97, abs=1e-6)
    webm = probe(assets / "videos/real/ghost_orig.webm", SIDE_PX)
    assert (webm.codec, webm.frame_count, webm.duration_s) == ("vp9", -1, 2.64)


def test_missing(tmp_path):
    assert reason(tmp_path / "none.mp4") == "missing"
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "none.mp4")
    assert reason(tmp_path / "dangling.mp4") == "missing"


def test_unreadable(tmp_path):
    assert reason(tmp_path) == "unreadable"
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    assert reason(tmp_path / "loop.mp4") == "unreadable"


def test_unreadable_by_permission(tmp_path, monkeypatch):
    clip = write_clip(tmp_path / "a.mp4", range(3))

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied", str(clip))

    monkeypatch.setattr(Path, "open", refuse)  # file modes do not stop root
    assert reason(clip) == "unreadable"


def test_empty(tmp_path):
    (tmp_path / "a.mp4").touch()
    assert reason(tmp_path / "a.mp4") == "empty"


@pytest.mark.parametrize("kind", [".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm", ".jp2"])
@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a"])
def test_an_image_is_no_video(tmp_path, kind, name):
    (tmp_path / name).write_bytes(cv2.imencode(kind, numbered(5))[1].tobytes())
    assert reason(tmp_path / name) == "not_media"


def test_a_still_gif_is_no_video(tmp_path):
    still = write_clip(tmp_path / "a.gif", [0], codec="gif", pix_fmt="rgb8")
    still.rename(tmp_path / "a.mp4")
    assert reason(tmp_path / "a.mp4") == "not_media"


@pytest.mark.parametrize("brand", [b"avif", b"heic"])
def test_a_still_in_an_mp4_container_is_no_video(tmp_path, brand):
    clip = write_clip(tmp_path / "a.mp4", range(3))
    data = clip.read_bytes()
    assert data[4:12] == b"ftypisom"
    clip.write_bytes(data[:8] + brand + data[12:])
    assert reason(clip) == "not_media"


def test_a_jpeg_named_mp4_is_no_video(assets):
    assert reason(assets / "videos/odd/not_a_video.mp4") == "not_media"


@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8", "a.ffconcat", "a.sdp", "a.txt"])
@pytest.mark.parametrize(
    "text",
    [
        "hello world\n" * 100,
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{clip}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{clip}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    ],
)
def test_text_and_playlists_are_no_video(tmp_path, name, text):
    clip = write_clip(tmp_path / "real.mp4", range(3))
    (tmp_path / name).write_text(text.format(clip=clip))
    assert reason(tmp_path / name) == "not_media"


def test_no_video_stream(tmp_path):
    assert reason(_sound(tmp_path / "sound.mkv")) == "no_video_stream"


def test_cover_art_is_no_video_stream(tmp_path):
    path = _sound(tmp_path / "sound.mp4", cover=True)
    with av.open(str(path)) as container:
        assert container.streams.video, "the clip should carry cover art"
    assert reason(path) == "no_video_stream"


def test_unknown_codec(tmp_path):
    clip = write_clip(tmp_path / "a.mkv", range(3), codec="mpeg4")
    data = clip.read_bytes()
    assert data.count(b"V_MPEG4/ISO/ASP") == 1
    clip.write_bytes(data.replace(b"V_MPEG4/ISO/ASP", b"V_UNKNOWN/CODEC"))
    assert reason(clip) == "decode_error"


def test_bad_dimensions(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(3))
    assert probe(clip, 128).width_px == 128
    assert reason(clip, 127) == "bad_dimensions"


def test_absurd_duration(tmp_path):
    options = {"bf": "0"}
    day = write_clip(tmp_path / "day.mkv", [0, 86_000_000], Fraction(1, 1000), options=options)
    assert probe(day, SIDE_PX).duration_s == pytest.approx(86_000, abs=1)
    year = write_clip(tmp_path / "year.mkv", [0, 10**9], Fraction(1, 1000), options=options)
    assert reason(year) == "no_duration"


def _sound(path: Path, *, cover: bool = False) -> Path:
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000)
        if cover:
            art = container.add_stream("mjpeg", rate=1)
            art.height, art.width, art.pix_fmt = 32, 128, "yuvj420p"
            art.disposition = av.stream.Disposition.attached_pic
            frame = av.VideoFrame.from_ndarray(numbered(1), "rgb24")
            container.mux(art.encode(frame))
            container.mux(art.encode())
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def test_the_film_is_chosen_and_no_lone_frame(assets):
    facts = probe(assets / "failing/one_picture_track_first.mp4", SIDE_PX)
    assert (facts.codec, facts.frame_count, facts.duration_s) == ("h264", 50, 5.0)


@pytest.mark.parametrize("default", [0, 1])
def test_the_default_track_is_chosen(tmp_path, default):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=10) for _ in range(2)]
        for number, stream in enumerate(streams):
            stream.width, stream.height, stream.pix_fmt = 128 + 32 * number, 64, "yuv420p"
            stream.disposition = Disposition.default if number == default else Disposition(0)
        for _ in range(20):
            for stream in streams:
                frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    assert probe(path, SIDE_PX).width_px == 128 + 32 * default


@pytest.mark.parametrize("name", ["stale_duration_tag.mkv", "stale_length.avi"])
def test_a_header_shorter_than_the_film_is_not_believed(assets, name):
    facts = probe(assets / "failing" / name, SIDE_PX)
    assert (facts.duration_s, facts.frame_count) == (10.0, 100)


@pytest.mark.parametrize("name", ["a.flv", "a.mkv"])
def test_a_length_in_the_header_that_is_too_short(tmp_path, name):
    clip = write_clip(tmp_path / name, range(100), codec="libx264", options={"g": "50"})
    told = probe(clip, SIDE_PX).duration_s
    assert told == pytest.approx(4.0, abs=0.05)
    data = clip.read_bytes()
    if name == "a.flv":
        at = data.index(b"duration") + len("duration") + 1
        clip.write_bytes(data[:at] + struct.pack(">d", 1.0) + data[at + 8 :])
    else:
        at = data.index(b"\x44\x89\x88") + 3
        tag = data.index(b"00:00:04.000", at)
        assert struct.unpack(">d", data[at : at + 8])[0] == pytest.approx(4000, abs=50)
        data = data[:at] + struct.pack(">d", 1000.0) + data[at + 8 :]
        clip.write_bytes(data[:tag] + b"00:00:01.000" + data[tag + 12 :])
    assert probe(clip, SIDE_PX).duration_s == pytest.approx(told)


def _colored(path: Path, transfer: int, primaries: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.color_trc = transfer
        stream.codec_context.color_primaries = primaries
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize(
    ("transfer", "primaries", "said"),
    [
        (16, 9, "PQ"),
        (18, 9, "HLG"),
        (16, 1, "PQ"),
        (18, 2, "HLG"),
        (14, 9, "BT.2020"),
        (1, 9, "BT.2020"),
        (1, 1, ("bt709", "bt709")),
        (2, 2, ("", "")),
        (13, 6, ("iec61966_2_1", "smpte170m")),
    ],
)
def test_high_dynamic_range_is_refused_and_the_rest_is_told(
    tmp_path, name, transfer, primaries, said
):
    clip = _colored(tmp_path / name, transfer, primaries)
    if isinstance(said, str):
        with pytest.raises(Reject, match=said) as caught:
            probe(clip, SIDE_PX)
        assert caught.value.reason == "unsupported_media"
    else:
        facts = probe(clip, SIDE_PX)
        assert (facts.transfer, facts.primaries) == said


def test_pq_that_tells_its_matrix_alone_is_refused(assets):
    with pytest.raises(Reject, match=r"BT\.2020"):
        probe(assets / "failing/hdr_pq.mp4", SIDE_PX)


def test_a_guessed_rate_gives_way_to_the_true_average(assets):
    facts = probe(assets / "failing/rate_guessed_2000.ts", SIDE_PX)
    assert facts.average_fps == pytest.approx(facts.frame_count / facts.duration_s)
    assert 22 < facts.average_fps < 24


def test_appended_recordings_are_told(assets):
    with pytest.raises(Reject, match="appended") as caught:
        probe(assets / "failing/times_jump_back.ts", SIDE_PX)
    assert caught.value.reason == "no_duration"


def test_a_small_gif_of_many_pixels_is_refused(tmp_path):
    """Two bytes a side of its header decide how much memory each of its frames takes."""
    clip = write_clip(tmp_path / "a.gif", range(30), codec="gif", pix_fmt="rgb8")
    data = bytearray(clip.read_bytes())
    for side_px, refused in ((4096, False), (8000, True)):
        data[6:10] = side_px.to_bytes(2, "little") * 2
        clip.write_bytes(data)
        if refused:
            with pytest.raises(Reject, match="8000 x 8000 px; at most 16 Mpx") as caught:
                probe(clip, 8192)
            assert caught.value.reason == "bad_dimensions"
        else:
            assert probe(clip, 8192).width_px == side_px
