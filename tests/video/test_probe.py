"""Header facts, and every reason for which a file is refused."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import Reject
from pipeline.tables import REJECT_REASONS
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
def test_duration_counts_from_the_first_picture(tmp_path, name, codec, pix_fmt, late):
    """Also where the container has no duration, or one that counts from zero."""
    late = 0 if name == "a.avi" else late  # AVI cannot start late
    clip = write_clip(tmp_path / name, range(late, late + 30), codec=codec, pix_fmt=pix_fmt)
    assert probe(clip, SIDE_PX).duration_s == pytest.approx(1.2, abs=1e-3)


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
def test_a_picture_is_no_video(tmp_path, kind, name):
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
