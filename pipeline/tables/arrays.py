"""Small functions of arrays that several rooms need."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def counting(counts: Ints) -> Ints:
    """0, 1, 2 … up to each count, one run after the other: [2, 0, 3] gives 0 1 0 1 2.

    Args:
        counts: int64 (n,), each 0 or more.
    """
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def ranges(starts: Ints, counts: Ints) -> Ints:
    """The numbers from each start on, as many as its count says, one range after the other.

    Args:
        starts: int64 (n,).
        counts: int64 (n,), each 0 or more.

    Returns:
        int64 (sum of counts,).
    """
    return np.repeat(starts, counts) + counting(counts)


def place_in_run(*columns: NDArray[np.integer]) -> Ints:
    """0, 1, 2 … within each run of rows that are equal in all columns; equal rows are adjacent."""
    rows = len(columns[0])
    if not rows:
        return np.zeros(0, np.int64)
    new = np.zeros(rows - 1, bool)
    for values in columns:
        new |= values[1:] != values[:-1]
    first = np.flatnonzero(np.r_[True, new])
    return counting(np.diff(np.r_[first, rows]))


def positions(among: NDArray[Any], wanted: NDArray[Any]) -> Ints:
    """Position (n,) of wanted values (n,) in an ascending array; -1 where one is not in it."""
    if not len(among):
        return np.full(len(wanted), -1)
    near = np.minimum(np.searchsorted(among, wanted), len(among) - 1)
    return np.where(among[near] == wanted, near, -1)


def flat(values: pa.ChunkedArray) -> pa.Array:
    """A column as one array."""
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
