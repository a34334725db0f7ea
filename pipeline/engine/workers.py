"""Where partitions are worked: in this process, on threads of it, or on a Dask cluster.

Dask only places: what may crash runs in a child process that the thread at work owns.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from pipeline.config.params import EngineParams
from pipeline.engine import machine
from pipeline.engine.child import Limits, performer
from pipeline.engine.work import Done, Here, Job, Performer, run_job

LOOK_EVERY_S = 0.5
"""How late Ctrl-C is noticed, at most."""
Report = Callable[[Done], None]
"""Is told of each partition as it is done, in the thread that called :func:`place`."""


def worker_count(engine: EngineParams) -> int:
    """Number of local workers; 0 = work in the calling thread, without child processes."""
    return len(os.sched_getaffinity(0)) if engine.workers == "auto" else engine.workers


def limits(engine: EngineParams) -> Limits:
    """What one row may take of a worker."""
    memory = machine.memory_share_bytes(worker_count(engine))
    if engine.row_memory_gb != "auto":
        memory = engine.row_memory_gb * 1e9
    return Limits(engine.row_deadline_s, memory)


def place(
    name: str, jobs: Sequence[Job], isolate: bool, engine: EngineParams, report: Report
) -> None:
    """Works partitions, in any order, and reports what became of each.

    Args:
        name: the stage, for messages and its needs on a cluster.
        jobs: the partitions; each is looked up when its turn comes.
        isolate: whether rows open foreign media, and so run in a child process of the worker.
        engine: where work runs.
        report: what it raises stops the run.
    """
    workers = worker_count(engine)
    row_limits = limits(engine) if isolate else None
    if not jobs:
        return
    if engine.scheduler:
        from pipeline.engine import cluster

        needs = {"GPU": 1.0} if name in engine.gpu_stages else {}
        for done in cluster.done_on(jobs, row_limits, engine, needs):
            report(done)
    elif workers:
        _on_threads(jobs, row_limits, min(workers, len(jobs)), report)
    else:
        works = Here(jobs[0].task, jobs[0].table)
        for job in jobs:
            report(run_job(job, works))


def _on_threads(
    jobs: Sequence[Job], row_limits: Limits | None, workers: int, report: Report
) -> None:
    """Works partitions on so many threads of this process, placed by Dask's threaded scheduler.

    It begins a partition when a thread is free, and reports in the calling thread, where Ctrl-C
    arrives.
    """
    from dask import threaded

    with _Team(workers, row_limits) as team, _ctrl_c_is_noticed():

        def begin(place: int) -> Done:
            return team.work(jobs[place])

        def finished(_key: Any, done: Done, *_: Any) -> None:
            report(done)

        graph = {("partition", place): (begin, place) for place in range(len(jobs))}
        threaded.get(
            graph,
            list(graph),
            pool=team.threads,
            callbacks=[(None, None, None, finished, None)],
            # What somebody's Dask configuration might say otherwise.
            chunksize=1,
            rerun_exceptions_locally=False,
        )


@contextmanager
def _ctrl_c_is_noticed() -> Iterator[None]:
    """A block in which the main thread wakes now and then from whatever it waits for.

    Python notices a signal when its main thread runs. One that arrives between the last look and
    the beginning of a wait without a limit, as Dask's is, would be noticed at its end only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, LOOK_EVERY_S, LOOK_EVERY_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)


class _Team:
    """Threads that work a run's partitions, each with a performer of its own.

    The kernel kills a child when the thread that started it ends: threads stay until all is over.
    """

    def __init__(self, workers: int, row_limits: Limits | None) -> None:
        self.threads = ThreadPoolExecutor(workers, "worker")
        self._row_limits = row_limits
        self._own = threading.local()
        self._changing = threading.Lock()
        self._performers: list[Performer] = []
        self._over = False

    def work(self, job: Job) -> Done:
        """Works a partition in the calling thread."""
        if not hasattr(self._own, "performer"):
            self._own.performer = performer(job, self._row_limits)
            with self._changing:
                self._performers.append(self._own.performer)
                if self._over:
                    self._own.performer.stop()
        return run_job(job, self._own.performer)

    def __enter__(self) -> "_Team":
        return self

    def __exit__(self, *_: object) -> None:
        """However it ended: kills the children, so that the threads end too, and waits for them."""
        with self._changing:
            self._over = True
            for one in self._performers:
                one.stop()
        self.threads.shutdown()
