"""What the stages made, as one page of text: counts, shards, rejects, and how to look further."""

from collections.abc import Sequence
from pathlib import Path

from faceshards.reading import folder_facts
from pipeline.audit import parts as labelled_parts
from pipeline.errors import UserError
from pipeline.report.cells import Cell
from pipeline.report.expansion import EXPANSION_HEAD, expansion_rows
from pipeline.report.parts import HEAD, part_table
from pipeline.report.stages import rejects, stage_counts
from pipeline.stage_list import COUNTS

PAGE = "  report/index.html          opens in any browser, without a network"
SHARDS = """\
  faceshards sheet data/shards/train sheet.jpg
  faceshards verify data/shards/*"""
READ = """\
Read it with plain webdataset:
  import glob, io, json, PIL.Image, webdataset

  tars = sorted(glob.glob("data/shards/train/*.tar"))
  for sample in webdataset.WebDataset(tars, shardshuffle=False):
      image, facts = PIL.Image.open(io.BytesIO(sample["jpg"])), json.loads(sample["json"])
      print(sample["__key__"], image.size, facts["label"], facts["vector"])"""

_LABELS = ("real", "fake")


def summary(root: Path = Path()) -> str:
    """Summarise the metrics, shard folders and rejects under ``root``.

    Raises UserError where no stage has run yet.
    """
    counted = stage_counts(root / "metrics")
    if not any(counted.values()):
        raise UserError("No stage has run here yet (metrics/ is empty). Run `dvc repro`.")
    stages = [(name, *map(str, counts)) for name, counts in counted.items() if counts]
    parts = [_aligned([("stage", *COUNTS), *stages])]
    shards = _shard_rows(root / "data/shards")
    if shards:
        parts.append(_aligned([("shards", "tars", "samples", "real", "fake"), *shards]))
    found = rejects(root / "manifests/rejected")
    if found:
        rows = [(one.stage, str(one.count), one.reason, one.meaning) for one in found]
        parts.append(_aligned([("rejects", "count", "reason", "meaning"), *rows]))
    if (root / "manifests/videos.parquet").is_file():
        table = part_table(labelled_parts.read(root / "manifests"))
        if table.rows:
            cells = [tuple(map(str, row[:-1])) for row in table.rows]
            parts.append(_aligned([HEAD[:-1], *cells]))
    expanded = expansion_rows(root)
    if expanded:
        cells = [tuple(map(str, of)) for of, _ in expanded]
        parts.append(_aligned([("expansion of", *EXPANSION_HEAD[1:]), *cells]))
        parts += [_refusals(expanded)] * any(refused for _, refused in expanded)
    return "\n\n".join([*parts, *_how_to_look(root)])


def _refusals(rows: Sequence[tuple[tuple[Cell, ...], str]]) -> str:
    """What plans refused, told once for all regions of which the same is told."""
    of: dict[tuple[Cell, Cell, str], list[str]] = {}
    for (dataset, generator, region, *_), refused in rows:
        if refused:
            of.setdefault((dataset, generator, refused), []).append(str(region))
    return "\n".join(
        f"{dataset}, {generator}, {', '.join(regions)}: refused {refused}"
        for (dataset, generator, refused), regions in of.items()
    )


def _shard_rows(folder: Path) -> list[tuple[str, ...]]:
    rows = []
    for path in sorted(folder.glob("*/shards.json")):
        facts = folder_facts(path.parent)
        labels = [sum(t["labels"][label] for t in facts["tars"].values()) for label in _LABELS]
        samples = sum(about["samples"] for about in facts["tars"].values())
        counts = (len(facts["tars"]), samples, *labels)
        rows.append((str(path.parent), *map(str, counts)))
    return rows


def _how_to_look(root: Path) -> list[str]:
    """How to look at what is there, and at nothing else."""
    page, tars = root / "report/index.html", list(root.glob("data/shards/train/*.tar"))
    ways = [PAGE] * page.is_file() + [SHARDS] * bool(tars)
    parts = ["Look at it:\n" + "\n".join(ways)] if ways else []
    return [*parts, READ] if tars else parts


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
