"""Times that are not those of their frames: leaving out gives what decoding all gives."""

from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.video.clips import lacks_encoder, write_clip
from tests.video.test_skip import assert_same, read, read_whole, x264, x265

REMUXED = {
    "h264": ("libx264", {"g": "12", "bf": "2", "b_strategy": "0"}, "mp4"),
    "pyramid": ("libx264", x264("keyint=18:bframes=5:b-pyramid=normal:b-adapt=0"), "mp4"),
    "as_stored": ("libx264", {"g": "12", "bf": "0"}, "mp4"),
    "hevc": ("libx265", x265("keyint=12:bframes=3:b-adapt=0"), "mp4"),
    "layers": ("libx265", x265("keyint=12:temporal-layers=3:bframes=4:b-adapt=0"), "mp4"),
    "mpeg4": ("mpeg4", {"g": "12", "bf": "2"}, "mp4"),
    "mpeg1": ("mpeg1video", {"g": "12", "bf": "2"}, "mkv"),
    "mpeg2": ("mpeg2video", {"g": "12", "bf": "2"}, "mkv"),
    "vp8": ("libvpx", {"g": "12"}, "mkv"),
    "vp9": ("libvpx-vp9", {"g": "12"}, "mkv"),
    "av1": ("libsvtav1", {"g": "12", "preset": "12"}, "mp4"),
}
FRAMES = 36


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    return {
        name: write_clip(folder / f"{name}.{kind}", range(FRAMES), codec=codec, options=options)
        for name, (codec, options, kind) in REMUXED.items()
        if not lacks_encoder(codec)
    }


def remuxed(source: Path, path: Path, change) -> Path:
    """The same packets with other times, which ``change`` makes of all (dts, pts)."""
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.size]
        times = change([(p.dts, p.pts) for p in packets])
        target = out.add_stream_from_template(stream, opaque=True)
        for packet, (dts, pts) in zip(packets, times, strict=True):
            packet.dts, packet.pts, packet.stream = dts, pts, target
            out.mux(packet)
    return path


@pytest.mark.parametrize("name", [n for n, (c, *_) in REMUXED.items() if not lacks_encoder(c)])
@given(data=st.data())
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_leaving_out_is_decoding_all_for_reordered_times(
    tmp_path, monkeypatch, sources, name, data
):
    """Times in the order of storing, or pairs of them swapped, near or far."""
    source = sources[name]
    stored = data.draw(st.booleans())
    places = st.tuples(st.integers(0, FRAMES - 2), st.integers(1, 4))
    swaps = data.draw(st.lists(places, min_size=1, max_size=3))

    def change(times):
        first = min(dts for dts, _ in times)
        dts = sorted(dts - first for dts, _ in times)
        if stored:
            return [(t, t) for t in dts]
        pts = [max(t, shown - first) for t, (_, shown) in zip(dts, times, strict=True)]
        for place, away in swaps:
            other = min(place + away, len(pts) - 1)
            pts[place], pts[other] = max(dts[place], pts[other]), max(dts[other], pts[place])
        return list(zip(dts, pts, strict=True))

    path = remuxed(source, tmp_path / f"r{source.suffix}", change)
    chosen = data.draw(st.lists(st.integers(0, FRAMES - 1), min_size=1, max_size=5, unique=True))
    times_s = [k / 25 + 0.01 for k in sorted(chosen)]
    assert_same(read(path, times_s)[0], read_whole(path, times_s, monkeypatch)[0])
