"""The grid of times, and the stage's task."""

from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import tables
from pipeline.config import FramesParams
from pipeline.errors import Reject
from pipeline.video.plan import FramesTask, exact, planned_times
from tests.video.clips import write_clip


@settings(deadline=None)
@given(
    rate=st.fractions(min_value=Fraction(1, 60), max_value=120, max_denominator=1001),
    duration=st.fractions(min_value=Fraction(1, 100), max_value=60, max_denominator=90_000),
)
def test_every_multiple_below_the_duration_and_no_other(rate, duration):
    times = planned_times(float(duration), float(rate))
    assert times == [float(k / rate) for k in range(len(times))]
    assert (len(times) - 1) / rate < duration <= len(times) / rate


@given(
    rate=st.integers(1, 30),
    bounds=st.lists(st.integers(0, 4000).map(lambda n: n / 100), min_size=2, max_size=8),
)
def test_segments_keep_the_grid(rate, bounds):
    segments = bounds[: len(bounds) // 2 * 2]
    inside = [
        k
        for k in range(30 * rate)
        if any(
            round(start * 100) * rate <= 100 * k < round(end * 100) * rate
            for start, end in zip(segments[::2], segments[1::2], strict=True)
        )
    ]
    assert planned_times(30.0, rate, segments) == [float(Fraction(k, rate)) for k in inside]


def test_stock_rate():
    assert planned_times(7.0, 1.0) == [0, 1, 2, 3, 4, 5, 6]
    assert planned_times(7.000001, 1.0) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert planned_times(0.01, 1.0) == [0]
    assert planned_times(10.0, 1.0, [2.5, 5.0]) == [3, 4]


def test_an_odd_number_of_bounds_is_refused():
    with pytest.raises(ValueError, match="end missing"):
        planned_times(10.0, 1.0, [1.0])


@given(st.fractions(min_value=0, max_value=10_000, max_denominator=90_000))
def test_a_float_gives_back_its_fraction(number):
    assert exact(float(number)) == number


def test_task_gives_rows_of_the_table(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(60))
    task = FramesTask(FramesParams(fps=2.0))
    inputs = {"file": str(clip), "segments_s": [0.5, 1.75], "fingerprint": "f"}
    assert list(task.units(inputs)) == [""]
    result = task.work(inputs)
    assert (result.done, result.left_out, list(result.rejects)) == (1, 0, [])
    rows = [{**task.identify("d/real/a", o.fields), **o.fields} for o in result.outputs]
    tables.check("frames", pa.Table.from_pylist(rows, tables.schema("frames")))
    assert [(r["sample"], r["time_s"]) for r in rows] == [(0, 0.5), (1, 1.0), (2, 1.5)]
    assert {r["video_id"] for r in rows} == {"d/real/a"}


def test_task_refuses_an_empty_plan(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(10))
    with pytest.raises(Reject) as caught:
        FramesTask(FramesParams()).work({"file": str(clip), "segments_s": [5.0, 9.0]})
    assert caught.value.reason == "past_end"


def test_settings_follow_the_parameters():
    assert FramesTask(FramesParams(fps=2.0)).settings() != FramesTask(FramesParams()).settings()
