import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_all, rejects, rows, run

LISTS = {
    "train": "pristine/id00/id00_03/a.mp4\nface_tts/id00/id00_03/a.mp4",
    "val": "lip_rvc_textmismatch/id00/id00_03/a.mp4",
    "test": "tts_textgen/id01/id01_00/a.mp3.mp4\nlip_tts_textgen/id01/id01_00/gone.mp4\n"
    "face_audiomismatch_textmismatch/id01/id01_00/b.mp4\nrvc_textmismatch/id01/id01_00/c.mp4",
}
TREE = """
    pristine/id00/id00_03/a.mp4
    face_tts/id00/id00_03/a.mp4
    lip_rvc_textmismatch/id00/id00_03/a.mp4
    tts_textgen/id01/id01_00/a.mp3.mp4
    face_audiomismatch_textmismatch/id01/id01_00/b.mp4
    lip_tts_textgen/id01/id01_00/unlisted.mp4
"""


@pytest.fixture
def look(tmp_path):
    root = tmp_path / "idforge"
    for split, text in LISTS.items():
        put(root / f"{split}.csv", text.encode())

    def looked(tree=TREE, **params):
        return run(entry("idforge", put_all(root, tree), name="id"), tmp_path / "cache", **params)

    looked.root = root
    return looked


def test_tasks(look):
    found = rows(look(audio_only="real"))
    columns = ("split", "label", "audio_fake", "category", "subtype", "identity", "leak_group")
    assert {row["method"]: [row[c] for c in columns] for row in found.values()} == {
        "real": ["train", 0, 0, "real", "", "id:id00", "id:id00/id00_03"],
        "face_tts": ["train", 1, 1, "FS", "lip_sync", "id:id00", "id:id00/id00_03"],
        "lip_rvc_textmismatch": ["val", 1, 1, "RE", "lip_sync", "id:id00", "id:id00/id00_03"],
        "tts_textgen": ["test", 0, 1, "real", "", "id:id01", "id:id01/id01_00"],
        "face_audiomismatch_textmismatch": [
            *("test", 1, 0, "FS", "lip_sync", "id:id01", "id:id01/id01_00")
        ],
    }


def test_rejects(look):
    """A task that was not downloaded (rvc_textmismatch) is no fault."""
    put(look.root / "pristine/readme.txt")
    assert rejects(look()) == {
        "id/tts_textgen/id01/id01_00/a.mp3.mp4": "excluded",
        "id/lip_tts_textgen/id01/id01_00/unlisted.mp4": "inconsistent",
        "id/lip_tts_textgen/id01/id01_00/gone.mp4": "missing",
        "id/pristine/readme.txt": "unsupported_media",
    }


def test_a_list_that_is_not_there(look):
    (look.root / "val.csv").unlink()
    with pytest.raises(UserError, match=r"there is no val\.csv"):
        look()
