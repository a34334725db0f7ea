"""`faceshards tables`: both papers' tables with this project's numbers below."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import config, tables
from pipeline.errors import UserError
from pipeline.evaluation import paper_counts, paper_tables, scenarios, stored, table_text
from pipeline.evaluation.measures import Rules
from pipeline.evaluation.scenarios import Found, Scenario


def text(paper: str, form: str, also: Sequence[str]) -> str:
    """All tables of a paper, to print.

    Args:
        paper: one of :data:`pipeline.evaluation.paper_tables.PAPERS`.
        form: one of :data:`pipeline.evaluation.table_text.FORMATS`.
        also: runs or imported detectors that get a row in every table of scores.

    Raises:
        UserError: something that is named has no scores; a file is damaged.
    """
    asked = config.load().evaluate
    rules = Rules(asked.threshold, asked.missing)
    known = scenarios.load()
    videos = tables.read(Path("manifests/videos.parquet"), "videos")
    there = stored.names()

    @cache
    def scored(run: str) -> pa.Table:
        return stored.known(stored.load(run), videos)[0]

    def measured(run: str, scenario: Scenario) -> Mapping[str, Found]:
        return scenarios.measure(scenario, scored(run), videos, rules)

    for name in also:
        scored(name)
    found: list[paper_counts.CountTable | paper_tables.ScoreTable] = [
        *paper_counts.tables(paper, videos, _samples())
    ]
    for one in paper_tables.typed(paper):
        if one.scenario not in known:
            raise UserError(f"There is no scenario {one.scenario}, which table {one.number} is of.")
        found.append(paper_tables.filled(one, known[one.scenario], measured, there, also))
    return table_text.text(found, form)


def _samples() -> pa.Table | None:
    """Split, label and video of every chosen face; None where `balance` has not run."""
    path = Path("manifests/samples.parquet")
    if not path.is_file():
        return None
    samples = tables.read(path, "samples", ["face_id", "split", "label"])
    video = pc.replace_substring_regex(samples.column("face_id"), r"/[^/]*$", "")
    return samples.append_column("video_id", video)
