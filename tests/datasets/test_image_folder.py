import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put_all, rejects, rows, run


@pytest.fixture
def look(tmp_path):
    def looked(tree, cache="cache", adapter="imagefolder", **options):
        root = put_all(tmp_path / "root", tree)
        return run(entry(adapter, root, name="own", **options), tmp_path / cache)

    return looked


TREE = """
    train/real/ann/{1,2}.jpg
    train/simswap/ann_bob/1.png
    test/real/cat/1.jpg
    test/FooGAN/1.webp
"""


def test_what_folders_say(look):
    found = rows(look(TREE, layout="{split}/{method}/{identity}", fake="*"))
    assert {
        name: [row[c] for c in ("split", "label", "method", "category", "identity", "media")]
        for name, row in found.items()
    } == {
        "own/real/train/real/ann/1": ["train", 0, "real", "real", "own:ann", "image"],
        "own/real/train/real/ann/2": ["train", 0, "real", "real", "own:ann", "image"],
        # Methods that other datasets know are known here.
        "own/simswap/train/simswap/ann_bob/1": [
            *("train", 1, "simswap", "FS", "own:ann_bob", "image")
        ],
        "own/real/test/real/cat/1": ["test", 0, "real", "real", "own:cat", "image"],
        "own/FooGAN/test/FooGAN/1": ["test", 1, "FooGAN", "unknown", "own:1.webp", "image"],
    }


def test_what_is_not_said_is_not_guessed(look):
    tree = "train/{real,fake,maybe}/1.jpg\nlost.jpg\nnew/real/1.jpg\ntrain/real/notes.txt"
    found = look(tree, layout="{split}/{label}")
    assert rejects(found) == {
        "own/train/maybe/1.jpg": "unknown_label",
        "own/lost.jpg": "unknown_label",
        "own/new/real/1.jpg": "inconsistent",
    }
    details = {row["id"]: row["detail"] for row in found.rejected.to_pylist()}
    assert (
        "'maybe' stands neither in the option real nor in fake" in details["own/train/maybe/1.jpg"]
    )
    assert "not of the layout {split}/{label}" in details["own/lost.jpg"]
    assert found.metrics["outputs"] == 2


def test_words_of_ones_own(look):
    tree = "{echt,falsch,gestellt}/1.jpg"
    found = rows(look(tree, layout="{label}", real="Echt", fake="falsch, gestellt", split="train"))
    assert {row["path"]: (row["label"], row["split"]) for row in found.values()} == {
        "echt/1.jpg": (0, "train"),
        "falsch/1.jpg": (1, "train"),
        "gestellt/1.jpg": (1, "train"),
    }


def test_one_label_for_all(look):
    found = look("a/{1,2}.jpg", label="fake", method="sd", category="EFS")
    assert {(r["label"], r["method"], r["category"]) for r in rows(found).values()} == {
        (1, "sd", "EFS")
    }


def test_folders_as_videos(look):
    tree = "real/clip1/{000,001}.png\nfake/clip1/{000,001}.png\nfake/alone.jpg"
    found = look(tree, layout="{label}", rows="folders")
    assert {(r["path"], r["media"], r["label"]) for r in rows(found).values()} == {
        ("real/clip1", "frames", 0),
        ("fake/clip1", "frames", 1),
        ("fake", "frames", 1),
    }


def test_a_split_of_ours_keeps_groups_together(look):
    tree = "\n".join(f"real/p{n}/{{1,2}}.jpg" for n in range(60))
    found = rows(look(tree, layout="{label}/{identity}", split="ours"))
    of = {}
    for row in found.values():
        of.setdefault(row["identity"], set()).add(row["split"])
    assert {len(splits) for splits in of.values()} == {1}
    assert set().union(*of.values()) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing says which pictures are real"),
        ({"layout": "{split}"}, "nothing says which pictures are real"),
        ({"layout": "{lable}"}, r"option layout: \{lable\} is none of"),
        ({"layout": "{label}", "fake": "real"}, "real stands in the options real and fake"),
        ({"layout": "{label}", "split": "all"}, "option split"),
    ],
)
def test_wrong_options(look, options, message):
    with pytest.raises(UserError, match=message):
        look("real/1.jpg", **options)


def test_a_root_without_images(look):
    with pytest.raises(UserError, match="does not look like"):
        look("a/b.txt", layout="{label}")
