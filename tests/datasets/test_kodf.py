import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put_all, rejects, rows, run

HEX = "0123456789abcdef0123"
TREE = f"""
    real/{HEX}/{HEX}_001.mp4
    real/100001/100001_001.mp4
    dfl/100002_100001_1_0090.mp4
    fsgan/20200101/100003/100003_100004_3_0001.mp4
    fo/{{1_2_4_0001,1_2_5_0002,1_2_9_0003,1_2_0004}}.mp4
    audio-driven/5_6_5_0001.mp4
    real/loose.mp4
"""


@pytest.fixture
def look(tmp_path):
    def looked(tree=TREE, **options):
        root = put_all(tmp_path / "kodf", tree)
        return run(entry("kodf", root, name="kodf", **options), tmp_path / "cache")

    return looked


def test_names(look):
    found = look()
    columns = ("label", "method", "category", "identity", "target_id", "source_id")
    assert {
        row["path"].rsplit("/", 1)[1]: [
            row[c].replace("kodf:", "") if c != "label" else row[c] for c in columns
        ]
        for row in rows(found).values()
    } == {
        f"{HEX}_001.mp4": [0, "real", "real", HEX, "", ""],
        "100001_001.mp4": [0, "real", "real", "100001", "", ""],
        "100002_100001_1_0090.mp4": [1, "dfl", "FS", "100001", "100002", "100001"],
        "100003_100004_3_0001.mp4": [1, "fsgan", "FS", "100004", "100003", "100004"],
        "1_2_4_0001.mp4": [1, "fo", "RE", "1", "1", "2"],
        # The code in the name holds, whatever the folder is called.
        "1_2_5_0002.mp4": [1, "audio-driven", "RE", "1", "1", "2"],
        "5_6_5_0001.mp4": [1, "audio-driven", "RE", "5", "5", "6"],
    }
    assert rejects(found) == dict.fromkeys(
        ("kodf/fo/1_2_9_0003.mp4", "kodf/fo/1_2_0004.mp4", "kodf/real/loose.mp4"), "inconsistent"
    )


def test_targets_are_in_one_split(look):
    tree = "\n".join(
        f"real/{n}/{n}_001.mp4 dfl/{n}_{(n + 1) % 90}_1_0001.mp4 fo/{n}_7_4_0001.mp4"
        for n in range(90)
    )
    of = {}
    for row in rows(look(tree)).values():
        of.setdefault(row["target_id"] or row["identity"], set()).add(row["split"])
    assert {len(splits) for splits in of.values()} == {1}
    assert set().union(*of.values()) == {"train", "val", "test"}
    found = look(tree, donors="same_split")
    split = {row["identity"]: row["split"] for row in rows(found).values() if not row["label"]}
    swaps = [row for row in rows(found).values() if row["method"] == "dfl"]
    assert swaps
    assert all(split[row["source_id"]] == row["split"] for row in swaps)
    assert set(rejects(found).values()) == {"excluded"}


def test_another_root(look):
    with pytest.raises(UserError, match="does not look like"):
        look("videos/1_2_1_1.mp4")


def test_the_part_that_was_attacked_is_a_test_set_of_its_own(look):
    tree = (
        TREE
        + """
        adversarial/real/100001_001.mp4
        adversarial/fake/pgd/100002_100001_1_0090.mp4
        adversarial/fake/0001.mp4
        adversarial/0002.mp4
    """
    )
    found = look(tree, part="adversarial")
    columns = ("split", "label", "method", "category", "subtype", "identity", "target_id")
    assert {
        row["path"].rsplit("/", 1)[1]: [row[c] for c in columns] for row in rows(found).values()
    } == {
        "100001_001.mp4": ["test", 0, "real", "real", "", "kodf:100001", ""],
        "100002_100001_1_0090.mp4": [
            *("test", 1, "dfl", "FS", "adversarial", "kodf:100001", "kodf:100002"),
        ],
        "0001.mp4": ["test", 1, "kodf_unknown", "unknown", "adversarial", "", ""],
    }
    assert rejects(found) == {"kodf/adversarial/0002.mp4": "unknown_label"}
    assert not any("adversarial" in row["path"] for row in rows(look(tree)).values())
