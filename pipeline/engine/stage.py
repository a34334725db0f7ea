"""A stage whose output is one table: where its store, table, rejects and metrics lie."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceshards.replace import drop_attempts, replacing
from pipeline import tables
from pipeline.config.params import EngineParams
from pipeline.engine import partition
from pipeline.engine.rows import Plan, Task
from pipeline.engine.run import Whole, brought_up_to_date
from pipeline.engine.survey import Store
from pipeline.tables import schemas
from pipeline.tables.sources import Filtered, Held, Places, Stored, TableSource
from pipeline.versions import version

STORES = Path("data/stores")
KEPT = Path("data/kept")
"""Beside the stores, which are outputs that DVC watches."""


@dataclass(frozen=True)
class Stage:
    """Everything a run of one stage needs, and what ``faceshards plan`` looks at."""

    name: str
    task: Task
    plan: Plan
    store: Store
    counts: Mapping[str, int] = field(default_factory=dict)
    """What the plan counted, for the metrics."""


def inputs(names: Sequence[str], videos: pa.Table | None) -> list[TableSource]:
    """Tables of ``manifests/`` that a plan is made from.

    Args:
        names: which.
        videos: None = as they are; else the table ``videos`` as it would be: rows of the others
            that belong to none of its videos are left out.
    """
    stored: dict[str, TableSource] = {
        name: Stored(Path(f"manifests/{name}.parquet"), name) for name in names
    }
    if videos is None:
        return list(stored.values())
    known = Places.of(Held(videos), "video_id")
    return [
        Held(videos) if name == "videos" else _of_videos(source, name, known)
        for name, source in stored.items()
    ]


def _of_videos(source: TableSource, name: str, known: Places) -> TableSource:
    there = schemas.schema(name).names
    by = tuple(c for c in ("target_face_id", "source_face_id", "face_id", "video_id") if c in there)

    def keep(batch: pa.Table) -> NDArray[np.bool_]:
        kept = np.ones(batch.num_rows, np.bool_)
        for column in by:
            video = batch.column(column)
            if column != "video_id":
                video = pc.replace_substring_regex(video, "/[^/]*$", "")  # as keys.face_id makes it
            kept &= known.find(video) >= 0
        return kept

    return Filtered(source, by, keep)


def table_store(name: str, table: str, target_rows: int) -> Store:
    """The store of a stage that fills one table."""
    return Store(STORES / name, table, target_rows, kept=KEPT / name)


def run_stage(stage: Stage, engine: EngineParams) -> dict[str, int]:
    """Brings a stage up to date: store, then table, rejects and metrics, where DVC expects them.

    Returns the metrics: inputs, outputs, rejects, left_out, in the stage's own unit.
    """
    name, table = stage.name, stage.store.table
    table_path = Path(f"manifests/{table}.parquet")
    rejects_path = Path(f"manifests/rejected/{name}.parquet")
    with brought_up_to_date(
        name, stage.task, stage.plan, stage.store, engine, version(name)
    ) as whole:
        counts = write_table(whole, table_path, table)
        parts = (partition.rejects(part.path) for part in whole)
        counts["rejects"] = tables.write(rejects_path, "rejected", parts)
        counts |= stage.counts
        write_metrics(name, counts)
    return counts


def write_table(whole: Sequence[Whole], path: Path, table: str) -> dict[str, int]:
    """Merges partitions into a table, streaming; their units and further counts, summed."""
    tables.write(path, table, (partition.outputs(part.path, table) for part in whole))
    counts = Counter(inputs=0, outputs=0, rejects=0, left_out=0)
    for part in whole:
        rows = partition.read_rows(part.path, ["done", "left_out", "rejects", "counts"])
        counts["outputs"] += sum(rows.column("done").to_pylist())
        counts["left_out"] += sum(rows.column("left_out").to_pylist())
        counts["rejects"] += sum(len(found) for found in rows.column("rejects").to_pylist())
        for further in rows.column("counts").to_pylist():
            counts.update({one["name"]: one["count"] for one in further})
    counts["inputs"] = counts["outputs"] + counts["left_out"] + counts["rejects"]
    return dict(counts)


def write_metrics(name: str, metrics: Mapping[str, Any]) -> None:
    """Writes ``metrics/<name>.json``, which `dvc metrics` shows."""
    write_json(_metrics_path(name), metrics)


def _metrics_path(name: str) -> Path:
    return Path(f"metrics/{name}.json")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON by rename: sorted, no clock times."""
    drop_attempts(path)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
