import json

import pytest

from pipeline.datasets import df40, df40_names
from pipeline.errors import UserError
from tests.datasets.sketches import ffpp_splits, sketch
from tests.datasets.trees import entry, put, rejects, rows, run

TREE = """
DF40/simswap/ff/frames/{002_004,004_002}/{000,031}.png
DF40/simswap/ff/landmarks/002_004/000.npy
DF40/simswap/cdf/frames/id0_id1_0000/000.png
DF40/wav2lip/ff/frames/004/000.png
DF40/StyleGAN2/ff/002/seed0188.png
DF40/StyleGAN2/cdf/Fake_from_Celeb-real/id2_0003/a.png
DF40/e4e/cdf/{Celeb-real,YouTube-real}/inversions/{a,b}.jpg
DF40/heygen/{fake,real}/frames/some video/000.png
DF40/stargan/fake/fake/1.jpg
DF40/stargan/real/real/1.jpg
DF40_train/simswap/frames/{000_003,003_000}/000.png
DF40_train/StyleGAN2/010/seed0001.png
Celeb-DF-v2/Celeb-real/frames/id0_0000/000.png
Celeb-DF-v2/YouTube-real/frames/00170/000.png
FaceForensics++/original_sequences/youtube/c23/frames/{000,001,002}/000.png
"""


@pytest.fixture
def root(tmp_path):
    ffpp_splits(tmp_path / "DF 40" / "splits")
    return sketch(tmp_path / "DF 40", TREE)


@pytest.fixture
def look(tmp_path):
    def looked(*roots, **options):
        return run(entry("df40", *roots, name="df40", **options), tmp_path / "cache")

    return looked


def told(found):
    return {
        row["path"]: (row["split"], row["label"], row["method"], row["category"], row["media"])
        for row in found.videos.to_pylist()
    }


def test_the_whole_tree(root, look):
    found = look(root)
    test = told(found)
    assert not rejects(found)
    assert test == {
        "DF40/simswap/ff/frames/002_004": ("test", 1, "simswap", "FS", "frames"),
        "DF40/simswap/ff/frames/004_002": ("test", 1, "simswap", "FS", "frames"),
        "DF40/simswap/cdf/frames/id0_id1_0000": ("test", 1, "simswap", "FS", "frames"),
        "DF40/wav2lip/ff/frames/004": ("test", 1, "wav2lip", "RE", "frames"),
        "DF40/StyleGAN2/ff/002": ("test", 1, "StyleGAN2", "EFS", "frames"),
        "DF40/StyleGAN2/cdf/Fake_from_Celeb-real/id2_0003": (
            "test", 1, "StyleGAN2", "EFS", "frames"
        ),
        "DF40/e4e/cdf/Celeb-real/inversions/a.jpg": ("test", 1, "e4e", "FE", "image"),
        "DF40/e4e/cdf/Celeb-real/inversions/b.jpg": ("test", 1, "e4e", "FE", "image"),
        "DF40/e4e/cdf/YouTube-real/inversions/a.jpg": ("test", 1, "e4e", "FE", "image"),
        "DF40/e4e/cdf/YouTube-real/inversions/b.jpg": ("test", 1, "e4e", "FE", "image"),
        "DF40/heygen/fake/frames/some video": ("test", 1, "heygen", "RE", "frames"),
        "DF40/heygen/real/frames/some video": ("test", 0, "real", "real", "frames"),
        "DF40/stargan/fake/fake/1.jpg": ("test", 1, "stargan", "FE", "image"),
        "DF40/stargan/real/real/1.jpg": ("test", 0, "real", "real", "image"),
        "DF40_train/simswap/frames/000_003": ("train", 1, "simswap", "FS", "frames"),
        "DF40_train/simswap/frames/003_000": ("train", 1, "simswap", "FS", "frames"),
        "DF40_train/StyleGAN2/010": ("train", 1, "StyleGAN2", "EFS", "frames"),
        "Celeb-DF-v2/Celeb-real/frames/id0_0000": ("test", 0, "real", "real", "frames"),
        "Celeb-DF-v2/YouTube-real/frames/00170": ("test", 0, "real", "real", "frames"),
        "FaceForensics++/original_sequences/youtube/c23/frames/000": (
            "train", 0, "real", "real", "frames"
        ),
        "FaceForensics++/original_sequences/youtube/c23/frames/001": (
            "val", 0, "real", "real", "frames"
        ),
        "FaceForensics++/original_sequences/youtube/c23/frames/002": (
            "test", 0, "real", "real", "frames"
        ),
    }  # fmt: skip


def test_ids_are_those_of_the_datasets_it_was_made_from(root, look):
    groups = {row["path"]: row["leak_group"] for row in look(root).videos.to_pylist()}
    assert groups["DF40/simswap/ff/frames/004_002"] == "ffpp-id:002+ffpp-id:004"
    assert groups["DF40/simswap/cdf/frames/id0_id1_0000"] == "celebdf-id:id0+celebdf-id:id1"
    assert groups["DF40/StyleGAN2/cdf/Fake_from_Celeb-real/id2_0003"] == "celebdf-id:id2"
    assert groups["Celeb-DF-v2/Celeb-real/frames/id0_0000"] == "celebdf-id:id0"
    assert groups["DF40/heygen/fake/frames/some video"] == ""


def test_no_test_clip_leaks_into_train(root, look):
    """The published train part holds clips that are test in FaceForensics++."""
    sketch(
        root,
        """
        DF40_train/simswap/frames/{002_004,000_002,001_005,000_999}/000.png
        DF40_train/e4e/002/0.png
        DF40/simswap/ff/frames/000_003/000.png
        DF40/uniface/frames/elsewhere/000.png
        """,
    )
    found = look(root)
    assert rejects(found) == {
        "df40/DF40_train/simswap/frames/002_004": "inconsistent",
        "df40/DF40_train/simswap/frames/000_002": "inconsistent",
        "df40/DF40_train/simswap/frames/001_005": "inconsistent",
        "df40/DF40_train/simswap/frames/000_999": "inconsistent",
        "df40/DF40_train/e4e/002": "inconsistent",
        "df40/DF40/simswap/ff/frames/000_003": "inconsistent",
        "df40/DF40/uniface/frames/elsewhere": "inconsistent",
    }
    train = {part for row in found.videos.to_pylist() if row["split"] == "train"
             for part in row["leak_group"].split("+")}  # fmt: skip
    assert train == {f"ffpp-id:{clip}" for clip in ("000", "003", "010")}


def test_case_variants_are_one_method(root, look):
    sketch(
        root,
        """
        DF40/SimSwap/cdf/frames/{id0_id1_0000,id0_id2_0000}/000.png
        DF40/style-gan2/cdf/Fake_from_Celeb-real/id9_0003/a.png
        DF40/heygen_new/fake/frames/another/0.png
        """,
    )
    found = look(root)
    by_path = told(found)
    assert by_path["DF40/style-gan2/cdf/Fake_from_Celeb-real/id9_0003"][2] == "StyleGAN2"
    assert by_path["DF40/heygen_new/fake/frames/another"][2] == "heygen"
    assert list(rejects(found).values()) == ["duplicate"]
    assert sum("imswap/cdf" in path.lower() for path in by_path) == 2


def test_empty_folders_are_named(root, look):
    (root / "DF40/pixart/cdf/id0_0001").mkdir(parents=True)
    (root / "DF40/CollabDiff/real").mkdir(parents=True)
    assert rejects(look(root)) == {"df40/DF40/pixart/cdf/id0_0001": "empty"}


def test_lists_tell_what_is_missing_and_what_contradicts(root, look):
    def record(label, *folders):
        return {f"v{i}": {"label": label, "frames": [f"{folder}/000.png"]}
                for i, folder in enumerate(folders)}  # fmt: skip

    base = "deepfakes_detection_datasets\\DF40"
    lists = {
        "simswap_cdf": {
            "simswap_Real": {
                "test": record("simswap_Real", "deepfakes_detection_datasets/Celeb-DF-v2/"
                               "Celeb-real/frames/id7_0000")
            },
            # The label of another method: the path decides.
            "roop_Fake": {
                "test": record("roop_Fake", f"{base}\\SimSwap\\cdf\\frames\\id0_id1_0000",
                               f"{base}\\simswap\\cdf\\frames\\id8_id9_0000",
                               f"{base}\\fomm\\cdf\\frames\\id8_id9_0000"),
            },
        },
        "bad": {"x_Real": {"test": record("x_Real", f"{base}\\wav2lip\\ff\\frames\\004")}},
    }  # fmt: skip
    for name, content in lists.items():
        put(root / f"dataset_json/{name}.json", json.dumps({name: content}).encode())
    assert rejects(look(root)) == {
        "df40/simswap_cdf.json: simswap_cdf/simswap_Real/test/v0": "missing",
        "df40/simswap_cdf.json: simswap_cdf/roop_Fake/test/v1": "missing",
        "df40/DF40/wav2lip/ff/frames/004": "inconsistent",
    }


def test_reals_of_celeb_df_are_those_of_its_test_list(root, look):
    put(
        root / "Celeb-DF-v2/List_of_testing_videos.txt",
        b"1 YouTube-real/00170.mp4\r\n0 Celeb-synthesis/id1_id0_0007.mp4\n",
    )
    assert rejects(look(root)) == {"df40/Celeb-DF-v2/Celeb-real/frames/id0_0000": "excluded"}


def test_a_folder_that_is_no_method_is_named(root, look):
    sketch(root, "DF40/simswop/cdf/frames/id0_id1_0000/0.png\nFOM/ff/001/0.png")
    found = look(root)
    assert rejects(found) == {
        "df40/DF40/simswop": "unsupported_media",
        "df40/FOM": "unsupported_media",
    }
    details = [row["detail"] for row in found.rejected.to_pylist()]
    assert "Did you mean simswap?" in details[0]


def test_splits_are_asked_for_only_where_they_are_needed(root, look, tmp_path):
    (root / "splits").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"train\.json, val\.json and test\.json"):
        look(root)
    with pytest.raises(UserError, match=r"no mine\.json .* or correct option lists"):
        look(root, ffpp_splits=str(tmp_path / "elsewhere"), lists="mine.json")
    whole = look(root, ffpp_splits=str(tmp_path / "elsewhere"))
    assert whole.metrics["rejects"] == 0
    # The paper's part has no material of FaceForensics++.
    paper = look(root, protocol="paper")
    assert paper.metrics["outputs"] == 3
    assert set(rejects(paper).values()) == {"excluded"}
    assert rejects(paper).pop("df40/DF40/e4e/cdf") == "excluded"


def test_the_paper_tests_on_9_and_12_methods(look, tmp_path):
    assert len(df40_names.METHODS) == len({df40_names.normal(m) for m in df40_names.METHODS}) == 40
    assert len(set(df40_names.PAPER_METHODS) & set(df40_names.FACE_SWAPS)) == 9
    assert len(set(df40_names.PAPER_METHODS) & set(df40_names.REENACTMENTS)) == 12


@pytest.mark.slow
def test_178_reals_and_11_366_fakes(look, tmp_path):
    """The part that the metric-learning paper tests on, in full, one frame per video."""
    root = tmp_path / "df40"
    real = root / "Celeb-DF-v2"
    for folder, names in (
        ("Celeb-real", [f"id{i % 60}_{i:04d}" for i in range(108)]),
        ("YouTube-real", [f"{i:05d}" for i in range(70)]),
    ):
        for name in names:
            put(real / folder / "frames" / name / "000.png", b"x")
    for place, method in enumerate(df40_names.METHODS):
        # 21 methods share 11,366 fakes: 5 have 542 and 16 have 541. The others have one each.
        at = df40_names.PAPER_METHODS.index(method) if method in df40_names.PAPER_METHODS else -1
        count = 1 if at < 0 else 541 + (at < 5)
        for i in range(count):
            name = f"id{i % 60}_id{(i + place) % 60}_{i:04d}"
            put(root / f"DF40/{method}/cdf/frames/{name}/000.png", b"x")
    found = look(root, protocol="paper")
    assert found.metrics["test_real"] == 178
    assert found.metrics["test_fake"] == 11_366
    # One row for each of the other methods' folders.
    assert found.metrics["rejects"] == found.metrics["rejects_excluded"] == 19
    expected = {(total.kind["label"], total.count) for total in df40.ADAPTER.expected}
    assert expected == {(0, 178), (1, 11_366)}


def test_another_tree(look, tmp_path):
    with pytest.raises(UserError, match="expects folders of methods"):
        look(sketch(tmp_path / "other", "a/b/c.png"))


def test_two_roots(root, look, tmp_path):
    (root / "DF40_train").rename(tmp_path / "DF40_train")
    found = look(root, tmp_path / "DF40_train")
    assert told(found)["1/simswap/frames/000_003"][0] == "train"
    assert found.metrics["outputs"] == 22
    assert len(rows(found)) == 22
