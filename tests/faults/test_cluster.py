"""An existing Dask cluster: the same bytes, also when a worker dies; clear refusals."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from distributed import Client

from pipeline.config.params import EngineParams
from pipeline.engine import cluster, partition, run
from pipeline.engine.survey import Store
from pipeline.errors import UserError
from tests.engine import toy
from tests.faults.kill import ROOT, digest


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
        self.workers: list[subprocess.Popen[bytes]] = []
        for _ in range(workers):
            self._start(*words)
        give_up = time.monotonic() + 30
        while not self.file.is_file() and time.monotonic() < give_up:
            time.sleep(0.1)
        self._await(workers)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", "worker", "--scheduler-file", str(self.file)]
        command += ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.workers.append(subprocess.Popen([*command, *words], env=environment, **quiet))
        return self.workers[-1]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """One more worker, when it is there."""
        process = self._start(*words)
        self._await(len(self.workers))
        return process

    def _await(self, workers: int) -> None:
        with Client(scheduler_file=str(self.file)) as client:
            if workers:
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


def make_at_once(folder: Path, texts, monkeypatch) -> None:
    """The same store from this process, in which slow rows are quick."""
    with monkeypatch.context() as patch:
        patch.setattr(toy.time, "sleep", lambda _: None)
        make(folder, texts, "", workers=0)


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


KILL_AT_WORK = (  # as soon as there is something to keep
    "import sys, time, os, pathlib\n"
    "while not any(pathlib.Path(sys.argv[2]).glob('store/*.parquet')): time.sleep(0.05)\n"
    "os.kill(int(sys.argv[1]), 9)"
)


def test_same_bytes_while_a_worker_is_killed(tmp_path, two_workers, monkeypatch):
    texts = {name: f"slow {text}" for name, text in toy.texts(30).items()}
    local, remote = tmp_path / "local", tmp_path / "remote"
    make_at_once(local, texts, monkeypatch)
    arguments = [str(two_workers.workers[0].pid), str(remote)]
    killer = subprocess.Popen([sys.executable, "-c", KILL_AT_WORK, *arguments])
    make(remote, texts, str(two_workers.file))
    killer.wait()
    assert two_workers.workers[0].wait() == -9
    assert digest(remote / "store") == digest(local / "store")


def test_a_lost_scheduler_is_a_resumable_stop(tmp_path, two_workers, monkeypatch, capfd):
    texts = {name: f"slow {text}" for name, text in toy.texts(30).items()}
    address = json.loads(two_workers.file.read_text())["address"]
    arguments = [str(two_workers.scheduler.pid), str(tmp_path)]
    killer = subprocess.Popen([sys.executable, "-c", KILL_AT_WORK, *arguments])
    with pytest.raises(UserError, match="lost during the run"):
        make(tmp_path, texts, address)
    killer.wait()
    assert "Traceback" not in capfd.readouterr().err
    assert list((tmp_path / "store").glob("*.parquet"))
    make_at_once(tmp_path / "local", texts, monkeypatch)
    make_at_once(tmp_path, texts, monkeypatch)
    assert digest(tmp_path / "store") == digest(tmp_path / "local/store")


def test_a_worker_of_another_platform_is_refused(tmp_path, two_workers, monkeypatch):
    monkeypatch.setattr(cluster, "platform_string", lambda: "another machine")
    with pytest.raises(UserError, match="another machine"):
        make(tmp_path, toy.texts(6), str(two_workers.file))


def test_a_worker_that_runs_other_code_is_refused(tmp_path, two_workers, monkeypatch):
    monkeypatch.setattr(cluster, "_LOADED", "0123456789abcdef")
    with pytest.raises(UserError, match=r"other software.*the run has .*project 0123456789ab"):
        make(tmp_path, toy.texts(6), str(two_workers.file))


def test_memory_is_a_share_of_the_workers_machine(tmp_path, two_workers):
    with Client(scheduler_file=str(two_workers.file)) as client:
        threads, share_bytes = cluster._check_cluster(client, tmp_path, "here", {})
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert threads == 2
    assert share_bytes == pytest.approx(0.8 * memory / 2)


def test_needs_that_no_worker_meets_are_refused(tmp_path, two_workers):
    with pytest.raises(UserError, match="GPU=1"):
        make(tmp_path, toy.texts(6), str(two_workers.file), gpu_stages=("toy",))


@pytest.fixture
def one_worker(tmp_path):
    """One worker process that works three partitions at a time and has one GPU, it says."""
    running = Cluster(tmp_path, 1, "--nthreads", "3", "--resources", "GPU=1")
    yield running
    running.close()


def test_threads_of_a_worker_do_not_share_a_child(tmp_path, one_worker):
    make(tmp_path / "local", toy.texts(60), "", workers=0)
    make(tmp_path, toy.texts(60), str(one_worker.file))
    assert digest(tmp_path / "store") == digest(tmp_path / "local/store")


@dataclass
class RuledTask(toy.ToyTask):
    """Like the task of ``faces``: rows name rules that only the task knows, settings are empty."""

    rules: tuple[str, ...] = ()

    def settings(self):
        return {}

    def work(self, inputs):
        assert inputs["text"].split()[0] in self.rules
        return super().work(inputs)


def test_a_worker_keeps_no_task_of_an_earlier_run(tmp_path, one_worker):
    """Nor its limits: what rows name, and how long they may take, is this run's."""
    where = Store(tmp_path / "store", "faces", 3)
    for rule, deadline_s in (("first", 900.0), ("second", 900.0), ("slow", 0.1)):
        texts = {name: f"{rule} {text}" for name, text in toy.texts(6).items()}
        texts["toy/real/quick"] = f"{rule} quick" if rule != "slow" else "second quick"
        engine = EngineParams(scheduler=str(one_worker.file), row_deadline_s=deadline_s)
        task = RuledTask(rules=(rule, "second"))
        whole = run.run("toy", task, toy.plan(texts), where, engine, 1)
        lost = [r["reason"] for w in whole for r in partition.rejects(w.path).to_pylist()]
        assert lost.count("timeout") == (6 * 3 if rule == "slow" else 0)


def test_a_cluster_whose_workers_are_all_gone_is_a_resumable_stop(
    tmp_path, one_worker, monkeypatch
):
    monkeypatch.setattr(cluster, "LOOK_EVERY_S", 0.3)
    monkeypatch.setattr(cluster, "NO_WORKER_WITHIN_S", 1.0)
    texts = {name: f"slow {text}" for name, text in toy.texts(90).items()}
    killer = threading.Timer(1.5, one_worker.workers[0].kill)
    killer.start()
    with pytest.raises(UserError, match=r"lost during the run \(NoWorkerError\)"):
        make(tmp_path, texts, str(one_worker.file))
    killer.join()
    make_at_once(tmp_path / "local", texts, monkeypatch)
    make_at_once(tmp_path, texts, monkeypatch)
    assert digest(tmp_path / "store") == digest(tmp_path / "local/store")


def test_needs_choose_the_worker(tmp_path, two_workers):
    """Of three workers the one that offers a GPU works everything."""
    with_gpu = two_workers.start("--resources", "GPU=1")
    notes = tmp_path / "notes"
    texts = {name: f"note {notes} {text}" for name, text in toy.texts(12).items()}
    make(tmp_path, texts, str(two_workers.file), gpu_stages=("toy",))
    owners = {int(line.split()[1]) for line in notes.read_text().splitlines()}
    assert owners == {with_gpu.pid}
    notes.unlink()
    make(tmp_path / "free", texts, str(two_workers.file))
    assert len({line.split()[1] for line in notes.read_text().splitlines()}) > 1


def test_a_worker_of_another_platform_that_comes_late_is_refused(tmp_path, two_workers):
    """Workers are looked at when the run begins; one that comes later looks at itself."""
    words = "import pipeline.engine.cluster as c; c.platform_string = lambda: 'a late machine'"
    (tmp_path / "late.py").write_text(f"def dask_setup(worker):\n    {words}\n")
    texts = {name: f"slow {text}" for name, text in toy.texts(150).items()}
    late = threading.Timer(1, two_workers.start, ("--preload", str(tmp_path / "late.py")))
    late.start()
    with pytest.raises(UserError, match=r"came during the run .* It has a late machine"):
        make(tmp_path, texts, str(two_workers.file))
    late.join()


def test_workers_that_do_not_see_the_store_or_are_none_are_refused(tmp_path, two_workers):
    file = str(two_workers.file)
    with Client(scheduler_file=file) as client:
        with pytest.raises(UserError, match=r"does not see /nowhere/store.*same path"):
            cluster._check_cluster(client, Path("/nowhere/store"), file, {})
        for process in two_workers.workers:
            process.kill()
        give_up = time.monotonic() + 30
        while client.scheduler_info(n_workers=-1)["workers"] and time.monotonic() < give_up:
            time.sleep(0.1)
        with pytest.raises(UserError, match="has no workers"):
            cluster._check_cluster(client, tmp_path, file, {})


def test_a_scheduler_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"nope\.json, which is no file that exists"):
        make(tmp_path, toy.texts(6), str(tmp_path / "nope.json"))


def test_the_command_that_is_named_starts_a_worker(tmp_path):
    running = Cluster(tmp_path, 0)
    try:
        with pytest.raises(UserError) as error:
            make(tmp_path, toy.texts(6), str(running.file))
        words = str(error.value).split("`")[1].split()
        assert words[0] == "dask"
        worker = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        running.workers.append(worker)
        running._await(1)
    finally:
        running.close()


def test_no_scheduler_there(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_WITHIN_S", 1)
    with pytest.raises(UserError, match="no Dask scheduler answers"):
        make(tmp_path, toy.texts(6), "tcp://127.0.0.1:9")
