"""Orders of samples against their definitions, for any sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceshards.errors import UserError
from faceshards.order import (
    Balanced,
    ClassesBySamples,
    InOrder,
    Shuffled,
    Weighted,
    equal_weights,
    group_numbers,
    group_weights,
    video_weights,
)

SIZES = st.integers(1, 60)
GROUPS = st.lists(st.integers(0, 3), min_size=1, max_size=40).map(
    lambda values: group_numbers(np.array(values))
)


@given(SIZES, SIZES)
def test_in_order_gives_every_sample_once(n, batch_size):
    order = InOrder(n, batch_size)
    batches = [order.batch("k", 3, b) for b in range(order.batches_per_epoch())]
    assert np.concatenate(batches).tolist() == list(range(n))
    assert all(len(batch) == batch_size for batch in batches[:-1])


@given(SIZES, SIZES, st.integers(0, 5))
def test_shuffled_gives_no_sample_twice_and_drops_the_stated_tail(n, batch_size, epoch):
    if n < batch_size:
        with pytest.raises(UserError, match="smaller batch"):
            Shuffled(n, batch_size)
        return
    order = Shuffled(n, batch_size)
    drawn = np.concatenate([order.batch("k", epoch, b) for b in range(order.batches_per_epoch())])
    assert len(set(drawn.tolist())) == len(drawn) == n - order.dropped_per_epoch
    assert set(drawn.tolist()) <= set(range(n))


def test_shuffled_is_another_permutation_for_another_epoch_and_key():
    order = Shuffled(1000, 1000)
    drawn = [order.batch(*at, 0).tolist() for at in (("k", 0), ("k", 1), ("other", 0))]
    assert len({tuple(one) for one in drawn}) == 3


def test_the_dropped_tail_differs_by_epoch():
    order = Shuffled(10, 4)
    left = []
    for epoch in range(40):
        drawn = np.concatenate([order.batch("k", epoch, b) for b in range(2)])
        left.append(frozenset(range(10)) - set(drawn.tolist()))
    assert frozenset.union(*left) == set(range(10))


@given(GROUPS, st.integers(1, 3), st.integers(1, 6))
def test_balanced_batches_have_equal_parts_and_use_a_group_up_before_repeating(
    groups, each, epochs
):
    n_groups = groups.max() + 1
    order = Balanced(groups, int(each * n_groups), batches=3)
    dealt = {group: [] for group in range(n_groups)}
    for epoch in range(epochs):
        for number in range(3):
            batch = order.batch("k", epoch, number)
            assert np.bincount(groups[batch], minlength=n_groups).tolist() == [each] * n_groups
            for place in batch.tolist():
                dealt[groups[place]].append(place)
    for group, places in dealt.items():
        members = set(np.flatnonzero(groups == group).tolist())
        counts = [places.count(member) for member in members]
        assert max(counts) - min(counts) <= 1


def test_balanced_refuses_a_batch_that_cannot_be_split():
    with pytest.raises(UserError, match="multiple of 2"):
        Balanced(np.array([0, 1]), 3, 1)


def test_weighted_draws_by_weight_and_never_what_weighs_nothing():
    weights = np.array([0.0, 1.0, 3.0, 0.0])
    order = Weighted(weights, 4000, 1)
    counts = np.bincount(order.batch("k", 0, 0), minlength=4)
    assert counts[0] == counts[3] == 0
    # Four standard deviations of a binomial with 4000 draws at 3/4.
    assert abs(counts[2] - 3000) < 4 * np.sqrt(4000 * 0.75 * 0.25)


@pytest.mark.parametrize("weights", [[-1.0, 2.0], [0.0, 0.0], [np.nan, 1.0]])
def test_weights_that_cannot_be_drawn_by_are_refused(weights):
    with pytest.raises(UserError, match="0 or above"):
        Weighted(np.array(weights), 1, 1)


@given(GROUPS, st.integers(1, 3), st.integers(1, 4), st.integers(0, 9))
def test_classes_by_samples_has_p_groups_with_k_different_samples_each(groups, p, k, number):
    large = np.flatnonzero(np.bincount(groups) >= k)
    if len(large) < p:
        with pytest.raises(UserError, match="groups have so many"):
            ClassesBySamples(groups, p, k, 1)
        return
    batch = ClassesBySamples(groups, p, k, 10).batch("k", 0, number)
    assert len(set(batch.tolist())) == p * k
    counts = np.bincount(groups[batch])
    assert sorted(counts[counts > 0].tolist()) == [k] * p
    assert set(groups[batch].tolist()) <= set(large.tolist())


def test_all_groups_of_classes_by_samples_come():
    groups = np.repeat(np.arange(6), 3)
    order = ClassesBySamples(groups, 2, 2, 50)
    seen = {int(g) for number in range(50) for g in groups[order.batch("k", 0, number)]}
    assert seen == set(range(6))


def test_equal_and_stated_weights():
    values = np.array(["a", "a", "a", "b"])
    assert equal_weights(group_numbers(values)).tolist() == pytest.approx([2 / 3] * 3 + [2.0])
    shares = group_weights(values, {"a": 3.0, "b": 1.0})
    assert shares.tolist() == [1.0] * 4
    assert group_weights(values, {"b": 1.0}).tolist() == [0.0, 0.0, 0.0, 1.0]
    with pytest.raises(UserError, match="'c'"):
        group_weights(values, {"c": 1.0})


def test_video_weights_are_those_of_the_table_samples():
    # Two real videos with 1 and 3 faces, one fake with 2.
    labels = np.array([0, 0, 0, 0, 1, 1])
    videos = np.array([0, 1, 1, 1, 2, 2])
    expected = np.array([1 / 4, 1 / 12, 1 / 12, 1 / 12, 1 / 4, 1 / 4]) * 6
    np.testing.assert_allclose(video_weights(labels, videos), expected, rtol=1e-12)
