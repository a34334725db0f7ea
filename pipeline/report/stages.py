"""What every stage took in, gave out and refused, and the shards at the end of the data's way."""

import heapq
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from faceshards import fields, keys
from faceshards.reading import folder_facts, parse_json
from pipeline import tables
from pipeline.errors import UserError
from pipeline.report.cells import Cell, Table, in_bytes, limited
from pipeline.stage_list import COUNTED, COUNTS
from pipeline.tables import schemas

EXAMPLES = 3
"""Ids shown per stage and reason, chosen by hash."""

MAX_METRICS_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Rejects:
    """What one stage rejected for one reason."""

    stage: str
    reason: str
    meaning: str
    count: int
    examples: tuple[tuple[str, str], ...]
    """Id and detail."""


def stage_counts(metrics: Path) -> dict[str, tuple[int, ...] | None]:
    """:data:`COUNTS` of every counted stage from ``<stage>.json``; None for those not run yet.

    Raises UserError where a file is damaged or lacks some.
    """
    found: dict[str, tuple[int, ...] | None] = {}
    for stage in COUNTED:
        path = metrics / f"{stage.name}.json"
        found[stage.name] = _counts(path) if path.is_file() else None
    return found


def _counts(path: Path) -> tuple[int, ...]:
    found = read_json(path)
    counts = tuple(found[name] for name in COUNTS if isinstance(found.get(name), int))
    if len(counts) < len(COUNTS):
        raise UserError(f"{path} lacks {', '.join(COUNTS)}. Run `dvc repro` to make it anew.")
    return counts


def stage_table(metrics: Path) -> Table:
    """What each stage took in and gave out, from ``<stage>.json``; absent ones are said to be."""
    rows: list[tuple[Cell, ...]] = []
    counted = stage_counts(metrics)
    for stage in COUNTED:
        counts = counted[stage.name]
        if counts is None:
            rows.append((stage.name, stage.unit, *["not run"] * len(COUNTS), ""))
        else:
            rows.append((stage.name, stage.unit, *counts, stage.left_out if counts[-1] else ""))
    head = ("stage", "counts", "in", "out", "rejected", "left out", "what was left out")
    return limited("Every stage: in = out + rejected + left out", head, "llrrrrl", rows)


def rejects(folder: Path) -> list[Rejects]:
    """Rejects by stage and reason, the most frequent reason of a stage first."""
    found = []
    for stage in (about.name for about in COUNTED):
        path = folder / f"{stage}.parquet"
        if not path.is_file():
            continue
        table = tables.read(path, "rejected")
        counts = Counter(table.column("reason").to_pylist())
        for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            mine = table.filter(pc.field("reason") == reason)
            pairs = zip(mine["id"].to_pylist(), mine["detail"].to_pylist(), strict=True)
            examples = heapq.nsmallest(EXAMPLES, pairs, key=lambda pair: keys.hash64(pair[0]))
            meaning = schemas.REJECT_REASONS[reason]
            found.append(Rejects(stage, reason, meaning, count, tuple(examples)))
    return found


def shard_table(shards: Path) -> Table:
    """Tars, samples and bytes of every shard folder, by dataset."""
    rows: list[tuple[Cell, ...]] = []
    for folder in fields.FOLDERS:
        tars = folder_facts(shards / folder)["tars"]
        # A tar is named <dataset>-<number>.tar.
        datasets = sorted({name.rpartition("-")[0] for name in tars})
        for dataset in datasets:
            mine = [about for name, about in tars.items() if name.rpartition("-")[0] == dataset]
            labels = [sum(about["labels"][label] for about in mine) for label in ("real", "fake")]
            size = sum(about["bytes"] for about in mine)
            samples = sum(about["samples"] for about in mine)
            rows.append((folder, dataset, len(mine), samples, *labels, in_bytes(size)))
        if not datasets:
            rows.append((folder, "none", 0, 0, 0, 0, in_bytes(0)))
    head = ("folder", "dataset", "tars", "samples", "real", "fake", "size")
    return limited("Shard folders", head, "llrrrrr", rows)


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a metrics file. Raises UserError where it holds none."""
    try:
        return parse_json(path.read_bytes(), MAX_METRICS_BYTES)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}. Run `dvc repro` to make it anew.") from error
