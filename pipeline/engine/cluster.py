"""Placing partitions with Dask: on processes of this machine, or on a cluster that is there.

Dask only places: what may crash runs in a child process that the worker owns. A lost worker's
partitions go to another; a lost scheduler ends the run, and the next one goes on from there.
"""

import asyncio
import atexit
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster, as_completed
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from pipeline.engine import process
from pipeline.engine.child import Child, Limits
from pipeline.engine.machine import platform_string
from pipeline.engine.work import Done, Here, Job, run_job
from pipeline.errors import UserError

CONNECT_WITHIN_S = 20
_LOST = (CommClosedError, FutureCancelledError, asyncio.CancelledError, KilledWorker)


def on_local(jobs: Sequence[Job], row_limits: Limits | None, workers: int) -> Iterator[Done]:
    """Works partitions on processes of this machine."""
    # A worker that dies is said by what its rows became; Dask's own lines would only repeat it.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with (
        # security=True: without it any local user who knows the port runs code as this one.
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,
            # Any free port of this machine alone: without an address Dask takes a fixed one.
            dashboard_address="127.0.0.1:0",
            security=True,
            silence_logs=logging.CRITICAL,
        ) as local,
        Client(local) as client,
    ):
        yield from _submit(client, jobs, row_limits, workers, {}, os.getpid())


def on_existing(
    jobs: Sequence[Job], row_limits: Limits | None, scheduler: str, needs: Mapping[str, float]
) -> Iterator[Done]:
    """Works partitions on a cluster that shares this machine's folders.

    Args:
        jobs: the partitions.
        row_limits: None where rows need no child process.
        scheduler: ``tcp://host:port``, or the path of a scheduler file.
        needs: Dask resources that one partition asks for, such as ``{"GPU": 1}``.

    Raises:
        UserError: no scheduler or worker answers, a worker is of another platform or does not see
            the store, or the cluster goes away during the run.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    where = {"scheduler_file": scheduler} if Path(scheduler).is_file() else {"address": scheduler}
    try:
        client = Client(**where, timeout=CONNECT_WITHIN_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(
            f"engine.scheduler is {scheduler}, but no Dask scheduler answers there ({error}). "
            "Start one (`dask scheduler`), or leave it empty for local workers."
        ) from error
    with client:
        workers = _check_cluster(client, jobs[0].store, scheduler, needs)
        try:
            yield from _submit(client, jobs, row_limits, workers, needs, None)
        except _LOST as error:
            raise UserError(
                f"the Dask cluster at {scheduler} was lost during the run "
                f"({type(error).__name__}). What was committed is kept: start it again and run "
                "`dvc repro`."
            ) from error


def _check_cluster(client: Client, store: Path, scheduler: str, needs: Mapping[str, float]) -> int:
    """Number of workers that may be used, all of this platform and with the store in sight."""
    seen: dict[str, tuple[str, bool]] = client.run(_look, store)
    if not seen:
        raise UserError(
            f"the Dask scheduler at {scheduler} has no workers. Start some there: "
            f"`dask worker {scheduler} --nthreads 1`."
        )
    ours = platform_string()
    for address, (theirs, sees_store) in sorted(seen.items()):
        if theirs != ours:
            raise UserError(
                f"the Dask worker at {address} would give other bytes than this machine. "
                f"It has {theirs}; here is {ours}. Use one platform for all."
            )
        if not sees_store:
            raise UserError(
                f"the Dask worker at {address} does not see {store}. All workers need this folder "
                "under the same path."
            )
    info = client.scheduler_info(n_workers=-1)["workers"]
    able = [
        w for w in info.values() if all(w["resources"].get(k, 0) >= v for k, v in needs.items())
    ]
    if not able:
        words = ", ".join(f"{name}={amount:g}" for name, amount in needs.items())
        raise UserError(
            f"no Dask worker at {scheduler} offers {words}, which engine.gpu_stages asks for. "
            f"Start workers with `dask worker {scheduler} --nthreads 1 --resources {words}`."
        )
    return len(able)


def _look(store: Path) -> tuple[str, bool]:
    return platform_string(), store.is_dir()


def _submit(
    client: Client,
    jobs: Sequence[Job],
    row_limits: Limits | None,
    workers: int,
    needs: Mapping[str, float],
    owner: int | None,
) -> Iterator[Done]:
    waiting = list(reversed(jobs))

    def submit() -> Any:  # a future; distributed has no types
        return client.submit(
            _run_on_worker,
            waiting.pop(),
            row_limits,
            owner,
            pure=False,
            resources=dict(needs) or None,
        )

    # A bounded window keeps the scheduler's memory flat; a result is a few numbers.
    running = as_completed([submit() for _ in range(min(2 * workers, len(jobs)))])
    for future in running:
        done: Done = future.result()
        future.release()
        if waiting:
            running.add(submit())
        yield done


_children: dict[str, Child] = {}


def _run_on_worker(job: Job, row_limits: Limits | None, owner: int | None) -> Done:
    """Runs on a Dask worker, which keeps its one child from partition to partition."""
    if owner is not None:
        process.die_with(owner)
    if row_limits is None:
        return run_job(job, Here(job.task, job.table))
    if job.settings not in _children:
        for child in _children.values():
            child.close()
        _children.clear()
        _children[job.settings] = Child(job.task, job.table, row_limits)
        atexit.register(_children[job.settings].close)
    return run_job(job, _children[job.settings])
