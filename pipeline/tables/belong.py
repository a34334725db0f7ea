"""Whether the tables of two stages belong together: every id that one names, the other has."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.tables.arrays import Ints
from pipeline.tables.sources import Places


def places(known: Places, ids: pa.ChunkedArray, table: str) -> Ints:
    """Where each id (n,) is in a table. Raises UserError where one is not."""
    at = known.find(ids)
    check_found(at, ids, table)
    return at


def check_found(at: NDArray[np.integer], ids: pa.ChunkedArray, table: str) -> None:
    """Raises UserError, naming the first id, where one was not found in a table.

    Args:
        at: (n,), where each id is; below 0 where it is not there.
        ids: (n,), of another table.
        table: the table that was looked in.
    """
    if (at < 0).any():
        raise mismatch(ids[int((at < 0).argmax())].as_py(), table)


def mismatch(missing: str, table: str) -> UserError:
    """What to say of an id that another table names and this one lacks."""
    return UserError(
        f"manifests/{table}.parquet lacks {missing}, which another table names: they stem from "
        "different runs. Run `dvc repro` to make them anew."
    )
