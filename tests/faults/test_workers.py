"""What native code does to its process costs the row, and nothing outlives a killed run."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.commands.entry import EXIT_INTERRUPTED
from pipeline.config.params import EngineParams
from pipeline.engine import partition, run, stage
from pipeline.engine.survey import Store
from tests.engine import toy
from tests.faults.kill import ROOT, digest


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_each_culprit_is_named_and_no_innocent_rejected(tmp_path, workers):
    bad = {"crash": "worker_died", "hang": "timeout", "spin": "timeout", "swell": "out_of_memory"}
    texts = toy.texts(20) | {f"toy/real/v{i:04d}_{word}": word for i, word in enumerate(bad)}
    engine = EngineParams(workers=workers, row_deadline_s=3, row_memory_gb=0.4)
    where = Store(tmp_path / "store", "faces", target_rows=8)
    whole = run.run("toy", toy.ToyTask(), toy.plan(texts), where, engine, version=1)
    rejects = pa.concat_tables(partition.rejects(part.path) for part in whole).to_pylist()
    lost = {r["id"].rsplit("/", 1)[0]: r["reason"] for r in rejects if r["reason"] != "no_face"}
    assert lost == {f"toy/real/v{i:04d}_{word}": bad[word] for i, word in enumerate(bad)}
    faces = pa.concat_tables(partition.outputs(part.path, "faces") for part in whole)
    assert faces.num_rows == 20 * 2


def test_killed_children_cost_no_row(tmp_path, monkeypatch):
    """SIGKILL of two children, one after the other, in the middle of a run."""
    notes = tmp_path / "notes"
    texts = {name: f"note {notes} {text}" for name, text in toy.texts(40).items()}
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.victim", str(tmp_path), json.dumps(texts), "0", "2"],
        cwd=ROOT,
    )
    killed: list[int] = []
    give_up = time.monotonic() + 60
    while len(killed) < 2 and time.monotonic() < give_up:
        at_work = (
            [int(row.split()[0]) for row in notes.read_text().splitlines()]
            if notes.is_file()
            else []
        )
        # Its second row or a later one: a new child's first may be one that was lost before, and
        # a row that is lost twice is given up.
        if at_work and at_work.count(at_work[-1]) > 1 and at_work[-1] not in killed:
            os.kill(at_work[-1], signal.SIGKILL)
            killed.append(at_work[-1])
        time.sleep(0.02)
    assert len(killed) == 2
    assert running.pid not in killed
    assert running.wait(timeout=120) == 0
    worked = notes.read_text().splitlines()
    assert len(texts) < len(worked) <= len(texts) + 2  # the rows at work
    assert {int(row.split()[1]) for row in worked} == {running.pid}
    plain = tmp_path / "plain"
    plain.mkdir()
    monkeypatch.setattr(toy.time, "sleep", lambda _: None)
    where = Store(plain / "store", "faces", 3)
    whole = run.run("toy", toy.ToyTask(), toy.plan(texts), where, EngineParams(workers=0), 1)
    stage.write_table(whole, plain / "faces.parquet", "faces")
    assert digest(tmp_path / "store") == digest(plain / "store")
    assert (tmp_path / "faces.parquet").read_bytes() == (plain / "faces.parquet").read_bytes()


def session(leader: int) -> list[int]:
    """Living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(words[3]) == leader and words[0] != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_leaves_no_process_behind(tmp_path, workers):
    texts = dict.fromkeys(toy.texts(8), "hang")
    words = [str(tmp_path), json.dumps(texts), "0", str(workers)]
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.victim", *words], cwd=ROOT, start_new_session=True
    )
    give_up = time.monotonic() + 60
    while len(session(running.pid)) < 1 + workers and time.monotonic() < give_up:
        time.sleep(0.2)
    time.sleep(1)
    assert len(session(running.pid)) == 1 + workers
    running.kill()
    running.wait()
    assert left_behind(running.pid) == []


def left_behind(leader: int) -> list[int]:
    """Processes of a session that do not end by themselves; they are killed."""
    give_up = time.monotonic() + 15
    while session(leader) and time.monotonic() < give_up:
        time.sleep(0.2)
    left = session(leader)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return left


INTERRUPTED = """
import sys
from pipeline.commands.entry import run_main
from tests.faults import victim
raise SystemExit(run_main(lambda: victim.run_once(*sys.argv[1:])))
"""


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("wait_s", [0.0, 0.05, 0.15, 0.4, 1.5])
def test_ctrl_c_is_one_line_and_leaves_no_process(tmp_path, workers, wait_s):
    """From a terminal it reaches all processes: while children start, and while they work."""
    texts = toy.texts(8) | {f"toy/real/w{i}": "hang" for i in range(8)}
    words = [str(tmp_path), json.dumps(texts), "0", str(workers)]
    running = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},  # children find the toy task too
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    store = tmp_path / "store"
    while not list(store.glob(".tmp-*.tar" if workers else "*")):  # partitions are begun
        assert running.poll() is None
        time.sleep(0.005)
    time.sleep(wait_s)
    os.killpg(running.pid, signal.SIGINT)
    began = time.monotonic()
    said = running.communicate(timeout=30)[1]
    assert time.monotonic() - began < 5
    assert left_behind(running.pid) == []
    assert said == "faceshards: interrupted.\n"
    assert running.returncode == EXIT_INTERRUPTED
    assert list(store.glob(".tmp-*")) == []


def test_ctrl_c_stops_rows_that_need_no_child(tmp_path):
    """Between two of them, though the partition is large."""
    code = """
import sys
from pathlib import Path
from pipeline.commands.entry import run_main
from pipeline.config.params import EngineParams
from pipeline.engine import run
from pipeline.engine.survey import Store
from tests.engine import toy

def main():
    texts = {name: f"slow {text}" for name, text in toy.texts(400).items()}
    where = Store(Path(sys.argv[1]) / "store", "faces", 200, isolate=False)
    run.run("toy", toy.ToyTask(), toy.plan(texts), where, EngineParams(workers=2), 1)

raise SystemExit(run_main(main))
"""
    running = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(list((tmp_path / "store").glob(".tmp-*.tar"))) < 2:
        assert running.poll() is None
        time.sleep(0.02)
    assert session(running.pid) == [running.pid]
    os.killpg(running.pid, signal.SIGINT)
    assert running.communicate(timeout=10)[1] == "faceshards: interrupted.\n"
    assert running.returncode == EXIT_INTERRUPTED


def ports(processes: Iterable[int]) -> set[str]:
    """Inodes of the sockets of these processes that a network could reach."""
    tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")]
    rows = [line for t in tables if t.is_file() for line in t.read_text().splitlines()[1:]]
    network = {row.split()[9] for row in rows}
    held = set()
    for pid in processes:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(OSError):
                held.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    return held & network


@pytest.mark.skipif(not Path("/proc/net/tcp").is_file(), reason="sockets are read from /proc")
def test_a_local_run_opens_no_port(tmp_path):
    with socket.create_server(("127.0.0.1", 0)):
        assert len(ports([os.getpid()])) == 1, "the check sees a port that is there"
    texts = dict.fromkeys(toy.texts(20), "slow")
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.victim", str(tmp_path), json.dumps(texts), "0", "2"],
        cwd=ROOT,
        start_new_session=True,
    )
    most = 0
    while running.poll() is None:
        processes = session(running.pid)
        most = max(most, len(processes))
        assert ports(processes) == set()
        time.sleep(0.02)
    assert running.returncode == 0
    assert most == 3


@pytest.mark.parametrize("isolate", [True, False])
def test_a_local_run_needs_nothing_of_a_cluster(tmp_path, isolate):
    code = f"""
import sys
from pathlib import Path
from pipeline.config.params import EngineParams
from pipeline.engine import run
from pipeline.engine.survey import Store
from tests.engine import toy

where = Store(Path("store"), "faces", 3, isolate={isolate})
run.run("toy", toy.ToyTask(), toy.plan(toy.texts(9)), where, EngineParams(workers=2), 1)
print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = set(done.stdout.split())
    assert "dask.threaded" in loaded
    assert not {"distributed", "cryptography", "tornado"} & loaded


def test_a_second_run_says_who_is_at_work(tmp_path):
    texts = dict.fromkeys(toy.texts(60), "slow")
    words = [str(tmp_path), json.dumps(texts), "0", "0"]
    command = [sys.executable, "-m", "tests.faults.victim", *words]
    first = subprocess.Popen(command, cwd=ROOT)
    lock = tmp_path / ".store.lock"
    while not (lock.is_file() and lock.read_text()):
        time.sleep(0.05)
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    first.kill()
    first.wait()
    assert second.returncode
    assert f"process {first.pid}" in second.stderr
