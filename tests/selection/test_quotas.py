from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.selection.quotas import equal_quotas, steps_of

SIZES = st.lists(st.integers(1, 40), max_size=12)


def dealt(available, total, at_least):
    """Deals faces one at a time, always to the first of the videos that have got the least."""
    quota = [min(n, at_least) for n in available]
    while sum(quota) < min(total, sum(available)):
        open_videos = [i for i in range(len(quota)) if quota[i] < available[i]]
        least = min(quota[i] for i in open_videos)
        quota[next(i for i in open_videos if quota[i] == least)] += 1
    return quota


@given(SIZES, st.integers(0, 300), st.sampled_from((0, 1)))
def test_quotas_are_those_of_dealing_one_by_one(available, total, at_least):
    quota = equal_quotas(np.array(available, np.int64), total, at_least)
    assert quota.tolist() == dealt(available, total, at_least)
    wanted = min(total, sum(available))
    assert quota.sum() == (max(wanted, len(available)) if at_least else wanted)


@given(SIZES, st.integers(0, 300))
def test_who_has_more_to_give_gives_no_less_but_for_rounding(available, total):
    quota = equal_quotas(np.array(available, np.int64), total)
    unfilled = [q for q, n in zip(quota.tolist(), available, strict=True) if q < n]
    if unfilled:
        assert quota.max() - min(unfilled) <= 1


@given(SIZES, st.integers(0, 300), st.integers(0, 300))
def test_a_larger_total_takes_nothing_away(available, one, other):
    few, many = (equal_quotas(np.array(available, np.int64), t) for t in sorted((one, other)))
    assert (few <= many).all()


def dealt_by_weight(available, weights, total, at_least):
    """As :func:`dealt`, always to the video whose next face makes the least of its weight."""
    quota = [min(n, at_least) for n in available]
    while sum(quota) < min(total, sum(available)):
        open_videos = [i for i in range(len(quota)) if quota[i] < available[i]]
        due = {i: Fraction(quota[i] + 1) / weights[i] for i in open_videos}
        quota[min(open_videos, key=lambda i: (due[i], i))] += 1
    return quota


WEIGHTS = st.sampled_from((Fraction(1), Fraction(2), Fraction(4), Fraction(1, 2)))


@given(st.lists(st.tuples(st.integers(1, 20), WEIGHTS), max_size=8), st.integers(0, 120))
def test_weights_deal_in_proportion(videos, total):
    available, weights = [n for n, _ in videos], [w for _, w in videos]
    steps = steps_of(np.array([float(w) for w in weights]))
    quota = equal_quotas(np.array(available, np.int64), total, 0, steps)
    assert quota.tolist() == dealt_by_weight(available, weights, total, 0)


@given(
    st.lists(st.tuples(st.integers(1, 20), st.floats(0.001, 1000)), max_size=8),
    st.integers(0, 120),
    st.integers(0, 120),
    st.sampled_from((0, 1)),
)
def test_whatever_the_weights_a_larger_total_takes_nothing_away(videos, one, other, at_least):
    available = np.array([n for n, _ in videos], np.int64)
    steps = steps_of(np.array([w for _, w in videos]))
    few, many = (equal_quotas(available, total, at_least, steps) for total in sorted((one, other)))
    assert (few <= many).all()
    assert (few >= np.minimum(available, at_least)).all()
    wanted = min(min(one, other), int(available.sum()))
    assert few.sum() == (max(wanted, len(videos)) if at_least else wanted)


def test_equal_weights_are_no_weights():
    assert steps_of(np.array([3.0, 3.0, 3.0])).tolist() == [1, 1, 1]
    assert steps_of(np.array([1.0, 2.0, 0.5])).tolist() == [2, 1, 4]
    assert steps_of(np.zeros(0)).tolist() == []
