import os

import pytest

from tests.datasets.image_files import put_tar
from tests.datasets.trees import entry, rejects, rows, run

MEMBERS = {"real/a.jpg": b"one", "./fake/b.jpg": b"two", "fake/c.txt": b"-", "odd/d.jpg": b"three"}


@pytest.fixture
def look(tmp_path):
    def looked(mode="sampled", **options):
        entries = entry("tar", tmp_path / "root", name="own", **options)
        return run(entries, tmp_path / "cache", mode)

    looked.root = tmp_path / "root"
    return looked


def test_images_in_tars(look):
    put_tar(look.root / "train/0001.tar", MEMBERS)
    found = look(layout="{split}/*/{label}")
    assert {
        name: [row[c] for c in ("path", "media", "split", "label", "bytes")]
        for name, row in rows(found).items()
    } == {
        "own/real/train/0001.tar!real/a.jpg": [
            *("train/0001.tar!real/a.jpg", "tar_image", "train", 0, 3)
        ],
        "own/unknown/train/0001.tar!fake/b.jpg": [
            *("train/0001.tar!fake/b.jpg", "tar_image", "train", 1, 3)
        ],
    }
    assert rejects(found) == {"own/train/0001.tar!odd/d.jpg": "unknown_label"}


def test_fingerprints_differ_in_a_tar_and_follow_it(look):
    put_tar(look.root / "a.tar", {"real/1.jpg": b"one", "real/2.jpg": b"one"})
    first = [row["fingerprint"] for row in rows(look(layout="*/{label}")).values()]
    assert len(set(first)) == 2
    put_tar(look.root / "a.tar", {"real/1.jpg": b"one", "real/2.jpg": b"two"})
    again = [row["fingerprint"] for row in rows(look(layout="*/{label}")).values()]
    assert not set(first) & set(again)


def test_folders_in_tars(look):
    put_tar(look.root / "a.tar.gz", {"real/1/0.png": b"-", "real/1/1.png": b"-"}, "w:gz")
    [row] = rows(look(layout="*/{label}", rows="folders")).values()
    assert (row["path"], row["media"], row["bytes"]) == ("a.tar.gz!real/1", "tar", 2)


def test_what_cannot_be_read(look):
    put_tar(look.root / "gz.tar.gz", MEMBERS, "w:gz")
    put_tar(look.root / "none.tar", {"a.txt": b"-"})
    put_tar(look.root / "out.tar", {"../../real/x.jpg": b"-", "/real/y.jpg": b"-"})
    put_tar(look.root / "twice.tar", {"real/a.jpg": b"-", "./real/a.jpg": b"-"})
    whole = put_tar(look.root / "cut.tar", {"real/a.jpg": b"-" * 2000, "real/b.jpg": b"-"})
    whole.write_bytes(whole.read_bytes()[:3000])
    (look.root / "junk.tar").write_bytes(b"no tar at all")
    os.mkfifo(look.root / "pipe.tar")
    found = look(layout="*/{label}")
    assert rejects(found) == {
        "own/gz.tar.gz": "unsupported_media",
        "own/none.tar": "empty",
        "own/out.tar!../../real/x.jpg": "unsupported_media",
        "own/out.tar!/real/y.jpg": "unsupported_media",
        "own/out.tar": "empty",
        "own/twice.tar!real/a.jpg#1536": "duplicate",
        "own/cut.tar": "unreadable",
        "own/junk.tar": "unreadable",
        "own/pipe.tar": "unsupported_media",
    }
    # What comes before the damage counts.
    assert sorted(rows(found)) == ["own/real/cut.tar!real/a.jpg", "own/real/twice.tar!real/a.jpg"]
