import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put_all, rejects, rows, run

TREE = """
    Celeb-real/{id0_0000,id1_0000}.mp4
    DFaker/c23/videos/id0_id1_0000_dfaker.mp4
    DFaker/c10/videos/id0_id1_0000_dfaker.mp4
    DFL-H128/videos/id1_id0_0000_dfl.mp4
    IAE/id0_id1_0000.mp4
    LightWeight/odd.mp4
"""


@pytest.fixture
def look(tmp_path):
    def looked(tree=TREE, **options):
        root = put_all(tmp_path / "dfdm", tree)
        return run(entry("dfdm", root, name="dfdm", **options), tmp_path / "cache")

    return looked


def test_names(look):
    found = look()
    columns = ("label", "method", "identity", "target_id", "source_id", "pair_id", "compression")
    assert {row["path"]: [row[c] for c in columns] for row in rows(found).values()} == {
        f"Celeb-real/id{n}_0000.mp4": [
            *(0, "real", f"celebdf-id:id{n}", "", "", f"dfdm:id{n}_0000", "")
        ]
        for n in (0, 1)
    } | {
        path: [
            *(1, method, f"celebdf-id:id{1 - n}", f"celebdf-id:id{n}", f"celebdf-id:id{1 - n}"),
            *(f"dfdm:id{n}_0000", quality),
        ]
        for path, method, n, quality in (
            ("DFaker/c23/videos/id0_id1_0000_dfaker.mp4", "DFaker", 0, "c23"),
            ("DFaker/c10/videos/id0_id1_0000_dfaker.mp4", "DFaker", 0, "c10"),
            ("DFL-H128/videos/id1_id0_0000_dfl.mp4", "DFL-H128", 1, ""),
            ("IAE/id0_id1_0000.mp4", "IAE", 0, ""),
        )
    }
    assert {row["category"] for row in rows(found).values() if row["label"]} == {"FS"}
    assert rejects(found) == {"dfdm/LightWeight/odd.mp4": "inconsistent"}


def test_one_compression(look):
    found = look(compression="c23")
    assert rejects(found)["dfdm/DFaker/c10/videos/id0_id1_0000_dfaker.mp4"] == "excluded"
    assert {row["compression"] for row in rows(found).values()} == {"", "c23"}


def test_another_root(look):
    with pytest.raises(UserError, match="does not look like"):
        look("Fakes/id0_id1_0000.mp4")
