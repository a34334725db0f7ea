"""Where partitions are worked: in this process, or placed by Dask on worker processes."""

import atexit
import logging
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline.config import EngineParams
from pipeline.engine import process
from pipeline.engine.child import Child
from pipeline.engine.rows import Task
from pipeline.engine.work import Done, Job, PlanRow, Record, perform_row, run_job

_LIBRARIES = (
    "av",
    "dlib-bin",
    "face-alignment",
    "insightface",
    "numpy",
    "onnxruntime",
    "opencv-python",
    "pyarrow",
    "torch",
)
_CPU_FEATURES = ("avx2", "fma", "avx512f", "avx512vl", "asimd", "sve")


def platform_string() -> str:
    """What output bytes depend on besides the inputs: machine, CPU features, libraries."""
    versions = [f"{name} {metadata.version(name)}" for name in _LIBRARIES]
    return ", ".join([platform.machine(), *_cpu_features(), *versions])


def _cpu_features() -> list[str]:
    path = Path("/proc/cpuinfo")
    words = set(path.read_text().split()) if path.is_file() else set()
    return [feature for feature in _CPU_FEATURES if feature in words]


def worker_count(engine: EngineParams) -> int:
    """Number of worker processes; 0 = work in this one."""
    return len(os.sched_getaffinity(0)) if engine.workers == "auto" else engine.workers


@dataclass(frozen=True)
class Placement:
    """How the partitions of one run are worked."""

    workers: int
    isolate: bool
    """Rows run in a child process of the worker, because they open foreign media."""
    deadline_s: float


def place(jobs: Sequence[Job], placement: Placement) -> Iterator[Done]:
    """Works partitions and yields what became of each, in any order."""
    if placement.workers and len(jobs) > 1:
        yield from _by_dask(jobs, placement)
    else:
        yield from _here(jobs, placement)


def _here(jobs: Sequence[Job], placement: Placement) -> Iterator[Done]:
    isolate = placement.isolate and placement.workers > 0
    for job in jobs:
        with _performer(job, isolate, placement.deadline_s) as performer:
            done = run_job(job, performer)
        yield done


@contextmanager
def _performer(job: Job, isolate: bool, deadline_s: float) -> Iterator[Any]:
    if isolate:
        child = Child(job.task, job.table, deadline_s)
        try:
            yield child
        finally:
            child.close()
    else:
        yield _Here(job.task, job.table)


class _Here:
    """Works rows in this very process."""

    def __init__(self, task: Task, table: str) -> None:
        self._task, self._table = task, table
        self._opened = False

    def perform(self, row: PlanRow, tar_path: Path | None) -> Record:
        """Works a row; what it raises goes straight up."""
        if not self._opened:
            self._task.open()
            process.pin_threads()
            self._opened = True
        if tar_path is None:
            return perform_row(self._task, self._table, row, None)
        with tar_path.open("r+b") as file:
            return perform_row(self._task, self._table, row, file)


def _by_dask(jobs: Sequence[Job], placement: Placement) -> Iterator[Done]:
    from distributed import Client, LocalCluster, as_completed

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    n = min(placement.workers, len(jobs))
    # security=True: without it any local user who knows the port runs code as this one.
    with (
        LocalCluster(
            n_workers=n,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address=None,
            security=True,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        waiting = list(reversed(jobs))

        def submit() -> Any:
            return client.submit(
                _run_on_worker, waiting.pop(), placement.isolate, placement.deadline_s, pure=False
            )

        # A bounded window keeps the scheduler's memory flat; a result is a few numbers.
        running = as_completed([submit() for _ in range(min(2 * n, len(jobs)))])
        for future in running:
            done: Done = future.result()
            future.release()
            if waiting:
                running.add(submit())
            yield done


_children: dict[str, Child] = {}


def _run_on_worker(job: Job, isolate: bool, deadline_s: float) -> Done:
    """Runs on a Dask worker, which keeps its one child from partition to partition."""
    process.die_with(os.getppid())
    if not isolate:
        return run_job(job, _Here(job.task, job.table))
    if job.settings not in _children:
        for child in _children.values():
            child.close()
        _children.clear()
        _children[job.settings] = Child(job.task, job.table, deadline_s)
        atexit.register(_children[job.settings].close)
    return run_job(job, _children[job.settings])
