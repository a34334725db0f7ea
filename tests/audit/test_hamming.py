import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audit import hamming
from pipeline.audit.hamming import near_pairs


def brute_force(hashes, max_bits):
    """Every pair compared, digit by digit."""
    rows = range(len(hashes))
    return {(i, j) for i in rows for j in rows if i < j and _bits(hashes[i], hashes[j]) <= max_bits}


def _bits(one, other):
    return bin(one ^ other).count("1")


def found(hashes, max_bits):
    pairs = [
        tuple(sorted(pair))
        for one, other in near_pairs(np.array(hashes, np.uint64), max_bits)
        for pair in zip(one.tolist(), other.tolist(), strict=True)
    ]
    assert len(pairs) == len(set(pairs)), "a pair was found twice"
    return set(pairs)


@st.composite
def similar(draw):
    """Hashes of which many are a few bits from another one."""
    hashes = [draw(st.integers(0, 2**64 - 1))]
    for _ in range(draw(st.integers(0, 25))):
        flips = draw(st.lists(st.integers(0, 63), max_size=9))
        near = hashes[draw(st.integers(0, len(hashes) - 1))]
        for bit in flips:
            near ^= 1 << bit
        hashes.append(near)
    return hashes


@settings(deadline=None)
@given(hashes=similar(), max_bits=st.integers(0, hamming.MAX_BITS))
def test_what_brute_force_finds(hashes, max_bits):
    assert found(hashes, max_bits) == brute_force(hashes, max_bits)


@settings(deadline=None, max_examples=30)
@given(hashes=similar())
def test_small_chunks_change_nothing(hashes):
    whole, chunk = found(hashes, 4), hamming.CHUNK
    try:
        hamming.CHUNK = 3
        assert found(hashes, 4) == whole
    finally:
        hamming.CHUNK = chunk


def test_no_rows():
    assert found([], 4) == set()


@pytest.mark.parametrize("max_bits", [-1, hamming.MAX_BITS + 1])
def test_impossible_distances_are_refused(max_bits):
    with pytest.raises(ValueError, match="bits"):
        list(near_pairs(np.zeros(2, np.uint64), max_bits))
