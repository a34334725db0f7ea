"""What decoding everything gives of a damaged file is what the undamaged one shows.

The undamaged file is decoded by PyAV alone, with no word from the code under test.
"""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.video.bitstream import mpeg2_type
from pipeline.video.decode import VideoReader
from tests.video.clips import numbered, write_clip

FRAMES = 40
NOISE = 6.0
"""Mean difference of two ways from YUV to RGB, in levels; what is damaged differs by more."""


def _clip(path: Path, codec: str, options: dict[str, str] | None = None, pix: str = "yuv420p"):
    random = np.random.Generator(np.random.Philox(key=9))
    texture = random.integers(0, 64, (64, 256, 3), np.uint8)
    frames = [
        np.kron(numbered(i) // 2, np.ones((2, 2, 1), np.uint8)) + np.roll(texture, i, 1)
        for i in range(FRAMES)
    ]
    return write_clip(path, range(FRAMES), codec=codec, options=options, pix_fmt=pix, frames=frames)


def _decoded(path: Path) -> list[NDArray[np.uint8]]:
    """uint8 (H, W, 3) RGB of each frame, in order of presentation."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _packets(path: Path) -> list[tuple[int, int, bool]]:
    """Place in the file, size and whether it is a key frame, of each packet."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size, p.is_keyframe) for p in container.demux(video=0) if p.size]


def _read(path: Path, *, keep_damaged: bool = False) -> tuple[dict[int, NDArray], set[int]]:
    """Images, and the places of those that are told to be damaged."""
    with VideoReader(path, 2048, keep_damaged=keep_damaged) as reader:
        times = [(k + 0.5) / 25 for k in range(FRAMES)]
        found = {s: f.image for f in reader.frames_at(times) for s in f.samples}
        assert {problem.reason for problem in reader.problems.values()} <= {"damaged"}
        return found, set(reader.problems)


def _differing(found: dict[int, NDArray], whole: list[NDArray]) -> set[int]:
    return {
        place
        for place, image in found.items()
        if np.abs(image.astype(int) - whole[place]).mean() > NOISE
    }


@pytest.mark.parametrize(("codec", "pix"), [("huffyuv", "yuv422p"), ("mpeg4", "yuv420p")])
def test_the_cut_last_packet_of_an_avi_is_damaged(tmp_path, codec, pix):
    """HuffYUV fills the rest of the picture up, and does not complain."""
    clip = _clip(tmp_path / "a.avi", codec, pix=pix)
    whole = _decoded(clip)
    at, size, _ = _packets(clip)[30]
    clip.write_bytes(clip.read_bytes()[: at + 8 + size // 3])
    assert _differing(_read(clip, keep_damaged=True)[0], whole) == {30}
    found, told = _read(clip)
    assert told == {30}
    assert set(found) == set(range(30))
    assert not _differing(found, whole)


@pytest.mark.parametrize("codec", ["wmv2", "msmpeg4v3"])
@pytest.mark.parametrize(("place", "complains"), [(13, True), (15, True), (17, False)])
def test_a_hole_in_asf_counts_where_it_is(tmp_path, codec, place, complains):
    """Opening the file reads past the hole; what comes before it is sound all the same.

    Where FFmpeg says nothing, blocks are not where they should be.
    """
    clip = _clip(tmp_path / "a.asf", codec, {"g": "10", "qmin": "4", "qmax": "4"})
    whole, packets = _decoded(clip), _packets(clip)
    data = clip.read_bytes()
    at = packets[place][0] + (800 if complains else 2400)
    clip.write_bytes(data[:at] + data[at + 30 :])
    before = av.logging.get_last_error()[0]
    with av.open(str(clip)):
        assert (av.logging.get_last_error()[0] > before) == complains
    assert _differing(_read(clip, keep_damaged=True)[0], whole)
    found, told = _read(clip)
    assert not _differing(found, whole)
    assert told
    assert set(range(10)) | set(range(30, FRAMES)) <= set(found)


@pytest.mark.parametrize("codec", ["wmv2", "mpeg4"])
def test_nothing_of_a_sound_asf_is_damaged(tmp_path, codec):
    clip = _clip(tmp_path / "a.asf", codec, {"g": "10", "qmin": "4", "qmax": "4"})
    found, told = _read(clip)
    assert len(found) == FRAMES
    assert not told
    assert not _differing(found, _decoded(clip))


@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg2video"])
@pytest.mark.parametrize("holed", [True, False])
def test_what_refers_to_a_picture_that_was_lost_is_damaged(tmp_path, codec, holed):
    """What is left of it passes for a part of the B picture before, which no other one needs."""
    options = {"g": "12", "bf": "2", "qmin": "4", "qmax": "4"}
    clip = _clip(tmp_path / "a.mpg", codec, options)
    whole, data = _decoded(clip), clip.read_bytes()
    with av.open(str(clip)) as container:
        coded = [(p.pts, bytes(p)) for p in container.demux(video=0) if p.size]
    lost = [head for _, head in coded if mpeg2_type(head) == 2][2:6]
    differing = set()
    for head in lost:
        at = data.index(head[:12])
        rest = data[at + 300 :] if holed else bytes(300) + data[at + 300 :]
        clip.write_bytes(data[:at] + rest)
        differing |= _differing(_read(clip, keep_damaged=True)[0], whole)
        found, told = _read(clip)
        silent = _differing(found, whole)
        assert not {p for p in silent if not _one_of(found[p], whole)}
        assert told
        assert len(found) >= FRAMES - 14
    assert differing


def _one_of(image: NDArray, whole: list[NDArray]) -> bool:
    """Whether it is a sound picture, which may stay on screen where one is missing."""
    return any(np.abs(image.astype(int) - other).mean() <= NOISE for other in whole)
