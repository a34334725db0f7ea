"""What a benchmark ends with: one JSON line per figure."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One measured number."""

    name: str
    value: float
    unit: str
    target: float | None
    """None: measured for its own sake."""
    holds: bool | None


def at_least(name: str, value: float, unit: str, target: float | None) -> Figure:
    """A figure that should be ``target`` or more."""
    return Figure(name, round(value, 3), unit, target, None if target is None else value >= target)


def at_most(name: str, value: float, unit: str, target: float) -> Figure:
    """A figure that should be ``target`` or less."""
    return Figure(name, round(value, 3), unit, target, value <= target)


def show(figures: list[Figure]) -> None:
    """Prints the figures, and says how many miss their target."""
    missed = [figure for figure in figures if figure.holds is False]
    print(f"{len(missed)} of {len(figures)} figures miss their target", file=sys.stderr)
    for figure in figures:
        print(json.dumps(asdict(figure)))


def peak_mb() -> float:
    """The most memory this process has held.

    Not by ru_maxrss, which a process takes over from the one that started it.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def in_turn(rounds: int, **contenders: Callable[[], object]) -> dict[str, float]:
    """Median CPU time of each contender in seconds; in turn, so that all share the noise."""
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, work in contenders.items():
            start = time.process_time()
            work()
            spent[name].append(time.process_time() - start)
    return {name: median(times[1:]) for name, times in spent.items()}  # the first one warms up
