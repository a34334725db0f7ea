"""Tables read a batch at a time: what a plan is made from can be larger than memory."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline import tables
from pipeline.tables.arrays import Ints, positions

BATCH_ROWS = 5000
"""So many rows are looked at together."""

_DIGEST_BYTES = 16


class TableSource(Protocol):
    """A table that can be read again and again."""

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """These columns of all rows in order, at most :data:`BATCH_ROWS` at a time.

        At least one table, which may be empty.
        """


@dataclass(frozen=True)
class Held:
    """A table that is in memory."""

    table: pa.Table

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """As :meth:`TableSource.batches`."""
        chosen = self.table.select(list(columns))
        for start in range(0, max(1, chosen.num_rows), BATCH_ROWS):
            yield chosen.slice(start, BATCH_ROWS)


@dataclass(frozen=True)
class Stored:
    """A table on disk."""

    path: Path
    name: str
    """Its schema."""

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """As :meth:`TableSource.batches`. Raises UserError as :func:`pipeline.tables.read`."""
        return tables.read_batches(self.path, self.name, columns, BATCH_ROWS)


@dataclass(frozen=True)
class Filtered:
    """Some rows of another source."""

    source: TableSource
    by: tuple[str, ...]
    """Columns that ``keep`` looks at."""
    keep: Callable[[pa.Table], NDArray[np.bool_]]
    """Tells (n,) rows of a batch that stay."""

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """As :meth:`TableSource.batches`."""
        for batch in self.source.batches(list(dict.fromkeys([*columns, *self.by]))):
            yield batch.filter(pa.array(self.keep(batch))).select(list(columns))


def read(source: TableSource, columns: Sequence[str]) -> pa.Table:
    """These columns of all rows; for tables that are small, or whose columns are."""
    return pa.concat_tables(source.batches(columns))


class Places:
    """Where ids stand in a list; 24 bytes an id are held, whatever its length.

    Of an id that stands there twice, either place is found.
    """

    def __init__(self, ids: Iterable[pa.ChunkedArray]) -> None:
        digests = np.frombuffer(bytearray(b"").join(map(_digests, ids)), f"S{_DIGEST_BYTES}")
        self._at = np.argsort(digests)  # (N,)
        self._digests = digests[self._at]

    @classmethod
    def of(cls, source: TableSource, column: str) -> "Places":
        """Places of a source's rows by one of its columns."""
        return cls(batch.column(column) for batch in source.batches([column]))

    def __len__(self) -> int:
        """Number of ids."""
        return len(self._at)

    def find(self, ids: pa.ChunkedArray) -> Ints:
        """Place (n,) of each id; -1 where it is not there."""
        found = positions(self._digests, np.frombuffer(_digests(ids), self._digests.dtype))
        found[found >= 0] = self._at[found[found >= 0]]
        return found


def lookup(source: TableSource, key: str, columns: Sequence[str]) -> tuple[Places, pa.Table]:
    """Places of a source's rows by a column of ids, and other columns, which are held in memory."""
    held: list[pa.Table] = []

    def ids() -> Iterator[pa.ChunkedArray]:
        for batch in source.batches(list(dict.fromkeys([key, *columns]))):
            held.append(batch.select(list(columns)))
            yield batch.column(key)

    places = Places(ids())
    return places, pa.concat_tables(held).combine_chunks()


def _digests(ids: pa.ChunkedArray) -> bytes:
    # As good as never equal for two different ids, so that the ids need not be kept.
    return b"".join(
        hashlib.blake2b(name.encode(), digest_size=_DIGEST_BYTES).digest()
        for name in chain.from_iterable(chunk.to_pylist() for chunk in ids.chunks)
    )
