"""Scores and metrics of one trained run."""

import sys
from pathlib import Path

import pyarrow as pa

from faceshards.reading import Shards
from faceshards.replace import replacing
from pipeline import config, tables
from pipeline.commands.entry import run_main
from pipeline.config import run_params
from pipeline.engine.progress import timed
from pipeline.engine.stage import write_json, write_metrics
from pipeline.evaluation import facts, label_figures, metrics, robustness
from pipeline.evaluation.aggregate import SPLITS, per_video
from pipeline.evaluation.measures import Rules
from pipeline.evaluation.score import load_run, score_faces
from pipeline.labels import semantics
from pipeline.models import GraphClassifier, device
from pipeline.prediction import fakes_sheet
from pipeline.training.about import read_about
from pipeline.versions import version


def main() -> None:
    """Writes ``predictions/<run>``, and the headline numbers for `dvc metrics`."""
    params = config.load()
    name = run_params.chosen(params.runs, sys.argv[1:])
    run, asked = params.runs[name], params.evaluate
    graph = semantics.load().graph(run.objective.graph) if run.objective.graph else None
    videos = tables.read(Path("manifests/videos.parquet"), "videos")
    shards = [Shards(Path("data/shards") / split) for split in SPLITS]
    where = device.prepare()
    model = load_run(Path("models") / name, name, run, params.seed, version("train"), graph)
    with timed(f"evaluate@{name}") as count:
        scored = [
            score_faces(model, part, run.objective.graph, asked.batch_size, where)
            for part in shards
        ]
        count(1)
        changed = robustness.scored(
            asked.robustness,
            lambda change: score_faces(
                model, shards[-1], run.objective.graph, asked.batch_size, where, change
            ),
        )
    faces = pa.concat_tables(scored)
    by_video = per_video(faces, videos)
    meaningless = run.model.size == "tiny"
    labels = semantics.load().graph(run.objective.graph or shards[0].facts["graph"])
    rules = Rules(asked.threshold, asked.missing)
    known = facts.known(by_video, videos, faces, shards, labels)
    whole = metrics.evaluate(faces, known, rules, meaningless, asked.min_group, labels)
    if changed:
        whole = {**whole, "robustness": robustness.metrics(changed, faces, videos, rules)}
    found = metrics.rounded(whole)
    tables.write(Path("predictions") / name / "faces.parquet", "predictions_faces", scored)
    tables.write(Path("predictions") / name / "videos.parquet", "predictions_videos", by_video)
    write_json(Path("predictions") / name / "metrics.json", found)
    test = SPLITS.index("test")
    pictures = {"grad_cam.jpg": fakes_sheet.sheet(model, shards[test], where)}
    if isinstance(model, GraphClassifier) and graph is not None:
        before = read_about(Path("models") / name).get("label_similarity_before", [])
        pictures |= label_figures.of_run(model, graph, before, scored[test])
    for file, content in pictures.items():
        if content:
            with replacing(Path("predictions") / name / file) as temporary:
                temporary.write_bytes(content)
    write_metrics(f"evaluate/{name}", metrics.headline(found))
    if meaningless:
        sys.stderr.write(
            f"evaluate {name}: a model of size tiny was scored; its scores mean nothing.\n"
        )


if __name__ == "__main__":
    raise SystemExit(run_main(main))
