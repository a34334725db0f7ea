"""Finding a list, and comparing it with files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datasets import lists
from pipeline.datasets.base import Source
from pipeline.datasets.lists import CrossCheck
from pipeline.errors import UserError
from tests.datasets.sketches import sketch
from tests.datasets.trees import entry, run

_NAMES = st.sets(st.sampled_from("abcdefgh"))


def _source(*roots):
    return Source("mine", tuple(roots), {})


def test_a_list_is_found_in_the_first_root_that_has_it(tmp_path):
    sketch(tmp_path, "a/x.mp4\nb/list.txt\nc/list.txt")
    roots = [tmp_path / name for name in "abc"]
    assert lists.find(_source(*roots), "list.txt", "what is test") == tmp_path / "b/list.txt"


def test_an_absent_list_is_told_where_to_go(tmp_path):
    sketch(tmp_path, "a/x.mp4")
    with pytest.raises(UserError, match=r"no list\.txt .*says what is test\. Put it at .*/a/list"):
        lists.find(_source(tmp_path / "a"), "list.txt", "what is test")


def test_a_list_at_another_place_is_to_be_moved(tmp_path):
    sketch(tmp_path, "a/docs/List.txt")
    with pytest.raises(UserError, match=r"Move .*a/docs/List\.txt to .*a/list\.txt\."):
        lists.find(_source(tmp_path / "a"), "list.txt", "what is test")


@given(listed=_NAMES, on_disk=_NAMES)
def test_nothing_vanishes(listed, on_disk):
    check = CrossCheck(dict.fromkeys(listed, 0), ("inconsistent", "not in it"))
    rejects = {name: check.reject(f"{name}.mp4", name, name) for name in sorted(on_disk)}
    good = {name for name, reject in rejects.items() if reject is None}
    assert good == listed & on_disk
    assert {r.reason for r in rejects.values() if r} <= {"inconsistent"}
    assert {name for name, _ in check.missing()} == listed - on_disk


def test_repeats_and_suffixes():
    check = CrossCheck({"a": 0, "b": 0}, None)
    assert check.reject("x/a.txt", "a", "a").reason == "unsupported_media"
    assert [name for name, _ in check.missing()] == ["a", "b"]
    assert check.reject("x/a.mp4", "a", "a") is None
    assert check.reject("y/a.mp4", "a", "a").reason == "duplicate"
    assert check.reject("x/c.mp4", "c", "c") is None
    assert check.reject("x/b.png", "b", "b", "image") is None
    assert not list(check.missing())


def test_no_video_where_the_adapter_looks(tmp_path):
    """The message looks first whether there are videos at another place."""
    root = tmp_path / "empty"
    (root / "original_sequences/youtube/c23/videos").mkdir(parents=True)
    for split in ("train", "val", "test"):
        (root / f"{split}.json").write_text("[]")
    with pytest.raises(UserError, match="nor any other video or picture"):
        run(entry("faceforensics", root, compression="c23"), tmp_path / "cache")
    sketch(root, "elsewhere/a.mp4")
    with pytest.raises(UserError, match=r"though .*elsewhere/a\.mp4 is there. It expects"):
        run(entry("faceforensics", root, compression="c23"), tmp_path / "cache")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a.mp4": {"label": "REAL"}, "a.mp4": {"label": "FAKE"}}', "repeats a key: 'a.mp4'"),
        (b'{"a.mp4": {"label": NaN}}', "NaN at a.mp4/label"),
        (b'{"a.mp4": ' + b"[" * 99_999, "nests too deep"),
        (b'{"\\ud800.mp4": 1}', "half a character"),
        (b'{"a": "' + b"x" * 99, "at most 90 are read"),
        (b"\xff\xfe", "codec can't decode"),
        (b"", "Expecting value"),
    ],
)
def test_what_is_unclear_in_a_list_is_one_sentence(tmp_path, data, problem):
    file = tmp_path / "list.json"
    file.write_bytes(data)
    most = 90 if "at most" in problem else lists.MAX_JSON_BYTES
    with pytest.raises(UserError, match=problem) as caught:
        lists.read_json(_source(tmp_path), file, "is no list", "Take the official file.", most)
    said = str(caught.value)
    assert said.startswith(f"Dataset mine: {file} is no list: ")
    assert said.endswith("Take the official file.")
    assert "\n" not in said


def test_a_byte_order_mark_is_no_fault(tmp_path):
    (tmp_path / "list.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert lists.read_json(_source(tmp_path), tmp_path / "list.json", "", "") == {"a": 1}
