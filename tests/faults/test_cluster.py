"""An existing Dask cluster: the same bytes, also when a worker dies; clear refusals."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.config import EngineParams
from pipeline.engine import cluster, run
from pipeline.engine.survey import Store
from pipeline.errors import UserError
from tests.engine import toy
from tests.faults.kill import ROOT, digest, victim


class Cluster:
    """A scheduler and worker processes over loopback."""

    def __init__(self, folder: Path, workers: int, *words: str) -> None:
        self.file = folder / "scheduler.json"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        dask = [sys.executable, "-m", "dask"]
        self.scheduler = subprocess.Popen(
            [
                *(*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
                *("--scheduler-file", str(self.file)),
            ],
            env=environment,
            **quiet,
        )
        self.workers = [
            subprocess.Popen(
                [
                    *(*dask, "worker", "--scheduler-file", str(self.file), "--nthreads", "1"),
                    *("--no-nanny", "--no-dashboard", "--host", "127.0.0.1", *words),
                ],
                env=environment,
                **quiet,
            )
            for _ in range(workers)
        ]
        give_up = time.monotonic() + 30
        while not self.file.is_file() and time.monotonic() < give_up:
            time.sleep(0.1)
        self._await(workers)

    def _await(self, workers: int) -> None:
        from distributed import Client

        with Client(scheduler_file=str(self.file)) as client:
            client.wait_for_workers(workers, timeout=60)

    def close(self) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


@pytest.fixture
def two_workers(tmp_path):
    running = Cluster(tmp_path, 2)
    yield running
    running.close()


def make(folder: Path, texts, scheduler: str, **engine) -> None:
    where = Store(folder / "store", "faces", 3)
    params = EngineParams(scheduler=scheduler, **engine)
    run.run("toy", toy.ToyTask(), toy.plan(texts), where, params, 1)


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_same_bytes_while_a_worker_is_killed(tmp_path, two_workers):
    texts = {name: f"slow {text}" for name, text in toy.texts(30).items()}
    local, remote = tmp_path / "local", tmp_path / "remote"
    for folder in (local, remote):
        folder.mkdir()
    victim(local, texts, 0)
    words = "import sys, time, os; time.sleep(2.5); os.kill(int(sys.argv[1]), 9)"
    killer = subprocess.Popen([sys.executable, "-c", words, str(two_workers.workers[0].pid)])
    make(remote, texts, str(two_workers.file))
    killer.wait()
    assert two_workers.workers[0].wait() == -9
    assert digest(remote / "store") == digest(local / "store")


def test_a_lost_scheduler_is_a_resumable_stop(tmp_path, two_workers):
    texts = {name: f"slow {text}" for name, text in toy.texts(30).items()}
    address = json.loads(two_workers.file.read_text())["address"]
    words = "import sys, time, os; time.sleep(2.5); os.kill(int(sys.argv[1]), 9)"
    killer = subprocess.Popen([sys.executable, "-c", words, str(two_workers.scheduler.pid)])
    with pytest.raises(UserError, match="lost during the run"):
        make(tmp_path, texts, address)
    killer.wait()
    local = tmp_path / "local"
    local.mkdir()
    victim(local, texts, 0)
    make(tmp_path, texts, "", workers=1)
    assert digest(tmp_path / "store") == digest(local / "store")


def test_a_worker_of_another_platform_is_refused(tmp_path, two_workers, monkeypatch):
    monkeypatch.setattr(cluster, "platform_string", lambda: "another machine")
    with pytest.raises(UserError, match="another machine"):
        make(tmp_path, toy.texts(6), str(two_workers.file))


def test_needs_that_no_worker_meets_are_refused(tmp_path, two_workers):
    with pytest.raises(UserError, match="GPU=1"):
        make(tmp_path, toy.texts(6), str(two_workers.file), gpu_stages=("toy",))


def test_no_scheduler_there(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_WITHIN_S", 1)
    with pytest.raises(UserError, match="no Dask scheduler answers"):
        make(tmp_path, toy.texts(6), "tcp://127.0.0.1:9")
