import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.datasets import fingerprint
from pipeline.errors import UserError
from pipeline.video.watched import as_scan_saw_it
from tests.datasets.image_files import put_parquet
from tests.datasets.trees import entry, rejects, rows, run


@pytest.fixture
def look(tmp_path):
    def looked(**options):
        entries = entry("parquet", tmp_path / "root", name="own", **options)
        return run(entries, tmp_path / "cache")

    looked.root = tmp_path / "root"
    return looked


def test_columns_say_what_images_are(look):
    put_parquet(
        look.root / "core/train-00000-of-00001.parquet",
        [b"a", b"b", b"c", b"d"],
        group_rows=3,
        label=["real", "fake", "fake", "odd"],
        model=["camera", "org/sd-1.5", None, "x"],
        who=["ann", "", None, "bob"],
    )
    found = look(
        layout="core/{split}-*",
        columns="label=label, method=model, identity=who",
        category="EFS",
    )
    assert [
        [row[c] for c in ("path", "media", "split", "label", "method", "category", "identity")]
        for row in rows(found).values()
    ] == [
        [
            "core/train-00000-of-00001.parquet!image/00000/000001",
            *("parquet", "train", 1, "org_sd-1.5", "EFS", ""),
        ],
        [
            "core/train-00000-of-00001.parquet!image/00000/000000",
            *("parquet", "train", 0, "real", "real", "own:ann"),
        ],
        [
            "core/train-00000-of-00001.parquet!image/00000/000002",
            *("parquet", "train", 1, "unknown", "EFS", ""),
        ],
    ]
    assert rejects(found) == {
        "own/core/train-00000-of-00001.parquet!image/00001/000000": "unknown_label"
    }
    assert len({row["fingerprint"] for row in rows(found).values()}) == 3


def test_names_of_classes_hold(look):
    """In Hugging Face's order of names fake is 0."""
    put_parquet(
        look.root / "a.parquet",
        [b"a", b"b"],
        class_names={"label": ["fake", "real"]},
        label=[0, 1],
    )
    found = rows(look())
    assert {row["path"][-1]: row["label"] for row in found.values()} == {"0": 1, "1": 0}


@pytest.mark.parametrize(("one_is", "labels"), [("fake", [0, 1]), ("real", [1, 0])])
@pytest.mark.parametrize("cells", [[0, 1], [False, True]])
def test_numbers_without_names(look, one_is, labels, cells):
    put_parquet(look.root / "a.parquet", [b"a", b"b"], label=cells)
    found = sorted(rows(look(label_one_is=one_is)).values(), key=lambda row: row["path"])
    assert [row["label"] for row in found] == labels
    with pytest.raises(UserError, match="nothing says what 1 means"):
        look()


def test_bytes_alone_and_several_columns(look):
    look.root.mkdir()
    table = pa.table({"picture": [b"a"], "thumb": [b"b"], "label": ["real"]})
    pq.write_table(table, look.root / "a.parquet")
    with pytest.raises(UserError, match=r"can hold pictures: picture, thumb. Name one"):
        look()
    [row] = rows(look(image="picture")).values()
    assert row["path"] == "a.parquet!picture/00000/000000"


def test_a_column_that_is_not_there(look):
    put_parquet(look.root / "a.parquet", [b"a"], labels=["real"])
    with pytest.raises(UserError, match=r"has no column label, but image, labels.*labels"):
        look()


@pytest.mark.parametrize("columns", ["lable=label", "label", "label="])
def test_wrong_columns(look, columns):
    put_parquet(look.root / "a.parquet", [b"a"], label=["real"])
    with pytest.raises(UserError, match="the option columns has"):
        look(columns=columns)


@pytest.mark.parametrize("mode", ["sampled", "full"])
def test_a_file_is_opened_once_for_all_its_rows(look, mode, tmp_path, monkeypatch):
    put_parquet(look.root / "a.parquet", [b"a"] * 500, label=["real"] * 500)
    read = []
    real = fingerprint.fingerprint
    monkeypatch.setattr(fingerprint, "fingerprint", lambda f, m: read.append(m) or real(f, m))
    found = run(entry("parquet", look.root, name="own"), tmp_path / "cache", mode)
    assert (found.metrics["outputs"], read) == (500, [mode])
    assert len(set(found.videos["fingerprint"].to_pylist())) == 500


def test_damaged_files(look):
    good = put_parquet(look.root / "good.parquet", [b"a" * 5000], label=["real"]).read_bytes()
    (look.root / "cut.parquet").write_bytes(good[: len(good) // 2])
    (look.root / "junk.parquet").write_bytes(b"no parquet")
    put_parquet(look.root / "none.parquet", [], label=pa.array([], pa.string()))
    os.mkfifo(look.root / "pipe.parquet")
    found = look()
    assert sorted(rows(found)) == ["own/real/good.parquet!image/00000/000000"]
    assert rejects(found) == {
        "own/cut.parquet": "unreadable",
        "own/junk.parquet": "unreadable",
        "own/none.parquet": "empty",
        "own/pipe.parquet": "unsupported_media",
    }


@pytest.mark.parametrize("name", ["a.parquet", "b!c.parquet"])
def test_stages_find_the_image_that_scan_saw(look, name):
    put_parquet(look.root / name, [b"a", b"b"], label=["real", "fake"])
    for row in rows(look()).values():
        location = str(look.root / row["path"])
        with as_scan_saw_it("parquet", location, row["fingerprint"], "sampled"):
            pass
