"""A corpus of damaged, disguised and hostile files, each with what has to become of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from tests.video.clips import lacks_encoder, numbered, write_clip

FRAMES = 50
FINE = ""
"""Frames come out; others may be missing."""
_NOTHING = ("not_media", "no_video_stream", "bad_dimensions", "no_duration", "decode_error")
"""What may be said of a file that the demuxer or decoder can make nothing of."""


@dataclass(frozen=True)
class Bad:
    """One file: its name, what must be said of it, and how it is made."""

    name: str
    reasons: tuple[str, ...]
    """Any of these; FINE among them where damage may spare what was looked at."""
    make: Callable[[Path], object]


def corpus(folder: Path, canary: Path, address: str) -> list[Bad]:
    """Writes all files to a folder.

    Args:
        folder: an empty folder.
        canary: a whole video that playlists refer to; it must never be opened.
        address: ``host:port`` that must never be called.
    """
    clips = _clips(folder / "whole")
    (folder / "bad").mkdir()
    found = [*_disguised(canary, address), *_strange(clips), *_cut(clips), *_flipped(clips)]
    for bad in found:
        bad.make(folder / "bad" / bad.name)
    return found


def _clips(folder: Path) -> dict[str, Path]:
    folder.mkdir()
    group = {"g": "10"}
    av1 = {"codec": "libsvtav1", "options": {"g": "10", "preset": "12"}}
    found = (
        {}
        if lacks_encoder("libsvtav1")
        else {
            "av1": write_clip(folder / "c.mkv", range(FRAMES), **av1),
            "av1mp4": write_clip(folder / "c.mp4", range(FRAMES), **av1),
        }
    )
    return found | {
        "mp4": write_clip(folder / "a.mp4", range(FRAMES), options={**group, "bf": "2"}),
        "mkv": write_clip(folder / "a.mkv", range(FRAMES), options={**group, "bf": "2"}),
        "ts": write_clip(folder / "a.ts", range(FRAMES), options={**group, "bf": "2"}),
        "flv": write_clip(folder / "a.flv", range(FRAMES), options=group),
        "webm": write_clip(folder / "a.webm", range(FRAMES), codec="libvpx-vp9", options=group),
        "avi": write_clip(folder / "a.avi", range(FRAMES), codec="mpeg4", options=group),
        "mpg": write_clip(folder / "a.mpg", range(FRAMES), codec="mpeg2video", options=group),
        "gif": write_clip(folder / "a.gif", range(FRAMES), codec="gif", pix_fmt="rgb8"),
        "hevc": write_clip(
            folder / "b.mp4",
            range(FRAMES),
            codec="libx265",
            options={"x265-params": "log-level=none:keyint=10"},
        ),
    }


def _writes(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def _disguised(canary: Path, address: str) -> list[Bad]:
    """Playlists and descriptions that would lead elsewhere, under the names of videos."""
    url = f"http://{address}/a.mp4"
    m3u8 = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
    mpd = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4">'
        '<Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    )
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"
    texts = {
        "local.mp4": m3u8.format(canary),
        "local.m3u8": m3u8.format(f"file://{canary}"),
        "remote.ts": m3u8.format(url),
        "remote.m3u8": m3u8.format(url),
        "crypto.mp4": m3u8.format(f"crypto+file://{canary}"),
        "joined.mkv": f"ffconcat version 1.0\nfile '{canary}'\n",
        "joined.ffconcat": f"ffconcat version 1.0\nfile '{canary}'\n",
        "session.mp4": sdp,
        "dash.mp4": mpd.format(url),
        "dash.mpd": mpd.format(canary),
        "redirect.asf": f"[Reference]\nRef1={url}\n",
        "redirect.mov": f"RTSPtextrtsp://{address}/a\n",
        "script.avi": f'AviSource("{canary}")\n',
        "frames.mp4": f"<?xml version='1.0'?><playlist><producer>{canary}</producer></playlist>",
        "page.webm": f'<html><video src="{url}"></video></html>',
        "pipe.mp4": f"pipe:{canary}",
    }
    return [Bad(name, ("not_media",), _writes(text.encode())) for name, text in texts.items()]


def _strange(clips: dict[str, Path]) -> list[Bad]:
    """Files that are no videos, or that nobody can show."""
    random = np.random.Generator(np.random.Philox(key=3))
    mp4, gif = clips["mp4"].read_bytes(), clips["gif"].read_bytes()

    def still(kind: str) -> Callable[[Path], object]:
        return _writes(cv2.imencode(kind, numbered(5))[1].tobytes())

    return [
        Bad("zero.mp4", ("empty",), Path.touch),
        Bad("one.mp4", ("not_media",), _writes(b"\0")),
        Bad("zeros.mkv", ("not_media",), _writes(bytes(1 << 16))),
        Bad("noise.mp4", ("not_media",), _writes(random.bytes(1 << 16))),
        Bad("text.avi", ("not_media",), _writes(b"hello world\n" * 999)),
        Bad("picture_jpg.mp4", ("not_media",), still(".jpg")),
        Bad("picture_png.mkv", ("not_media",), still(".png")),
        Bad("picture_bmp.mov", ("not_media",), still(".bmp")),
        Bad("picture_webp.webm", ("not_media",), still(".webp")),
        Bad("folder.mp4", ("unreadable",), Path.mkdir),
        Bad("pipe.ts", ("unreadable",), os.mkfifo),
        Bad("device.mp4", ("unreadable",), lambda path: path.symlink_to("/dev/zero")),
        Bad("dangling.mp4", ("missing",), lambda path: path.symlink_to("nowhere.mp4")),
        Bad("sound.mkv", ("no_video_stream",), _sound),
        Bad("sound.mp4", ("no_video_stream",), _sound),
        Bad("sound.avi", ("no_video_stream",), _sound),
        Bad("encrypted.mp4", ("encrypted",), _encrypted),
        Bad("huge.gif", ("bad_dimensions",), _writes(_with_size(gif, 0xFFFF))),
        Bad("flat.gif", ("bad_dimensions", "not_media"), _writes(_with_size(gif, 0))),
        Bad("wide.mp4", ("bad_dimensions",), _wide),
        Bad("wrong.mkv", (FINE,), _writes(mp4)),
        Bad("wrong.mp4", (FINE,), _writes(clips["mkv"].read_bytes())),
        Bad("nameless", (FINE,), _writes(clips["webm"].read_bytes())),
        Bad("subfile,,start,0,end,9,,:a.mp4", (FINE,), _writes(mp4)),
        Bad("concat:a|b.mp4", (FINE,), _writes(mp4)),
        Bad("tail.mp4", (FINE,), _writes(mp4 + random.bytes(4096))),
        Bad("no_header.mp4", ("not_media",), _writes(mp4.replace(b"moov", b"mooo"))),
        Bad("no_header.mkv", ("not_media",), _writes(clips["mkv"].read_bytes()[64:])),
        Bad("no_pictures.mp4", ("decode_error",), _writes(_blank(clips["mp4"]))),
        Bad("no_pictures.webm", ("decode_error",), _writes(_blank(clips["webm"]))),
        Bad("no_pictures.ts", ("no_video_stream", "not_media"), _writes(_blank_ts(clips["ts"]))),
    ]


def _cut(clips: dict[str, Path]) -> list[Bad]:
    """Files that end too early; at a tenth some have no frame yet."""
    found = []
    for kind, clip in clips.items():
        data = clip.read_bytes()
        # An index at the end of the file is lost with it.
        rest = ("not_media",) if clip.suffix in (".mp4", ".avi") else (FINE,)
        found.append(Bad(f"half_{kind}{clip.suffix}", rest, _writes(data[: len(data) // 2])))
        tenth = ("not_media",) if clip.suffix == ".mp4" else (*_NOTHING, FINE)
        found.append(Bad(f"tenth_{kind}{clip.suffix}", tenth, _writes(data[: len(data) // 10])))
    return found


def _flipped(clips: dict[str, Path]) -> list[Bad]:
    """Files with one bit in two hundred bytes flipped: in the frames, or in the header."""
    random = np.random.Generator(np.random.Philox(key=4))
    found = []
    for kind, clip in clips.items():
        for where in ("pictures", "header"):
            data = bytearray(clip.read_bytes())
            start, end = (512, len(data) * 9 // 10) if where == "pictures" else (0, 512)
            for at in random.integers(start, end, max(4, (end - start) // 200)):
                data[at] ^= 1 << int(random.integers(8))
            said = (*_NOTHING, FINE)  # what a flipped bit hits, nobody can know
            found.append(Bad(f"{where}_{kind}{clip.suffix}", said, _writes(bytes(data))))
    return found


def _with_size(gif: bytes, side: int) -> bytes:
    return gif[:6] + side.to_bytes(2, "little") * 2 + gif[10:]


def _wide(path: Path) -> None:
    write_clip(path, range(2), frames=[np.zeros((16, 4096, 3), np.uint8)] * 2)


def _blank(clip: Path) -> bytes:
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    return bytes(data)


def _blank_ts(clip: Path) -> bytes:
    data = clip.read_bytes()
    return b"".join(data[at : at + 4] + b"\xff" * 184 for at in range(0, len(data), 188))


def _sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp3" if path.suffix == ".avi" else "aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _encrypted(path: Path) -> None:
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "01" * 16,
        "encryption_kid": "02" * 16,
    }
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 32, "yuv420p"
        for i in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(numbered(i), "rgb24")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
