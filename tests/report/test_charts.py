import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from pipeline.report import charts

NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(NUMBERS, st.floats(1e-6, 1e9))
def test_ticks_are_even_and_reach_around_the_range(low: float, width: float) -> None:
    high = low + width
    marks = charts.ticks(low, high)
    slack = 1e-6 * width + 1e-9 * abs(low)
    assert marks[0] <= low + slack
    assert marks[-1] >= high - slack
    assert 2 <= len(marks) <= 2 * charts.TICKS + 2
    steps = [b - a for a, b in itertools.pairwise(marks)]
    assert max(steps) - min(steps) <= 1e-6 * max(steps) + 1e-9 * abs(low)


@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_points_lie_inside_and_higher_values_higher(values: list[float]) -> None:
    chart = charts.line_chart("loss", {"train": list(enumerate(values, start=1))})
    assert chart is not None
    points = chart.lines[0].points
    assert len(points) == len(values)
    for x, y in points:
        assert charts.LEFT <= x <= charts.RIGHT
        assert charts.TOP <= y <= charts.BOTTOM
    for (_, y), value in zip(points, values, strict=True):
        for (_, other_y), other in zip(points, values, strict=True):
            assert value <= other or y <= other_y  # SVG counts downwards
    assert all(a < b for (a, _), (b, _) in itertools.pairwise(points))


def test_positions_by_hand() -> None:
    chart = charts.line_chart("loss", {"a": [(0, 0.0), (10, 1.0)], "b": [(5, 0.5)]})
    assert chart is not None
    middle = ((charts.LEFT + charts.RIGHT) / 2, (charts.TOP + charts.BOTTOM) / 2)
    corners = ((charts.LEFT, charts.BOTTOM), (charts.RIGHT, charts.TOP))
    assert [line.points for line in chart.lines] == [corners, (middle,)]
    assert [tick.text for tick in chart.y_ticks] == ["0", "0.25", "0.5", "0.75", "1"]
    assert chart.words == "a 0 to 1; b 0.5"


def test_what_is_not_finite_is_left_out() -> None:
    nan = [(1, math.nan), (2, math.inf)]
    assert charts.line_chart("auc", {"val": nan}) is None
    assert charts.line_chart("auc", {}) is None
    chart = charts.line_chart("auc", {"val": [*nan, (3, 0.5)], "train": nan})
    assert chart is not None
    assert [line.name for line in chart.lines] == ["val"]


@given(st.integers(1, 5000))
def test_long_lines_are_thinned_but_keep_their_ends(n: int) -> None:
    points = [(float(i), float(i)) for i in range(n)]
    kept = charts.thinned(points)
    assert len(kept) <= charts.MAX_POINTS + 1
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert kept == sorted(set(kept))
