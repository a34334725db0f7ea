"""Placing partitions on a Dask cluster that is there.

A lost worker's partitions go to another; a lost scheduler ends the run, and the next one goes on
from there.
"""

import asyncio
import atexit
import concurrent.futures
import hashlib
import logging
import platform
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

from distributed import Client, wait
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

import faceshards
import pipeline
from pipeline.config.params import EngineParams
from pipeline.engine.child import Limits, performer
from pipeline.engine.machine import memory_share_bytes, platform_string
from pipeline.engine.work import Done, Job, run_job
from pipeline.errors import UserError

CONNECT_WITHIN_S = 20
LOOK_EVERY_S = 5.0
NO_WORKER_WITHIN_S = 60.0
"""A cluster is lost when for so long no worker has been there that could take the work."""


_LOADED = hashlib.sha256(
    b"".join(
        path.read_bytes()
        for package in (faceshards, pipeline)
        for path in sorted(Path(package.__path__[0]).rglob("*.py"))
    )
).hexdigest()
"""The project's code when this process began to use it: a worker that has been there for long may
run another than lies on the disk by now."""


class NoWorkerError(Exception):
    """All workers are gone, and Dask would wait for others for ever."""


_LOST = (
    CommClosedError,
    concurrent.futures.CancelledError,
    asyncio.CancelledError,
    KilledWorker,
    NoWorkerError,
)


def _quiet() -> None:
    """A worker or scheduler that is lost is said in our words; Dask's would bury them."""
    for name in ("distributed", *logging.root.manager.loggerDict):
        if name.split(".")[0] == "distributed":  # each has a level of its own
            logging.getLogger(name).setLevel(logging.CRITICAL)


def done_on(
    jobs: Sequence[Job],
    row_limits: Limits | None,
    engine: EngineParams,
    needs: Mapping[str, float],
) -> Iterator[Done]:
    """Works partitions on a cluster that shares this machine's folders; what became of each.

    Args:
        jobs: the partitions.
        row_limits: None where rows need no child process. With ``row_memory_gb: auto``, memory is
            a share of the worker's machine, not of this one.
        engine: says where the scheduler is.
        needs: Dask resources that one partition asks for, such as ``{"GPU": 1}``.

    Raises:
        UserError: no scheduler or worker answers, a worker is of another platform, runs other
            software or does not see the store, or the cluster goes away during the run.
    """
    scheduler = engine.scheduler
    _quiet()
    where = {"scheduler_file": scheduler} if Path(scheduler).is_file() else {"address": scheduler}
    if "://" not in scheduler and not Path(scheduler).is_file():
        raise UserError(
            f"engine.scheduler is {scheduler}, which is no file that exists, and no address such "
            "as tcp://host:8786. Write either, or leave it empty for local workers."
        )
    try:
        client = Client(**where, timeout=CONNECT_WITHIN_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(
            f"engine.scheduler is {scheduler}, but no Dask scheduler answers there ({error}). "
            "Start one (`dask scheduler`), or leave it empty for local workers."
        ) from error
    with client:
        try:
            threads, share_bytes = _check_cluster(client, jobs[0].store, scheduler, needs)
            if row_limits and engine.row_memory_gb == "auto":
                row_limits = replace(row_limits, memory_bytes=share_bytes)
            yield from done_by(client, jobs, row_limits, threads, needs)
        except _LOST as error:
            raise UserError(
                f"the Dask cluster at {scheduler} was lost during the run "
                f"({type(error).__name__}). What was committed is kept: start it again and run "
                "`dvc repro`."
            ) from error


def _check_cluster(
    client: Client, store: Path, scheduler: str, needs: Mapping[str, float]
) -> tuple[int, float]:
    """Looks at all workers: their platform, software, and whether they see the store.

    Returns:
        Threads of the workers that may be used, and the least memory in bytes that one of them may
        take: its share of the machine, which may run workers of this cluster besides.
    """
    seen: dict[str, _Seen] = client.run(_look, store)
    if not seen:
        raise UserError(
            f"the Dask scheduler at {scheduler} has no workers. Start some there: "
            f"`{_worker_command(scheduler)}`."
        )
    ours = _has()
    for address, worker in sorted(seen.items()):
        _check_same(worker.has, ours, f"the Dask worker at {address}")
        if not worker.sees_store:
            raise UserError(
                f"the Dask worker at {address} does not see {store}. All workers need this folder "
                "under the same path."
            )
    able = _able(client, needs)
    if not able:
        words = ", ".join(f"{name}={amount:g}" for name, amount in needs.items())
        raise UserError(
            f"no Dask worker at {scheduler} offers {words}, which engine.gpu_stages asks for. "
            f"Start workers with `{_worker_command(scheduler)} --resources {words}`."
        )
    threads = client.nthreads()
    of_node = Counter[str]()
    for address, worker in seen.items():
        of_node[worker.node] += threads.get(address, 1)
    share = min(worker.memory_bytes / of_node[worker.node] for worker in seen.values())
    return sum(worker["nthreads"] for worker in able), share


def _worker_command(scheduler: str) -> str:
    by_file = "--scheduler-file " if Path(scheduler).is_file() else ""
    return f"dask worker {by_file}{scheduler} --nthreads 1"


def _able(client: Client, needs: Mapping[str, float]) -> list[dict[str, Any]]:
    """What the scheduler says of the workers that are there now and offer the needs."""
    info = client.scheduler_info(n_workers=-1)["workers"]
    return [
        w for w in info.values() if all(w["resources"].get(k, 0) >= v for k, v in needs.items())
    ]


@dataclass(frozen=True)
class _Has:
    """What a worker must have in common with the process that submits."""

    platform: str
    software: str


@dataclass(frozen=True)
class _Seen:
    """What a worker says of itself."""

    has: _Has
    sees_store: bool
    node: str
    memory_bytes: float
    """What one worker alone may take of its machine."""


def _look(store: Path) -> _Seen:
    return _Seen(_has(), store.is_dir(), platform.node(), memory_share_bytes(1))


def _has() -> _Has:
    python = ".".join(platform.python_version_tuple()[:2])
    dask = f"dask {metadata.version('dask')}, distributed {metadata.version('distributed')}"
    return _Has(platform_string(), f"Python {python}, {dask}, project {_LOADED[:12]}")


def _check_same(theirs: _Has, ours: _Has, who: str) -> None:
    if theirs.platform != ours.platform:
        raise UserError(
            f"{who} would give other bytes. It has {theirs.platform}; the run has "
            f"{ours.platform}. Use one platform for all."
        )
    if theirs.software != ours.software:
        raise UserError(
            f"{who} runs other software. It has {theirs.software}; the run has "
            f"{ours.software}. Install the same versions, and start workers anew when the project "
            "changes."
        )


def done_by(
    client: Client,
    jobs: Sequence[Job],
    row_limits: Limits | None,
    threads: int,
    needs: Mapping[str, float],
) -> Iterator[Done]:
    """Works partitions on a cluster whose workers are known to fit; what became of each."""
    waiting, asked = iter(jobs), _has()

    def submit(job: Job) -> Any:  # a future; distributed has no types
        return client.submit(
            _run_on_worker,
            job,
            row_limits,
            asked,
            pure=False,
            resources=dict(needs) or None,
        )

    # A bounded window keeps the scheduler's memory flat; a result is a few numbers.
    running = {submit(job) for job in islice(waiting, 2 * threads)}
    seen = time.monotonic()
    while running:
        try:
            finished = wait(running, timeout=LOOK_EVERY_S, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            if _able(client, needs):
                seen = time.monotonic()
            elif time.monotonic() - seen > NO_WORKER_WITHIN_S:
                raise NoWorkerError from None
            continue
        seen = time.monotonic()
        for future in finished:
            done: Done = future.result()
            running.remove(future)
            future.release()
            running.update(submit(job) for job in islice(waiting, 1))
            yield done


_own = threading.local()
"""The performer of this thread, of which a worker may have several, and its run."""


def _run_on_worker(job: Job, row_limits: Limits | None, asked: _Has) -> Done:
    """Runs on a Dask worker, where each thread keeps its child from partition to partition.

    ``asked`` is what a worker must have, looked at here too, since it may have come after the
    others.
    """
    _check_same(_has(), asked, f"a Dask worker on {platform.node()} that came during the run")
    if getattr(_own, "run", "") != job.run:
        if hasattr(_own, "performer"):
            _own.performer.stop()
            atexit.unregister(_own.performer.stop)
        _own.run, _own.performer = job.run, performer(job, row_limits)
        atexit.register(_own.performer.stop)
    return run_job(job, _own.performer)
