"""The incremental loop: what is whole stays, what changed is worked, what is orphaned goes."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from pipeline import keys
from pipeline.engine import disk, partition, store
from pipeline.engine.division import PLAN_COLUMNS, PartitionPlan
from pipeline.engine.machine import platform_string
from pipeline.engine.partition import Committed
from pipeline.engine.progress import Progress, wholesale
from pipeline.engine.rows import Plan, Task
from pipeline.engine.survey import Store, Survey, survey
from pipeline.engine.work import Job
from pipeline.engine.workers import place
from pipeline.errors import UserError
from pipeline.params import EngineParams


@dataclass(frozen=True)
class Whole:
    """One partition as it stands after a run."""

    path: Path
    facts: Committed


def run(
    name: str, task: Task, plan: Plan, where: Store, engine: EngineParams, version: int
) -> list[Whole]:
    """Brings a store up to date with a plan and returns its partitions in order.

    Args:
        name: stage name, for messages, progress and logs.
        task: the work; its settings and ``version`` are part of every row's fingerprint.
        plan: the rows that are to exist.
        where: the store.
        engine: where work runs, deadline, limits; never changes a byte.
        version: the stage's number in ``versions.yaml``.

    Raises:
        UserError: another run holds the store, too much is rejected, the disk is full, a cluster
            does not fit or went away.
    """
    with brought_up_to_date(name, task, plan, where, engine, version) as whole:
        return whole


@contextmanager
def brought_up_to_date(
    name: str, task: Task, plan: Plan, where: Store, engine: EngineParams, version: int
) -> Iterator[list[Whole]]:
    """Like :func:`run`, and nobody else may write the store until the block ends.

    For what is made of the partitions: a table merged while another run changes them is of neither.
    """
    # Workers elsewhere reach the store by the same absolute path.
    where = replace(
        where,
        folder=where.folder.absolute(),
        tars=where.tars.absolute() if where.tars else None,
    )
    with disk.explained(where.folder), store.locked(where.folder):
        where.sweep(where.committed())
        found = survey(task, plan, where, version)
        platform = platform_string()
        _report_platforms(name, found.old, platform)
        jobs = _jobs(task, where, found, platform)
        progress = Progress(name, found.total_rows, found.rows_to_do, engine.max_reject_fraction)
        for done in place(name, jobs, where.isolate, engine):
            progress.update(done)
        progress.close()
        there = where.committed()
        wanted = {part.file: _accept(part, there, where.folder) for part in found.wanted}
        where.sweep(wanted)
        whole = [Whole(where.folder / file, facts) for file, facts in wanted.items()]
        _check_some_use(name, whole)
        yield whole


def _jobs(task: Task, where: Store, found: Survey, platform: str) -> list[Job]:
    plan_file = _write_plan(where.folder, found.todo)
    this_run = keys.attempt()
    return [
        Job(
            task=task,
            table=where.table,
            store=where.folder,
            tars=where.tar_folder,
            content_named=where.content_named,
            plan_file=plan_file,
            batch=batch,
            name=part.name,
            file=part.file,
            digest=part.digest,
            run=this_run,
            platform=platform,
            known=found.matches(part),
        )
        for batch, part in enumerate(found.todo)
    ]


def _accept(part: PartitionPlan, there: Mapping[str, Committed], folder: Path) -> Committed:
    """The partition, if it is the one the plan asked for."""
    facts = there.get(part.file)
    if facts is None or facts.plan != part.digest:
        raise UserError(
            f"partition {part.name} of {folder} changed or vanished during the run. "
            "Nothing else may write there; run `dvc repro` again."
        )
    return facts


def _check_some_use(name: str, whole: Sequence[Whole]) -> None:
    """Raises UserError where every row is rejected, also where an earlier run found that out."""
    reasons: Counter[str] = Counter()
    rows = 0
    for part in whole:
        read = partition.read_rows(part.path, ["done", "rejects"]).to_pydict()
        for done, rejects in zip(read["done"], read["rejects"], strict=True):
            if done or not rejects:
                return
            reasons.update(reject["reason"] for reject in rejects)
        rows += len(read["done"])
    if rows:
        raise wholesale(name, rows, rows, reasons)


def _write_plan(folder: Path, todo: Sequence[PartitionPlan]) -> Path:
    """The rows to be worked, one record batch per partition, where every worker can map them."""
    path = folder / f".tmp-plan-{keys.attempt()}.arrow"
    if todo:
        columns = pa.schema([(name, pa.string()) for name in PLAN_COLUMNS])
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, columns) as writer:
            for part in todo:
                writer.write_batch(part.to_work())
    return path


def _report_platforms(name: str, old: Mapping[str, Committed], platform: str) -> None:
    others = {facts.platform for facts in old.values()} - {platform}
    if others:
        sys.stderr.write(
            f"{name}: parts of this store were made on another platform; their bytes are kept. "
            f"Now: {platform}. Before: {'; '.join(sorted(others))}.\n"
        )
