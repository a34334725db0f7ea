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


def test_other_things(root, look, tmp_path):
    sketch(root, "DiFF/test/FS/1.png\nDiFF/test/XX/m/1.png\nDiFF_real/test/notes.txt")
    assert rejects(look(root)) == {
        "diff/DiFF/test/FS/1.png": "unsupported_media",
        "diff/DiFF/test/XX": "unsupported_media",
        "diff/DiFF_real/test/notes.txt": "unsupported_media",
    }
    with pytest.raises(UserError, match="expects DiFF/<split>"):
        look(sketch(tmp_path / "other", "a/1.png"))
