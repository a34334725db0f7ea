"""Benchmarks with a size run at the smallest one, so that none rots; figures mean nothing then."""

import json
import multiprocessing
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from benchmarks._children import answers

ROOT = Path(__file__).parents[2]
SMALLEST = {
    "altered": ["--films", "1", "--ways", "1"],
    "audit": ["--faces", "100"],
    "balance": ["--faces", "2000", "--rounds", "1"],
    "engine": ["--rows", "500", "--repeat", "1", "--copies", "1"],
    "expansion": ["--rounds", "1", "--swaps", "4"],
    "faces": ["--rounds", "1", "--pictures", "1", "--clips", "1", "--height", "240"],
    "generalisation": ["--seeds", "2", "--faces", "32", "--epochs", "1"],
    "matching": ["--targets", "100", "--sources", "300", "--rounds", "1"],
    "sampling": ["--seconds", "2", "--rounds", "1", "--only", "h264_480p_short"],
    "scan": ["--files", "20", "--rounds", "1"],
    "shards": ["--samples", "130", "--index", "1000", "--rounds", "1"],
    "training": ["--size", "tiny", "--faces", "16", "--steps", "1", "--rounds", "1"],
}
NEEDS_ASSETS = {"altered", "faces"}


def test_none_is_forgotten() -> None:
    found = {module.name for module in pkgutil.iter_modules(benchmarks.__path__)}
    assert {name for name in found if not name.startswith("_")} == set(SMALLEST)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_it_runs_to_its_end(name: str) -> None:
    if name in NEEDS_ASSETS and "FACESHARDS_ASSETS" not in os.environ:
        pytest.skip("FACESHARDS_ASSETS is not set")
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
