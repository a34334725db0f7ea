import json

import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_all, rejects, rows, run

LISTED = {
    "Train": {"FaceForensics++": ["001.mp4", "002.mp4"], "CelebV-HQ": ["abcDEF_0.mp4"]},
    "Val": {"FaceForensics++": [], "CelebV-HQ": []},
    "Test": {"FaceForensics++": ["003.mp4"], "CelebV-HQ": ["-5be_UPkLRw_4.mp4"]},
}
FAKES = """
    fake/LivePortrait/train/00198--abcDEF_0--LivePortrait.mp4
    fake/LivePortrait/test/47608--5be_UPkLRw_4--LivePortrait.mp4
    fake/additional_dataset/Hallo3/65594-abcDEF_0.mp4
    fake/additional_dataset/MAGI-1/10452.mp4
    fake/Hallo/loose.mp4
"""
FFPP = "original_sequences/youtube/c23/videos/{000,001,002}.mp4"
CELEBV = "clips/{-5be_UPkLRw_4,abcDEF_0,other}.mp4"


@pytest.fixture
def look(tmp_path):
    def looked(*others, listed=LISTED):
        root = put_all(tmp_path / "thb", FAKES)
        put(root / "real/real_dataset_split_official_ff++.json", json.dumps(listed).encode())
        roots = [put_all(tmp_path / f"root{n}", tree) for n, tree in enumerate(others)]
        return run(entry("talkingheadbench", root, *roots, name="thb"), tmp_path / "cache")

    return looked


def test_fakes(look):
    found = rows(look())
    columns = ("split", "method", "category", "source_id")
    assert {row["path"].rsplit("/", 1)[1]: [row[c] for c in columns] for row in found.values()} == {
        "00198--abcDEF_0--LivePortrait.mp4": ["train", "LivePortrait", "RE", "thb:abcDEF_0"],
        "47608--5be_UPkLRw_4--LivePortrait.mp4": [
            *("test", "LivePortrait", "RE", "thb:-5be_UPkLRw_4")
        ],
        "65594-abcDEF_0.mp4": ["test", "Hallo3", "RE", "thb:abcDEF_0"],
        "10452.mp4": ["test", "MAGI-1", "RE", ""],
    }
    assert rejects(look()) == {"thb/fake/Hallo/loose.mp4": "inconsistent"}


def test_reals_from_other_roots(look):
    found = look(FFPP, CELEBV)
    reals = {row["path"]: row for row in rows(found).values() if not row["label"]}
    assert {path: (row["split"], row["leak_group"]) for path, row in reals.items()} == {
        "1/original_sequences/youtube/c23/videos/001.mp4": ("train", "ffpp-id:001"),
        "1/original_sequences/youtube/c23/videos/002.mp4": ("train", "ffpp-id:002"),
        "2/clips/-5be_UPkLRw_4.mp4": ("test", "thb:-5be_UPkLRw_4"),
        "2/clips/abcDEF_0.mp4": ("train", "thb:abcDEF_0"),
    }
    assert rejects(found) == {
        "thb/0/fake/Hallo/loose.mp4": "inconsistent",
        "thb/0/FaceForensics++/003.mp4": "missing",
    }


@pytest.mark.parametrize("listed", [[], {"Train": ["a.mp4"]}, {"Test": {"CelebV-HQ": [1]}}])
def test_a_list_of_another_form(look, listed):
    with pytest.raises(UserError, match="does not map Train, Val and Test"):
        look(listed=listed)
