import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put_all, rejects, rows, run


def look(tmp_path, tree):
    root = put_all(tmp_path / "uadfv", tree)
    return run(entry("uadfv", root, name="u"), tmp_path / "cache")


def test_reals_and_their_fakes(tmp_path):
    tree = "real/{0000,0001}.mp4\nfake/{0000_fake,0001_fake}.mp4"
    found = rows(look(tmp_path, tree))
    columns = ("split", "label", "method", "category", "pair_id")
    assert {row["path"]: [row[c] for c in columns] for row in found.values()} == {
        f"{folder}/000{n}{tail}.mp4": ["test", *about, f"u:000{n}"]
        for folder, tail, about in (
            ("real", "", (0, "real", "real")),
            ("fake", "_fake", (1, "FakeApp", "FS")),
        )
        for n in (0, 1)
    }


def test_rejects(tmp_path):
    found = look(tmp_path, "real/{0000,0001_fake}.mp4\nfake/videos/{0000,0000_fake}.mp4")
    assert rejects(found) == {
        "u/real/0001_fake.mp4": "inconsistent",
        "u/fake/videos/0000.mp4": "inconsistent",
    }


def test_another_root(tmp_path):
    with pytest.raises(UserError, match="does not look like"):
        look(tmp_path, "videos/0000.mp4")
