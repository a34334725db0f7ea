"""Geometry of line charts and bars; the page draws them as inline SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 360, 200
"""Of a chart, in units of its view box."""
LEFT, RIGHT, TOP, BOTTOM = 54, 350, 12, 172
"""Edges of the plotting area."""
MAX_POINTS = 400
"""Of one line; of longer ones every n-th point is drawn, and the last."""
TICKS = 4
"""About as many on an axis."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, in units of the view box, and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """One series: its name, its points in units of the view box, and in words."""

    name: str
    points: tuple[tuple[float, float], ...]
    words: str

    @property
    def path(self) -> str:
        """Points as SVG spells them."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)


@dataclass(frozen=True)
class Chart:
    """A line chart."""

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]

    @property
    def words(self) -> str:
        """What a person who does not see the chart needs to know."""
        return "; ".join(line.words for line in self.lines)


def line_chart(title: str, series: Mapping[str, Points]) -> Chart | None:
    """Chart of some series of (x, y) on common axes; None where they have no finite point.

    Args:
        title: what is drawn.
        series: by name; x rises. Points that are not finite are left out.
    """
    finite = {
        name: [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        for name, points in series.items()
    }
    finite = {name: points for name, points in finite.items() if points}
    if not finite:
        return None
    xs = [x for points in finite.values() for x, _ in points]
    ys = [y for points in finite.values() for _, y in points]
    x_low, x_high = _widened(min(xs), max(xs))
    y_marks = ticks(*_widened(min(ys), max(ys)))
    y_low, y_high = min(*ys, y_marks[0]), max(*ys, y_marks[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        right, up = (x - x_low) / (x_high - x_low), (y - y_low) / (y_high - y_low)
        return round(LEFT + right * (RIGHT - LEFT), 2), round(BOTTOM - up * (BOTTOM - TOP), 2)

    lines = [
        Line(name, tuple(place(x, y) for x, y in thinned(points)), _words(name, points))
        for name, points in finite.items()
    ]
    x_marks = [x for x in ticks(x_low, x_high) if min(xs) <= x <= max(xs) and x == int(x)]
    return Chart(
        title,
        tuple(lines),
        tuple(Tick(place(x, y_low)[0], number(x)) for x in x_marks),
        tuple(Tick(place(x_low, y)[1], number(y)) for y in y_marks),
    )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers, about :data:`TICKS` of them, that reach from below ``low`` to above ``high``.

    ``low`` must be below ``high``.
    """
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def thinned(points: Points) -> list[tuple[float, float]]:
    """At most :data:`MAX_POINTS` + 1 of the points, evenly, with the first and the last."""
    stride = -(-len(points) // MAX_POINTS)
    kept = list(points[::stride])
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def number(value: float) -> str:
    """A number for people: four digits that mean something."""
    return f"{value:.4g}"


def _widened(low: float, high: float) -> tuple[float, float]:
    """The same range, or one about it where it is a single number."""
    if low < high:
        return low, high
    room = abs(low) / 10 or 1.0
    return low - room, high + room


def _words(name: str, points: Points) -> str:
    first, last = points[0][1], points[-1][1]
    return (
        f"{name} {number(first)} to {number(last)}"
        if len(points) > 1
        else f"{name} {number(first)}"
    )
