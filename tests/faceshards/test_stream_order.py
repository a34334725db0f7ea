"""Equal parts of every pass, whatever the tars are."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceshards.stream_order import blocks, mixture, share

COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=9)


@given(st.integers(0, 1000), st.integers(1, 20))
def test_parts_differ_by_one_at_most_and_the_first_are_the_larger(n: int, readers: int) -> None:
    parts = [share(n, reader, readers) for reader in range(readers)]
    assert [i for part in parts for i in part] == list(range(n))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


@given(COUNTS, st.integers(1, 6), st.integers(1, 4), st.sampled_from([None, "a", "b"]))
def test_readers_have_every_sample_once_in_equal_parts(counts, readers, together, key) -> None:
    starts = np.cumsum([0, *counts])
    tars = range(len(counts))
    found = [list(blocks(starts, tars, r, readers, together, key)) for r in range(readers)]
    places = [[p for block in of_reader for p in block.places.tolist()] for of_reader in found]
    assert sorted(p for of_reader in places for p in of_reader) == list(range(sum(counts)))
    assert [len(p) for p in places] == [len(share(sum(counts), r, readers)) for r in range(readers)]
    for block in (block for of_reader in found for block in of_reader):
        assert 1 <= len(block.tars) <= together
        of_tar = np.searchsorted(starts, block.places, side="right") - 1
        assert set(of_tar.tolist()) == set(block.tars)
    if key is None:
        assert [p for of_reader in places for p in of_reader] == list(range(sum(counts)))


def test_some_tars_alone_are_passed_over_in_an_order_of_the_key() -> None:
    starts = np.arange(0, 110, 10)
    orders = {
        key: [p for b in blocks(starts, range(2, 8), 0, 1, 2, key) for p in b.places.tolist()]
        for key in ("a", "b")
    }
    assert sorted(orders["a"]) == sorted(orders["b"]) == list(range(20, 80))
    assert orders["a"] != orders["b"] != sorted(orders["b"])
    again = [p for b in blocks(starts, range(2, 8), 0, 1, 2, "a") for p in b.places.tolist()]
    assert again == orders["a"]


def test_mixtures_have_the_shares_that_are_stated() -> None:
    n = 20_000
    drawn = mixture("key", (3, 0, 1), n)
    count = Counter(drawn.tolist())
    assert set(count) == {0, 2}
    assert count[0] / n == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / n) ** 0.5)
    assert (mixture("key", (3, 0, 1), n) == drawn).all()
    assert (mixture("other", (3, 0, 1), n) != drawn).any()
    assert set(mixture("key", (1, 0), 1000).tolist()) == {0}
