"""A run of the engine on cheap rows that kills itself at the Nth step towards the disk.

``python -m tests.faults.victim FOLDER STATE KILL_AT WORKERS``: brings the store and the table in
FOLDER up to the state (JSON, ``{video id: text}``); with KILL_AT > 0 the process ends by SIGKILL
just before that step. Steps are renames, flushes, deletions and appends to tars.

Without words it serves: each line of stdin, a JSON list of the same four, is run by a process that
is forked for it; a line with its exit code answers.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from faceshards import tar
from pipeline.config.params import EngineParams
from pipeline.engine import run, stage
from pipeline.engine.process import keep_pandas_out
from pipeline.engine.survey import Store
from tests.engine import toy

TARGET_ROWS = 3


class Fuse:
    """Counts steps and kills this process before the one it was set to."""

    def __init__(self, kill_at: int) -> None:
        self.steps = 0
        self._kill_at = kill_at

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*words: Any, **named: Any) -> Any:
            self.steps += 1
            if self.steps == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*words, **named)

        return stepped


def bring_up_to(folder: Path, state: dict[str, str], workers: int) -> None:
    """One whole run: store and table."""
    os.chdir(folder)
    where = Store(folder / "store", "faces", TARGET_ROWS)
    engine = EngineParams(workers=workers)
    whole = run.run("toy", toy.ToyTask(), toy.plan(state), where, engine, version=1)
    stage.write_table(whole, folder / "faces.parquet", "faces")


def run_once(folder: str, state: str, kill_at: str, workers: str) -> None:
    """Brings a store up to a state; prints how many steps that took."""
    fuse = Fuse(int(kill_at))
    os.fsync = fuse.before(os.fsync)
    Path.replace = fuse.before(Path.replace)
    Path.unlink = fuse.before(Path.unlink)
    tar.append = fuse.before(tar.append)
    tar.finish = fuse.before(tar.finish)
    pq.write_table = fuse.before(pq.write_table)
    bring_up_to(Path(folder), json.loads(state), int(workers))
    sys.stdout.write(f"{fuse.steps}\n")
    sys.stdout.flush()


def serve() -> None:
    """Runs what stdin asks for, one after the other, and imports only once for all."""
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            code = 1
            try:
                run_once(*json.loads(line))
                code = 0
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"code {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    keep_pandas_out()
    run_once(*sys.argv[1:]) if sys.argv[1:] else serve()
