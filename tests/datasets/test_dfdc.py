import json

import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_all, rejects, rows, run


def metadata(**original):
    """``a=None`` is real, ``b="a"`` a fake made of a."""
    return json.dumps(
        {
            f"{name}.mp4": {"label": "FAKE", "split": "train", "original": f"{of}.mp4"}
            if of
            else {"label": "REAL", "split": "train"}
            for name, of in original.items()
        }
    ).encode()


@pytest.fixture
def root(tmp_path):
    root = put_all(
        tmp_path / "dfdc",
        """
        dfdc_train_part_0/{aaa,bbb}.mp4 train/dfdc_train_part_01/dfdc_train_part_1/{ccc,ddd}.mp4
        validation/{eee,fff}.mp4 test/ori_videos/{ggg,hhh}.mp4
        train_sample_videos/{aaa,iii}.mp4 test_videos/jjj.mp4
        """,
    )
    put(root / "dfdc_train_part_0/metadata.json", metadata(aaa=None, bbb="aaa"))
    put(
        root / "train/dfdc_train_part_01/dfdc_train_part_1/metadata.json",
        metadata(ccc="zzz", ddd=None),
    )
    put(root / "train_sample_videos/metadata.json", metadata(aaa=None, iii="kkk"))
    put(root / "validation/labels.csv", b"filename,label\neee.mp4,0\nfff.mp4,1\n")
    put(root / "test/labels.csv", b"filename,label\r\nggg.mp4,1\r\nhhh.mp4,0\r\n")
    put(root / "test/metadata.json", b'{"ggg.mp4": {"is_fake": 0}}')
    return root


@pytest.fixture
def look(tmp_path):
    return lambda *roots: run(entry("dfdc", *roots, name="dfdc"), tmp_path / "cache")


def test_splits_and_labels(root, look):
    found = look(root)
    assert {
        row["path"]: (row["split"], row["label"], row["method"]) for row in rows(found).values()
    } == {
        "dfdc_train_part_0/aaa.mp4": ("train", 0, "real"),
        "dfdc_train_part_0/bbb.mp4": ("train", 1, "dfdc_unknown"),
        "train/dfdc_train_part_01/dfdc_train_part_1/ccc.mp4": ("train", 1, "dfdc_unknown"),
        "train/dfdc_train_part_01/dfdc_train_part_1/ddd.mp4": ("train", 0, "real"),
        "train_sample_videos/iii.mp4": ("train", 1, "dfdc_unknown"),
        "validation/eee.mp4": ("val", 0, "real"),
        "validation/fff.mp4": ("val", 1, "dfdc_unknown"),
        "test/ori_videos/ggg.mp4": ("test", 1, "dfdc_unknown"),
        "test/ori_videos/hhh.mp4": ("test", 0, "real"),
    }
    assert rejects(found) == {
        "dfdc/train_sample_videos/aaa.mp4": "duplicate",
        "dfdc/test_videos/jjj.mp4": "unknown_label",
    }


def test_clips_and_sound(root, look):
    found = {row["path"]: row for row in rows(look(root)).values()}
    real, fake = found["dfdc_train_part_0/aaa.mp4"], found["dfdc_train_part_0/bbb.mp4"]
    assert real["pair_id"] == fake["pair_id"] == real["leak_group"] == fake["leak_group"]
    assert (real["target_id"], fake["target_id"]) == ("", "dfdc:aaa")
    assert (real["audio_fake"], fake["audio_fake"]) == (0, -1)
    assert real["identity"] == fake["identity"] == ""


@pytest.mark.parametrize(
    ("damage", "reason"), [(None, "missing"), (b'{"aaa.mp4": {"la', "unreadable")]
)
def test_absent_metadata_is_named(root, look, damage, reason):
    file = root / "dfdc_train_part_0/metadata.json"
    file.unlink()
    if damage:
        put(file, damage)
    found = look(root)
    assert rejects(found) == {
        "dfdc/dfdc_train_part_0/metadata.json": reason,
        "dfdc/dfdc_train_part_0/aaa.mp4": "unknown_label",
        "dfdc/dfdc_train_part_0/bbb.mp4": "unknown_label",
        "dfdc/test_videos/jjj.mp4": "unknown_label",
    }
    details = {row["detail"] for row in found.rejected.to_pylist()}
    assert "no metadata.json in dfdc_train_part_0" in details


def test_test_labels_from_metadata_where_there_is_no_csv(root, look):
    (root / "test/labels.csv").unlink()
    found = look(root)
    labels = {row["path"]: row["label"] for row in rows(found).values() if row["split"] == "test"}
    assert labels == {"test/ori_videos/ggg.mp4": 0}
    assert rejects(found)["dfdc/test/ori_videos/hhh.mp4"] == "unknown_label"


def test_listed_but_not_there_and_there_but_not_listed(root, look):
    (root / "dfdc_train_part_0/bbb.mp4").rename(root / "dfdc_train_part_0/xxx.mp4")
    put(root / "validation/readme.txt")
    put(root / "validation/labels.csv", b"filename,label\neee.mp4,0\nfff.mp4,maybe\n")
    missing = rejects(look(root))
    assert missing["dfdc/dfdc_train_part_0/bbb.mp4"] == "missing"
    assert missing["dfdc/dfdc_train_part_0/xxx.mp4"] == "unknown_label"
    assert missing["dfdc/validation/readme.txt"] == "unsupported_media"
    assert missing["dfdc/validation/fff.mp4"] == "unknown_label"


@pytest.mark.parametrize("label", ["[]", "{}", "null", "3", '"real?"'])
def test_odd_labels(root, look, label):
    text = f'{{"aaa.mp4": {{"label": {label}}}, "bbb.mp4": 3}}'
    put(root / "dfdc_train_part_0/metadata.json", text.encode())
    found = rejects(look(root))
    assert found["dfdc/dfdc_train_part_0/aaa.mp4"] == "unknown_label"
    assert found["dfdc/dfdc_train_part_0/bbb.mp4"] == "unknown_label"


def test_a_foreign_root(tmp_path, look):
    put(tmp_path / "other/videos/a.mp4")
    with pytest.raises(UserError, match="does not look like a dataset of adapter dfdc"):
        look(tmp_path / "other")


def test_an_entry_without_a_usable_label_never_vanishes(tmp_path, look):
    part = tmp_path / "dfdc/dfdc_train_part_0"
    said = {
        "a.mp4": {"label": "REAL"},
        "b.mp4": {"label": "perhaps"},
        "c.mp4": {},
        "d.mp4": "FAKE",
        "gone.mp4": {"label": "FAKE?"},
    }
    put(part / "metadata.json", json.dumps(said).encode())
    for name in "abcd":
        put(part / f"{name}.mp4")
    found = look(tmp_path / "dfdc")
    assert len(rows(found)) == 1
    assert rejects(found) == {
        f"dfdc/dfdc_train_part_0/{name}": "unknown_label" for name in said if name != "a.mp4"
    }
    details = " ".join(found.rejected["detail"].to_pylist())
    assert "metadata.json says 'perhaps'" in details


def test_a_video_that_is_listed_twice_is_told(tmp_path, look):
    part = tmp_path / "dfdc/dfdc_train_part_0"
    put(part / "metadata.json", b'{"a.mp4": {"label": "REAL"}, "a.mp4": {"label": "FAKE"}}')
    put(part / "a.mp4")
    put(tmp_path / "dfdc/dfdc_train_part_1/metadata.json", b'{"b.mp4": {"label": "REAL"}}')
    put(tmp_path / "dfdc/dfdc_train_part_1/b.mp4")
    found = look(tmp_path / "dfdc")
    assert rejects(found)["dfdc/dfdc_train_part_0/metadata.json"] == "unreadable"
    assert "repeats a key: 'a.mp4'" in " ".join(found.rejected["detail"].to_pylist())
