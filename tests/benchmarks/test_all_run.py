"""Benchmarks with a size run at the smallest one, so that none rots; figures mean nothing then."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks._children import answers

ROOT = Path(__file__).parents[2]
SMALLEST = {
    "audit": ["--faces", "100"],
    "balance": ["--faces", "2000", "--rounds", "1"],
    "expansion": ["--rounds", "1", "--swaps", "4"],
    "matching": ["--targets", "100", "--sources", "300", "--rounds", "1"],
    "sampling": ["--seconds", "2", "--rounds", "1", "--only", "h264_480p_short"],
    "scan": ["--files", "20", "--rounds", "1"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_it_runs_to_its_end(name: str) -> None:
    command = [sys.executable, "-m", "benchmarks", name, *SMALLEST[name]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    for line in done.stdout.splitlines():
        assert set(json.loads(line)) == {"name", "value", "unit", "target", "holds"}
    assert done.stdout


def _die(results: Any) -> None:
    os._exit(3)


def _wait(results: Any) -> None:
    results.get()


def test_a_child_that_dies_ends_it_with_a_sentence() -> None:
    context = multiprocessing.get_context("spawn")
    results, never = context.Queue(), context.Queue()
    children = [
        context.Process(target=_die, args=(results,)),
        context.Process(target=_wait, args=(never,)),
    ]
    with pytest.raises(SystemExit, match=r"Detection: a process died \(exit code 3\)"):
        answers(children, results, "Detection")
    assert not any(child.is_alive() for child in children)
