"""Pictures of MPEG-1 and MPEG-2 as an encoder stores them, and with one taken out."""

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.video.numbering import PictureNumbers
from tests.video.clips import write_clip

_TYPES = {"I": 1, "P": 2, "B": 3}


def _head(kind: str, number: int, *, group: bool) -> bytes:
    start = b"\0\0\1\xb3seq\0\0\1\xb8grp" if group else b""
    fields = number % 1024 << 6 | _TYPES[kind] << 3
    return start + b"\0\0\1\0" + fields.to_bytes(2, "big") + b"\0\0"


def _stored(groups: list[list[int]], *, headers: bool) -> list[tuple[str, bytes]]:
    """Type and head of each picture; a group is a list of how many B pictures go before each."""
    found = []
    shown = 0
    for lead, *rest in groups:
        shown = 0 if headers else shown
        for at, count in enumerate([lead, *rest]):
            kind = "P" if at else "I"
            found.append((kind, _head(kind, shown + count, group=headers and not at)))
            found += [("B", _head("B", shown + k, group=False)) for k in range(count)]
            shown += count + 1
    return found


_groups = st.lists(
    st.lists(st.integers(0, 3), min_size=2, max_size=6), min_size=1, max_size=4
).filter(lambda groups: any(map(any, groups)))


@given(_groups, st.booleans())
def test_of_a_whole_stream_nothing_is_missing(groups, headers):
    numbers = PictureNumbers(reorders=True)
    assert not any(numbers.missing(head) for _, head in _stored(groups, headers=headers))


@given(_groups, st.booleans(), st.data())
def test_a_missing_p_picture_is_told_before_the_second_that_follows(groups, headers, data):
    """By then no picture that refers to it has been shown. Of a group's last, nothing tells."""
    stored = _stored(groups, headers=headers)
    kinds = "".join(kind for kind, _ in stored)
    after = {at: kinds[at + 1 :].lstrip("B") for at, kind in enumerate(kinds) if kind == "P"}
    places = [at for at, rest in after.items() if rest[:1] == "P" and rest[1:2] in ("B", "P")]
    if not places:
        return
    gone = data.draw(st.sampled_from(places))
    numbers = PictureNumbers(reorders=True)
    told = [numbers.missing(head) for _, head in stored[:gone] + stored[gone + 1 :]]
    assert not any(told[:gone])
    assert any(told[: kinds.index("P", gone + 1) + 1])


@given(_groups)
def test_two_fields_of_a_picture_have_one_number(groups):
    stored = _stored(groups, headers=False)
    field = b"\0\0\1\xb5\x8f\xff\xf1"  # f_codes, precision, and picture_structure 1
    numbers = PictureNumbers(reorders=True)
    for kind, head in stored:
        assert not numbers.missing(head + field)
        number = int.from_bytes(head[-4:-2]) >> 6
        second = _head("P" if kind == "I" else kind, number, group=False)
        assert not numbers.missing(second + field)
    head = next(head for kind, head in stored if kind == "B")
    numbers = PictureNumbers(reorders=True)
    assert [numbers.missing(h) for h in (_head("I", 9, group=True), head, head)][2]


@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg2video"])
@pytest.mark.parametrize("b_frames", ["0", "2"])
def test_ffmpeg_numbers_in_this_way(tmp_path, codec, b_frames):
    clip = write_clip(tmp_path / "a.mpg", range(30), codec=codec, options={"bf": b_frames})
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        numbers = PictureNumbers(reorders=b_frames != "0")
        assert not any(numbers.missing(bytes(p)) for p in container.demux(stream) if p.size)
