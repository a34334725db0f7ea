"""The papers' tables of scores: their typed numbers, and what runs of this project reach."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from pipeline.config import read_yaml
from pipeline.errors import UserError
from pipeline.evaluation.scenarios import Found, Scenario

FOLDER = Path(__file__).parent / "papers"
PAPERS = ("metric-learning", "sjedd")
PAPER = "paper"
"""Source of a row of typed numbers; others have the name of a run."""
_KEYS = frozenset(
    {"number", "title", "scenario", "measure", "decimals", "columns", "means", "rows"}
)


@dataclass(frozen=True)
class Typed:
    """A table of scores as a paper prints it."""

    number: str
    title: str
    scenario: str
    """Name of the sets that its columns are."""
    measure: str
    decimals: int
    columns: tuple[str, ...]
    means: Mapping[str, Mapping[str, float]]
    """Each average: the columns that it is of, and how heavy each is."""
    rows: tuple["TypedRow", ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TypedRow:
    """A row as it is printed; None is an empty cell."""

    label: str
    run: str
    """The run of the paper's profiles that is the same; "" = none."""
    cells: tuple[float | None, ...]
    printed: tuple[float | None, ...]
    """The averages, one per mean."""


@dataclass(frozen=True)
class Cell:
    """One number of a table, in percent."""

    value: float | None
    low: float | None = None
    high: float | None = None
    recomputed: float | None = None
    """Of a printed average: what its cells give."""
    disagrees: bool = False
    """Whether it is further from the printed one than rounding can bring it: cells are off by half
    a unit of the last place, and so is their printed average."""
    coverage: float = 1.0


@dataclass(frozen=True)
class Row:
    """A row with where it comes from."""

    label: str
    source: str
    """:data:`PAPER`, or the name of the run."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ScoreTable:
    """A table of scores, to be printed."""

    number: str
    title: str
    decimals: int
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def typed(paper: str, folder: Path = FOLDER) -> list[Typed]:
    """Tables of a paper's file. Raises UserError where a row is not as long as its table."""
    path = folder / f"{paper}.yaml"
    return [_typed(f"{path}: table {one['number']}", one) for one in read_yaml(path)["scores"]]


def _typed(where: str, data: Mapping[str, Any]) -> Typed:
    if set(data) - {"notes"} != _KEYS:
        raise UserError(f"{where} must have the keys {', '.join(sorted(_KEYS))}.")
    columns = tuple(map(str, data["columns"]))
    rows = []
    for label, run, *cells in data["rows"]:
        if len(cells) != len(columns) + len(data["means"]):
            raise UserError(f"{where}: the row {label} has {len(cells)} numbers.")
        values = tuple(None if cell is None else float(cell) for cell in cells)
        rows.append(TypedRow(label, run, values[: len(columns)], values[len(columns) :]))
    for name, weights in data["means"].items():
        if not set(weights) <= set(columns):
            raise UserError(f"{where}: the mean {name} is of columns that are not there.")
    return Typed(**{**data, "columns": columns, "rows": tuple(rows)})


def average(cells: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """Weighted mean of the cells that have a weight; None where one of them is empty."""
    total = Decimal(0)
    for cell, weight in zip(cells, weights, strict=True):
        if weight and cell is None:
            return None
        total += Decimal(str(cell or 0)) * Decimal(str(weight))
    return float(total / Decimal(str(sum(weights))))


def printed_as(value: float, decimals: int) -> str:
    """A number as a paper prints it: halves go up."""
    return str(Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))


def filled(
    one: Typed,
    scenario: Scenario,
    measured: Callable[[str, Scenario], Mapping[str, Found]],
    there: Sequence[str],
    also: Sequence[str] = (),
) -> ScoreTable:
    """The table with a row for each run that there is, below the paper's row.

    Args:
        one: what is printed.
        scenario: what its columns are.
        measured: numbers of a run on a scenario.
        there: names of runs and imported detectors that have scores.
        also: detectors that get a row at the end, whichever table it is.
    """
    rows = []
    for row in one.rows:
        rows.append(Row(row.label, PAPER, _paper_cells(one, row)))
        if row.run in there:
            rows.append(_own_row(one, row.label, row.run, scenario, measured))
    for name in also:
        if name not in {row.run for row in one.rows}:
            rows.append(_own_row(one, name, name, scenario, measured))
    columns = (*one.columns, *one.means)
    return ScoreTable(one.number, one.title, one.decimals, columns, tuple(rows), tuple(one.notes))


def _paper_cells(one: Typed, row: TypedRow) -> tuple[Cell, ...]:
    cells = [Cell(value) for value in row.cells]
    for printed, weights in zip(row.printed, one.means.values(), strict=True):
        mean = average(row.cells, [weights.get(column, 0) for column in one.columns])
        apart = False
        if printed is not None and mean is not None:
            unit = Decimal(1).scaleb(-one.decimals)
            apart = abs(Decimal(str(printed)) - Decimal(str(round(mean, 9)))) > unit
        cells.append(Cell(printed, recomputed=mean, disagrees=apart))
    return tuple(cells)


def _own_row(
    one: Typed,
    label: str,
    run: str,
    scenario: Scenario,
    measured: Callable[[str, Scenario], Mapping[str, Found]],
) -> Row:
    """Numbers of a run; averages are of the sets, not of rounded cells."""
    columns = (*one.columns, *one.means)
    # A mean over all manipulations is a set itself.
    sets = {name: scenario.sets[name] for name in columns if name in scenario.sets}
    means = {name: tuple(of) for name, of in one.means.items() if name not in sets}
    found = measured(run, Scenario(sets, means))
    cells = []
    for column in columns:
        numbers = found[column].numbers if column in found else {}
        if one.measure not in numbers:
            cells.append(Cell(None))
            continue
        number = numbers[one.measure]
        low, high = 100 * number.low, 100 * number.high
        cells.append(Cell(100 * number.value, low, high, coverage=found[column].coverage))
    return Row(label, run, tuple(cells))
