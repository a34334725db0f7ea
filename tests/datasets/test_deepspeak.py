import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_all, rejects, rows, run

SPLITS = "identity,split\n87,train\n10,train\n11,train\n12,test\n13,test\n"
FAKES = (
    "video-file,kind,engine,identity-source,identity-target,recording-source,recording-target,"
    "audio-config\n"
    "diff2lip-6868-6860-playht.mp4,lip-sync,diff2lip,12,12,6868,6860,playht\n"
    "facefusion-1-2-real.mp4,face-swap,facefusion,10,12,1,2,real\n"
    "memo-3-4-real.mp4,avatar,memo,13,13,3,4,real\n"
)


@pytest.fixture
def look(tmp_path):
    root = tmp_path / "deepspeak"
    put(root / "annotations-split-def.csv", SPLITS.encode())

    def looked(tree, fakes="", **options):
        put_all(root, tree)
        if fakes:
            put(root / "annotations-fake.csv", fakes.encode())
        return run(entry("deepspeak", root, name="ds", **options), tmp_path / "cache")

    looked.root = root
    return looked


V1 = """
    real/{87-0,11-4897}.mp4
    fake/facefusion--10-11--4100-4897--0.mp4
    fake/wav2lip--12-12--1-2--3.mp4
"""


def test_version_1(look):
    found = {row["path"].split("/")[1]: row for row in rows(look(V1)).values()}
    columns = ("label", "split", "method", "category", "identity", "target_id", "source_id")
    assert {name: [row[c] for c in columns] for name, row in found.items()} == {
        "87-0.mp4": [0, "train", "real", "real", "ds:87", "", ""],
        "11-4897.mp4": [0, "train", "real", "real", "ds:11", "", ""],
        "facefusion--10-11--4100-4897--0.mp4": [
            *(1, "train", "facefusion", "FS", "ds:10", "ds:11", "ds:10")
        ],
        "wav2lip--12-12--1-2--3.mp4": [1, "test", "wav2lip", "RE", "ds:12", "ds:12", ""],
    }
    fake, real = found["facefusion--10-11--4100-4897--0.mp4"], found["11-4897.mp4"]
    assert fake["pair_id"] == real["pair_id"] == "ds:11-4897"


V2 = """
    a/{87-0,12-6860}.mp4
    b/{diff2lip-6868-6860-playht,facefusion-1-2-real}.mp4
"""


def test_version_2(look):
    found = look(V2, FAKES)
    fakes = {row["method"]: row for row in rows(found).values() if row["label"]}
    columns = ("split", "audio_fake", "identity", "target_id", "source_id", "pair_id", "subtype")
    assert {name: [row[c] for c in columns] for name, row in fakes.items()} == {
        "diff2lip": ["test", 1, "ds:12", "ds:12", "", "ds:12-6860", "lip_sync"],
        "facefusion": ["test", -1, "ds:10", "ds:12", "ds:10", "ds:12-2", ""],
    }
    assert rejects(found) == {"ds/memo-3-4-real.mp4": "missing"}


def test_donors_of_another_split(look):
    found = look(V2, FAKES, donors="same_split")
    assert rejects(found)["ds/b/facefusion-1-2-real.mp4"] == "excluded"


def test_what_cannot_be_told(look):
    tree = "real/{87-0,99-1,intro}.mp4 again/87-0.mp4 x/diff2lip-9-9-real.mp4"
    assert rejects(look(tree)) == {
        "ds/real/99-1.mp4": "inconsistent",
        "ds/real/intro.mp4": "unknown_label",
        "ds/real/87-0.mp4": "duplicate",
        "ds/x/diff2lip-9-9-real.mp4": "unknown_label",
    }


def test_without_the_list_of_splits(look):
    (look.root / "annotations-split-def.csv").unlink()
    with pytest.raises(UserError, match=r"no annotations-split-def\.csv"):
        look(V1)
