"""Where partitions are worked: here, on threads with a child process each, or on a cluster."""

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

from pipeline.config.params import EngineParams
from pipeline.engine import machine
from pipeline.engine.child import Child, Limits
from pipeline.engine.work import Done, Here, Job, Performer, run_job


def worker_count(engine: EngineParams) -> int:
    """Number of local workers; 0 = work in this very process."""
    return len(os.sched_getaffinity(0)) if engine.workers == "auto" else engine.workers


def limits(engine: EngineParams) -> Limits:
    """What one row may take of a worker."""
    memory = machine.memory_share_bytes(worker_count(engine))
    if engine.row_memory_gb != "auto":
        memory = engine.row_memory_gb * 1e9
    return Limits(engine.row_deadline_s, memory)


def place(name: str, jobs: Sequence[Job], isolate: bool, engine: EngineParams) -> Generator[Done]:
    """Works partitions and yields what became of each, in any order.

    Args:
        name: the stage, for messages and its needs on a cluster.
        jobs: the partitions.
        isolate: whether rows open foreign media, and so run in a child process of the worker.
        engine: where work runs.
    """
    workers = worker_count(engine)
    row_limits = limits(engine) if isolate else None
    if jobs and engine.scheduler:
        from pipeline.engine import cluster

        needs = {"GPU": 1.0} if name in engine.gpu_stages else {}
        yield from cluster.on_existing(jobs, row_limits, engine, needs)
    elif workers and len(jobs) > 1:
        from pipeline.engine.threads import on_threads

        yield from on_threads(jobs, row_limits, min(workers, len(jobs)))
    else:
        yield from _here(jobs, row_limits if workers else None)


def _here(jobs: Sequence[Job], row_limits: Limits | None) -> Iterator[Done]:
    if not jobs:
        return
    with performer(jobs[0], row_limits) as works:
        for job in jobs:
            yield run_job(job, works)


@contextmanager
def performer(job: Job, row_limits: Limits | None) -> Iterator[Performer]:
    """Works rows of one task: in a child process within limits, or, without limits, right here."""
    if row_limits is None:
        yield Here(job.task, job.table)
        return
    child = Child(job.task, job.table, row_limits)
    try:
        yield child
    finally:
        child.close()
