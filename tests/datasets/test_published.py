"""A copy of a dataset held against a published list."""

import csv
import hashlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datasets import base, published
from pipeline.datasets.fingerprint import fingerprint
from pipeline.datasets.published import Listed, OnDisk, compare, read_list
from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_ffpp

_PATHS = st.sets(st.sampled_from([f"{a}/{n}.mp4" for a in "abc" for n in range(4)]), min_size=1)


def sha256(path):
    return hashlib.sha256(path.encode()).hexdigest()


@given(listed=_PATHS, here=_PATHS, hashed=st.booleans())
def test_missing_and_extra_are_the_differences_of_sets(listed, here, hashed):
    name = sha256 if hashed else str
    found = compare([Listed(name(path)) for path in sorted(listed)], [OnDisk(p, 0) for p in here])
    assert found.same == len(listed & here)
    assert set(found.missing) == {name(path) for path in listed - here}
    assert set(found.extra) == here - listed
    assert not found.otherwise


def test_labels_and_fingerprints(tmp_path):
    file = str(put(tmp_path / "a.mp4", b"content"))
    right = fingerprint(file, "sampled")
    here = [
        OnDisk("a.mp4", 1, file),
        OnDisk("b.mp4", 0, file),
        OnDisk("c.mp4", None),
        OnDisk("d.mp4", 1),
    ]
    listed = [
        Listed("a.mp4", 1, right),
        Listed("b.mp4", 1),
        Listed("c.mp4", 0),
        Listed("d.mp4", 1, "x"),
    ]
    found = compare(listed, here)
    assert found.otherwise == ["b.mp4: the list says fake, here it is real"]
    assert (found.same, found.not_compared) == (3, 2)
    found = compare([Listed("a.mp4", 1, "0" * 32)], here[:1])
    assert found.otherwise == ["a.mp4: the list has another fingerprint"]


@pytest.mark.parametrize(
    ("names", "dropped"),
    [
        (["x/1.mp4", "y/1.mp4"], 0),
        (["/data/me/x/1.mp4", "/data/me/y/1.mp4"], 2),
        (["root/x/1", "root/y/1"], 1),
    ],
)
def test_folders_of_the_author_and_missing_suffixes(names, dropped):
    found = compare([Listed(n) for n in names], [OnDisk("x/1.mp4", 0), OnDisk("y/1.mp4", 0)])
    assert (found.same, found.missing, found.extra) == (2, [], [])
    assert found.dropped_folders == dropped


def test_another_suffix_is_another_file():
    found = compare([Listed("a.mp4"), Listed("b.mp4")], [OnDisk("a.mp4", 0), OnDisk("b.avi", 0)])
    assert (found.missing, found.extra) == (["b.mp4"], ["b.avi"])


def test_rejects_are_there_and_never_extra():
    found = compare([Listed("a.mp4", 1)], [OnDisk("a.mp4", None), OnDisk("readme.txt", None)])
    assert (found.same, found.not_compared, found.extra) == (1, 1, [])


FACTS = {"x/a b.mp4": 0, "y/c.mp4": 1}


def forms():
    text = io.StringIO()
    csv.writer(text).writerows([("Filename", "Label"), *FACTS.items()])
    words = ("REAL", "fake")
    yield "plain.txt", "".join(f"{p} {label}\n" for p, label in FACTS.items())
    yield "first.txt", "".join(f"{words[label]} {p}\r\n" for p, label in FACTS.items())
    yield "table.csv", text.getvalue()
    yield "object.json", json.dumps(FACTS)
    yield "metadata.json", json.dumps({p: {"label": words[label]} for p, label in FACTS.items()})
    yield "rows.json", json.dumps([{"file": p, "is_fake": label} for p, label in FACTS.items()])


@pytest.mark.parametrize(("name", "text"), list(forms()))
def test_forms_of_lists(tmp_path, name, text):
    file = put(tmp_path / name, text.encode())
    assert {one.name: one.label for one in read_list(file)} == FACTS


def test_lists_of_paths_alone(tmp_path):
    put(tmp_path / "a.txt", b"x/a b.mp4\n\n./y\\c.mp4\n")
    put(tmp_path / "a.json", json.dumps(list(FACTS)).encode())
    for name in ("a.txt", "a.json"):
        assert {one.name: one.label for one in read_list(tmp_path / name)} == dict.fromkeys(FACTS)


def test_what_the_label_1_means(tmp_path):
    file = put(tmp_path / "List_of_testing_videos.txt", b"1 YouTube-real/00170.mp4\n0 s/a.mp4\n")
    assert [one.label for one in read_list(file)] == [1, 0]
    assert [one.label for one in read_list(file, "real")] == [0, 1]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.txt", "", "names no file"),
        ("a.txt", "a.mp4\na.mp4 1", "names a.mp4 twice"),
        ("a.csv", "path,label\na.mp4,maybe\n", "label of a.mp4 is 'maybe'"),
        ("a.csv", "x,label\na.mp4,1\n", "none of path, file"),
        ("a.csv", "path,label\n,1\n", "a file without a name"),
        ("a.json", "3", "neither a list nor an object"),
        ("a.json", "[[1, 2]]", r"\[1, 2\] is no name"),
        ("a.json", '{"a": 1, "a": 0}', "repeats a key: 'a'"),
        ("a.json", '{"a": {"label": NaN}}', "NaN at a/label"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, name, text, problem):
    file = put(tmp_path / name, text.encode())
    with pytest.raises(UserError, match=problem):
        read_list(file)


def test_a_list_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"cannot be used: .*No such file"):
        read_list(tmp_path / "none.txt")


def test_what_an_adapter_finds(tmp_path):
    """With the index of its root in front of a path, which no list has; and with rejects."""
    root = put_ffpp(tmp_path / "ffpp")
    put(root / "original_sequences/youtube/c23/videos/readme.txt")
    (other := tmp_path / "more").mkdir()
    put(other / "original/999.mp4")
    (one,) = entry("faceforensics", root, other).values()
    here = {h.path: h for h in published.on_disk(base.read(one), one.roots)}
    assert here["original_sequences/youtube/c23/videos/000.mp4"].label == 0
    assert here["manipulated_sequences/Deepfakes/c23/videos/000_003.mp4"].label == 1
    assert here["original/999.mp4"].label is None
    assert here["original_sequences/youtube/c23/videos/readme.txt"].label is None
    assert sum(h.label is not None for h in here.values()) == 36
