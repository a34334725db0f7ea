"""What `faceshards plan` says besides its figures."""

from pathlib import Path

import pytest

from pipeline import tables
from pipeline.commands import preview
from tests.engine import toy


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def faces(encodings: dict[str, str]) -> None:
    rows = [
        toy.FACE
        | {
            "face_id": f"{name}/real/v/0-0",
            "video_id": f"{name}/real/v",
            "sample": 0,
            "rank": 0,
            "encoding": encoding,
            "digest": "",
            "tar": "",
            "offset": 0,
            "size": 1,
        }
        for name, encoding in encodings.items()
    ]
    path = Path("manifests/faces.parquet")
    path.parent.mkdir()
    tables.write(path, "faces", [tables.from_rows("faces", rows)])


def test_a_dataset_that_gets_another_encoding_is_told():
    faces({"a": "png", "b": "jpg", "c": "jpg"})
    names = ("a", "b", "c", "new")
    assert preview._encoded_anew(("a",), names) == []
    (line,) = preview._encoded_anew(("a", "b", "new"), names)
    assert "faces of b are stored as jpg and will be as png" in line
    (line,) = preview._encoded_anew((), names)
    assert "faces of a are stored as png and will be as jpg" in line


def test_nothing_is_told_before_there_are_faces():
    assert preview._encoded_anew(("a",), ("a",)) == []
