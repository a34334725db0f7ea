"""Placing partitions on threads of this process, each of which owns one child process.

Dask's threaded scheduler places them: no ports, no certificates, no further processes. A child is
started by the thread that works with it, since the kernel ends a child with that very thread; so
threads live until all children are closed.
"""

import pickle
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from dask import threaded

from pipeline.engine.child import Child, Limits, StoppedError
from pipeline.engine.plan_file import PlanRow
from pipeline.engine.rows import Task
from pipeline.engine.work import Done, Here, Job, Performer, Record, run_job


def on_threads(jobs: Sequence[Job], row_limits: Limits | None, workers: int) -> Generator[Done]:
    """Works partitions of one run and yields what became of each, in any order.

    Where the caller stops early, or anything is raised, children are ended at once, and partitions
    that are not whole are not committed.

    Args:
        jobs: the partitions; each is looked up when its turn comes.
        row_limits: of each row, worked in a child; None where rows need none.
        workers: number of threads.
    """
    ended: SimpleQueue[Done | BaseException | None] = SimpleQueue()
    owners = _Owners(row_limits)

    def work(number: int) -> None:
        job = jobs[number]
        ended.put(run_job(job, owners.performer(job)))

    def schedule(pool: ThreadPoolExecutor) -> None:
        # Keys are text, so that no number is taken for a key.
        graph = {f"partition {number}": (work, number) for number in range(len(jobs))}
        try:
            threaded.get(graph, list(graph), pool=pool, num_workers=workers)
        except BaseException as error:  # whatever a partition raised; it is raised again below
            ended.put(error)
        else:
            ended.put(None)

    try:
        with ThreadPoolExecutor(workers, "partitions") as pool:
            scheduler = threading.Thread(target=schedule, args=[pool])
            scheduler.start()
            try:
                while (outcome := ended.get()) is not None:
                    if isinstance(outcome, BaseException):
                        raise outcome
                    yield outcome
            finally:
                owners.stop()
                scheduler.join()
    finally:
        owners.close()


class _Owners:
    """What each thread works its rows with."""

    def __init__(self, row_limits: Limits | None) -> None:
        self._row_limits = row_limits
        self._of_thread = threading.local()
        self._children: list[Child] = []
        self._lock = threading.Lock()
        self.stopped = False

    def performer(self, job: Job) -> Performer:
        """That of this thread; made when it is first asked for."""
        if not hasattr(self._of_thread, "performer"):
            self._of_thread.performer = self._new(job)
        performer: Performer = self._of_thread.performer
        return performer

    def stop(self) -> None:
        """Ends all children, at work or not, and lets no thread go on with another row."""
        with self._lock:
            self.stopped = True
            for child in self._children:
                child.stop()

    def close(self) -> None:
        """Lets go of what children held; no thread works any more."""
        for child in self._children:
            child.close()

    def _new(self, job: Job) -> Performer:
        if self._row_limits is None:
            # A copy of its own, as a process would have: a task may keep what it has opened.
            task = pickle.loads(pickle.dumps(job.task))  # noqa: S301 - our own
            return _Stoppable(task, job.table, self)
        child = Child(job.task, job.table, self._row_limits)
        with self._lock:
            self._children.append(child)
            if self.stopped:
                child.stop()
        return child


class _Stoppable(Here):
    """Works rows in a thread of this process until the run is over."""

    def __init__(self, task: Task, table: str, owners: _Owners) -> None:
        super().__init__(task, table)
        self._owners = owners

    def perform(self, row: PlanRow, tar_path: Path | None) -> Record:
        """Works a row. Raises StoppedError where nothing more is wanted."""
        if self._owners.stopped:
            raise StoppedError
        return super().perform(row, tar_path)
