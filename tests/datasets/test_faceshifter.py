import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put_ffpp, rejects, rows, run


@pytest.fixture
def look(tmp_path):
    def looked(*roots, **options):
        return run(entry("faceshifter", *roots, name="fsh", **options), tmp_path / "cache")

    return looked


def test_its_fakes_and_their_originals(tmp_path, look):
    found = look(put_ffpp(tmp_path / "ff++"))
    assert {(r["split"], r["label"], r["method"]) for r in rows(found).values()} == {
        ("test", 0, "real"),
        ("test", 1, "FaceShifter"),
    }
    assert found.metrics["test_real"] == found.metrics["test_fake"] == 2
    assert list(rejects(found).values()) == ["excluded"] * 8
    path = "manipulated_sequences/FaceShifter/c23/videos/002_004"
    row = rows(found)[f"fsh/FaceShifter/{path}"]
    # Clips are named as FaceForensics++ names them, so that the two can be compared.
    assert (row["target_id"], row["source_id"]) == ("ffpp-id:002", "ffpp-id:004")
    assert (row["category"], row["identity"]) == ("FS", "ffpp-id:004")


def test_all_three_splits(tmp_path, look):
    found = look(put_ffpp(tmp_path / "ff++"), ids="all")
    assert [found.metrics[f"{s}_fake"] for s in ("train", "val", "test")] == [2, 2, 2]


def test_what_is_missing_of_the_test_clips(tmp_path, look):
    root = put_ffpp(tmp_path / "ff++")
    for name in ("FaceShifter/c23/videos/002_004", "FaceShifter/c23/videos/000_003"):
        (root / f"manipulated_sequences/{name}.mp4").unlink()
    (root / "manipulated_sequences/FaceSwap/c23/videos/002_004.mp4").unlink()
    (root / "original_sequences/youtube/c23/videos/004.mp4").unlink()
    said = {path: reason for path, reason in rejects(look(root)).items() if reason != "excluded"}
    assert said == {
        "fsh/manipulated_sequences/FaceShifter/c23/videos/002_004.mp4": "missing",
        "fsh/original_sequences/youtube/c23/videos/004.mp4": "missing",
    }


def test_a_copy_without_it(tmp_path, look):
    root = put_ffpp(tmp_path / "ff++")
    (root / "manipulated_sequences/FaceShifter").rename(tmp_path / "away")
    with pytest.raises(UserError, match="expects manipulated_sequences/FaceShifter"):
        look(root)
