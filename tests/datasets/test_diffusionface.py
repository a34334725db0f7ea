import pytest

from pipeline.datasets.diffusionface import CATEGORIES
from pipeline.errors import UserError
from tests.datasets.sketches import sketch
from tests.datasets.trees import entry, put, rejects, rows, run


@pytest.fixture
def look(tmp_path):
    def looked(*roots, **options):
        return run(entry("diffusionface", *roots, name="dif", **options), tmp_path / "cache")

    return looked


@pytest.fixture
def root(tmp_path):
    numbers = ",".join(str(n) for n in range(60))
    return sketch(
        tmp_path / "Diffusion Face",
        f"""
        Real/{{{numbers}}}.jpg
        DiffSwap/images/0000{{1,2}}.png
        DiffSwap/target_source.csv
        SDv15_DS0.3/{{{numbers}}}.png
        stable_diffusion_v_2_1_text2img_p3g7/{{a,b}}.png
        adm/é 1.png
        """,
    )


def test_rows(root, look):
    found = look(root)
    assert not rejects(found)
    by_path = {row["path"]: row for row in found.videos.to_pylist()}
    kinds = {(row["method"], row["category"], row["label"]) for row in by_path.values()}
    assert kinds == {
        ("real", "real", 0),
        ("DiffSwap", "FS", 1),
        ("SDv15_DS0.3", "FE", 1),
        ("stable_diffusion_v_2_1_text2img_p3g7", "EFS", 1),
        ("ADM", "EFS", 1),
    }
    assert by_path["DiffSwap/images/00001.png"]["pair_id"] == by_path["Real/1.jpg"]["pair_id"]
    assert by_path["adm/é 1.png"]["leak_group"] == ""


def test_our_split_keeps_a_picture_and_its_fakes_together(root, look):
    found = look(root).videos.to_pylist()
    splits = {}
    for row in found:
        if row["pair_id"]:
            splits.setdefault(row["pair_id"], set()).add(row["split"])
    assert len(splits) == 60
    assert all(len(of_one) == 1 for of_one in splits.values())
    assert {split for of_one in splits.values() for split in of_one} == {"train", "val", "test"}


def test_all_of_it_as_test(root, look):
    assert {row["split"] for row in rows(look(root, split="test")).values()} == {"test"}


def test_a_list(root, look):
    put(
        root / "DiffusionFacetest.txt",
        b"/x/Real/1.jpg 0\n/x/DiffSwap/images/00001.png 1\nReal/2.jpg 1\nDiffSwap/images/9.png 1\n",
    )
    found = look(root, list="DiffusionFacetest.txt")
    assert {(row["path"], row["split"]) for row in rows(found).values()} == {
        ("Real/1.jpg", "test"),
        ("DiffSwap/images/00001.png", "test"),
    }
    said = rejects(found)
    assert said.pop("dif/Real/2.jpg") == "inconsistent"
    assert said.pop("dif/DiffSwap/images/9.png") == "missing"
    assert set(said.values()) == {"excluded"}
    assert len(said) == 58 + 1 + 60 + 2 + 1
    with pytest.raises(UserError, match=r"there is no none\.txt below .* or take option list out"):
        look(root, list="none.txt")


def test_other_things(root, look, tmp_path):
    sketch(root, "DiffSwop/1.png")
    assert rejects(look(root)) == {"dif/DiffSwop": "unsupported_media"}
    with pytest.raises(UserError, match="expects folders of methods"):
        look(sketch(tmp_path / "other", "a/1.png"))


def test_all_methods_have_folders():
    assert len(CATEGORIES) == 6 + 2 + 6 + 6
