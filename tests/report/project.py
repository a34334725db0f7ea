"""A small finished project in a folder, with names that try to break out of the page."""

import csv
import json
from pathlib import Path
from typing import Any

from pipeline import tables
from pipeline.config.objectives import MetricLearningParams
from pipeline.config.run_params import ModelParams, RunParams
from tests.shards import made

HOSTILE = "</td><script>document.title='owned'</script>"
"""Part of a video's name, and so of its face's ids."""
LONG = "x" * 200
OVERRIDE = "\u202egnp.exe"
"""Begins with a mark that turns the direction of what follows."""

RUN = RunParams(ModelParams("vit", "tiny"), MetricLearningParams("metric_learning"), "train")
RUNS = {"first": RUN, "second": RUN}

REJECTS = {
    "scan": [("wild/a", "missing", f"{HOSTILE} {OVERRIDE}"), ("wild/b", "missing", "")],
    "faces": [(f"ffpp/real/{LONG}/00001", "no_face", LONG)]
    + [(f"ffpp/real/v{n}/00000", "truncated", f"ends at {n} s") for n in range(9)],
}

_STAGES = ("scan", "frames", "faces", "balance", "landmarks", "expand", "shard")


def build(root: Path, name: str = f"{HOSTILE}{LONG}") -> made.World:
    """Writes tables, shards, metrics and one evaluated run; the split test has no samples."""
    world = made.world(root / "data/stores", name)
    for table, rows in world.tables.items():
        tables.write(root / f"manifests/{table}.parquet", table, rows)
    for stage, found in REJECTS.items():
        rows = [{"id": i, "reason": reason, "detail": detail} for i, reason, detail in found]
        path = root / f"manifests/rejected/{stage}.parquet"
        tables.write(path, "rejected", tables.from_rows("rejected", rows))
    made.shard(world, root / "data/shards")
    for stage in _STAGES:
        n = len(REJECTS.get(stage, ()))
        counts = {"inputs": 20 + n, "outputs": 13, "rejects": n, "left_out": 7}
        _write(root / f"metrics/{stage}.json", json.dumps(counts))
    _write(root / "predictions/first/metrics.json", json.dumps(scores()))
    history(root / "plots/first.csv", epochs=5)
    return world


def scores(meaningless: int = 1) -> dict[str, Any]:
    """Metrics of a run: ffpp has both classes, wild only fakes, and test is empty."""
    both = {
        "videos_real": 4,
        "videos_fake": 6,
        "videos_missing": 3,
        "videos_error": 0,
        "faces_real": 8,
        "faces_fake": 12,
        "coverage": 10 / 13,
        "one_class": 0,
        "video_auc": 0.71875,
        "video_balanced_accuracy": 0.625,
        "frame_auc": 0.59375,
        "video_auc_low": 0.5,
        "video_auc_high": 0.9,
    }
    one = {name: both[name] for name in list(both)[:7]} | {"videos_real": 0, "one_class": 1}
    ffpp = {"overall": both, "methods": {"Deepfakes": both | {"video_auc": 0.84375}}}
    wild = {"overall": one, "methods": {"unheard-of": one}}
    val = {"overall": both, "datasets": {"ffpp": ffpp, "wild": wild}}
    return {"meaningless": meaningless, "val": val}


def history(path: Path, epochs: int) -> None:
    """A training history of some epochs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["epoch", "learning_rate", "train_loss", "val_loss", "val_auc"])
        for epoch in range(1, epochs + 1):
            table.writerow([float(epoch), 0.001 / epoch, 0.7 / epoch, 0.8 / epoch, "nan"])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
