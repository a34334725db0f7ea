"""Local work as it was placed before: a Dask cluster of this machine, over encrypted loopback."""

import logging
from collections.abc import Sequence

from distributed import Client, LocalCluster

from pipeline.config.params import EngineParams
from pipeline.engine import cluster
from pipeline.engine.work import Job
from pipeline.engine.workers import Report, limits, worker_count


def place(
    _name: str, jobs: Sequence[Job], isolate: bool, engine: EngineParams, report: Report
) -> None:
    """Stands in for :func:`pipeline.engine.workers.place`."""
    if not jobs:
        return
    workers = min(worker_count(engine), len(jobs))
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            security=True,
            silence_logs=logging.CRITICAL,
        ) as local,
        Client(local) as client,
    ):
        row_limits = limits(engine) if isolate else None
        for done in cluster.done_by(client, jobs, row_limits, workers, {}):
            report(done)
