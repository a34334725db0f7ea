import pytest

from pipeline.datasets.ffsc import ATTRIBUTES, CATEGORIES, CODES
from pipeline.errors import UserError
from pipeline.labels import semantics
from tests.datasets.sketches import sketch
from tests.datasets.trees import SEMANTICS, entry, put, rejects, rows, run

TREE = """
Train/Real/CDF-youtube/00000/0078.png
Train/Real/AVSpeech/_-926WzaH2A_215/0037.png
Train/BlendFace/_-926WzaH2A_215_0037_by_pNqmJjTr2PA_107_0069.png
Train/simswap/_-926WzaH2A_215_2_pNqmJjTr2PA_2/0007.png
Train/fsgan/00000/0011.png
Train/fsgan/{0H007ZkBJSs_168.766667_176.933333,0H007ZkBJSs_3_4.5}/0011.png
Val/fomm-pose/0H007ZkBJSs_3_0018_pose_fr100.png
Train/diffae-gender/{Male,Female}/00000_0078_Male_-0.2.png
Val/fomm-expr/00001_0002_surprised.png
Val/TPS-pose/pose/odd name.png
Test/Protocol-1/InfoSwap/00002_To_00003/0165_gen.png
Test/Protocol-2/diffae-age/00002/0037.png
"""


@pytest.fixture
def root(tmp_path):
    return sketch(tmp_path / "FFSC set", TREE)


@pytest.fixture
def look(tmp_path):
    def looked(*roots, **options):
        return run(entry("ffsc", *roots, name="ffsc", **options), tmp_path / "cache")

    return looked


def test_rows(root, look):
    found = look(root)
    assert not rejects(found)
    told = {
        row["path"]: (row["split"], row["label"], row["category"], row["subtype"])
        for row in found.videos.to_pylist()
    }
    assert told.pop("Train/diffae-gender/Female/00000_0078_Male_-0.2.png") == (
        "train",
        1,
        "FE",
        "gender",
    )
    assert told == {
        "Train/Real/CDF-youtube/00000/0078.png": ("train", 0, "real", ""),
        "Train/Real/AVSpeech/_-926WzaH2A_215/0037.png": ("train", 0, "real", ""),
        "Train/BlendFace/_-926WzaH2A_215_0037_by_pNqmJjTr2PA_107_0069.png": (
            *("train", 1, "FS", "identity"),
        ),
        "Train/simswap/_-926WzaH2A_215_2_pNqmJjTr2PA_2/0007.png": ("train", 1, "FS", "identity"),
        "Train/fsgan/00000/0011.png": ("train", 1, "FS", "identity"),
        "Train/fsgan/0H007ZkBJSs_168.766667_176.933333/0011.png": ("train", 1, "FS", "identity"),
        "Train/fsgan/0H007ZkBJSs_3_4.5/0011.png": ("train", 1, "FS", "identity"),
        "Val/fomm-pose/0H007ZkBJSs_3_0018_pose_fr100.png": ("val", 1, "RE", "pose"),
        "Train/diffae-gender/Male/00000_0078_Male_-0.2.png": ("train", 1, "FE", "gender"),
        "Val/fomm-expr/00001_0002_surprised.png": ("val", 1, "RE", "surprised"),
        "Val/TPS-pose/pose/odd name.png": ("val", 1, "RE", "pose"),
        "Test/Protocol-1/InfoSwap/00002_To_00003/0165_gen.png": ("test", 1, "FS", "identity"),
        "Test/Protocol-2/diffae-age/00002/0037.png": ("test", 1, "FE", "age"),
    }
    assert {row["media"] for row in rows(found).values()} == {"image"}


@pytest.mark.parametrize(
    ("path", "target", "source", "pair"),
    [
        (
            "Train/BlendFace/_-926WzaH2A_215_0037_by_pNqmJjTr2PA_107_0069.png",
            "ffsc:_-926WzaH2A_215",
            "ffsc:pNqmJjTr2PA_107",
            "ffsc:_-926WzaH2A_215/0037",
        ),
        (
            "Train/simswap/_-926WzaH2A_215_2_pNqmJjTr2PA_2/0007.png",
            "ffsc:_-926WzaH2A_215",
            "ffsc:pNqmJjTr2PA_2",
            "ffsc:_-926WzaH2A_215/0007",
        ),
        ("Train/fsgan/00000/0011.png", "celebdf-youtube:00000", "", "celebdf-youtube:00000/0011"),
        (
            "Test/Protocol-1/InfoSwap/00002_To_00003/0165_gen.png",
            *("celebdf-youtube:00002", "celebdf-youtube:00003", "celebdf-youtube:00002/0165"),
        ),
        (
            "Train/diffae-gender/Male/00000_0078_Male_-0.2.png",
            *("celebdf-youtube:00000", "", "celebdf-youtube:00000/0078"),
        ),
        (
            "Train/fsgan/0H007ZkBJSs_168.766667_176.933333/0011.png",
            "ffsc:0H007ZkBJSs_168.766667_176.933333",
            "",
            "ffsc:0H007ZkBJSs_168.766667_176.933333/0011",
        ),
        (
            "Train/fsgan/0H007ZkBJSs_3_4.5/0011.png",
            *("ffsc:0H007ZkBJSs_3_4.5", "", "ffsc:0H007ZkBJSs_3_4.5/0011"),
        ),
        ("Val/TPS-pose/pose/odd name.png", "", "", ""),
    ],
)
def test_ids_in_names(root, look, path, target, source, pair):
    row = next(row for row in look(root).videos.to_pylist() if row["path"] == path)
    assert (row["target_id"], row["source_id"], row["pair_id"]) == (target, source, pair)


def test_clips_of_one_video_are_related_however_they_are_numbered(root, look):
    groups = {row["path"]: row["leak_group"] for row in look(root).videos.to_pylist()}
    assert groups["Train/fsgan/0H007ZkBJSs_168.766667_176.933333/0011.png"] == "youtube:0H007ZkBJSs"
    assert groups["Val/fomm-pose/0H007ZkBJSs_3_0018_pose_fr100.png"] == "youtube:0H007ZkBJSs"
    swap = "Train/simswap/_-926WzaH2A_215_2_pNqmJjTr2PA_2/0007.png"
    assert groups[swap] == "youtube:_-926WzaH2A+youtube:pNqmJjTr2PA"
    assert groups["Train/fsgan/00000/0011.png"] == "celebdf-youtube:00000"
    assert groups["Val/TPS-pose/pose/odd name.png"] == ""


def test_the_leak_audit_sees_fsgan(root, look):
    leaks = [finding for finding in look(root).findings if finding.kind == "leak"]
    assert any("youtube:0H007ZkBJSs" in str(finding) for finding in leaks)


def test_lists_are_checked(root, look):
    put(
        root / "train_SLH_v2_update.txt",
        (
            b"/home/someone/FFSC/Train/Real/CDF-youtube/00000/0078.png 000000000000\n"
            b"Train\\fsgan\\00000\\0011.png 101000001100\n"
            b"\n"
            b"FFSC/Train/simswap/gone/0001.png 120010111111\n"
        ),
    )
    assert rejects(look(root)) == {
        "ffsc/Train/fsgan/00000/0011.png": "inconsistent",
        "ffsc/FFSC/Train/simswap/gone/0001.png": "missing",
    }
    put(root / "train_SLH_v2_update.txt", b"Train/fsgan/00000/0011.png 10100000110\n")
    with pytest.raises(UserError, match="line 1 is not a path and a label"):
        look(root)


def test_other_things(root, look, tmp_path):
    sketch(root, "Train/{SimSwap,simswop}/a.png\nTrain/fsgan/readme.txt")
    assert rejects(look(root)) == {
        "ffsc/Train/simswop": "unsupported_media",
        "ffsc/Train/fsgan/readme.txt": "unsupported_media",
    }
    with pytest.raises(UserError, match="expects Train, Val and Test"):
        look(sketch(tmp_path / "other", "a/b.png"))


def test_a_root_above_it(root, look, tmp_path):
    (tmp_path / "above").mkdir()
    root.rename(tmp_path / "above/FFSC")
    found = look(tmp_path / "above")
    assert found.metrics["outputs"] == 14
    assert "ffsc/fsgan/FFSC/Train/fsgan/00000/0011" in rows(found)


def test_vectors_are_the_authors_digits():
    loaded = semantics.load(SEMANTICS)
    for method, attribute in ATTRIBUTES.items():
        known = loaded.manipulation("any name", "ffsc", method)
        assert (known.category, known.subtype) == (CATEGORIES[attribute], attribute)
        digits = "".join("2" if value < 0 else str(value) for value in known.vectors["ffsc"])
        assert digits == CODES[attribute]
        ours, theirs = loaded.graph("ffpp").nodes, loaded.graph("ffsc").nodes
        of_theirs = dict(zip(theirs, known.vectors["ffsc"], strict=True))
        for node, value in zip(ours, known.vectors["ffpp"], strict=True):
            # The other graph has the same labels; what it cannot express is unobserved.
            assert value in (-1, of_theirs.get(node, -1))
