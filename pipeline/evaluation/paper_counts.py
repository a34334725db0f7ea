"""The papers' tables of data: how many videos and faces, printed and in this project."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import read_yaml
from pipeline.errors import UserError
from pipeline.evaluation.paper_tables import FOLDER, PAPER

OWN = "here"
_TOTAL = "Total"


@dataclass(frozen=True)
class CountRow:
    """A row with where it comes from."""

    label: str
    source: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class CountTable:
    """A table of counts, to be printed."""

    number: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[CountRow, ...]
    notes: tuple[str, ...]


def tables(
    paper: str, videos: pa.Table, samples: pa.Table | None, folder: Path = FOLDER
) -> list[CountTable]:
    """A paper's tables of counts; below each row of a dataset that is here, what is here of it.

    Args:
        paper: one of :data:`pipeline.evaluation.paper_tables.PAPERS`.
        videos: table ``videos``.
        samples: columns ``split``, ``label`` and ``video_id`` of every chosen face; None = not
            known yet.
        folder: of the papers' files.

    Raises:
        UserError: a row of the file is not as long as its table.
    """
    found = []
    for one in read_yaml(folder / f"{paper}.yaml")["counts"]:
        rows = []
        columns = tuple(one["columns"])
        there = {d for d in one["datasets"].values() if d in videos.column("dataset").to_pylist()}
        for label, *cells in one["rows"]:
            if len(cells) != len(columns):
                raise UserError(f"{paper}, table {one['number']}: {label} has {len(cells)} cells.")
            rows.append(CountRow(label, PAPER, tuple(map(str, cells))))
            dataset = one["datasets"].get(label, "")
            if dataset in there or (label == _TOTAL and there):
                mine = {dataset} if dataset else there
                rows.append(CountRow(label, OWN, _cells(columns, mine, videos, samples)))
        notes = tuple(one.get("notes", ()))
        found.append(CountTable(one["number"], one["title"], columns, tuple(rows), notes))
    return found


def _cells(
    columns: tuple[str, ...], datasets: set[str], videos: pa.Table, samples: pa.Table | None
) -> tuple[str, ...]:
    mine = videos.filter(pc.is_in(videos.column("dataset"), pa.array(sorted(datasets))))
    at = None
    if samples is not None:
        at = samples.filter(pc.is_in(samples.column("video_id"), mine.column("video_id")))
    return tuple(_count(column, mine, at) for column in columns)


def _count(column: str, videos: pa.Table, samples: pa.Table | None) -> str:
    """One number, as the name of its column says."""
    if column in ("FS", "RE"):
        of = videos.filter(pc.field("category") == column)
        kinds = zip(*(of.column(c).to_pylist() for c in ("dataset", "method")), strict=True)
        return str(len(set(kinds)))
    words = column.split()
    table = samples if words[-1] in ("samples", "faces") else videos
    if table is None:
        return "not known yet"
    for word in words[:-1]:
        if condition := _CONDITIONS.get(word):
            table = table.filter(condition())
    if words[-1] == "samples":
        table = table.filter(pc.field("split") == "train")
    return f"{table.num_rows:,}"


_CONDITIONS: Mapping[str, Callable[[], pc.Expression]] = {
    "real": lambda: pc.field("label") == 0,
    "fake": lambda: pc.field("label") == 1,
    "train": lambda: pc.field("split") == "train",
    "val": lambda: pc.field("split") == "val",
    "test": lambda: pc.field("split") == "test",
}
