import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.selection import seeded
from pipeline.selection.seeded import seeded_order

names_ = st.lists(st.text(max_size=20), unique=True, max_size=30)
MASK = (1 << 64) - 1


def mixed(state):
    """splitmix64 in whole numbers."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def hashed(name, seed):
    data = name.encode()
    state = mixed(len(data) ^ seeded.keys.hash64(str(seed)))
    for at in range(0, len(data), 8):
        state = mixed(state ^ int.from_bytes(data[at : at + 8], "little"))
    return state


def test_splitmix_is_the_published_one():
    state = np.array([1234567], np.uint64)
    # The first number that java.util.SplittableRandom's generator gives from this state.
    assert seeded._mixed(state).tolist() == [6457827717110365317]


@given(names_, st.integers(0, 3))
def test_the_order_is_that_of_a_plain_hash(names, seed):
    order = seeded_order(pa.chunked_array([pa.array(names, pa.string())]), seed)
    assert order.tolist() == sorted(range(len(names)), key=lambda i: hashed(names[i], seed))


@given(names_, st.text(max_size=60))
def test_a_further_name_moves_no_other(names, further):
    several = pa.chunked_array([pa.array([n], pa.string()) for n in names], pa.string())
    before = [names[i] for i in seeded_order(several, 0)]
    if further not in names:
        more = [further, *names]
        after = [more[i] for i in seeded_order(pa.chunked_array([more], pa.string()), 0)]
        assert [name for name in after if name != further] == before


def test_names_that_count_up_are_mixed():
    names = pa.chunked_array([[f"d/fake/{n:06d}" for n in range(20_000)]])
    order = seeded_order(names, 0)
    assert abs(np.corrcoef(order, np.arange(20_000))[0, 1]) < 0.03
    assert abs(np.corrcoef(order, seeded_order(names, 1))[0, 1]) < 0.03
