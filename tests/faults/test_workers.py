"""What native code does to its process costs the row, and nothing outlives a killed run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

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


def test_killed_workers_and_children_cost_no_row(tmp_path, monkeypatch):
    """SIGKILL of a local worker of Dask, and of a child, in the middle of a run."""
    notes = tmp_path / "notes"
    texts = {name: f"note {notes} {text}" for name, text in toy.texts(40).items()}
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.victim", str(tmp_path), json.dumps(texts), "0", "2"],
        cwd=ROOT,
    )
    killed = []
    for column in (0, 1):  # a child, then a worker
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            rows = notes.read_text().splitlines() if notes.is_file() else []
            at_work = [int(row.split()[column]) for row in rows[-1:] if len(rows) > 3 * column]
            if at_work and at_work[0] not in killed:
                os.kill(at_work[0], signal.SIGKILL)
                killed += at_work
                break
            time.sleep(0.02)
    assert len(killed) == 2
    assert running.pid not in killed
    assert running.wait(timeout=120) == 0
    worked = notes.read_text().splitlines()
    assert len(texts) < len(worked) <= len(texts) + 1 + 8  # a row, and a worker's partition
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
    children = workers + (workers if workers > 1 else 0)  # Dask's workers own them
    give_up = time.monotonic() + 60
    while len(session(running.pid)) < 1 + children and time.monotonic() < give_up:
        time.sleep(0.2)
    time.sleep(1)
    assert len(session(running.pid)) >= 1 + children
    running.kill()
    running.wait()
    give_up = time.monotonic() + 15
    while session(running.pid) and time.monotonic() < give_up:
        time.sleep(0.2)
    left = session(running.pid)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


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
