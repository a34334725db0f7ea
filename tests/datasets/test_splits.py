import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datasets.splits import SHARES, components, draw

names = st.sampled_from("abcdefgh")
ties = st.lists(st.lists(names, min_size=1, max_size=3), max_size=12)


@given(ties)
def test_components_are_those_of_a_walk(tied):
    """Against a plain search through the graph."""
    found = components(tied)
    for start in found:
        reached, todo = set(), {start}
        while todo:
            one = todo.pop()
            reached.add(one)
            todo |= {other for group in tied if one in group for other in group} - reached
        assert found[start] == min(reached)
        assert {one for one, first in found.items() if first == found[start]} == reached


@given(ties, st.randoms())
def test_order_does_not_matter(tied, random):
    shuffled = [random.sample(group, len(group)) for group in tied]
    random.shuffle(shuffled)
    assert components(shuffled) == components(tied)


def test_shares_hold_on_average():
    drawn = [draw(3, f"id{n}") for n in range(20_000)]
    counts = [drawn.count(split) / 200 for split in ("train", "val", "test")]
    assert counts == pytest.approx(SHARES, abs=1)  # three standard deviations of 70 %


PINNED = ["train", "test", "train", "train", "test", "test", "val", "test"]


def test_draws_differ_by_seed_and_are_pinned():
    """A change of the rule would move videos between splits of users' datasets."""
    assert [draw(0, f"id{n:05}") for n in range(8)] == PINNED
    assert [draw(1, f"id{n:05}") for n in range(8)] != PINNED


def test_a_share_of_zero_is_never_drawn():
    assert {draw(0, str(n), (7, 1, 0)) for n in range(500)} == {"train", "val"}
