"""What a run would have to do: the plan held against what the store has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import schemas
from pipeline.engine import partition, store
from pipeline.engine.division import PartitionPlan, divide
from pipeline.engine.partition import Committed
from pipeline.engine.rows import Plan, Task


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
        """The whole partitions in the store, by file name."""
        return store.committed(self.folder, self.tar_folder, self.content_named)

    def sweep(self, keep: Mapping[str, Committed]) -> None:
        """Deletes what belongs to none of these partitions."""
        store.sweep(self.folder, self.tar_folder, keep)


@dataclass(frozen=True)
class Survey:
    """The partitions wanted, those that are there, and what is in between."""

    settings: Mapping[str, object]
    wanted: list[PartitionPlan]
    old: dict[str, Committed]
    todo: list[PartitionPlan]
    """Wanted partitions that are not there as they should be."""
    known: dict[str, tuple[str, int]]
    """Where the record of a fingerprint lies: parquet in the store, and position in it."""

    @property
    def total_rows(self) -> int:
        """Rows of the plan."""
        return sum(part.size for part in self.wanted)

    @property
    def rows_to_do(self) -> int:
        """Rows that need work: neither in a partition that stays nor known from another."""
        return sum(part.size - len(self.matches(part)) for part in self.todo)

    def matches(self, part: PartitionPlan) -> dict[int, tuple[str, int]]:
        """Positions in a partition's plan that need no work, and where their records lie."""
        if not self.known:
            return {}
        marks = part.fingerprints()
        return {at: self.known[mark] for at, mark in enumerate(marks) if mark in self.known}


def survey(task: Task, plan: Plan, where: Store, version: int) -> Survey:
    """Compares a plan with a store. Reads only what has changed."""
    settings = {
        "layout": partition.LAYOUT,
        "version": version,
        "table": where.table,
        **task.settings(),
    }
    contiguous = not where.content_named
    wanted = divide(plan, settings, where.target_rows, contiguous)
    old = where.committed()
    todo = [part for part in wanted if not _is_up_to_date(part, old)]
    # Shards are made of finished pictures: packing one anew is as cheap as copying it.
    known = _known_rows(where.folder, old, todo) if where.content_named and todo else {}
    return Survey(settings, wanted, old, todo, known)


def _is_up_to_date(part: PartitionPlan, old: Mapping[str, Committed]) -> bool:
    facts = old.get(part.file)
    return facts is not None and facts.plan == part.digest and not facts.transient


def _known_rows(
    folder: Path, old: Mapping[str, Committed], todo: Sequence[PartitionPlan]
) -> dict[str, tuple[str, int]]:
    """Where the record of each fingerprint to do lies, if anywhere.

    Rows with a transient reject count as unknown.
    """
    asked = {mark for part in todo for mark in part.fingerprints()}
    known: dict[str, tuple[str, int]] = {}
    for name in old:
        rows = partition.read_rows(folder / name, ["fingerprint", "rejects"]).to_pydict()
        for at, (mark, rejects) in enumerate(
            zip(rows["fingerprint"], rows["rejects"], strict=True)
        ):
            transient = any(reject["reason"] in schemas.TRANSIENT_REASONS for reject in rejects)
            if mark in asked and not transient:
                known.setdefault(mark, (name, at))
    return known
