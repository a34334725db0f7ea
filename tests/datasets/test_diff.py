import pytest

from pipeline.errors import UserError
from pipeline.labels import semantics
from tests.datasets.sketches import sketch
from tests.datasets.trees import SEMANTICS, entry, put, rejects, rows, run


@pytest.fixture
def root(tmp_path):
    return sketch(
        tmp_path / "all of DiFF",
        """
        DiFF/train/FS/DiffFace/{1.jpg,2.png}
        DiFF/val/FE/Imagic/some/1.png
        DiFF/test/T2I/Midjourney/1.jpg
        DiFF/test/I2I/DreamBooth/1.jpg
        DiFF_real/train/1.jpg
        DiFF_real/test/people/ü/1.png
        """,
    )


@pytest.fixture
def look(tmp_path):
    def looked(*roots, **options):
        return run(entry("diff", *roots, name="diff", **options), tmp_path / "cache")

    return looked


def told(found):
    return {
        row["path"]: (row["split"], row["method"], row["category"], row["subtype"])
        for row in rows(found).values()
    }


def test_rows(root, look):
    found = look(root)
    assert not rejects(found)
    assert told(found) == {
        "DiFF/train/FS/DiffFace/1.jpg": ("train", "DiffFace", "FS", "FS"),
        "DiFF/train/FS/DiffFace/2.png": ("train", "DiffFace", "FS", "FS"),
        "DiFF/val/FE/Imagic/some/1.png": ("val", "Imagic", "FE", "FE"),
        "DiFF/test/T2I/Midjourney/1.jpg": ("test", "Midjourney", "EFS", "T2I"),
        "DiFF/test/I2I/DreamBooth/1.jpg": ("test", "DreamBooth", "EFS", "I2I"),
        "DiFF_real/train/1.jpg": ("train", "real", "real", ""),
        "DiFF_real/test/people/ü/1.png": ("test", "real", "real", ""),
    }


def test_methods_of_any_name_have_the_vector_of_their_category():
    loaded = semantics.load(SEMANTICS)
    swap = loaded.vector("ffpp", "diff", "diff", "DCFace", 1, "FS")
    assert loaded.vector("ffpp", "diff", "diff", "new one", 1, "FS") == swap
    made_up = loaded.vector("ffpp", "diff", "diff", "new one", 1, "EFS")
    assert made_up == (1, -1, -1, -1, 1, 1, 1, 1, 1, 1)
    assert loaded.vector("ffpp", "diff", "diff", "new one", 1, "FE") == (1,) + (-1,) * 9
    # Other adapters have no such lines.
    assert loaded.vector("ffpp", "wild", "csv", "new one", 1, "EFS") == (1,) + (-1,) * 9


def test_each_part_as_a_root(root, look):
    found = look(root / "DiFF", root / "DiFF_real")
    assert told(found)["0/val/FE/Imagic/some/1.png"][2] == "FE"
    assert told(found)["1/test/people/ü/1.png"][2] == "real"
    assert found.metrics["outputs"] == 7


def test_a_list(root, look):
    put(
        root / "DiFFtest.txt",
        b"D:\\DiFF\\test\\T2I\\Midjourney\\1.jpg 1\n/x/DiFF_real/test/people/\xc3\xbc/1.png 0\n"
        b"DiFF_real/train/1.jpg 1\nDiFF/test/FS/DCFace/1.png 1\n",
    )
    found = look(root, list="DiFFtest.txt")
    assert set(told(found)) == {"DiFF/test/T2I/Midjourney/1.jpg", "DiFF_real/test/people/ü/1.png"}
    said = rejects(found)
    assert said.pop("diff/DiFF_real/train/1.jpg") == "inconsistent"
    assert said.pop("diff/DiFF/test/FS/DCFace/1.png") == "missing"
    assert list(said.values()) == ["excluded"] * 4


def test_a_copy_without_folders_of_splits_is_read_by_its_list(tmp_path, look):
    root = sketch(
        tmp_path / "flat",
        """
        DiFF/FS/{DiffFace,DCFace}/{1,2}.jpg
        DiFF/T2I/Midjourney/1.jpg
        DiFF_real/people/{1,2}.png
        """,
    )
    said = "what is test, since there are no folders train, val, test"
    with pytest.raises(UserError, match=rf"no DiFFtest\.txt .*{said}.* name it with option list"):
        look(root)
    put(
        root / "DiFFtest.txt",
        b"/data/test/DiFF/FS/DiffFace/1.jpg 1\nD:\\DiFF\\FS\\DCFace\\2.jpg 1\n"
        b"/data/test/DiFF_real/people/1.png 0\nDiFF/FS/DCFace/9.jpg 1\nDiFF_real/people/9.png 0\n",
    )
    expected = {
        "DiFF/FS/DiffFace/1.jpg": ("test", "DiffFace", "FS", "FS"),
        "DiFF/FS/DCFace/2.jpg": ("test", "DCFace", "FS", "FS"),
        "DiFF_real/people/1.png": ("test", "real", "real", ""),
    }
    found = look(root, list="DiFFtest.txt")
    assert told(found) == expected
    assert sorted(rejects(found).values()) == ["excluded"] * 4 + ["missing"] * 2
    parts = look(root / "DiFF", root / "DiFF_real", list=str(root / "DiFFtest.txt"))
    assert {path.partition("/")[2] for path in told(parts)} == {
        path.partition("/")[2] for path in expected
    }
    assert sorted(rejects(parts).values()) == ["excluded"] * 4 + ["missing"] * 2


def test_a_list_that_contradicts_itself(root, look):
    put(
        root / "DiFFtest.txt",
        b"DiFF_real/train/1.jpg 0\nDiFF_real/train/1.jpg 1\n"
        b"DiFF_real/test/people/\xc3\xbc/1.png 0\n",
    )
    found = look(root, list="DiFFtest.txt")
    assert rejects(found)["diff/DiFF_real/train/1.jpg"] == "inconsistent"
    assert "the list says 0 and 1" in " ".join(found.rejected["detail"].to_pylist())


def test_other_things(root, look, tmp_path):
    sketch(root, "DiFF/test/FS/1.png\nDiFF/test/XX/m/1.png\nDiFF_real/test/notes.txt")
    assert rejects(look(root)) == {
        "diff/DiFF/test/FS/1.png": "unsupported_media",
        "diff/DiFF/test/XX": "unsupported_media",
        "diff/DiFF_real/test/notes.txt": "unsupported_media",
    }
    with pytest.raises(UserError, match="expects DiFF/<split>"):
        look(sketch(tmp_path / "other", "a/1.png"))
