"""The grid of times, and the stage's task."""

import json
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import tables
from pipeline.config.params import FramesParams, Sampling
from pipeline.errors import Reject
from pipeline.tables import schemas
from pipeline.tables.sources import Held
from pipeline.video.plan import STILLS, FramesTask, exact, frames_plan, planned_times, sampling_text
from pipeline.video.probe import VideoFacts
from tests.video.clips import write_clip

OFF = {"fps": 0.0}
PLAIN = {"segments_frames": [], "outside": 0}


def facts(duration_s: float, average_fps: float = 25.0, container: str = "mov") -> VideoFacts:
    return VideoFacts(container, "h264", 64, 64, 0, duration_s, average_fps, -1)


def at_fps(duration_s: float, fps: float, segments_s=()) -> list[float]:
    return planned_times(facts(duration_s), Sampling(fps=fps, parts="grid"), segments_s)


def frames(times: list[float], rate: Fraction) -> list[int]:
    """Numbers of the frames on screen at a constant rate."""
    return [int(exact(t) * rate) for t in times]


@settings(deadline=None)
@given(
    rate=st.fractions(min_value=Fraction(1, 60), max_value=120, max_denominator=1001),
    duration=st.fractions(min_value=Fraction(1, 100), max_value=60, max_denominator=90_000),
)
def test_every_multiple_below_the_duration_and_no_other(rate, duration):
    times = at_fps(float(duration), float(rate))
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
    assert at_fps(30.0, rate, segments) == [float(Fraction(k, rate)) for k in inside]


def test_stock_rate():
    assert at_fps(7.0, 1.0) == [0, 1, 2, 3, 4, 5, 6]
    assert at_fps(7.000001, 1.0) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert at_fps(0.01, 1.0) == [0]
    assert at_fps(10.0, 1.0, [2.5, 5.0]) == [3, 4]


@pytest.mark.parametrize("fps", [1e-300, 1e-7, 1e-5, 1 / 7, 0.3, 1.0, 29.97, 240.0])
def test_any_rate_above_none_starts_at_the_first_frame(fps):
    times = at_fps(20.0, fps)
    assert times[:2] == pytest.approx([k / fps for k in range(len(times[:2]))], abs=1e-6)
    assert len(times) == int(20 * fps) + (20 * fps % 1 > 0)


def test_an_odd_number_of_bounds_is_refused():
    with pytest.raises(ValueError, match="end missing"):
        at_fps(10.0, 1.0, [1.0])


RATES = st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(12)])


@given(rate=RATES, count=st.integers(1, 900), every=st.integers(1, 40))
def test_every_nth_frame(rate, count, every):
    sampling = Sampling(**OFF, every_n=every)
    times = planned_times(facts(float(count / rate), float(rate)), sampling)
    assert frames(times, rate) == list(range(0, count, every))


@given(rate=RATES, count=st.integers(1, 900))
def test_the_lab_counts_frames_by_the_whole_part_of_the_rate(rate, count):
    sampling = Sampling(**OFF, stride_int_fps=True)
    times = planned_times(facts(float(count / rate), float(rate)), sampling)
    assert frames(times, rate) == list(range(0, count, int(rate)))


def test_below_one_frame_per_second_the_lab_takes_each():
    sampling = Sampling(**OFF, stride_int_fps=True)
    times = planned_times(facts(20.0, 0.5), sampling)
    assert frames(times, Fraction(1, 2)) == list(range(10))


def test_times_of_counted_frames_bear_the_rounding_of_containers():
    """Matroska holds milliseconds: frame 29 of 29.97 a second starts at 968, not at 967.63."""
    rate = Fraction(30000, 1001)
    times = planned_times(facts(10.0, float(rate)), Sampling(**OFF, stride_int_fps=True))
    starts = [round(k / rate * 1000) for k in range(300)]
    shown = [max(k for k, start in enumerate(starts) if start <= t * 1000) for t in times]
    assert shown == list(range(0, 300, 29))


@given(count=st.integers(1, 60), duration=st.fractions(Fraction(1, 2), 90, max_denominator=1001))
def test_even_times_are_the_middles_of_equal_shares(count, duration):
    times = planned_times(facts(float(duration)), Sampling(**OFF, n_even=count))
    middles = [(2 * k + 1) * duration / (2 * count) for k in range(count)]
    assert times == pytest.approx([float(t) for t in middles], abs=1e-6)


def test_even_times_spread_over_all_labelled_parts():
    sampling = Sampling(**OFF, n_even=4, parts="grid")
    assert planned_times(facts(20.0), sampling, [1.0, 3.0, 10.0, 16.0]) == [2.0, 11.0, 13.0, 15.0]
    assert planned_times(facts(20.0), sampling, [10.0, 16.0, 1.0, 3.0]) == [2.0, 11.0, 13.0, 15.0]
    assert planned_times(facts(20.0), sampling, [30.0, 40.0]) == []


@given(st.lists(st.integers(0, 40).map(lambda n: n / 2), min_size=2, max_size=8))
def test_every_way_stays_within_the_parts(bounds):
    segments = bounds[: len(bounds) // 2 * 2]
    parts = list(zip(segments[::2], segments[1::2], strict=True))
    for way in ({"n_even": 9}, {"every_n": 7}):
        sampling = Sampling(**OFF, **way, parts="grid")
        times = planned_times(facts(15.0), sampling, segments)
        assert all(t < 15 and any(start <= t < end for start, end in parts) for t in times)
        assert times == sorted(set(times))
        if any(start < min(end, 15) for start, end in parts) and sampling.n_even:
            assert len(times) == 9


@pytest.mark.parametrize("container", STILLS)
def test_stills_are_told_apart_by_place_alone(container):
    there = facts(25.0, -1.0, container)
    assert planned_times(there, Sampling(**OFF, every_n=10)) == [0, 10, 20]
    for sampling in (Sampling(fps=0.25), Sampling(fps=30.0), Sampling(**OFF, stride_int_fps=True)):
        assert planned_times(there, sampling) == list(range(25))
    assert planned_times(there, Sampling(**OFF, n_even=5)) == [2, 7, 12, 17, 22]
    few = facts(3.0, -1.0, container)
    assert planned_times(few, Sampling(**OFF, n_even=32)) == [0, 1, 2]


def test_a_rate_that_is_needed_and_not_there():
    nothing = facts(10.0, -1.0)
    assert planned_times(nothing, Sampling(fps=1.0)) == list(range(10))
    with pytest.raises(Reject) as caught:
        planned_times(nothing, Sampling(**OFF, every_n=2))
    assert caught.value.reason == "no_duration"


@given(st.fractions(min_value=0, max_value=10_000, max_denominator=90_000))
def test_a_float_gives_back_its_fraction(number):
    assert exact(float(number)) == number


def test_task_gives_rows_of_the_table(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(60))
    task = FramesTask(FramesParams())
    inputs = {"file": str(clip), "media": "video", "segments_s": [0.5, 1.75], **PLAIN}
    inputs["sampling"] = sampling_text(FramesParams(fps=2.0, parts="grid"))
    assert list(task.units(inputs)) == [""]
    result = task.work(inputs)
    assert (result.done, result.left_out, list(result.rejects)) == (1, 0, [])
    rows = [{**task.identify("d/real/a", o.fields), **o.fields} for o in result.outputs]
    tables.check("frames", pa.Table.from_pylist(rows, schemas.schema("frames")))
    assert [(r["sample"], r["time_s"]) for r in rows] == [(0, 0.5), (1, 1.0), (2, 1.5)]
    assert {r["video_id"] for r in rows} == {"d/real/a"}
    assert {r["part"] for r in rows} == {0}


def test_every_part_is_counted_and_named(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(60))  # 2.4 s
    inputs = {"file": str(clip), "media": "video", **PLAIN}
    inputs["segments_s"] = [1.28, 1.44, 0.2, 0.4, 7.0, 8.0]

    def planned(**changes):
        sampling = sampling_text(Sampling(**changes))
        result = FramesTask(FramesParams()).work({**inputs, "sampling": sampling})
        return [(o.fields["part"], o.fields["time_s"]) for o in result.outputs], result.counts

    counts = {"parts": 3, "parts_planned": 2}
    assert planned() == ([(0, 0.3), (1, 1.36)], counts)
    eleventh = {**OFF, "every_n": 11}
    assert planned(**eleventh) == ([(0, 0.3), (1, 1.34), (1, 1.36)], counts)
    assert planned(**eleventh, parts="fill") == ([(0, 0.3), (1, 1.34)], counts)
    assert planned(**eleventh, parts="grid") == ([(1, 1.34)], counts | {"parts_planned": 1})
    with pytest.raises(Reject, match="no planned time"):
        planned(parts="grid")
    inputs["outside"] = 1
    # A frame's length (1/25 s) away from each part.
    assert planned(fps=5.0, parts="grid") == (
        [(0, 0.0), *((1, n / 5) for n in range(3, 7) if n / 5 < 1.24), (2, 1.6), (2, 1.8)]
        + [(2, n / 5) for n in (10, 11)],
        {},
    )
    inputs["segments_s"] = []
    inputs["outside"] = 0
    assert planned() == ([(-1, 0.0), (-1, 1.0), (-1, 2.0)], {})


def test_task_refuses_an_empty_plan(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(10))
    with pytest.raises(Reject) as caught:
        FramesTask(FramesParams()).work(
            {
                "file": str(clip),
                "media": "video",
                "segments_s": [5.0, 9.0],
                **PLAIN,
                "sampling": sampling_text(FramesParams()),
            }
        )
    assert caught.value.reason == "past_end"


def test_every_row_says_how_it_is_sampled():
    videos = pa.table(
        {
            "video_id": ["a/real/1", "b/real/1", "b/real/2"],
            "dataset": ["a", "b", "b"],
            "split": ["test", "test", "train"],
            "fingerprint": ["f", "g", "h"],
            "path": ["1", "2", "3"],
            "media": ["video", "frames", "tar"],
            "segments_s": pa.array([[], [], []], pa.list_(pa.float64())),
            "segments_frames": pa.array([[], [], []], pa.list_(pa.int64())),
            "outside": pa.array([0, 0, 0], pa.int8()),
        }
    )
    params = FramesParams(
        fps=2.0, per_split={"test": {"n_even": 32}}, per_dataset={"b": {"min_frames": 3}}
    )
    plan = frames_plan(Held(videos), lambda rows: rows["path"].to_pylist(), params)
    assert {"sampling", "media"} <= set(plan.content)
    assert [Sampling(**json.loads(text)) for text in plan.table["sampling"].to_pylist()] == [
        Sampling(fps=0.0, n_even=32),
        Sampling(fps=0.0, n_even=32, min_frames=3),
        Sampling(fps=2.0, min_frames=3),
    ]
    wider = FramesParams(max_side_px=9000)
    assert FramesTask(wider).settings() != FramesTask(FramesParams()).settings()


def test_too_few_frames_are_refused_before_anything_is_decoded(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", range(60))
    inputs = {"file": str(clip), "media": "video", "segments_s": [], **PLAIN}
    task = FramesTask(FramesParams())
    assert (
        len(task.work({**inputs, "sampling": sampling_text(Sampling(min_frames=3))}).outputs) == 3
    )
    with pytest.raises(Reject) as caught:
        task.work({**inputs, "sampling": sampling_text(Sampling(min_frames=4))})
    assert caught.value.reason == "truncated"
    assert "3 pictures planned, 4" in caught.value.detail
