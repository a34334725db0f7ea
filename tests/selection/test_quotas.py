import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.selection.quotas import equal_quotas

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
