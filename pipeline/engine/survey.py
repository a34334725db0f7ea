"""What a run would have to do: the plan held against what the store has."""

import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.engine import kept, partition, plan_file, store
from pipeline.engine.division import PartitionPlan, divide
from pipeline.engine.partition import Committed
from pipeline.engine.plan_file import MARK, Marks
from pipeline.engine.rows import Plan, Task
from pipeline.engine.sound import SoundTars, lost_rows
from pipeline.tables import schemas
from pipeline.tables.arrays import Ints, positions


@dataclass(frozen=True)
class Store:
    """Where a stage's partitions lie and how they are cut."""

    folder: Path
    table: str
    """Schema of the output rows."""
    target_rows: int
    """Plan rows per partition, about. Decides the order of the table, so it is no parameter."""
    tars: Path | None = None
    """Folder of tars with contiguous plain names; None = in ``folder``, named by content."""
    kept: Path | None = None
    """Where partitions of earlier plans go (see :mod:`pipeline.engine.kept`); None = nowhere."""
    all_may_fail: bool = False
    """Rows are what somebody asked about, each for itself: that all are rejected tells of no common
    mistake and stops nothing."""
    isolate: bool = True
    """Rows open foreign media or run native models: each worker runs them in a child process."""

    @property
    def tar_folder(self) -> Path:
        """Where tars lie."""
        return self.tars or self.folder

    @property
    def content_named(self) -> bool:
        """Whether a tar's name ends with its own digest, so that it is never replaced."""
        return self.tars is None

    def committed(self) -> dict[str, Committed]:
        """The partitions in the store by file name; their tars are there, whole or not."""
        return store.committed(self.folder, self.tar_folder)

    def sound(self) -> SoundTars:
        """What is known of its tars, as the last run left it."""
        return SoundTars.of(self.folder)

    def sweep(self, keep: Mapping[str, Committed]) -> None:
        """Deletes what belongs to none of these partitions."""
        store.sweep(self.folder, self.tar_folder, keep)


@dataclass(frozen=True)
class _Known:
    """Where the records of fingerprints lie, of those that were asked for."""

    fingerprints: Marks
    """Distinct, sorted (n,)."""
    file: NDArray[np.int32]
    """Place (n,) of the parquet in ``files``; -1 where there is no record."""
    row: Ints
    """Position (n,) in it."""
    files: Sequence[str]

    def find(self, asked: Marks) -> Ints:
        """Place (m,) of each fingerprint that has a record; -1 for the others."""
        at = positions(self.fingerprints, asked)
        there = np.flatnonzero(at >= 0)
        at[there[self.file[at[there]] < 0]] = -1
        return at


@dataclass(frozen=True)
class Survey:
    """The partitions wanted, those that are there, and what is in between."""

    ids: NDArray[np.uint64]
    """Hash (N,) of each row's id."""
    buckets: NDArray[np.uint64]
    """Hash (N,) of what picks each row's partition: the id of its video."""
    fingerprints: Marks
    """(N,)"""
    offsets: Ints
    """First byte (N,) of each row's line in the plan file."""
    wanted: list[PartitionPlan]
    old: dict[str, Committed]
    todo: list[PartitionPlan]
    """Wanted partitions that are not there as they should be."""
    known: _Known
    kept: dict[str, Committed]
    """Wanted partitions that an earlier plan left; they need to be moved back only."""

    @property
    def total_rows(self) -> int:
        """Rows of the plan."""
        return len(self.ids)

    @property
    def rows_to_do(self) -> int:
        """Rows that need work: neither in a partition that stays nor known from another."""
        return int(self.to_do.sum())

    @property
    def to_do(self) -> NDArray[np.bool_]:
        """Whether a row needs work (N,)."""
        found = np.zeros(len(self.ids), np.bool_)
        for part in self.todo:
            found[part.rows] = self._found(part) < 0
        return found

    def matches(self, part: PartitionPlan) -> dict[int, tuple[str, int]]:
        """Rows of a partition that need no work, by place, and where their records lie."""
        found = self._found(part)
        return {
            place: (self.known.files[self.known.file[at]], int(self.known.row[at]))
            for place, at in enumerate(found.tolist())
            if at >= 0
        }

    def _found(self, part: PartitionPlan) -> Ints:
        return self.known.find(self.fingerprints[part.rows])


def survey(
    task: Task,
    plan: Plan,
    where: Store,
    version: int,
    sound: SoundTars,
    file: BinaryIO | None = None,
) -> Survey:
    """Compares a plan with a store. Reads only what has changed.

    ``file`` gets the plan's rows for the workers; None = nobody will work them.
    """
    settings = {
        "layout": partition.LAYOUT,
        "version": version,
        "table": where.table,
        **task.settings(),
    }
    rows = plan_file.digest(plan, settings, file)
    wanted = divide(rows, where.target_rows, contiguous=not where.content_named)
    old = where.committed()
    damaged = sound.damaged(where.tar_folder, old)
    if damaged and not where.content_named:
        sys.stderr.write(
            f"{where.tar_folder}: {len(damaged)} of {len(old)} tars are not as they were written: "
            "they are packed anew.\n"
        )
    todo = [part for part in wanted if part.file in damaged or not _is_up_to_date(part, old)]
    back = kept.find(where.kept, todo, sound) if where.kept and where.kept.is_dir() else {}
    todo = [part for part in todo if part.file not in back]
    # Shards are made of finished pictures: packing one anew is as cheap as copying it.
    copied = todo if where.content_named else []
    asked = [rows.fingerprints[part.rows] for part in copied]
    known = _known_rows(where, old, damaged, np.concatenate([np.empty(0, MARK), *asked]))
    return Survey(
        rows.ids, rows.bucket, rows.fingerprints, rows.offsets, wanted, old, todo, known, back
    )


def _is_up_to_date(part: PartitionPlan, old: Mapping[str, Committed]) -> bool:
    facts = old.get(part.file)
    return facts is not None and facts.plan == part.digest and not facts.transient


def _known_rows(
    where: Store, old: Mapping[str, Committed], damaged: Set[str], asked: Marks
) -> _Known:
    """Where the record of each fingerprint that is asked for lies, if anywhere.

    Rows with a transient reject count as unknown, and so do those that are to be tried again and
    those that a damaged tar has lost.
    """
    asked = np.unique(asked)
    files = list(old) if len(asked) else []
    known = _Known(asked, np.full(len(asked), -1, np.int32), np.zeros(len(asked), np.int64), files)
    for number, name in enumerate(files):
        if old[name].layout < partition.LAYOUT:
            continue
        rows = partition.read_rows(where.folder / name, ["fingerprint", "rejects"]).to_pydict()
        lost = lost_rows(where.folder, name, where.table, old[name]) if name in damaged else set()
        usable = [
            row
            for row, (mark, rejects) in enumerate(
                zip(rows["fingerprint"], rows["rejects"], strict=True)
            )
            if mark and row not in lost and not _is_transient(rejects)
        ]
        marks = np.array([bytes.fromhex(rows["fingerprint"][row]) for row in usable], MARK)
        at = positions(asked, marks)
        new = np.flatnonzero(at >= 0)
        new = new[known.file[at[new]] < 0]
        known.file[at[new]] = number
        known.row[at[new]] = np.array(usable, np.int64)[new]
    return known


def _is_transient(rejects: Iterable[Mapping[str, Any]]) -> bool:
    return any(reject["reason"] in schemas.TRANSIENT_REASONS for reject in rejects)
