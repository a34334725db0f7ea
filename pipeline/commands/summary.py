"""What the stages made, as one page of text: counts, shards, rejects, and how to look further."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import tables
from pipeline.errors import UserError
from pipeline.tables import schemas

STAGES = ("scan", "frames", "faces", "balance", "landmarks", "expand", "shard")
COUNTS = ("inputs", "outputs", "rejects", "left_out")

HOW_TO_LOOK = """\
Look at it:
  report/index.html          opens in any browser, without a network
  faceshards sheet data/shards/train sheet.jpg
  faceshards verify data/shards/*

Read it with plain webdataset:
  import glob, io, json, PIL.Image, webdataset

  tars = sorted(glob.glob("data/shards/train/*.tar"))
  for sample in webdataset.WebDataset(tars, shardshuffle=False):
      image, facts = PIL.Image.open(io.BytesIO(sample["jpg"])), json.loads(sample["json"])
      print(sample["__key__"], image.size, facts["label"], facts["vector"])"""


def summary(root: Path = Path()) -> str:
    """Summarise the metrics, shard folders and rejects under ``root``.

    Raises UserError where no stage has run yet.
    """
    stages = _stage_rows(root / "metrics")
    if not stages:
        raise UserError("No stage has run here yet (metrics/ is empty). Run `dvc repro`.")
    parts = [_aligned([("stage", *COUNTS), *stages])]
    shards = _shard_rows(root / "data/shards")
    if shards:
        parts.append(_aligned([("shards", "tars", "samples", "real", "fake"), *shards]))
    rejects = _reject_rows(root / "manifests/rejected")
    if rejects:
        parts.append(_aligned([("rejects", "count", "reason", "meaning"), *rejects]))
    return "\n\n".join([*parts, HOW_TO_LOOK])


def _stage_rows(folder: Path) -> list[tuple[str, ...]]:
    rows = []
    for stage in STAGES:
        path = folder / f"{stage}.json"
        if path.is_file():
            metrics = _read_json(path)
            rows.append((stage, *(str(metrics.get(name, "-")) for name in COUNTS)))
    return rows


def _shard_rows(folder: Path) -> list[tuple[str, ...]]:
    rows = []
    for path in sorted(folder.glob("*/shards.json")):
        facts = _read_json(path)
        try:
            labels = facts["labels"]
            counts = (len(facts["tars"]), facts["samples"], labels["real"], labels["fake"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is not of this version ({error}). Run `dvc repro`.") from error
        rows.append((str(path.parent), *map(str, counts)))
    return rows


def _reject_rows(folder: Path) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for stage in STAGES:
        path = folder / f"{stage}.parquet"
        if path.is_file():
            reasons = Counter(tables.read(path, "rejected", ["reason"])["reason"].to_pylist())
            rows += [
                (stage, str(count), reason, schemas.REJECT_REASONS[reason])
                for reason, count in reasons.most_common()
            ]
    return rows


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{path} is not JSON ({error}). Run `dvc repro` to make it anew."
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no mapping. Run `dvc repro` to make it anew.")
    return content


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines of columns; numbers to the right, text to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numeric = [_is_count(column) for column in zip(*rows[1:], strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, numeric, strict=True)
        padded = [
            f"{cell:>{width}}" if right else f"{cell:<{width}}" for cell, width, right in cells
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _is_count(column: Sequence[str]) -> bool:
    return all(cell == "-" or cell.isdigit() for cell in column)
