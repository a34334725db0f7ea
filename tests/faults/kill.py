"""Kill points: a run killed anywhere, then one to the end, gives the bytes of an undisturbed run.

``python -m tests.faults.kill --points 300`` is the soak; the tests try fewer.
"""

import argparse
import functools
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.engine import toy

ROOT = Path(__file__).parents[2]


def states(seed: int) -> list[dict[str, str]]:
    """Three states of a small dataset: videos come, go, change and are renamed in between."""
    draw = random.Random(seed)  # noqa: S311 - a test's choice of rows
    state = toy.texts(10)
    history = [dict(state)]
    for step in range(2):
        for name in draw.sample(sorted(state), 3):
            text = state.pop(name)
            if draw.random() < 0.4:
                state[f"{name}_renamed"] = text
            elif draw.random() < 0.5:
                state[name] = f"{text} changed {step}"
        state[f"toy/real/new{step}"] = f"new {step}"
        state[f"toy/real/bad{step}"] = f"reject {step}"
        history.append(dict(state))
    return history


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Forks a process for each run, so that only the first pays for imports; ends with this one."""
    command = [sys.executable, "-m", "tests.faults.victim"]
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def victim(folder: Path, state: dict[str, str], kill_at: int) -> int | None:
    """Runs the victim in a process of its own; the steps it took, or None where it was killed."""
    server = _server()
    server.stdin.write(json.dumps([str(folder), json.dumps(state), str(kill_at), "0"]) + "\n")
    server.stdin.flush()
    steps = None
    while not (line := server.stdout.readline()).startswith("code "):
        steps = int(line)
    code = int(line.split()[1])
    if code not in (0, -signal.SIGKILL):
        raise AssertionError(f"the victim ended with {code}; its error is above")
    return None if code else steps


def digest(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder that is not hidden."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.parent.name != "logs"
    }


def try_points(points: int, seed: int, parent: Path) -> int:
    """Kills at so many random steps; returns how many kills hit. Raises where bytes differ."""
    draw = random.Random(seed)  # noqa: S311 - a test's choice of kill points
    history = states(seed)
    before, clean, steps = [], [], []
    for number, state in enumerate(history):
        before.append(parent / f"before{number}")
        before[-1].mkdir()
        for earlier in history[:number]:
            victim(before[-1], earlier, 0)
        steps.append(victim(_copy(before[-1], parent / f"counted{number}"), state, 0) or 1)
        fresh = parent / f"clean{number}"
        fresh.mkdir()
        victim(fresh, state, 0)
        clean.append(digest(fresh))
    hits = 0
    for point in range(points):
        last = draw.randrange(len(history))
        folder = _copy(before[last], parent / f"point{point}")
        for _ in range(draw.choice([1, 1, 2])):  # sometimes the next run is killed as well
            hits += victim(folder, history[last], draw.randint(1, steps[last])) is None
        victim(folder, history[last], 0)
        if digest(folder) != clean[last]:
            raise AssertionError(f"seed {seed}, point {point}: bytes differ in {folder}")
        if left := list((folder / "store").rglob(".tmp-*")):
            raise AssertionError(f"seed {seed}, point {point}: {left} stay behind")
    return hits


def _copy(folder: Path, to: Path) -> Path:
    return shutil.copytree(folder, to)


def main() -> None:
    """The soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        hits = try_points(arguments.points, arguments.seed, Path(folder))
    print(f"{arguments.points} points, {hits} kills, no byte differs")  # noqa: T201


if __name__ == "__main__":
    main()
