import shutil

import pytest

from pipeline.datasets.celeb_df import LIST
from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_all, rejects, rows, run

V2 = """
Celeb-real/{id0_0000,id0_0001,id1_0000}.mp4
YouTube-real/{00170,00171}.mp4
Celeb-synthesis/{id0_id1_0000,id0_id1_0001,id1_id0_0000}.mp4
"""
TEST = b"1 YouTube-real/00170.mp4\n1 Celeb-real/id0_0000.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n"


@pytest.fixture
def root(tmp_path):
    put(tmp_path / "cdf" / LIST, TEST)
    return put_all(tmp_path / "cdf", V2)


@pytest.fixture
def look(tmp_path):
    def looked(*roots, options=None, **params):
        entries = entry("celeb_df", *roots, name="cdf", **(options or {}))
        return run(entries, tmp_path / "cache", **params)

    return looked


def splits(found):
    return {key.rsplit("/", 1)[1]: row["split"] for key, row in rows(found).items()}


def test_listed_is_test_and_the_rest_train(root, look):
    found = look(root)
    assert splits(found) == {
        "id0_0000": "test",
        "00170": "test",
        "id0_id1_0000": "test",
        "id0_0001": "train",
        "id1_0000": "train",
        "00171": "train",
        "id0_id1_0001": "train",
        "id1_id0_0000": "train",
    }
    assert found.metrics["rejects"] == 0


def test_the_inverted_labels_do_not_count(root, look):
    found = rows(look(root))
    assert {key: row["label"] for key, row in found.items() if row["split"] == "test"} == {
        "cdf/real/YouTube-real/00170": 0,
        "cdf/real/Celeb-real/id0_0000": 0,
        "cdf/Celeb-synthesis/Celeb-synthesis/id0_id1_0000": 1,
    }


def test_people(root, look):
    found = rows(look(root))
    columns = ("identity", "target_id", "source_id", "pair_id", "leak_group")
    fake = found["cdf/Celeb-synthesis/Celeb-synthesis/id0_id1_0000"]
    assert [fake[c] for c in columns] == [
        "celebdf-id:id1",
        "celebdf-id:id0",
        "celebdf-id:id1",
        "cdf:id0_0000",
        "celebdf-id:id0+celebdf-id:id1",
    ]
    real = found["cdf/real/Celeb-real/id0_0000"]
    assert [real[c] for c in columns] == [
        "celebdf-id:id0",
        "",
        "",
        "cdf:id0_0000",
        "celebdf-id:id0",
    ]
    nobody = found["cdf/real/YouTube-real/00170"]
    shared = "celebdf-youtube:00170"  # FFSC and DF40 have these clips too
    assert [nobody[c] for c in columns] == ["", "", "", "cdf:00170", shared]


def test_conflicts_and_gaps(root, look):
    put(root / LIST, TEST + b"0 Celeb-real/id1_0000.mp4\n1 Celeb-real/id9_0009.mp4\n\n")
    put_all(
        root, "Celeb-real/{clip,id0_id1_0003}.mp4 Celeb-synthesis/id0_0004.mp4 YouTube-real/x.txt"
    )
    found = look(root)
    assert rejects(found) == {
        "cdf/Celeb-real/id1_0000.mp4": "inconsistent",
        "cdf/Celeb-real/id9_0009.mp4": "missing",
        "cdf/Celeb-real/clip.mp4": "inconsistent",
        "cdf/Celeb-real/id0_id1_0003.mp4": "inconsistent",
        "cdf/Celeb-synthesis/id0_0004.mp4": "inconsistent",
        "cdf/YouTube-real/x.txt": "unsupported_media",
    }
    details = {row["id"]: row["detail"] for row in found.rejected.to_pylist()}
    assert details["cdf/Celeb-real/id1_0000.mp4"] == f"{LIST} says fake"


def test_a_folder_that_is_not_there_is_not_missed(root, look):
    shutil.rmtree(root / "Celeb-synthesis")
    assert look(root).metrics["rejects"] == 0


def test_one_level_more(root, look):
    for name in ("Celeb-real", "YouTube-real", "Celeb-synthesis"):
        (root / name).rename(root / "moved")
        (root / name).mkdir()
        (root / "moved").rename(root / name / "videos")
    (root / "YouTube-real").rename(root / "Youtube-real")
    found = look(root)
    assert "cdf/real/Youtube-real/videos/00170" in rows(found)
    assert sorted(splits(found).values()) == ["test"] * 3 + ["train"] * 5


def test_folders_of_pictures(tmp_path, look):
    root = tmp_path / "bench"
    put(root / LIST, TEST)
    put_all(
        root,
        """
        Celeb-real/frames/id0_0000/{000,030}.png Celeb-real/landmarks/id0_0000/000.npy
        Celeb-synthesis/frames/id1_id0_0000/000.png
        """,
    )
    put(root / "Celeb-synthesis/frames/id0_id1_0000/note.txt")
    found = look(root)
    by_id = rows(found)
    real = by_id["cdf/real/Celeb-real/frames/id0_0000"]
    assert (real["media"], real["split"]) == ("frames", "test")
    assert real["bytes"] == sum(f.stat().st_size for f in (root / real["path"]).iterdir())
    assert rejects(found) == {"cdf/Celeb-synthesis/frames/id0_id1_0000": "empty"}


def test_val_only_where_asked_for(tmp_path, look):
    root = tmp_path / "many"
    put(root / LIST, b"1 Celeb-real/id0_0000.mp4\n")
    people = range(40)
    put_all(root, " ".join(f"Celeb-real/id{a}_{n:04}.mp4" for a in people for n in range(2)))
    put_all(root, " ".join(f"Celeb-synthesis/id{a}_id{(a + 1) % 40}_0001.mp4" for a in people))
    assert set(splits(look(root)).values()) == {"train", "test"}
    found = look(root, options={"val": "ours"})
    by_person = {}
    for name, split in splits(found).items():
        if name != "id0_0000":
            by_person.setdefault(name.split("_")[0], set()).add(split)
    assert all(len(parts) == 1 for parts in by_person.values())
    held_out = sum("val" in parts for parts in by_person.values())
    assert 1 <= held_out <= 12  # 6 of 40 on average
    assert splits(found)["id0_0000"] == "test"
    again = look(root, options={"val": "ours"}, split_seed=1)
    assert splits(again) != splits(found)


def test_celeb_df_plus_plus(tmp_path, look):
    root = tmp_path / "pp"
    put_all(
        root,
        """
        Celeb-real/id0_0000.mp4
        Celeb-synthesis/FaceSwap/Celeb-DF/id0_id1_0000.mp4
        Celeb-synthesis/FaceSwap/SimSwap/{id0_id1_0000,id1_id0_0000}.mp4
        Celeb-synthesis/FaceReenact/LIA/id0_id1_0000.mp4
        Celeb-synthesis/TalkingFace/SadTalker/id0_id1_test_00170.mp4
        """,
    )
    put(
        root / LIST,
        b"0 Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0000.mp4\n"
        b"0 Celeb-synthesis/TalkingFace/SadTalker/id0_id1_test_00170.mp4\n",
    )
    found = rows(look(root, options={"version": "++"}))
    facts = {
        key.rsplit("/", 2)[1] + "/" + key.rsplit("/", 1)[1]: (
            row["method"],
            row["split"],
            row["identity"],
        )
        for key, row in found.items()
    }
    assert facts == {
        "Celeb-real/id0_0000": ("real", "train", "celebdf-id:id0"),
        "Celeb-DF/id0_id1_0000": ("Celeb-synthesis", "train", "celebdf-id:id1"),
        "SimSwap/id0_id1_0000": ("SimSwap", "test", "celebdf-id:id1"),
        "SimSwap/id1_id0_0000": ("SimSwap", "train", "celebdf-id:id0"),
        "LIA/id0_id1_0000": ("LIA", "train", "celebdf-id:id0"),
        "SadTalker/id0_id1_test_00170": ("SadTalker", "test", "celebdf-id:id0"),
    }


@pytest.fixture
def plus(tmp_path):
    root = put_all(
        tmp_path / "plus",
        """
        Celeb-real/{id0_0000,id1_0000}.mp4 YouTube-real/00170.mp4
        Celeb-synthesis/FaceSwap/Celeb-DF-v2/{id0_id1_0000,id1_id0_0000}.mp4
        Celeb-synthesis/FaceSwap/SimSwap/{id0_id1_0000,id1_id0_0000}.mp4
        Celeb-synthesis/FaceReenact/LIA/{id0_id1_0000,id1_id0_0000}.mp4
        Celeb-synthesis/FaceReenact/LivePortrait/id0_id1_0000.mp4
        Celeb-synthesis/TalkingFace/FLOAT/{id0_0003_test_00170,id1_0002_test_id5}.mp4
        """,
    )
    listed = """
        1 Celeb-real/id0_0000.mp4
        0 Celeb-synthesis/FaceSwap/Celeb-DF-v2/id0_id1_0000.mp4
        0 Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0000.mp4
        0 Celeb-synthesis/FaceReenact/LIA/id0_id1_0000.mp4
        0 Celeb-synthesis/FaceReenact/LivePortrait/id0_id1_0000.mp4
        0 Celeb-synthesis/TalkingFace/FLOAT/id0_0003_test_00170.mp4
    """
    put(root / LIST, listed.encode())
    return root


def test_a_talking_face_has_no_second_person(plus, look):
    found = {r["path"].rpartition("/")[2]: r for r in rows(look(plus)).values()}
    row = found["id1_0002_test_id5.mp4"]
    assert (row["identity"], row["target_id"], row["source_id"]) == (
        *("celebdf-id:id1", "celebdf-id:id1", ""),
    )
    assert row["leak_group"] == "celebdf-id:id1"
    assert row["pair_id"] == "cdf:id1_0002"


@pytest.mark.parametrize(
    ("protocol", "train", "excluded"),
    [
        ("official", {"real": 2, "Celeb-synthesis": 1, "SimSwap": 1, "LIA": 1, "FLOAT": 1}, 0),
        ("GF-eval", {"real": 2, "Celeb-synthesis": 1}, 3),
        ("GFQ-eval", {}, 6),
        ("GFD-eval", {}, 6),
    ],
)
def test_protocols_of_celeb_df_plus_plus(plus, look, protocol, train, excluded):
    options = {"version": "++", "protocol": protocol, "compression": "c35"}
    found = look(plus, options=options)
    table = rows(found).values()
    methods = [row["method"] for row in table if row["split"] == "train"]
    assert {method: methods.count(method) for method in set(methods)} == train
    assert sum(row["split"] == "test" for row in table) == 6
    assert list(rejects(found).values()) == ["excluded"] * excluded
    assert {row["compression"] for row in table} == {"c35"}


def test_a_compressed_copy_says_how(plus, look):
    with pytest.raises(UserError, match="protocol GFQ-eval tests compressed copies"):
        look(plus, options={"protocol": "GFQ-eval"})


def test_sets_that_are_cropped_already_can_be_read_apart(plus, look):
    parts = {
        part: {row["method"] for row in rows(look(plus, options={"part": part})).values()}
        for part in ("whole", "crops")
    }
    assert parts == {
        "whole": {"real", "Celeb-synthesis", "SimSwap", "LivePortrait"},
        "crops": {"LIA", "FLOAT"},
    }
    assert len(rows(look(plus))) == sum(
        len(rows(look(plus, options={"part": part}))) for part in parts
    )


def test_without_the_list(root, look):
    (root / LIST).unlink()
    with pytest.raises(UserError, match=f"there is no {LIST}"):
        look(root)


def test_a_damaged_list(root, look):
    put(root / LIST, b"1 YouTube-real/00170.mp4\nid0_0000.mp4\n")
    with pytest.raises(UserError, match=r"line 2: 'id0_0000\.mp4' is not a label and a path"):
        look(root)


def test_a_foreign_root(tmp_path, look):
    put(tmp_path / "other" / LIST, TEST)
    with pytest.raises(UserError, match="does not look like a dataset of adapter celeb_df"):
        look(tmp_path / "other")


def test_two_roots(root, look, tmp_path):
    put_all(tmp_path / "more", "Celeb-real/{id0_0001,id7_0000}.mp4")
    found = look(root, tmp_path / "more")
    assert found.metrics["outputs"] == 9
    assert rejects(found) == {"cdf/1/Celeb-real/id0_0001.mp4": "duplicate"}
