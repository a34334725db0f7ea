import os
import tarfile

import pytest

from pipeline.errors import UserError
from tests.datasets.sketches import sketch, tar
from tests.datasets.trees import entry, rejects, rows, run


@pytest.fixture
def look(tmp_path):
    def looked(*roots, **options):
        return run(entry("wilddeepfake", *roots, name="wdf", **options), tmp_path / "cache")

    return looked


def put_wdf(root):
    """Plain and gzipped tars under their official names; the same numbers in every top folder."""
    tar(
        root / "fake_train/1.tar.gz",
        ["./", "./1/", *(f"./1/fake/{n}" for n in ("", "0/", "0/12.png", "0/17.png", "3/1.png"))],
    )
    # The inner folder contradicts the outer one, and this tar is gzipped indeed.
    tar(root / "fake_test/1.tar.gz", ["1/real/0/5.png"], mode="w:gz")
    tar(root / "real_train/2.tar.gz", ["./2/real/0/1.png", "./2/real/ü b/1.PNG"])
    sketch(root, "real_test/7/7/real/4/{1,2}.png\nreal_test/8/real/4/1.png")
    return root


def test_a_row_is_a_sequence(tmp_path, look):
    found = look(put_wdf(tmp_path / "deepfake in_the_wild"))
    table = rows(found)
    assert {key: (r["media"], r["split"], r["label"]) for key, r in table.items()} == {
        "wdf/unknown/fake_train/1.tar.gz!1/fake/0": ("tar", "train", 1),
        "wdf/unknown/fake_train/1.tar.gz!1/fake/3": ("tar", "train", 1),
        "wdf/unknown/fake_test/1.tar.gz!1/real/0": ("tar", "test", 1),
        "wdf/real/real_train/2.tar.gz!2/real/0": ("tar", "train", 0),
        "wdf/real/real_train/2.tar.gz!2/real/ü b": ("tar", "train", 0),
        "wdf/real/real_test/7/7/real/4": ("frames", "test", 0),
        "wdf/real/real_test/8/real/4": ("frames", "test", 0),
    }
    assert not rejects(found)
    fake = table["wdf/unknown/fake_train/1.tar.gz!1/fake/0"]
    assert (fake["category"], fake["leak_group"], fake["identity"]) == ("unknown", "wdf:fake_1", "")
    # Two sequences of one tar are two inputs.
    assert len({row["fingerprint"] for row in table.values()}) == len(table)


def test_nothing_is_unpacked(tmp_path, look):
    root = put_wdf(tmp_path / "wdf")
    before = sorted(root.rglob("*"))
    look(root)
    assert sorted(root.rglob("*")) == before


def test_a_tar_and_its_unpacked_copy_count_once(tmp_path, look):
    root = tmp_path / "wdf"
    tar(root / "fake_train/1.tar.gz", ["./1/fake/0/1.png"])
    sketch(root, "fake_train/1/fake/0/1.png\nfake_train/1/fake/1/1.png")
    found = look(root)
    assert found.metrics["outputs"] == 2
    assert rejects(found) == {"wdf/fake_train/1.tar.gz!1/fake/0": "duplicate"}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_damaged_tar(tmp_path, look, mode):
    root = tmp_path / "wdf"
    tar(root / "fake_train/1.tar.gz", ["1/fake/0/1.png"])
    names = [f"2/fake/{i}/1.png" for i in range(40)]
    tar(root / "fake_train/2.tar.gz", names, mode, cut=12_000 if mode == "w" else 200)
    (root / "fake_train/3.tar.gz").write_bytes(b"no tar at all" * 100)
    tar(root / "fake_train/4.tar.gz", ["4/readme.txt"])
    found = look(root)
    said = rejects(found)
    assert said["wdf/fake_train/2.tar.gz"] == said["wdf/fake_train/3.tar.gz"] == "unreadable"
    assert said["wdf/fake_train/4.tar.gz"] == "empty"
    assert found.metrics["outputs"] >= 1


def test_names_that_leave_the_tar(tmp_path, look):
    root = tmp_path / "wdf"
    tar(root / "fake_train/1.tar.gz", ["1/fake/0/1.png", "../evil/1.png", "/etc/evil.png"])
    found = look(root)
    assert [row["path"] for row in found.videos.to_pylist()] == ["fake_train/1.tar.gz!1/fake/0"]
    assert sorted(rejects(found).values()) == ["unsupported_media"] * 2


def test_other_things(tmp_path, look):
    root = put_wdf(tmp_path / "wdf")
    sketch(root, "fake_train/readme.txt\nfake_train/._1.tar.gz")
    assert rejects(look(root)) == {"wdf/fake_train/readme.txt": "unsupported_media"}
    with pytest.raises(UserError, match="expects the folders real_train"):
        look(sketch(tmp_path / "other", "fake/1.tar.gz"))


def test_two_roots(tmp_path, look):
    tar(tmp_path / "a/fake_train/1.tar.gz", ["1/fake/0/1.png"])
    tar(tmp_path / "b/fake_train/1.tar.gz", ["1/fake/0/1.png"])
    tar(tmp_path / "b/real_test/1.tar.gz", ["1/real/0/1.png"])
    found = look(tmp_path / "a", tmp_path / "b")
    assert set(rows(found)) == {
        "wdf/unknown/0/fake_train/1.tar.gz!1/fake/0",
        "wdf/real/1/real_test/1.tar.gz!1/real/0",
    }
    assert list(rejects(found).values()) == ["duplicate"]


def test_links_devices_and_fifos(tmp_path, look):
    root = tmp_path / "wdf"
    tar(root / "fake_train/1.tar.gz", ["1/fake/0/1.png"])
    kinds = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    with tarfile.open(root / "fake_train/2.tar.gz", "w") as archive:
        for at, kind in enumerate(kinds):
            member = tarfile.TarInfo(f"2/fake/0/{at}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    os.mkfifo(root / "fake_train/3.tar.gz")
    found = look(root)
    assert len(rows(found)) == 1
    assert rejects(found) == {
        **{f"wdf/fake_train/2.tar.gz!2/fake/0/{at}.png": "unsupported_media" for at in range(5)},
        "wdf/fake_train/2.tar.gz": "empty",
        "wdf/fake_train/3.tar.gz": "unsupported_media",
    }
