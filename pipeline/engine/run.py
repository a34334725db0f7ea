"""The incremental loop: what is whole stays, what changed is worked, what is orphaned goes."""

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from pipeline import keys, tables
from pipeline.config import EngineParams
from pipeline.engine import partition, store
from pipeline.engine.partition import Committed, PartitionPlan
from pipeline.engine.rows import Plan, Task
from pipeline.engine.work import Job
from pipeline.engine.workers import Placement, place, platform_string, worker_count
from pipeline.errors import UserError

HOPELESS_ROWS = 100
"""A run whose first rows are all rejected has a common cause; it stops and says so."""


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
        engine: number of workers and deadline; never changes a byte.
        version: the stage's number in ``versions.yaml``.

    Raises:
        UserError: another run holds the store, or everything is rejected.

    """
    tars = where.tars or where.folder
    content_named = where.tars is None
    settings = {"version": version, "table": where.table, **task.settings()}
    with store.locked(where.folder):
        wanted = partition.divide(plan, settings, where.target_rows, contiguous=not content_named)
        old = store.committed(where.folder, tars, content_named)
        store.sweep(where.folder, tars, old)
        platform = platform_string()
        _report_platforms(name, old, platform)
        todo = [part for part in wanted if not _is_up_to_date(part, old)]
        known = _known_rows(where.folder, old) if content_named and todo else {}
        plan_file = _write_plan(where.folder, todo)
        jobs = [
            Job(
                task=task,
                table=where.table,
                store=where.folder,
                tars=tars,
                content_named=content_named,
                plan_file=plan_file,
                batch=batch,
                name=part.name,
                file=part.file,
                digest=part.digest,
                settings=keys.digest128(partition.canonical(settings).encode()),
                platform=platform,
                known=_matches(part, known),
            )
            for batch, part in enumerate(todo)
        ]
        placement = Placement(worker_count(engine), where.isolate, engine.row_deadline_s)
        total = sum(part.rows.num_rows for part in wanted)
        kept = total - sum(part.rows.num_rows for part in todo)
        _work(name, jobs, placement, total=total, kept=kept)
        whole = store.committed(where.folder, tars, content_named)
        whole = {part.file: _accept(part, whole, where.folder) for part in wanted}
        store.sweep(where.folder, tars, whole)
    return [Whole(where.folder / file, facts) for file, facts in whole.items()]


def _is_up_to_date(part: PartitionPlan, old: Mapping[str, Committed]) -> bool:
    facts = old.get(part.file)
    return facts is not None and facts.plan == part.digest and not facts.transient


def _accept(part: PartitionPlan, whole: Mapping[str, Committed], folder: Path) -> Committed:
    """The partition, if it is the one the plan asked for."""
    facts = whole.get(part.file)
    if facts is None or facts.plan != part.digest:
        raise UserError(
            f"partition {part.name} of {folder} changed or vanished during the run. "
            "Nothing else may write there; run `dvc repro` again."
        )
    return facts


def _known_rows(folder: Path, old: Mapping[str, Committed]) -> dict[str, tuple[str, int]]:
    """Where each fingerprint's record lies. Rows with a transient reject count as unknown."""
    known: dict[str, tuple[str, int]] = {}
    for name in old:
        rows = partition.read_rows(folder / name, ["fingerprint", "rejects"]).to_pydict()
        for at, (mark, rejects) in enumerate(
            zip(rows["fingerprint"], rows["rejects"], strict=True)
        ):
            if not any(reject["reason"] in tables.TRANSIENT_REASONS for reject in rejects):
                known.setdefault(mark, (name, at))
    return known


def _matches(
    part: PartitionPlan, known: Mapping[str, tuple[str, int]]
) -> dict[int, tuple[str, int]]:
    marks = part.rows.column("_fingerprint").to_pylist()
    return {at: known[mark] for at, mark in enumerate(marks) if mark in known}


def _write_plan(folder: Path, todo: Sequence[PartitionPlan]) -> Path:
    """The rows to be worked, one record batch per partition, where every worker can map them."""
    path = folder / f".tmp-plan-{keys.attempt()}.arrow"
    if todo:
        first = partition.rows_to_work(todo[0])
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:
            for part in todo:
                writer.write_batch(partition.rows_to_work(part))
    return path


def _report_platforms(name: str, old: Mapping[str, Committed], platform: str) -> None:
    others = {facts.platform for facts in old.values()} - {platform}
    if others:
        _say(
            f"{name}: parts of this store were made on another platform; their bytes are kept. "
            f"Now: {platform}. Before: {'; '.join(sorted(others))}."
        )


def _work(name: str, jobs: Sequence[Job], placement: Placement, total: int, kept: int) -> None:
    started = time.monotonic()
    rows = worked = rejected = 0
    reasons: Counter[str] = Counter()
    shown = sys.stderr.isatty()
    with tqdm(total=total, initial=kept, desc=name, unit="row", disable=not shown) as bar:
        for done in place(jobs, placement):
            rows += done.rows
            worked += done.rows - done.copied
            rejected += done.empty_rows
            reasons.update(done.rejects)
            bar.update(done.rows)
            bar.set_postfix(rejects=sum(reasons.values()))
            _stop_if_hopeless(name, rows, rejected, reasons)
    seconds = time.monotonic() - started
    if rows and rejected == rows == total:
        _stop_if_hopeless(name, HOPELESS_ROWS, HOPELESS_ROWS, reasons)
    if not shown:
        kept, rejects = total - worked, sum(reasons.values())
        _say(f"{name}: {worked} rows worked, {kept} kept, {rejects} rejects, {seconds:.1f} s")
    _log(name, {"worked": worked, "kept": total - worked, "seconds": round(seconds, 3)})


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - the progress of a run is for people


def _stop_if_hopeless(name: str, rows: int, rejected: int, reasons: Counter[str]) -> None:
    if rows >= HOPELESS_ROWS and rejected == rows:
        reason, count = reasons.most_common(1)[0]
        raise UserError(
            f"{name}: every row so far was rejected, {count} times as {reason} "
            f"({tables.REJECT_REASONS[reason]}). Check the data and the parameters of this stage."
        )


def _log(name: str, figures: Mapping[str, Any]) -> None:
    """Appends rates to the untracked log; clock times never enter a tracked file."""
    folder = Path("logs")
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(figures, sort_keys=True) + "\n")


def run_stage(
    name: str,
    task: Task,
    plan: Plan,
    table: str,
    target_rows: int,
    engine: EngineParams,
    planned_rejects: Sequence[tuple[str, str, str]] = (),
) -> dict[str, int]:
    """Runs a stage whose output is one table: store, table, rejects and metrics go where DVC looks.

    ``planned_rejects`` (``id``, ``reason``, ``detail``) are units that the plan itself had to
    refuse. Returns the metrics: inputs, outputs, rejects, left_out, in the stage's own unit.
    """
    where = Store(Path("data/stores") / name, table, target_rows)
    whole = run(name, task, plan, where, engine, version(name))
    counts = write_table(whole, Path(f"manifests/{table}.parquet"), table)
    refused = tables.from_rows(
        "rejected",
        [dict(zip(("id", "reason", "detail"), row, strict=True)) for row in planned_rejects],
    )
    parts = [refused, *(partition.rejects(part.path) for part in whole)]
    rejects = tables.write(Path(f"manifests/rejected/{name}.parquet"), "rejected", parts)
    counts["inputs"] += len(planned_rejects)
    counts["rejects"] = rejects
    write_metrics(name, counts)
    return counts


def write_table(whole: Sequence[Whole], path: Path, table: str) -> dict[str, int]:
    """Merges partitions into a table, streaming, and counts their units."""
    tables.write(path, table, (partition.outputs(part.path, table) for part in whole))
    counts = Counter(inputs=0, outputs=0, rejects=0, left_out=0)
    for part in whole:
        rows = partition.read_rows(part.path, ["done", "left_out", "rejects"])
        counts["outputs"] += sum(rows.column("done").to_pylist())
        counts["left_out"] += sum(rows.column("left_out").to_pylist())
        counts["rejects"] += sum(len(found) for found in rows.column("rejects").to_pylist())
    counts["inputs"] = counts["outputs"] + counts["left_out"] + counts["rejects"]
    return dict(counts)


def write_metrics(name: str, metrics: Mapping[str, float]) -> None:
    """Writes ``metrics/<stage>.json`` by rename: flat numbers, sorted, no clock times."""
    path = Path(f"metrics/{name}.json")
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}-{keys.attempt()}")
    temporary.write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n")
    tables.replace_durably(temporary, path)


def version(name: str) -> int:
    """The stage's output version."""
    from pipeline.config import read_yaml

    return int(read_yaml(Path(__file__).parents[1] / "versions.yaml")[name])
