"""Tables as Markdown, LaTeX and CSV."""

import csv
import io
import math
from collections.abc import Callable, Sequence

from pipeline.evaluation.paper_counts import CountTable
from pipeline.evaluation.paper_tables import PAPER, Cell, Row, ScoreTable, printed_as

FORMATS = ("markdown", "latex", "csv")
EMPTY = "—"
_LATEX = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"})


def text(tables: Sequence[ScoreTable | CountTable], form: str) -> str:
    """Tables one below the other. CSV has one line per number, with all digits."""
    if form == "csv":
        return _csv(tables)
    one = {"markdown": _markdown, "latex": _latex}[form]
    return "\n\n".join(_told(table, one) for table in tables)


_Grid = Callable[[str, Sequence[str], Sequence[Sequence[str]], Sequence[str]], str]


def _told(table: ScoreTable | CountTable, form: _Grid) -> str:
    title = f"Table {table.number}. {table.title}"
    if isinstance(table, CountTable):
        rows = [[row.label, row.source, *row.cells] for row in table.rows]
        return form(title, ["", "", *table.columns], rows, table.notes)
    rows = [
        [row.label, row.source, *(_cell(cell, row, table.decimals) for cell in row.cells)]
        for row in table.rows
    ]
    return form(title, ["", "", *table.columns], rows, table.notes)


def _cell(cell: Cell, row: Row, decimals: int) -> str:
    if cell.value is None:
        return EMPTY
    told = printed_as(cell.value, decimals)
    if row.source == PAPER:
        if cell.disagrees and cell.recomputed is not None:
            told += f" (its cells give {printed_as(cell.recomputed, decimals)})"
        return told
    if cell.low is not None and cell.high is not None and math.isfinite(cell.low):
        told += f" [{printed_as(cell.low, decimals)}, {printed_as(cell.high, decimals)}]"
    return told if cell.coverage == 1 else f"{told} of {cell.coverage:.1%}"


def _markdown(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]
) -> str:
    lines = [f"**{title}**", "", _bars(head), _bars(["---"] * 2 + ["---:"] * (len(head) - 2))]
    lines += [_bars(row) for row in rows]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _bars(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _latex(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]
) -> str:
    def line(cells: Sequence[str]) -> str:
        escaped = (cell.replace("\\", "").translate(_LATEX) for cell in cells)
        return " & ".join(one.replace(EMPTY, "--") for one in escaped) + r" \\"

    lines = [
        r"\begin{table}",
        rf"\caption{{{title.translate(_LATEX)}}}",
        rf"\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}",
        r"\hline",
        line(head),
        r"\hline",
        *(line(row) for row in rows),
        r"\hline",
        r"\end{tabular}",
        *(rf"\par {note.translate(_LATEX)}" for note in notes),
        r"\end{table}",
    ]
    return "\n".join(lines)


def _csv(tables: Sequence[ScoreTable | CountTable]) -> str:
    found = io.StringIO()
    write = csv.writer(found, lineterminator="\n").writerow
    write(
        (
            "table",
            "title",
            "row",
            "source",
            "column",
            "value",
            "low",
            "high",
            "recomputed",
            "coverage",
        )
    )
    for table in tables:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                about = (table.number, table.title, row.label, row.source, column)
                if not isinstance(cell, Cell):
                    write((*about, cell, "", "", "", ""))
                else:
                    numbers = (cell.value, cell.low, cell.high, cell.recomputed)
                    share = "" if row.source == PAPER else cell.coverage
                    write((*about, *("" if n is None else n for n in numbers), share))
    return found.getvalue().rstrip("\n")
