"""Scores are found by name, and known by their shards."""

import shutil

import pytest

from pipeline import tables
from pipeline.errors import UserError
from pipeline.evaluation import stored
from tests.evaluation import made
from tests.shards.made import SEMANTICS

ROWS = [("a/real/0", "test", 0, 0.1), ("a/DF/0", "test", 1, 0.9)]


def put(folder, rows=ROWS):
    faces = made.faces(rows)
    videos = made.per_video(faces, made.videos([row[:3] for row in rows]))
    tables.write(folder / "videos.parquet", "predictions_videos", videos)
    tables.write(folder / "faces.parquet", "predictions_faces", faces)


def test_runs_and_imported_scores_are_found_alike(tmp_path):
    put(tmp_path / "predictions/run")
    put(tmp_path / "scores/theirs")
    assert stored.names(tmp_path) == ["run", "theirs"]
    assert stored.load("theirs", tmp_path).videos.equals(stored.load("run", tmp_path).videos)
    with pytest.raises(UserError, match=r"no scores of 'their'. Did you mean theirs\?"):
        stored.load("their", tmp_path)
    assert stored.shards(tmp_path) == []
    videos = made.videos([row[:3] for row in ROWS])
    known, graph = stored.known(stored.load("run", tmp_path), videos, tmp_path)
    assert graph is None
    assert "face_px" not in known.schema.names


def test_shards_tell_sizes_and_labels(tmp_path, shards):
    shutil.copytree(shards, tmp_path / "data/shards")
    (tmp_path / "manifests").mkdir()
    shutil.copy(SEMANTICS, tmp_path / "manifests")
    index = stored.shards(tmp_path)[1].index
    columns = ("video_id", "split", "label")
    rows = list(zip(*(index.column(c).to_pylist() for c in columns), strict=True))
    faces = made.faces([(*row, 0.5) for row in rows])
    for name in ("face_id", "category"):
        place = faces.schema.get_field_index(name)
        faces = faces.set_column(place, faces.schema.field(place), index.column(name))
    category = dict(
        zip(*(index.column(c).to_pylist() for c in ("video_id", "category")), strict=True)
    )
    listed = made.videos(sorted(set(rows))).to_pylist()
    videos = made.videos_of([one | {"category": category[one["video_id"]]} for one in listed])
    scored = stored.Scored("x", made.per_video(faces, videos), faces)
    known, graph = stored.known(scored, videos, tmp_path)
    assert graph is not None
    own = {}
    for face in index.to_pylist():
        own.setdefault(face["video_id"], []).append(face)
    for row in known.to_pylist():
        of = own[row["video_id"]]
        assert row["face_px"] == pytest.approx(sum(f["face_px"] for f in of) / len(of))
        assert [row[f"altered {node}"] for node in graph.nodes] == of[0]["vector"]
