"""No damaged file crashes, hangs, leaks, or opens another one; each gets the reason it should."""

import ctypes
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.video.decode import VideoReader
from pipeline.video.skip import Odd, Skipper
from tests.video.clips import lacks_encoder, number_of, numbered, write_clip
from tests.video.damaged import FINE, corpus

ROUNDS = 4
DEADLINE_S = 120
LEAK_BYTES = 8 << 20
_IN_OPEN = 0x20


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("damaged")
    canary = write_clip(folder / "canary.mp4", range(10))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        files = corpus(folder, canary, f"127.0.0.1:{server.getsockname()[1]}")
        libc = ctypes.CDLL(None, use_errno=True)
        watch = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(watch, os.fsencode(canary), _IN_OPEN) >= 0
        run = subprocess.run(
            [sys.executable, "-m", "tests.video.read_damaged", str(folder / "bad"), str(ROUNDS)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            cwd=Path(__file__).parents[2],
        )
        assert run.returncode == 0, run.stderr[-2000:]
        opened = True
        try:
            os.read(watch, 4096)
        except BlockingIOError:
            opened = False
        os.close(watch)
        called = True
        try:
            server.accept()
        except BlockingIOError:
            called = False
    return {**json.loads(run.stdout), "files": files, "opened": opened, "called": called}


def test_there_are_enough_of_them(result):
    assert len(result["files"]) >= 40
    assert {bad.name for bad in result["files"]} == set(result["outcomes"])


def test_each_has_the_reason_it_should(result):
    wrong = {}
    for bad in result["files"]:
        reason, found, planned, detail = result["outcomes"][bad.name]
        silent = found < planned and not detail
        none = found == 0 and not detail
        if reason not in bad.reasons or (reason == FINE and (none or found > planned or silent)):
            wrong[bad.name] = (reason, found, planned, detail)
    assert not wrong


def test_what_is_missing_of_a_cut_file_is_told(result):
    for name in ("half_mkv.mkv", "half_webm.webm", "half_flv.flv", "half_gif.gif"):
        _, found, planned, damage = result["outcomes"][name]
        assert 0 < found < planned, name
        assert damage, name


def test_no_other_file_is_opened_and_nobody_is_called(result):
    assert not result["opened"]
    assert not result["called"]


def test_nothing_leaks(result):
    early, *_, last = result["resident_bytes"][1:]
    assert last - early < LEAK_BYTES


@pytest.mark.skipif(lacks_encoder("libsvtav1"), reason="this PyAV has no encoder of AV1")
@pytest.mark.parametrize("harm", ["bits", "start", "end"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_damaged_av1_is_told_and_read_as_by_decoding_all(tmp_path, monkeypatch, name, harm):
    """Frames of other groups come out whole, and nothing is told apart by what was left out."""
    random = np.random.Generator(np.random.Philox(key=8))
    texture = random.integers(0, 64, (64, 256, 3), np.uint8)
    frames = [
        np.kron(numbered(i) // 2, np.ones((2, 2, 1), np.uint8)) + np.roll(texture, i, 1)
        for i in range(60)
    ]
    options = {"preset": "10", "svtav1-params": "keyint=20"}
    clip = write_clip(tmp_path / name, range(60), codec="libsvtav1", options=options, frames=frames)
    whole = clip.read_bytes()
    with av.open(str(clip)) as container:
        packets = [(p.pos, p.size, p.is_keyframe) for p in container.demux(video=0) if p.size]
    assert [k for k, (*_, key) in enumerate(packets) if key] == [0, 20, 40]
    harmed = 0
    for place in (20, 21, 24, 28, 33, 39):
        at, size, _ = packets[place]
        data = bytearray(whole)
        if harm == "bits":
            for byte in random.integers(at, at + size, 3):
                data[byte] ^= 1 << int(random.integers(8))
        else:
            start, end = (at, at + min(size, 4)) if harm == "start" else (at + size // 2, at + size)
            data[start:end] = b"\xff" * (end - start)
        clip.write_bytes(data)
        for chosen in (range(60), range(3, 60, 9), [place, place + 1, 55], [20, 50]):
            times = [(k + 0.5) / 25 for k in chosen]
            found = []
            for skips in (True, False):
                with monkeypatch.context() as patch, VideoReader(clip, 2048) as reader:
                    if not skips:
                        patch.setattr(Skipper, "frames", _refuse)
                    shown = list(reader.frames_at(times))
                found.append([(p.samples, p.pts, p.image.tobytes()) for p in shown])
                numbers = {chosen[s]: number_of(p.image) for p in shown for s in p.samples}
                assert all(numbers[k] == k for k in chosen if not 20 <= k < 40)
                # What the decoder makes of the first one without a word, nobody can know.
                assert all(numbers[k] == k for k in set(numbers) - {place})
                told = {chosen[place] for place in reader.problems}
                assert told | set(numbers) == set(chosen)
                assert {problem.reason for problem in reader.problems.values()} <= {"damaged"}
                harmed += bool(told)
            assert found[0] == found[1], (place, chosen)
    assert harmed, "the damage is no trap"


def _refuse(self, packets):
    raise Odd("asked for")


CODED = {
    "h264.mp4": ("libx264", {"g": "20", "bf": "2"}),
    "h264.ts": ("libx264", {"g": "20", "bf": "2"}),
    "hevc.mkv": ("libx265", {"x265-params": "log-level=none:keyint=20:min-keyint=20"}),
    "mpeg4.avi": ("mpeg4", {"g": "20"}),
    "mpeg4.mp4": ("mpeg4", {"g": "20", "bf": "2"}),
    "mpeg2.mpg": ("mpeg2video", {"g": "20", "bf": "2"}),
}


@pytest.mark.parametrize("name", [n for n, (c, _) in CODED.items() if not lacks_encoder(c)])
def test_from_the_complaint_to_the_next_start_frames_are_rejected(tmp_path, name):
    """Every frame that comes is the frame of the undamaged file."""
    codec, options = CODED[name]
    random = np.random.Generator(np.random.Philox(key=9))
    texture = random.integers(0, 64, (64, 256, 3), np.uint8)
    frames = [
        np.kron(numbered(i) // 2, np.ones((2, 2, 1), np.uint8)) + np.roll(texture, i, 1)
        for i in range(60)
    ]
    clip = write_clip(tmp_path / name, range(60), codec=codec, options=options, frames=frames)
    times = [(k + 0.5) / 25 for k in range(60)]
    with VideoReader(clip, 2048) as reader:
        whole = {p.samples[0]: p.image for p in reader.frames_at(times)}
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        packets = [(bytes(p), p.is_keyframe) for p in container.demux(video=0) if p.size]
    hit = max(range(24, 36), key=lambda place: len(packets[place][0]))
    start = next(place for place in range(hit + 1, 60) if packets[place][1])
    coded = packets[hit][0]
    # HEVC decodes nonsense without a word, but not a header of it.
    at = data.index(coded[len(coded) // 2 :][:24] if codec != "libx265" else coded[:24]) + 6
    data[at : at + 60] = random.bytes(60)
    clip.write_bytes(data)
    with VideoReader(clip, 2048) as reader:
        found = {s: p.image for p in reader.frames_at(times) for s in p.samples}
    told = {place: problem.reason for place, problem in reader.problems.items()}
    assert set(told.values()) == {"damaged"}
    assert set(told) | set(found) == set(range(60))
    assert set(told) <= set(range(hit - 3, start + 3)), "B-frames lie around"
    for place, image in found.items():
        assert np.array_equal(image, whole[place]), place
    with VideoReader(clip, 2048, keep_damaged=True) as reader:
        kept = {s for p in reader.frames_at(times) for s in p.samples}
    assert kept > set(found) or codec == "libx265", "of HEVC, the decoder gives none"


def test_the_middle_that_was_smeared(assets):
    """Packets 33 to 39 of 80 are damaged, and there is one frame to start at, the first."""
    clip = assets / "failing/damaged_middle.mp4"
    times = [float(k) for k in range(8)]
    with VideoReader(clip, 2048) as reader:
        found = {s for p in reader.frames_at(times) for s in p.samples}
    assert found == {0, 1, 2, 3}
    assert {k: p.reason for k, p in reader.problems.items()} == dict.fromkeys(
        range(4, 8), "damaged"
    )
    with VideoReader(assets / "failing/damaged_middle_undamaged.mp4", 2048) as reader:
        assert len(list(reader.frames_at(times))) == 8
    assert not reader.problems
