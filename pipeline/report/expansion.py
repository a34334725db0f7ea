"""What the expansion planned, refused and made, by dataset, generator and region."""

from collections import Counter
from pathlib import Path

from pipeline import tables
from pipeline.expansion.notes import by_region
from pipeline.report.cells import Cell, Table, limited
from pipeline.report.stages import read_json

EXPANSION_HEAD = (
    "dataset",
    "generator",
    "region",
    "wanted",
    "planned",
    "replaced",
    "rejected",
    "made",
)
"""Numbers from ``wanted`` on: planned = rejected + made; ``replaced`` of those planned took the
place of one that the plan refused."""


def expansion_rows(root: Path) -> list[tuple[tuple[Cell, ...], str]]:
    """Of each region the cells of :data:`EXPANSION_HEAD`, and what its plan refused.

    There are none before the stage has run.

    Raises UserError where the metrics or the rejects of the stage are damaged.
    """
    metrics, rejected = root / "metrics/expand.json", root / "manifests/rejected/expand.parquet"
    if not metrics.is_file():
        return []
    counts = {name: n for name, n in read_json(metrics).items() if isinstance(n, int)}
    lost: Counter[tuple[str, str]] = Counter()
    if rejected.is_file():
        for sample_id in tables.read(rejected, "rejected").column("id").to_pylist():
            dataset, method, _ = sample_id.split("/", 2)
            lost[dataset, method] += 1
    rows: list[tuple[tuple[Cell, ...], str]] = []
    for one in by_region(counts):
        bad = lost[one.dataset, f"{one.generator}_{one.region}"]
        numbers = (one.wanted, one.planned, one.replaced, bad, one.planned - bad)
        rows.append(((one.dataset, one.generator, one.region, *numbers), one.refused))
    return rows


def expansion_table(root: Path) -> Table:
    """The same for the page."""
    rows: list[tuple[Cell, ...]] = [
        (*cells, refused or "nothing") for cells, refused in expansion_rows(root)
    ]
    caption = "Expansion: planned = made + rejected, after what the plan refused and replaced"
    return limited(caption, (*EXPANSION_HEAD, "refused by the plan"), "lllrrrrrl", rows)
