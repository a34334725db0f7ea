"""Working one partition: known rows are copied, the others done, then all is committed."""

import errno
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from faceshards import keys, tar
from faceshards.replace import attempt, replace_durably
from pipeline.engine import disk, partition, plan_file, process
from pipeline.engine.plan_file import PlanRow
from pipeline.engine.rows import Output, RowResult, Task, UnitReject
from pipeline.engine.sound import member_columns, members
from pipeline.errors import Reject
from pipeline.tables import schemas
from pipeline.tables.arrays import Ints

Record = dict[str, Any]
"""One row of a partition as in :func:`pipeline.engine.partition.schema`."""


class WorkError(Exception):
    """A bug in the work of a row. Where it happened in a child, the text is the traceback."""


class StoppedError(Exception):
    """A row was not worked, because the run is over."""


class Performer(Protocol):
    """Something that works one row: this process, or a child that it owns."""

    def perform(self, row: PlanRow, tar_path: Path | None) -> Record:
        """Does the row's work; its members are appended to the tar. Bugs are raised."""

    def stop(self) -> None:
        """Called by any thread: the row at work ends if it can, and no other begins.

        From then on :meth:`perform` raises StoppedError.
        """


@dataclass(frozen=True)
class Job:
    """One partition to be made. Small: its rows lie in a file."""

    task: Task
    table: str
    store: Path
    tars: Path
    content_named: bool
    plan_file: Path
    offsets: Ints
    """First byte (n,) of each of its rows there."""
    name: str
    file: str
    digest: str
    run: str
    """The run it belongs to: jobs of one can share a process, which holds their task."""
    platform: str
    known: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    """Rows that need no work: place in ``offsets`` → parquet in the store and position in it."""


@dataclass(frozen=True)
class Done:
    """What became of a partition, in few words."""

    name: str
    rows: int
    copied: int
    """Rows that needed no work."""
    empty_rows: int
    """Worked rows all of whose units were rejected."""
    rejects: Mapping[str, int]
    """Rejected units of worked rows by reason."""
    tar: tuple[Path, os.stat_result, str] | None
    """Its tar, as it lay there when it was committed, and its SHA-256; None where it has none."""


def run_job(job: Job, performer: Performer) -> Done:
    """Makes and commits one partition."""
    rows = plan_file.read(job.plan_file, job.offsets)
    records: list[Record] = []
    worked: list[Record] = []
    final = job.store / job.file
    final.parent.mkdir(parents=True, exist_ok=True)
    stores_members = bool(member_columns(job.table))
    work_tar = final.with_name(f".tmp-{final.name}-{attempt()}.tar") if stores_members else None
    if work_tar and not job.content_named:
        work_tar = _beside(job.tars / f"{job.name}.tar", work_tar.name)
    try:
        if work_tar:
            work_tar.touch()
        known = _known_records(job)
        for at in sorted(range(len(rows)), key=lambda at: (rows[at].order, rows[at].id)):
            row = rows[at]
            record = _copy(job, row, known[at], work_tar) if at in known else None
            if record is None:
                record = performer.perform(row, work_tar)
                worked.append(record)
            records.append(record)
        facts = _commit_tar(job, work_tar, records)
        stat = (job.tars / facts.tar).stat() if facts.tar else None
        partition.write(final, job.table, records, facts)
    finally:
        if work_tar:
            work_tar.unlink(missing_ok=True)
    reasons = Counter(reject["reason"] for record in worked for reject in record["rejects"])
    empty = sum(1 for record in worked if not record["done"] and record["rejects"])
    stored = (job.tars / facts.tar, stat, facts.tar_sha256) if stat else None
    return Done(job.name, len(records), len(records) - len(worked), empty, dict(reasons), stored)


def perform_row(task: Task, table: str, row: PlanRow, tar_file: BinaryIO | None) -> Record:
    """Works one row in this process and appends its members to the tar.

    Raises whatever work raises besides ``Reject``: that is a bug.
    """
    units = task.units(row.inputs)
    try:
        with _own_errors():
            result = task.work(row.inputs)
    except Reject as reject:
        return rejected_row(row, units, reject.reason, reject.detail)
    except MemoryError as error:  # asked for at once, so that nobody could see it grow
        return rejected_row(row, units, "out_of_memory", str(error))
    _check_units(row, units, result)
    outputs = [_output(task, table, row, output, tar_file) for output in result.outputs]
    return _record(row, result, outputs)


def opened(task: Task) -> None:
    """Loads what the task needs, in this process, which works in one thread from then on."""
    with _own_errors():
        task.open()
    process.pin_threads()


@contextmanager
def _own_errors() -> Iterator[None]:
    """An OSError of the task's own is a bug; further up it would be taken for the store's.

    A full disk is no bug, wherever it shows.
    """
    try:
        yield
    except OSError as error:
        if disk.is_trouble(error):
            raise
        raise WorkError(f"{type(error).__name__}: {error}") from error


def rejected_row(row: PlanRow, units: Any, reason: str, detail: str) -> Record:
    """The record of a row all of whose units are rejected."""
    rejects = [UnitReject(unit, reason, detail) for unit in units]
    return _record(row, RowResult([], 0, rejects=rejects), [])


def _record(row: PlanRow, result: RowResult, outputs: list[Record]) -> Record:
    return {
        "id": row.id,
        "fingerprint": row.fingerprint,
        "done": result.done,
        "left_out": result.left_out,
        "outputs": outputs,
        "rejects": [asdict(reject) for reject in result.rejects],
        "counts": [{"name": name, "count": n} for name, n in sorted(result.counts.items())],
    }


def _check_units(row: PlanRow, units: Any, result: RowResult) -> None:
    found = result.done + result.left_out + len(result.rejects)
    if found != len(units):
        raise ValueError(
            f"{row.id}: {len(units)} units, but {result.done} done + {result.left_out} left out "
            f"+ {len(result.rejects)} rejected"
        )
    for reject in result.rejects:
        if reject.reason not in schemas.REJECT_REASONS:
            raise ValueError(f"{row.id}: {reject.reason!r} is no known reason of rejection")


def _output(
    task: Task, table: str, row: PlanRow, output: Output, tar_file: BinaryIO | None
) -> Record:
    ids = task.identify(row.id, output.fields)
    record: Record = {**output.fields, **ids, **row.attach}
    columns = {column.name for column in schemas.TABLES[table]}
    if output.members and tar_file:
        stem = keys.encode_id(next(iter(ids.values())))
        start = None
        for member in output.members:
            at, size = tar.append(tar_file, f"{stem}.{member.extension}", member.data)
            record[f"{member.column}offset"], record[f"{member.column}size"] = at, size
            start = at - tar.BLOCK if start is None else start
            if f"{member.column}digest" in columns:
                record[f"{member.column}digest"] = keys.digest128(member.data)
        if "offset" not in record and "offset" in columns and start is not None:
            record["offset"], record["size"] = start, at + tar.stored_size(size) - tar.BLOCK - start
        record["tar"] = ""  # known when the tar is whole
    return record


def _known_records(job: Job) -> dict[int, tuple[Path, Record]]:
    """Records of the rows that need no work, with the tar their members lie in."""
    wanted: dict[str, list[tuple[int, int]]] = {}
    for at, (name, position) in job.known.items():
        wanted.setdefault(name, []).append((at, position))
    found: dict[int, tuple[Path, Record]] = {}
    for name, places in wanted.items():
        path = job.store / name
        try:
            content = partition.read_rows(path)  # with its facts: another run may replace both
        except partition.DamagedError:
            continue  # since the run began; its rows are worked
        facts = partition.facts_of(content.schema)
        if facts is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        records = content.take([position for _, position in places]).to_pylist()
        for (at, _), record in zip(places, records, strict=True):
            found[at] = (job.tars / facts.tar, record)
    return found


def _copy(
    job: Job, row: PlanRow, known: tuple[Path, Record], work_tar: Path | None
) -> Record | None:
    """The record of a known row under its present id; its members are copied as they are.

    None where the old tar is damaged: the row is to be worked, lest the damage get a new name.
    """
    old_tar, record = known
    try:
        stored = [members(old_tar, job.table, old) if work_tar else [] for old in record["outputs"]]
    except ValueError:
        return None
    outputs = []
    for old, found in zip(record["outputs"], stored, strict=True):
        ids = job.task.identify(row.id, old)
        output = {**old, **ids, **row.attach}
        if work_tar:
            stem = keys.encode_id(next(iter(ids.values())))
            with work_tar.open("r+b") as file:
                for member in found:
                    place, _ = tar.append(file, f"{stem}.{member.extension}", member.data)
                    output[f"{member.column}offset"] = place
        outputs.append(output)
    return {**record, "id": row.id, "fingerprint": row.fingerprint, "outputs": outputs}


def _commit_tar(job: Job, work_tar: Path | None, records: list[Record]) -> partition.Committed:
    """Gives the tar its final name, on disk before the parquet that will name it."""
    transient = sum(
        reject["reason"] in schemas.TRANSIENT_REASONS for r in records for reject in r["rejects"]
    )
    if work_tar is None or not work_tar.stat().st_size:
        return partition.Committed(job.digest, job.platform, "", 0, "", transient)
    with work_tar.open("r+b") as file:
        tar.finish(file)
    with work_tar.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = work_tar.stat().st_size
    name = f"{job.name}.{digest[:12]}.tar" if job.content_named else f"{job.name}.tar"
    # Shard tars are read from their folder, so the column holds the bare name there.
    shown = name.rsplit("/", 1)[-1]
    for record in records:
        for output in record["outputs"]:
            output["tar"] = shown
    replace_durably(work_tar, job.tars / name)
    return partition.Committed(job.digest, job.platform, name, size, digest, transient)


def _beside(final: Path, name: str) -> Path:
    final.parent.mkdir(parents=True, exist_ok=True)
    return final.with_name(name)


class Here:
    """Works rows in this very process."""

    def __init__(self, task: Task, table: str) -> None:
        self._task, self._table = task, table
        self._opened = self._stopped = False

    def perform(self, row: PlanRow, tar_path: Path | None) -> Record:
        """Works a row; what it raises goes straight up."""
        if self._stopped:
            raise StoppedError
        if not self._opened:
            opened(self._task)
            self._opened = True
        if tar_path is None:
            return perform_row(self._task, self._table, row, None)
        with tar_path.open("r+b") as file:
            return perform_row(self._task, self._table, row, file)

    def stop(self) -> None:
        """Lets no further row begin."""
        self._stopped = True
