"""The child process in which rows are worked: foreign media and native code cannot hurt its owner.

``python -m pipeline.engine.child READ WRITE`` serves one owner over two inherited pipes and dies
with it.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from pipeline.engine import disk, machine, process
from pipeline.engine.plan_file import PlanRow
from pipeline.engine.rows import Task
from pipeline.engine.work import (
    Here,
    Job,
    Performer,
    Record,
    StoppedError,
    WorkError,
    opened,
    perform_row,
    rejected_row,
)
from pipeline.errors import UserError

START_DEADLINE_S = 600.0
"""Importing libraries and loading models takes seconds; a child silent for this long is broken."""
ATTEMPTS = 2
_STARTED_IN = str(Path.cwd())
"""What an empty entry of the import path means, wherever the process is by then."""
LOOK_EVERY_S = 0.2
"""How often the memory of a child at work is looked at."""


@dataclass(frozen=True)
class Limits:
    """What one row may take."""

    deadline_s: float
    memory_bytes: float


class Child:
    """One child process for one task, started when first needed and restarted when it died.

    It belongs to the thread that starts it and ends with it; only :meth:`stop` is for others.
    """

    def __init__(self, task: Task, table: str, limits: Limits) -> None:
        self._task = task
        self._table = table
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._changing = threading.Lock()
        self._to: Connection
        self._from: Connection

    def perform(self, row: PlanRow, tar_path: Path | None) -> Record:
        """Works a row in the child. What crashes or hangs twice is rejected.

        Raises StoppedError when the run is over, also where that is why the child died.
        """
        size = tar_path.stat().st_size if tar_path else 0
        reason, detail = "", ""
        for _ in range(ATTEMPTS):
            if self._process is None:
                self._start()
            try:
                return self._ask(row, tar_path)
            except _RowLostError as lost:
                if self._stopped:
                    raise StoppedError from None
                reason, detail = lost.args
                if tar_path:
                    os.truncate(tar_path, size)  # what a dying child had begun to write
        return rejected_row(row, self._task.units(row.inputs), reason, detail)

    def stop(self) -> None:
        """Kills the child process, so that a thread which waits for it goes on at once."""
        with self._changing:
            self._stopped = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def _start(self) -> None:
        child_reads, we_write = os.pipe()
        we_read, child_writes = os.pipe()
        command = [
            sys.executable,
            "-m",
            "pipeline.engine.child",
            str(child_reads),
            str(child_writes),
        ]
        self._to = Connection(we_write, readable=False)
        self._from = Connection(we_read, writable=False)
        try:
            with self._changing, _interrupts_blocked():
                if self._stopped:
                    raise StoppedError
                self._process = subprocess.Popen(  # noqa: S603 - our own module
                    [*command, str(os.getpid())],
                    pass_fds=(child_reads, child_writes),
                    # The owner's import path, so that a task's module is found here too.
                    env=os.environ
                    | process.ENVIRONMENT
                    | {"PYTHONPATH": os.pathsep.join(p or _STARTED_IN for p in sys.path)},
                    stdin=subprocess.DEVNULL,
                )
        finally:
            os.close(child_reads)
            os.close(child_writes)
        try:
            self._to.send((self._task, self._table))
            self._receive(START_DEADLINE_S)
        except _RowLostError as lost:
            if self._stopped:
                raise StoppedError from None
            raise WorkError(
                f"the process that works rows did not start: {': '.join(lost.args)}"
            ) from None

    def _ask(self, row: PlanRow, tar_path: Path | None) -> Record:
        try:
            self._to.send((row, tar_path))
        except OSError:  # it died between two rows; the attempt counts
            raise self._lost() from None
        record: Record = self._receive(self._limits.deadline_s)
        return record

    def _receive(self, deadline_s: float) -> Record:
        try:
            self._await(deadline_s)
            outcome, value = self._from.recv()
        except (EOFError, OSError):
            raise self._lost() from None
        if outcome == "raised":
            error, text = value
            self._end()
            if error is not None:
                raise error
            raise WorkError(text)
        return value  # type: ignore[no-any-return]  # a record; pipes carry no types

    def _await(self, deadline_s: float) -> None:
        """Returns when the child answers; ends it where it takes too long or too much memory."""
        give_up = time.monotonic() + deadline_s
        while not self._from.poll(min(LOOK_EVERY_S, max(0.0, give_up - time.monotonic()))):
            used = machine.resident_bytes(self._process.pid) if self._process else 0
            if used > self._limits.memory_bytes:
                self._end()
                raise _RowLostError("out_of_memory", f"{used / 1e9:.1f} GB in use")
            if time.monotonic() >= give_up:
                self._end()
                raise _RowLostError("timeout", f"no answer within {deadline_s:g} s")

    def _end(self) -> None:
        with self._changing:
            ended, self._process = self._process, None
        if ended is not None:
            ended.kill()
            ended.wait()
            self._to.close()
            self._from.close()

    def _lost(self) -> "_RowLostError":
        assert self._process is not None  # noqa: S101 - called only while a process is owned
        code = self._process.wait()
        self._end()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return _RowLostError("worker_died", f"the process working on it ended with {how}")


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Whatever is started here never hears of Ctrl-C, from its first moment on.

    The owner decides what Ctrl-C means; it reaches all processes of a terminal.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def performer(job: Job, row_limits: Limits | None) -> Performer:
    """Works rows of one task for one thread: in a child within limits; without limits, right here.

    Threads share no task, since a task may keep what it has loaded.
    """
    if row_limits is None:
        return Here(deepcopy(job.task), job.table)
    return Child(job.task, job.table, row_limits)


class _RowLostError(Exception):
    """Reason and detail of a row that got no answer."""


def _serve(receive: Connection, send: Connection) -> None:
    """Works what the owner sends until it closes the pipe, or until something is raised.

    Only the end of the pipe is a quiet end: an EOFError of the work itself is a bug like any other.
    """
    try:
        task, table = receive.recv()
        opened(task)
        send.send(("ready", None))
        while True:
            try:
                row, tar_path = receive.recv()
            except EOFError:
                return
            if tar_path is None:
                record = perform_row(task, table, row, None)
            else:
                with tar_path.open("r+b") as file:
                    record = perform_row(task, table, row, file)
            send.send(("done", record))
    except Exception as error:
        send.send(("raised", (_sendable(error), traceback.format_exc())))


def _sendable(error: Exception) -> Exception | None:
    """A user's mistake or a trouble of the store travels as itself, a bug as its traceback's text.

    The task's own OSErrors have become bugs before they come here.
    """
    if isinstance(error, UserError) or (isinstance(error, OSError) and disk.trouble(error)):
        pickle.dumps(error)
        return error
    return None


def main() -> None:
    """Entry of the child process."""
    read_from, write_to, owner = (int(argument) for argument in sys.argv[1:])
    process.die_with(owner)
    process.keep_pandas_out()
    os.dup2(2, 1)  # what libraries print must not end up in the stage's own output
    _serve(Connection(read_from, writable=False), Connection(write_to, readable=False))


if __name__ == "__main__":
    main()
