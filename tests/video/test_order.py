"""The order that slices tell is that in which the encoder was given the frames."""

from itertools import pairwise

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.video.bitstream import Looker
from pipeline.video.container import open_video
from pipeline.video.order import SliceOrder
from tests.video.clips import write_clip
from tests.video.test_skip import x264, x265

SIDE_PX = 4096
X264, X265 = "libx264", "libx265"
STREAMS = {
    "plain": (X264, {"bf": "3", "g": "20"}, "yuv420p"),
    "pyramid": (X264, x264("keyint=40:bframes=7:b-pyramid=normal:b-adapt=0:ref=4"), "yuv420p"),
    "as_stored": (X264, {"bf": "0", "g": "20"}, "yuv420p"),
    "fields": (X264, x264("keyint=12:interlaced=1:bff=1:bframes=3:b-adapt=0"), "yuv420p"),
    "scaled": (X264, x264("cqm=jvt:keyint=12:bframes=2:b-adapt=0"), "yuv420p"),
    "planes": (X264, x264("cqm=jvt:keyint=12:bframes=2:b-adapt=0"), "yuv444p"),
    "deep": (X264, x264("keyint=12:bframes=2:b-adapt=0"), "yuv422p10le"),
    "baseline": (X264, {"profile": "baseline", "g": "12"}, "yuv420p"),
    "long": (X264, x264("keyint=infinite:bframes=3:b-adapt=0"), "yuv420p"),
    "open": (X265, x265("keyint=12:bframes=4:b-adapt=0"), "yuv420p"),
    "closed": (X265, x265("keyint=12:open-gop=0:radl=2:bframes=4:b-adapt=0"), "yuv420p"),
    "layers": (X265, x265("keyint=24:temporal-layers=3:bframes=4:b-adapt=0"), "yuv420p"),
    "hevc_long": (X265, x265("keyint=-1:bframes=4:b-adapt=0:b-pyramid=1"), "yuv420p"),
    "hevc_deep": (X265, x265("keyint=12:bframes=3:scaling-list=default"), "yuv444p10le"),
}


def places(path) -> list[tuple[int, int, int]]:
    """Stamp, number of starts so far and told place of each packet."""
    container, stream = open_video(path, SIDE_PX)
    found, starts = [], 0
    with container:
        looker = Looker(stream)
        for packet in container.demux(stream):
            if packet.size:
                look = looker.look(packet)
                starts += look.safe
                assert look.place is not None
                found.append((packet.pts, starts, look.place))
    return found


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "flv"])
@pytest.mark.parametrize("name", STREAMS)
def test_as_it_was_encoded(tmp_path, name, kind):
    codec, options, pix_fmt = STREAMS[name]
    if kind == "flv" and codec == X265:
        pytest.skip("old readers know no HEVC in FLV")
    path = tmp_path / f"a.{kind}"
    write_clip(path, range(300), codec=codec, options=options, pix_fmt=pix_fmt)
    found = places(path)
    assert len(found) == 300
    shown = sorted(found)
    assert all(a[1:] < b[1:] for a, b in pairwise(shown))
    assert name in ("as_stored", "baseline") or shown != found, "something is out of order"


def test_real_clips_and_what_is_wrong_with_two(assets):
    """The clips are as their encoders wrote them, but for those made to be wrong."""
    wrong = set()
    for path in [*sorted((assets / "videos").rglob("*.mp4")), *(assets / "failing").glob("*.mp4")]:
        with av.open(str(path)) as container:
            codec = container.streams.video[0].codec_context
            if codec is None or codec.name not in ("h264", "hevc"):
                continue
        if path.name.startswith("damaged_middle.mp4"):
            continue
        if not all(a[1:] < b[1:] for a, b in pairwise(sorted(places(path)))):
            wrong.add(path.name)
    assert wrong == {"skip_differs_from_all.mp4"}


@given(st.binary(max_size=80), st.binary(max_size=80), st.sampled_from(["h264", "hevc"]))
def test_any_bytes_give_a_place_or_none(extra, unit, codec):
    order = SliceOrder(codec, b"\1" + extra)
    for kind in (0x67, 0x68, 0x65, 0x42, 0x44, 0x26):
        order.parameters(bytes([kind, 1]) + unit)
        order.place(bytes([kind, 1]) + unit)
