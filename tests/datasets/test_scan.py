import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import tables
from pipeline.datasets import base
from pipeline.datasets.scan import _video_ids
from pipeline.errors import UserError
from pipeline.tables import schemas
from tests.datasets.trees import entry, put, put_ffpp, rejects, rows, run


@pytest.fixture
def csv_root(tmp_path):
    put(tmp_path / "wild/a.mp4", b"a")
    put(tmp_path / "wild/wild.csv", b"path,label\na.mp4,real\n")
    return tmp_path / "wild"


def test_adapters_are_found_by_their_module():
    assert {"csv", "faceforensics"} <= set(base.adapters())
    for name, adapter in base.adapters().items():
        assert adapter.name == name
        assert adapter.expects


def test_a_new_adapter_is_one_file(tmp_path, monkeypatch):
    put(
        tmp_path / "one_more_adapter.py",
        b"from pipeline.datasets.base import Adapter, Video\n"
        b"def read(source):\n"
        b"    for file in source.roots[0].iterdir():\n"
        b"        yield Video(file, file.name, 'val', 1, 'magic')\n"
        b"ADAPTER = Adapter('more', 'files', read)\n",
    )
    import pipeline.datasets

    monkeypatch.setattr(pipeline.datasets, "__path__", [*pipeline.datasets.__path__, str(tmp_path)])
    base.adapters.cache_clear()
    try:
        put(tmp_path / "data/x.mp4")
        found = run(entry("more", tmp_path / "data"), tmp_path / "cache")
    finally:
        base.adapters.cache_clear()
        sys.modules.pop("pipeline.datasets.one_more_adapter", None)
    row = rows(found)["ds/magic/x"]
    assert (row["split"], row["category"]) == ("val", "unknown")


def test_several_datasets(tmp_path, csv_root):
    entries = entry("faceforensics", put_ffpp(tmp_path / "ffpp"), name="ffpp") | entry(
        "csv", csv_root, name="Wild", manifest="wild.csv"
    )
    found = run(entries, tmp_path / "cache")
    ids = found.videos.column("video_id").to_pylist()
    assert ids[0] == "Wild/real/a"
    assert ids == sorted(set(ids))
    assert len(ids) == 37
    tables.check("videos", found.videos)
    tables.check("rejected", found.rejected)


def test_the_same_twice_whatever_the_order(tmp_path, csv_root):
    one = entry("faceforensics", put_ffpp(tmp_path / "ffpp"), name="ffpp")
    two = entry("csv", csv_root, name="wild", manifest="wild.csv")
    first = run(one | two, tmp_path / "cache")
    again = run(two | one, tmp_path / "cache")
    without_cache = run(two | one, tmp_path / "other")
    assert first == again == without_cache


def test_moved_roots_give_the_same_rows(tmp_path):
    root = put_ffpp(tmp_path / "ffpp")
    before = run(entry("faceforensics", root), tmp_path / "cache")
    root.rename(tmp_path / "elsewhere")
    assert run(entry("faceforensics", tmp_path / "elsewhere"), tmp_path / "cache") == before


def test_a_changed_file_changes_its_row_only(tmp_path):
    root = put_ffpp(tmp_path / "ffpp")
    before = rows(run(entry("faceforensics", root), tmp_path / "cache"))
    put(root / "original_sequences/youtube/c23/videos/000.mp4", b"xyz")  # as long as before
    after = rows(run(entry("faceforensics", root), tmp_path / "cache"))
    changed = {
        key: {name for name, value in row.items() if after[key][name] != value}
        for key, row in before.items()
        if after[key] != row
    }
    assert changed.pop("ds/real/original_sequences/youtube/c23/videos/000") == {"fingerprint"}
    # Its fakes are held against it where somebody asks which face was altered.
    assert {key[-7:] for key in changed} == {"000_003"}
    assert len(changed) == 5
    assert all(names == {"pair_fingerprint"} for names in changed.values())


def test_full_fingerprints_differ_in_the_middle(tmp_path, csv_root):
    entries = entry("csv", csv_root, manifest="wild.csv")
    values = {}
    for middle in (b"0", b"1"):
        put(csv_root / "a.mp4", bytes(200_000) + middle + bytes(200_000))
        for mode in ("sampled", "full"):
            found = run(entries, tmp_path / "cache", mode)
            values[mode, middle] = found.videos.column("fingerprint")[0].as_py()
    assert values["sampled", b"0"] == values["sampled", b"1"]
    assert values["full", b"0"] != values["full", b"1"]


@pytest.mark.parametrize(
    ("adapter", "options", "message"),
    [
        ("faceforensic", {}, r"Dataset ds: no adapter is called faceforensic\. Did you mean face"),
        ("zzz", {}, r"no adapter is called zzz\. There are: .*csv, "),
        ("csv", {}, "option manifest is missing"),
        ("csv", {"manifest": 3}, "option manifest is 3 but must be a text"),
        ("csv", {"manifst": "x"}, r"unknown option manifst\. Did you mean manifest\?"),
        ("csv", {"manifest": "wild.csv", 1: "x"}, r"unknown option 1\. There are: label_one_is"),
        ("csv", {"manifest": "wild.csv", "label_one_is": "?"}, "must be one of fake, real"),
    ],
)
def test_wrong_entries(tmp_path, csv_root, adapter, options, message):
    entries = {"ds": base.DatasetEntry("ds", adapter, (csv_root,), options)}
    with pytest.raises(UserError, match=message):
        run(entries, tmp_path / "cache")


@pytest.mark.parametrize("adapter", ["faceforensics", "csv"])
def test_a_root_that_is_not_there(tmp_path, adapter):
    options = {"manifest": "wild.csv"} if adapter == "csv" else {}
    expects = base.adapters()[adapter].expects
    with pytest.raises(UserError) as error:
        run(entry(adapter, tmp_path / "gone", name="mine", **options), tmp_path / "cache")
    for part in ("mine", str(tmp_path / "gone"), expects):
        assert part in str(error.value)


def test_no_dataset(tmp_path):
    with pytest.raises(UserError, match="No dataset is listed"):
        run({}, tmp_path / "cache")


def test_a_file_that_may_not_be_read(tmp_path, csv_root, monkeypatch):
    put(csv_root / "b.mp4")
    put(csv_root / "wild.csv", b"path,label\na.mp4,real\nb.mp4,real\n")

    def refuse(file, mode):
        if file.name == "b.mp4":
            raise PermissionError(13, "Permission denied")
        return "0" * 32

    monkeypatch.setattr("pipeline.datasets.fingerprint.fingerprint", refuse)
    found = run(entry("csv", csv_root, manifest="wild.csv"), tmp_path / "cache")
    assert found.rejected.to_pylist() == [
        {"id": "ds/b.mp4", "reason": "unreadable", "detail": "Permission denied"}
    ]


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    root = put_ffpp(tmp_path / "ffpp")

    def refuse(_source):
        raise PermissionError(13, "Permission denied", str(root / "original_sequences"))

    adapter = base.Adapter("closed", "anything", refuse)
    monkeypatch.setattr(base, "adapters", lambda: {"closed": adapter})
    with pytest.raises(UserError, match="original_sequences may not be read"):
        run(entry("closed", root), tmp_path / "cache")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such file names")
def test_a_name_that_is_not_utf8(tmp_path, monkeypatch):
    put(tmp_path / "data/good.mp4")
    folder = os.fsencode(tmp_path / "data")
    with open(os.path.join(folder, b"b\xffd.mp4"), "wb") as file:  # noqa: PTH118, PTH123
        file.write(b"x")

    def read(source):
        for file in source.roots[0].iterdir():
            yield base.Video(file, file.name, "test", 0)

    adapter = base.Adapter("plain", "anything", read)
    monkeypatch.setattr(base, "adapters", lambda: {"plain": adapter})
    found = run(entry("plain", tmp_path / "data"), tmp_path / "cache")
    assert list(rows(found)) == ["ds/real/good"]
    assert rejects(found) == {"ds/b\\xffd.mp4": "unreadable"}


names = st.lists(st.sampled_from("ab"), min_size=1, max_size=2).map("".join)
paths = st.builds(
    lambda stem, suffixes: stem + "".join(suffixes),
    names,
    st.lists(st.sampled_from([".mp4", ".avi", ".mov"]), min_size=1, max_size=3),
)


@given(st.sets(paths, max_size=12))
def test_ids_are_unique_and_short_where_they_can_be(found):
    videos = [base.Video(None, path, "test", 0) for path in sorted(found)]
    ids = _video_ids("ds", videos)
    assert len(set(ids)) == len(ids)
    for one, video in zip(ids, videos, strict=True):
        stem = video.path.rsplit(".", 1)[0]
        assert one in (f"ds/real/{stem}", f"ds/real/{video.path}")
        alone = not any(o.path.startswith(stem) for o in videos if o is not video)
        if alone:
            assert one == f"ds/real/{stem}"


def plain_adapter(monkeypatch, *videos, expected=()):
    """Scans these rows, whatever is on disk."""
    adapter = base.Adapter("plain", "anything", lambda _: iter(videos), expected=expected)
    monkeypatch.setattr(base, "adapters", lambda: {"plain": adapter})


def test_pictures_folders_and_tars(tmp_path, monkeypatch):
    put(tmp_path / "a.jpg", b"picture")
    put(tmp_path / "f.1/0.png", b"12345")
    put(tmp_path / "f.1/1.PNG", b"123")
    put(tmp_path / "f.1/landmarks.npy", b"not counted")
    put(tmp_path / "f.1/.thumbnail.png", b"not counted")
    put(tmp_path / "t.tar", b"tar")
    plain_adapter(
        monkeypatch,
        base.Video(tmp_path / "a.jpg", "a.jpg", "test", 0, media="image"),
        base.Video(tmp_path / "f.1", "f.1", "test", 0, media="frames"),
        base.Video(tmp_path / "t.tar", "t.tar!in/1", "test", 0, media="tar"),
        base.Video(tmp_path / "t.tar", "t.tar!in/2", "test", 0, media="tar"),
        base.Video(tmp_path / "a.jpg", "b.jpg", "test", 0, media="frames"),
        base.Video(tmp_path / "f.1", "c.jpg", "test", 0, media="image"),
    )
    found = run(entry("plain", tmp_path), tmp_path / "cache")
    by_id = rows(found)
    assert {key: (row["media"], row["bytes"]) for key, row in by_id.items()} == {
        "ds/real/a": ("image", 7),
        "ds/real/f.1": ("frames", 8),
        "ds/real/t.tar!in/1": ("tar", 3),
        "ds/real/t.tar!in/2": ("tar", 3),
    }
    assert len({row["fingerprint"] for row in by_id.values()}) == 4
    assert rejects(found) == {"ds/b.jpg": "unsupported_media", "ds/c.jpg": "unsupported_media"}
    again = run(entry("plain", tmp_path), tmp_path / "cache")
    assert again == found


@pytest.mark.parametrize(
    ("change", "seen_by"),
    [
        (lambda f: (f / "1.png").rename(f / "2.png"), {"sampled", "full"}),
        (lambda f: put(f / "1.png", b"1234"), {"sampled", "full"}),
        (lambda f: (f / "1.png").unlink(), {"sampled", "full"}),
        (lambda f: put(f / "2.png", b""), {"sampled", "full"}),
        (lambda f: put(f / "1.png", b"xyz"), {"full"}),
        (lambda f: put(f / "notes.txt"), set()),
    ],
)
def test_fingerprints_of_folders(tmp_path, monkeypatch, change, seen_by):
    folder = tmp_path / "f"
    put(folder / "0.png", b"abc")
    put(folder / "1.png", b"abc")
    plain_adapter(monkeypatch, base.Video(folder, "f", "test", 0, media="frames"))

    def fingerprints():
        return {
            mode: run(entry("plain", tmp_path), tmp_path / "cache", mode).videos["fingerprint"]
            for mode in ("sampled", "full")
        }

    before = fingerprints()
    change(folder)
    after = fingerprints()
    assert {mode for mode in before if before[mode] != after[mode]} == seen_by


def test_parts_counted_in_pictures_are_kept_as_they_are(tmp_path, monkeypatch):
    file = put(tmp_path / "a.mp4")
    plain_adapter(monkeypatch, base.Video(file, "a.mp4", "test", 1, segments_frames=(1, 7)))
    row = rows(run(entry("plain", tmp_path), tmp_path / "cache"))["ds/real/a"]
    assert (row["segments_s"], row["segments_frames"]) == ([], [1, 7])


def test_totals_beside_what_was_found(tmp_path, monkeypatch):
    for name in "abc":
        put(tmp_path / f"{name}.mp4")
    totals = (
        base.Total(2, {"split": "train", "label": 0}),
        base.Total(1, {"method": "magic"}, note="one is lost"),
        base.Total(9, path="^b"),
    )
    plain_adapter(
        monkeypatch,
        base.Video(tmp_path / "a.mp4", "a.mp4", "train", 0),
        base.Video(tmp_path / "b.mp4", "b.mp4", "train", 1, "magic"),
        base.Video(tmp_path / "c.mp4", "c.mp4", "test", 1, "magic"),
        expected=totals,
    )
    entries = entry("plain", tmp_path)
    found = run(entries, tmp_path / "cache")
    assert base.compare(entries["ds"], found.videos) == list(zip(totals, (1, 2, 1), strict=True))
    other = base.DatasetEntry("other", "plain", (tmp_path,))
    assert [n for _, n in base.compare(other, found.videos)] == [0, 0, 0]


def test_totals_depend_on_options(csv_root, tmp_path):
    found = run(entry("csv", csv_root, manifest="wild.csv"), tmp_path / "cache")
    for version, total in (("v1", 795), ("v2", 5_639)):
        one = base.DatasetEntry("cdf", "celeb_df", (csv_root,), {"version": version})
        fakes = [t.count for t, _ in base.compare(one, found.videos) if "method" in t.kind]
        assert fakes == [total]


def test_every_public_dataset_says_how_to_get_it():
    for name, adapter in base.adapters().items():
        if adapter.expected:
            assert adapter.title, name
            assert adapter.licence, name
            assert "http" in adapter.access, name
        for total in adapter.expected:
            assert set(total.options) <= set(adapter.options), name
            assert set(total.kind) <= set(schemas.schema("videos").names), name


def test_an_adapter_that_gives_a_path_twice_is_a_bug_that_is_named():
    video = base.Video(file="/data/a.mp4", path="a.mp4", split="test", label=0)
    with pytest.raises(ValueError, match=r"mine gave mine/real/a\.mp4 twice"):
        _video_ids("mine", [video, video])
