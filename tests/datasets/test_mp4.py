import contextlib
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.datasets.mp4 import frame_rate
from pipeline.errors import Reject


def write(file, rate, frames=12, sound=False, **options):
    with av.open(str(file), "w", options=options) as container:
        audio = container.add_stream("aac", rate=16_000) if sound else None
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width = stream.height = 32
        for n in range(frames):
            image = np.full((32, 32, 3), n, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
        if audio:
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            samples.sample_rate = 16_000
            container.mux(audio.encode(samples))
            container.mux(audio.encode())
    return file


@pytest.mark.parametrize("rate", [Fraction(30_000, 1001), Fraction(25), Fraction(15, 2)])
@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}])
def test_as_a_library_says(tmp_path, rate, options):
    file = write(tmp_path / "a.mp4", rate, sound=True, **options)
    with av.open(str(file)) as container:
        said = container.streams.video[0].average_rate
    assert frame_rate(file) == said == rate


def test_real_clips(assets):
    """Clips of cameras and of the web, against a library."""
    checked = 0
    for file in sorted(assets.rglob("*.mp4")):
        try:
            with av.open(str(file)) as container:
                said = container.streams.video[0].average_rate
            found = frame_rate(file)
        except (av.error.FFmpegError, IndexError, Reject):
            continue
        assert float(found) == pytest.approx(float(said), rel=1e-3), file.name
        checked += 1
    assert checked > 3


def box(kind, *content):
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), kind) + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"some bytes",
        b"\0" * 64,
        box(b"moov"),
        box(b"moov", b"\0\0\0\3trak"),
        box(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"moov", 1 << 62),
        box(b"moov", box(b"trak", box(b"mdia", box(b"hdlr", b"\0" * 8 + b"vide")))),
        struct.pack(">I4sQ", 1, b"free", 4) * 3,
    ],
)
def test_anything_else_is_rejected(tmp_path, data):
    file = tmp_path / "a.mp4"
    file.write_bytes(data)
    with pytest.raises(Reject, match="has no frame rate"):
        frame_rate(file)


def test_every_beginning_of_a_file(tmp_path):
    data = write(tmp_path / "a.mp4", 25).read_bytes()
    rate = frame_rate(tmp_path / "a.mp4")
    for length in range(0, len(data), 7):
        (tmp_path / "b.mp4").write_bytes(data[:length])
        with contextlib.suppress(Reject):
            assert frame_rate(tmp_path / "b.mp4") == rate


def test_fragments_have_no_rate_in_the_header(tmp_path):
    file = write(tmp_path / "a.mp4", 25, movflags="frag_keyframe+empty_moov")
    with pytest.raises(Reject, match="has no frame rate"):
        frame_rate(file)
