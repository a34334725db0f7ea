"""Tables of the page as plain data, and what may stand in their cells."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_ROWS = 200
"""Of a table in the page; how many more there are is said below it."""


@dataclass(frozen=True)
class Share:
    """Two numbers to be drawn as parts of a bar."""

    real: int
    fake: int

    @property
    def real_percent(self) -> float:
        """Share of the first, 0 to 100, to 0.01; 0 where both are 0."""
        return round(100 * self.real / max(1, self.real + self.fake), 2)


Cell = str | int | Share


@dataclass(frozen=True)
class Table:
    """A table of the page."""

    caption: str
    head: tuple[str, ...]
    align: str
    """One letter per column: l left, for text and bars; r right, for numbers."""
    rows: tuple[tuple[Cell, ...], ...]
    left: int = 0
    """Rows that are not shown."""


def limited(
    caption: str, head: Sequence[str], align: str, rows: Sequence[tuple[Cell, ...]]
) -> Table:
    """Table of at most :data:`MAX_ROWS` rows."""
    left = max(0, len(rows) - MAX_ROWS)
    return Table(caption, tuple(head), align, tuple(rows[:MAX_ROWS]), left)


def in_bytes(size: int) -> str:
    """A size for people, with a decimal unit: ``1.9 MB``."""
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    power = min(max(0, len(str(size)) - 1) // 3, len(units) - 1)
    return f"{size} B" if power == 0 else f"{size / 1000**power:.1f} {units[power]}"
