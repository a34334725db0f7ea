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


def test_lines_and_tables_are_told_with_file_and_line(tmp_path):
    file = tmp_path / "list.txt"
    file.write_bytes("\ufeffname,label\r\n\r\n a b ,1 \r\n".encode())
    remedy, columns = "Take the official file.", ("name", "label")
    assert list(lists.read_lines(_source(), file, remedy)) == [(1, "name,label"), (3, "a b ,1")]
    rows = list(lists.read_csv(_source(), file, columns, remedy, verbatim=("name",)))
    assert rows == [(3, {"name": " a b ", "label": "1"})]
    file.write_bytes(b"name,label\n\xff,1\n")
    for read in (lists.read_lines, lambda *a: list(lists.read_csv(*a[:2], columns, a[2]))):
        with pytest.raises(UserError) as caught:
            read(_source(), file, remedy)
        assert str(caught.value).startswith(f"Dataset mine: {file}: line 2 is not text in UTF-8")
        assert str(caught.value).endswith(remedy)


@pytest.mark.parametrize("read", [lists.read_lines, lambda *a: list(lists.read_csv(*a, ""))])
def test_a_list_that_is_too_large_or_gone(tmp_path, read):
    file = tmp_path / "list.txt"
    with pytest.raises(UserError, match="No such file"):
        read(_source(), file, "x")
    with file.open("wb") as stream:
        stream.truncate(lists.MAX_TEXT_BYTES + 1)
    with pytest.raises(UserError, match="at most 268435456 are read"):
        read(_source(), file, "x")


def test_errors_stay_on_one_line():
    assert lists.in_words(ValueError("a\n b\x1b[2J")) == r"a b\x1b[2J"
    assert len(lists.in_words(ValueError("x" * 999))) == 300
    assert lists.in_words(EOFError()) == "EOFError"


@given(st.sampled_from(["a", " a", "a ", "\ta", "a\n", " a "]), st.sets(st.text(" a\t\n")))
def test_names_with_blanks(name, there):
    assert lists.as_on_disk(name, there.__contains__) == (name if name in there else "a")


def test_a_byte_order_mark_is_no_fault(tmp_path):
    (tmp_path / "list.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert lists.read_json(_source(tmp_path), tmp_path / "list.json", "", "") == {"a": 1}
