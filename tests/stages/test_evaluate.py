"""The stage as it is started, on made shards and made checkpoints."""

import json
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from pipeline import tables
from pipeline.errors import UserError
from pipeline.tables import schemas
from stages import evaluate
from tests.evaluation import made, trained

PARAMS = """
seed: 4
runs:
  plain:
    model: {architecture: vit, size: tiny}
    objective: {kind: metric_learning}
    also: train
  joint:
    model: {architecture: joint_embedding, size: tiny}
    objective: {kind: sjedd, graph: ffpp}
    also: train
"""
DOCUMENT = Path(__file__).parents[2] / "docs/evaluation.md"
FACELESS = "ffpp/Deepfakes/no face here"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project whose runs are trained: a checkpoint each. Not to be changed."""
    root = tmp_path_factory.mktemp("project")
    videos = made.shards(root / "data")
    row = next(r for r in videos.to_pylist() if r["split"] == "test" and r["label"] == 1)
    faceless = tables.from_rows("videos", [row | {"video_id": FACELESS}])
    tables.write(root / "manifests/videos.parquet", "videos", pa.concat_tables([videos, faceless]))
    trained.write(root, PARAMS)
    return root


@pytest.fixture
def project(finished, tmp_path, monkeypatch):
    """A copy to work in; the process is in it."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    torch.use_deterministic_algorithms(False)


def _evaluate(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["stages.evaluate", *arguments])
    evaluate.main()


def test_predictions_and_metrics_of_a_run(project, monkeypatch, capsys):
    _evaluate(monkeypatch, "plain")
    assert "scores mean nothing" in capsys.readouterr().err
    faces = tables.read(project / "predictions/plain/faces.parquet", "predictions_faces")
    videos = tables.read(project / "predictions/plain/videos.parquet", "predictions_videos")
    for table, name in ((faces, "face_id"), (videos, "video_id")):
        order = [(("val", "test").index(r["split"]), r[name]) for r in table.to_pylist()]
        assert order == sorted(order)
    assert faces.num_rows == 16
    rows = {row["video_id"]: row for row in videos.to_pylist()}
    assert len(rows) == 9
    assert (rows.pop(FACELESS)["score"], rows[next(iter(rows))]["faces"]) == (-1.0, 2)
    for video, row in rows.items():
        own = [f["score"] for f in faces.to_pylist() if f["video_id"] == video]
        assert row["score"] == pytest.approx(sum(own) / 2, abs=6e-7)
    found = json.loads((project / "predictions/plain/metrics.json").read_text())
    assert found["meaningless"] == 1
    assert set(found) == {"fitted", "meaningless", "val", "test"}
    overall = found["test"]["overall"]
    assert (overall["videos_real"], overall["videos_fake"]) == (2, 2)
    assert overall["videos_missing"] == 1
    assert overall["coverage"] == 0.8
    reals = [r["score"] for r in rows.values() if r["split"] == "test" and r["label"] == 0]
    fakes = [r["score"] for r in rows.values() if r["split"] == "test" and r["label"] == 1]
    higher = [(f > r) + (f == r) / 2 for f in fakes for r in reals]
    assert overall["video_auc"] == pytest.approx(sum(higher) / 4)
    assert list(found["test"]["datasets"]["wild"]["methods"]) == ["unheard-of"]
    shown = json.loads((project / "metrics/evaluate/plain.json").read_text())
    assert shown["test"]["video_auc"] == overall["video_auc"]
    assert set(shown) == set(found) - {"fitted"}


def test_faces_of_test_are_scored_once_more_where_it_is_asked_for(project, monkeypatch):
    (project / "params.yaml").write_text(f"{PARAMS}evaluate: {{robustness: [noise]}}\n")
    _evaluate(monkeypatch, "plain")
    found = json.loads((project / "predictions/plain/metrics.json").read_text())
    assert list(found["robustness"]) == ["noise"]
    assert list(found["robustness"]["noise"]) == ["0", "1", "2", "3", "4", "5"]
    unchanged = found["robustness"]["noise"]["0"]["overall"]
    assert unchanged == {n: v for n, v in found["test"]["overall"].items() if "fitted" not in n}


def test_a_second_run_writes_the_same_bytes(project, monkeypatch):
    def outputs():
        paths = [*project.glob("predictions/joint/*"), project / "metrics/evaluate/joint.json"]
        return {path.name: path.read_bytes() for path in paths}

    _evaluate(monkeypatch, "joint")
    first = outputs()
    drawn = {"label_graph.svg", "grad_cam.jpg"}
    assert set(first) == {"faces.parquet", "videos.parquet", "metrics.json", "joint.json"} | drawn
    _evaluate(monkeypatch, "joint")
    assert outputs() == first
    faces = tables.read(project / "predictions/joint/faces.parquet", "predictions_faces")
    assert {len(nodes) for nodes in faces.column("node_probabilities").to_pylist()} == {10}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "Name one run"), (["plain", "joint"], "Name one run"), (["plane"], "Did you mean plain")],
)
def test_the_run_must_be_named(project, monkeypatch, arguments, message):
    with pytest.raises(UserError, match=message):
        _evaluate(monkeypatch, *arguments)


def test_a_checkpoint_of_other_parameters_is_refused_and_nothing_written(project, monkeypatch):
    changed = PARAMS.replace(
        "{kind: metric_learning}", "{kind: metric_learning, triplet: batch_all}"
    )
    (project / "params.yaml").write_text(changed)
    with pytest.raises(UserError, match=r"other parameters.*dvc repro --force .*train@plain"):
        _evaluate(monkeypatch, "plain")
    assert not (project / "predictions").exists()
    assert not (project / "metrics").exists()


def test_absent_shards_are_named(project, monkeypatch):
    shutil.rmtree(project / "data/shards/test")
    with pytest.raises(UserError, match=r"data/shards/test does not exist"):
        _evaluate(monkeypatch, "plain")


def test_the_document_names_every_column_and_every_number(project, monkeypatch):
    _evaluate(monkeypatch, "plain")
    text = DOCUMENT.read_text(encoding="utf-8")
    names = {
        c.name for table in ("faces", "videos") for c in schemas.TABLES[f"predictions_{table}"]
    }
    found = json.loads((project / "predictions/plain/metrics.json").read_text())
    names |= {"meaningless", *found["test"]["overall"]}
    assert [name for name in sorted(names) if f"`{name}" not in text] == []
