import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tables import arrays

COUNTS = st.lists(st.tuples(st.integers(-5, 50), st.integers(0, 6)), max_size=20)


@given(COUNTS)
def test_ranges_are_python_ranges_one_after_the_other(rows):
    starts, counts = (np.array([row[i] for row in rows], np.int64) for i in range(2))
    expected = [n for start, count in rows for n in range(start, start + count)]
    assert arrays.ranges(starts, counts).tolist() == expected
    assert arrays.counting(counts).tolist() == [n for _, count in rows for n in range(count)]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=30).map(sorted))
def test_place_in_run_counts_equal_neighbours(rows):
    expected = [rows[:at].count(row) for at, row in enumerate(rows)]
    columns = [np.array([row[i] for row in rows], np.int64) for i in range(2)]
    assert arrays.place_in_run(*columns).tolist() == expected


@given(st.sets(st.integers(0, 20)), st.lists(st.integers(0, 20), max_size=20))
def test_positions_are_where_values_stand(among, wanted):
    among = sorted(among)
    found = arrays.positions(np.array(among, np.int64), np.array(wanted, np.int64))
    assert found.tolist() == [among.index(w) if w in among else -1 for w in wanted]


def test_flat_takes_columns_of_any_number_of_chunks():
    assert arrays.flat(pa.chunked_array([], pa.int64())).to_pylist() == []
    assert arrays.flat(pa.chunked_array([[1], [2, 3]])).to_pylist() == [1, 2, 3]
