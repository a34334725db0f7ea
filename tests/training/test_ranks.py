"""Two processes that train one model are one process with the same batches."""

import csv
import os
import subprocess
import sys
import time

import pytest
import torch

from pipeline.commands.entry import EXIT_USER_ERROR
from pipeline.training import checkpoint, ranks
from pipeline.training.launch import start_ranks
from pipeline.training.loop import train
from tests.training import made
from tests.training.two_runs import RUNS, in_float64


@pytest.mark.slow
def test_two_processes_are_one_process_with_the_same_batches(tmp_path, monkeypatch):
    made.shards(tmp_path, "train", made.planted(0, 24))
    made.shards(tmp_path, "val", made.planted(1000, 11))  # the last batch is 3: of one rank alone
    monkeypatch.chdir(made.ROOT)
    assert start_ranks([sys.executable, "-m", "tests.training.rank_child", str(tmp_path)], 2) == 0
    for name, params in RUNS.items():
        in_float64(monkeypatch)
        train(made.run(params), tmp_path, tmp_path / f"one/{name}", tmp_path / f"one/{name}.csv")
        one, two = (
            checkpoint.load(tmp_path / f"{which}/{name}/last.pt")["model"]
            for which in ("one", "two")
        )
        assert list(one) == list(two)
        for key, value in one.items():
            torch.testing.assert_close(two[key], value, rtol=0, atol=1e-6, msg=f"{name}: {key}")
        rows = []
        for which in ("one", "two"):
            with (tmp_path / f"{which}/{name}.csv").open() as file:
                rows.append([[float(v) for v in row] for row in list(csv.reader(file))[1:]])
        for first, second in zip(*rows, strict=True):
            assert second == pytest.approx(first, abs=2e-5)


def _ranks(code, n=2):
    started = time.monotonic()
    status = start_ranks([sys.executable, "-c", code], n)
    return status, time.monotonic() - started


def test_when_one_ends_badly_the_others_are_ended_and_it_is_heard(capfd, monkeypatch):
    monkeypatch.setattr("pipeline.training.launch._GRACE_S", 0.5)
    code = (
        "import os, sys, time\n"
        "if os.environ['RANK'] == '1': sys.exit('rank 1: out of memory')\n"
        "time.sleep(600)"
    )
    status, seconds = _ranks(code)
    assert status == 1
    assert seconds < 30
    assert "rank 1: out of memory" in capfd.readouterr().err


def test_what_all_say_is_heard_once(capfd):
    code = "import sys; print('hello'); print('the same mistake', file=sys.stderr); sys.exit(2)"
    assert _ranks(code, 3)[0] == EXIT_USER_ERROR
    said = capfd.readouterr()
    assert said.err.count("the same mistake") == 1
    assert said.out.count("hello") == 1


def test_all_well_is_0_and_each_knows_its_place(tmp_path):
    code = (
        "import os, pathlib\n"
        f"place = pathlib.Path({str(tmp_path)!r}) / os.environ['RANK']\n"
        "place.write_text(os.environ['WORLD_SIZE'] + os.environ['LOCAL_RANK'])"
    )
    assert _ranks(code, 3)[0] == 0
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"0": "30", "1": "31", "2": "32"}


def test_ranks_end_with_who_started_them(tmp_path):
    child = (
        "import os, pathlib, time\n"
        "from pipeline.engine.process import die_with\n"
        "die_with(int(os.environ['FACESHARDS_OWNER']))\n"
        f"(pathlib.Path({str(tmp_path)!r}) / os.environ['RANK']).write_text(str(os.getpid()))\n"
        "time.sleep(600)"
    )
    parent = (
        "import sys\nfrom pipeline.training.launch import start_ranks\n"
        f"start_ranks([sys.executable, '-c', {child!r}], 2)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=made.ROOT)
    until = time.monotonic() + 60
    while len([p for p in tmp_path.iterdir() if p.read_text()]) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    pids = [int(path.read_text()) for path in tmp_path.iterdir()]
    assert len(pids) == 2
    process.kill()
    process.wait()
    while any(_lives(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(_lives(pid) for pid in pids)


def _lives(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - of the kernel
            return file.read().split()[2] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_one_process_exchanges_nothing():
    rows = torch.ones(3, 2, requires_grad=True)
    assert (ranks.number(), ranks.count(), ranks.is_first()) == (0, 1, True)
    assert ranks.gathered(rows) is rows
    assert ranks.lengths_of(rows) == (3,)
    ranks.sum_([rows])
    with ranks.joined(torch.device("cpu")):
        assert ranks.count() == 1
