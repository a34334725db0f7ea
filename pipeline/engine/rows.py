"""The types that pass between the engine and the work of a stage: plans, rows, outputs, rejects."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from pipeline.tables.sources import Held

Inputs = Mapping[str, Any]
"""The plan row as work sees it: its content and location columns, never its id."""


@dataclass(frozen=True)
class Member:
    """One stored file that belongs to an output row.

    ``column`` is the prefix of its location columns ("" gives ``offset`` and ``size``, "mask_"
    gives ``mask_offset`` and ``mask_size``); ``extension`` ends its tar name ("png", "mask.png").
    """

    column: str
    extension: str
    data: bytes


@dataclass(frozen=True)
class Output:
    """One output row: its columns without ids and locations, which the engine adds."""

    fields: dict[str, Any]
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class UnitReject:
    """One unit (say, a planned frame) that gave nothing; ``unit`` is appended to the row's id."""

    unit: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class RowResult:
    """What work on one row gave. ``done`` + ``left_out`` + rejects = the row's units."""

    outputs: Sequence[Output]
    done: int
    left_out: int = 0
    rejects: Sequence[UnitReject] = field(default_factory=tuple)
    counts: Mapping[str, int] = field(default_factory=dict)
    """Further figures by name, which the stage's metrics sum over all rows."""


class Task(Protocol):
    """The work of one stage. Picklable: holds parameters only until :meth:`open` is called."""

    def settings(self) -> Mapping[str, Any]:
        """Everything besides a row's content that decides its output, JSON-serialisable.

        Parameters, digests of weights, provider. Part of every row's fingerprint.
        """

    def open(self) -> None:
        """Loads models; called once, before the first row. Each thread has a task of its own."""

    def units(self, inputs: Inputs) -> Sequence[str]:
        """The row's units as suffixes to its id: ``("",)`` where the row is the unit.

        All of them are rejected when the row crashes, times out or raises ``Reject``.
        """

    def work(self, inputs: Inputs) -> RowResult:
        """Does the work. Raises :class:`pipeline.errors.Reject` for unusable input.

        Any other exception is a bug and stops the run.
        """

    def identify(self, row_id: str, fields: Mapping[str, Any]) -> dict[str, str]:
        """Id columns of one output row, from the plan row's id and the output's own columns.

        The first entry is the row's primary id; tar members are named after it.
        """


@dataclass(frozen=True)
class Plan:
    """What there is to do: one row per unit of heavy work, and what each column is for."""

    batches: Callable[[], Iterable[pa.Table]]
    """Gives the rows, some thousands at a time, as Python objects of so many are in memory at once.
    Each call gives the same."""
    schema: pa.Schema
    """Names and types of its columns, the same for all batches and where there is no row at all."""
    id: str
    """Column that names the row; unique."""
    bucket_by: str
    """Column whose hash picks the partition (a video id)."""
    content: tuple[str, ...]
    """Columns that decide the output: work sees them, the fingerprint covers them."""
    location: tuple[str, ...] = ()
    """Columns that say where the inputs lie: work sees them, the fingerprint does not."""
    attach: tuple[str, ...] = ()
    """Columns copied to every output of the row; work does not see them."""
    group_by: str = ""
    """Column that keeps rows of different values in different partitions ("" = none)."""
    order_by: str = ""
    """Column that orders the rows of a partition ("" = by id)."""

    @property
    def table(self) -> pa.Table:
        """All rows at once, for plans known to be small."""
        return pa.concat_tables([self.schema.empty_table(), *self.tables()])

    def tables(self) -> Iterator[pa.Table]:
        """The batches, each with the stated columns and types.

        Raises KeyError or an Arrow error where a batch does not have them: that is a bug.
        """
        for batch in self.batches():
            yield batch.select(self.schema.names).cast(self.schema)


def in_batches(table: pa.Table) -> Callable[[], Iterable[pa.Table]]:
    """The batches of a plan that is in memory already."""
    return lambda: Held(table).batches(table.column_names)
