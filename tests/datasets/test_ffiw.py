import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put_all, rejects, rows, run


@pytest.fixture
def look(tmp_path):
    def looked(tree):
        root = put_all(tmp_path / "ffiw", tree)
        return run(entry("ffiw", root, name="ffiw"), tmp_path / "cache")

    return looked


@pytest.mark.parametrize(
    "tree",
    [
        "source/{train,val,test}/1.mp4\ntarget/{train,val,test}/1.mp4",
        "source/{train_1,val_1,test_1}.mp4\ntarget/videos/{train_1,Val_1,test_1}.mp4",
    ],
)
def test_splits_by_folder_or_name(look, tree):
    found = rows(look(tree))
    assert sorted((row["split"], row["label"], row["method"]) for row in found.values()) == [
        (split, label, ("real", "ffiw_unknown")[label])
        for split in ("test", "train", "val")
        for label in (0, 1)
    ]
    assert {row["category"] for row in found.values()} == {"real", "FS"}


def test_the_mask_of_a_fake_is_the_film_of_its_name(look):
    found = look("source/train/1.mp4\ntarget/train/{1,2}.mp4\ntarget_mask/train/1.mp4")
    assert {path: row["mask_path"] for path, row in rows(found).items()} == {
        "ffiw/real/source/train/1": "",
        "ffiw/ffiw_unknown/target/train/1": "target_mask/train/1.mp4",
        "ffiw/ffiw_unknown/target/train/2": "",
    }


def test_rejects(look):
    found = look("source/odd_1.mp4\nsource/train/{a.mp4,b.json}\ntarget/test/a.mp4")
    assert rejects(found) == {
        "ffiw/source/odd_1.mp4": "inconsistent",
        "ffiw/source/train/b.json": "unsupported_media",
    }


def test_another_root(look):
    with pytest.raises(UserError, match="does not look like"):
        look("train/1.mp4")
