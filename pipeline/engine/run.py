"""One run of a stage: unchanged rows stay, changed ones are worked, unneeded files deleted."""

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from faceshards.replace import attempt
from pipeline.config.params import EngineParams
from pipeline.engine import disk, kept, partition, store
from pipeline.engine.division import PartitionPlan
from pipeline.engine.machine import platform_string
from pipeline.engine.partition import Committed
from pipeline.engine.progress import Progress, wholesale
from pipeline.engine.rows import Plan, Task
from pipeline.engine.sound import SoundTars
from pipeline.engine.survey import Store, Survey, survey
from pipeline.engine.work import Done, Job
from pipeline.engine.workers import place
from pipeline.errors import UserError


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
        kept=where.kept.absolute() if where.kept else None,
    )
    with disk.explained(where.folder), _damage_explained(), store.locked(where.folder):
        where.sweep(where.committed())
        with _plan_file(where.folder) as plan_file:
            sound = where.sound()
            with plan_file.open("wb") as file:
                found = survey(task, plan, where, version, sound, file)
            if where.kept:
                kept.take_back(where.kept, where.folder, found.kept, sound)
            sound.save()
            platform = platform_string()
            _report_platforms(name, found.old, platform)
            jobs = _Jobs(task, where, found, plan_file, platform)
            most = math.inf if where.all_may_fail else engine.max_reject_fraction
            with Progress(name, found.total_rows, found.rows_to_do, most) as progress:
                report = _noting(sound, progress.update)
                place(name, jobs, where.isolate, engine, report)
        there = where.committed()
        for damaged in sound.damaged(where.tar_folder, there):
            del there[damaged]
        wanted = {part.file: _accept(part, there, where.folder) for part in found.wanted}
        if where.kept:
            used = {facts.tar for facts in wanted.values()} - {""}
            # Another version may give the same bytes, and so a tar of the same name: it stays here.
            gone = {
                file: facts
                for file, facts in there.items()
                if file not in wanted and facts.tar not in used
            }
            kept.shelve(where.kept, where.folder, gone, engine.keep_gb * 1e9, sound)
        sound.save()
        where.sweep(wanted)
        whole = [Whole(where.folder / file, facts) for file, facts in wanted.items()]
        if not where.all_may_fail:
            _check_some_use(name, whole)
        yield whole


def _noting(sound: SoundTars, update: Callable[[Done], None]) -> Callable[[Done], None]:
    """Takes note of each tar as it is committed, and passes on what became of the partition."""

    def report(done: Done) -> None:
        if done.tar:
            sound.committed(*done.tar)
        update(done)

    return report


@contextmanager
def _damage_explained() -> Iterator[None]:
    """A partition that was whole when the run began and is damaged now is one sentence."""
    try:
        yield
    except partition.DamagedError as error:
        raise UserError(
            f"{error}, and was not when this run began. Look at the disk; the next `dvc repro` "
            "works its rows anew."
        ) from error


@contextmanager
def _plan_file(folder: Path) -> Iterator[Path]:
    """Where a plan's rows lie while they are worked."""
    path = folder / f".tmp-plan-{attempt()}.jsonl"
    try:
        yield path
    finally:
        with suppress(OSError):  # what else went wrong is what counts
            path.unlink(missing_ok=True)


class _Jobs(Sequence[Job]):
    """The partitions to be made; each is looked up when its turn comes, and not kept."""

    def __init__(
        self, task: Task, where: Store, found: Survey, plan_file: Path, platform: str
    ) -> None:
        self._found = found
        self._common: dict[str, Any] = {
            "task": task,
            "table": where.table,
            "store": where.folder,
            "tars": where.tar_folder,
            "content_named": where.content_named,
            "plan_file": plan_file,
            "run": attempt(),
            "platform": platform,
        }

    def __len__(self) -> int:
        return len(self._found.todo)

    def __getitem__(self, place: int) -> Job:  # type: ignore[override]  # slices nobody needs
        part = self._found.todo[place]
        return Job(
            **self._common,
            offsets=self._found.offsets[part.rows],
            name=part.name,
            file=part.file,
            digest=part.digest,
            known=self._found.matches(part),
        )


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


def _report_platforms(name: str, old: Mapping[str, Committed], platform: str) -> None:
    others = {facts.platform for facts in old.values()} - {platform}
    if others:
        sys.stderr.write(
            f"{name}: parts of this store were made on another platform; their bytes are kept. "
            f"Now: {platform}. Before: {'; '.join(sorted(others))}.\n"
        )
