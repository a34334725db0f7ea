"""Which videos were lost, from made tables with a known answer."""

import csv
from pathlib import Path

import pytest

from pipeline import tables
from pipeline.report import lost
from pipeline.tables.schemas import TABLES

BLANK = {"string": "", "double": 0.0, "float": 0.0, "bool": False}


def _table(folder: Path, name: str, rows: list[dict[str, object]]) -> None:
    """Writes rows of which only some columns matter."""
    full = []
    for row in rows:
        filled = {}
        for column in TABLES[name]:
            kind = str(column.type)
            blank = [] if kind.startswith("list") else BLANK.get(kind, 1)
            filled[column.name] = row.get(column.name, column.among[0] if column.among else blank)
        full.append(filled)
    tables.write(folder / f"{name}.parquet", name, tables.from_rows(name, full))


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    videos = {"d/real/whole": "train", "d/real/none": "val", "d/m/some": "test", "d/m/cut": "train"}
    _table(tmp_path, "videos", [{"video_id": v, "split": s} for v, s in videos.items()])
    planned = [(v, sample) for v in videos for sample in range(3) if v != "d/m/cut"]
    _table(tmp_path, "frames", [{"video_id": v, "sample": s} for v, s in planned])
    faces = [("d/real/whole", 0), ("d/real/whole", 0), ("d/real/whole", 1), ("d/m/some", 2)]
    _table(
        tmp_path,
        "faces",
        [
            {"face_id": f"{v}/{s:05d}-{n}", "video_id": v, "sample": s, "crop_px": 64}
            for n, (v, s) in enumerate(faces)
        ],
    )
    rejects = {
        "scan": [("d/gone.mp4", "missing"), ("d/not asked for.mp4", "excluded")],
        "frames": [("d/m/cut", "not_media")],
        "faces": [(f"d/real/none/{n:05d}", "no_face") for n in range(3)]
        + [("d/m/some/00000", "no_face"), ("d/m/some/00001", "damaged")],
    }
    for stage, found in rejects.items():
        rows = [{"id": i, "reason": reason, "detail": ""} for i, reason in found]
        tables.write(
            tmp_path / f"rejected/{stage}.parquet", "rejected", tables.from_rows("rejected", rows)
        )
    return tmp_path


WANTED = [
    ("d/gone.mp4", "", 0, 0, "missing"),
    ("d/real/none", "val", 3, 0, "3 no_face"),
    ("d/m/cut", "train", 0, 0, "not_media"),
    ("d/m/some", "test", 3, 1, "1 damaged, 1 no_face"),
]


def test_every_lost_video_is_told_once_with_its_reasons_and_no_whole_one(manifests):
    # The third time of the whole video shows a picture that was taken already: nothing is lost.
    assert lost.lost(manifests) == WANTED


def test_the_list_beside_the_page_has_all_of_them(manifests, tmp_path):
    many = [("v", "train", n, 0, "no_face") for n in range(500)]
    lost.write(tmp_path / "lost.csv", many)
    with (tmp_path / "lost.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == lost.HEAD
    assert len(rows) == 500
    shown = lost.lost_table(many)
    assert len(shown.rows) + shown.left == 500
