"""Labelled parts against a plain walk over whole numbers."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.params import Sampling
from pipeline.video.parts import labelled, outside, part_numbers, with_middles
from pipeline.video.plan import planned_parts, planned_times
from tests.video.test_plan import facts

END = 40
BOUNDS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=5).map(
    lambda pairs: [bound for pair in pairs for bound in pair]
)


def covered(parts) -> list[int]:
    return [n for n in range(END) if any(start <= n < end for start, end in parts)]


@given(BOUNDS)
def test_parts_and_what_lies_outside_share_the_video_out(bounds):
    pairs = list(zip(bounds[::2], bounds[1::2], strict=True))
    parts = labelled(Fraction(END), [Fraction(b) for b in bounds])
    assert covered(parts) == covered(pairs)
    assert all(start < end for start, end in parts)
    assert all(one[1] <= other[0] for one, other in pairwise(parts))
    rest = outside(Fraction(END), parts, Fraction(0))
    assert sorted(covered(parts) + covered(rest)) == list(range(END))


@given(BOUNDS, st.integers(0, 4))
def test_what_lies_outside_keeps_its_distance(bounds, margin):
    parts = labelled(Fraction(END), [Fraction(b) for b in bounds])
    near = [(start - margin, end + margin) for start, end in parts]
    rest = covered(outside(Fraction(END), parts, Fraction(margin)))
    assert rest == [n for n in range(END) if n not in covered(near)]


@given(BOUNDS, st.sampled_from(["middle", "fill"]), st.sampled_from([0.1, 1.0, 7.0]))
def test_every_part_gives_a_frame(bounds, rule, fps):
    there = facts(float(END))
    grid = planned_times(there, Sampling(fps=fps, parts="grid"), bounds)
    times = planned_times(there, Sampling(fps=fps, parts=rule), bounds)
    parts = planned_parts(there, bounds)
    assert set(part_numbers(times, parts)) == set(range(len(parts)))
    assert set(grid) <= set(times)
    assert times == sorted(set(times))
    middles = {float((start + end) / 2) for start, end in parts}
    assert set(times) - set(grid) <= middles
    if rule == "middle":
        assert middles <= set(times)
    else:
        assert len(set(times) - set(grid)) == len(parts) - len(set(part_numbers(grid, parts)))
    for time, number in zip(times, part_numbers(times, parts), strict=True):
        assert parts[number][0] <= time < parts[number][1]


def test_a_word_of_a_fifth_of_a_second():
    words = [3.12, 3.32, 7.48, 7.61]
    assert planned_times(facts(9.0), Sampling(), words) == [3.22, 7.545]
    assert planned_times(facts(9.0), Sampling(), [2.5, 4.1]) == [3.0, 3.3, 4.0]
    assert planned_times(facts(9.0), Sampling(parts="fill"), [2.5, 4.1]) == [3.0, 4.0]
    assert planned_times(facts(9.0), Sampling()) == list(range(9))


def test_middles_of_still_frames_are_places():
    stills = facts(9.0, -1.0, "frames")
    assert planned_times(stills, Sampling(n_even=1, fps=0.0), [2.0, 5.0]) == [3.0]
    parts = labelled(Fraction(9), [Fraction(n) for n in (2, 3, 6, 8)])
    assert with_middles([], parts, "fill", whole=True) == [2.0, 7.0]


def test_an_end_is_missing():
    with pytest.raises(ValueError, match="an end missing"):
        labelled(Fraction(9), [Fraction(1)])
