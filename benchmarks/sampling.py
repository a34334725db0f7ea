"""Getting one frame per second out of videos: CPU and wall time, and whether they are right.

Contenders take turns within each round, so that whatever else the machine does hits all of them.
The files are made for the run, some of them of the frames of real clips, where FACESHARDS_ASSETS
names a folder of such; and those clips themselves come besides.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import _clips, _figures
from benchmarks._clips import Recipe
from benchmarks._contenders import (
    MAX_SIDE_PX,
    Contender,
    Frames,
    available,
    decoding_alone,
    ours,
)
from benchmarks._figures import Figure
from pipeline.errors import Reject
from pipeline.video.decode import VideoReader
from pipeline.video.probe import probe

REAL_TARGETS = {"opencv_read": 2.2, "torchcodec": 1.3, "decord": 1.5}
"""Least ratio of CPU time over all real clips together."""

SIDE_BY_SIDE_TARGETS = {"opencv_read": 2.5}
"""Least ratio of wall time over all made clips, where two processes share them."""
MIN_DECODING_SHARE, MIN_DECODING_SHARE_SHORT = 0.9, 0.75
"""Least share of our CPU time that decoding alone would take; the second where that is short."""
SHORT_S = 0.15
"""Opening a file weighs more where its decoding takes less CPU time than this."""


@dataclass(frozen=True)
class Spent:
    """What one call took."""

    cpu_s: float
    wall_s: float


@dataclass(frozen=True)
class File:
    """A video, what is asked of it, and the numbers of the right frames where they are known."""

    name: str
    path: Path
    times_s: list[float]
    numbers: list[int] | None = None


def main(arguments: Sequence[str]) -> None:
    """Measures, prints a table to stderr and the figures to stdout."""
    options = _options(arguments)
    contenders, unable = available()
    for name, why in unable.items():
        _say(f"left out: {name} ({why})")
    chosen = [
        recipe
        for recipe in _clips.RECIPES
        if options.only in recipe.name and (not recipe.filmed or "FACESHARDS_ASSETS" in os.environ)
    ]
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        files = [_made(recipe, Path(folder), options.seconds) for recipe in chosen]
        for file in files:
            spent, wrong = _measure(file, contenders, options.rounds)
            _table(file, spent, wrong)
            figures += _clip_figures(file, spent, wrong)
        if files:
            figures += _side_by_side(files, contenders, options.rounds)
    figures += _real_figures(contenders, options.rounds, options.only)
    _figures.show(figures)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks sampling", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="length of the clips")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--only", default="", help="clips with this in their name")
    return parser.parse_args(arguments)


def _made(recipe: Recipe, folder: Path, seconds: float) -> File:
    path = _clips.write(recipe, folder, seconds)
    starts = _clips.stamps(recipe, seconds)
    times = [float(t) for t in range(int((starts[-1] + recipe.rate - 1) / recipe.rate))]
    numbers = [bisect_right(starts, t * recipe.rate) - 1 for t in times]
    return File(recipe.name, path, times, numbers)


def _measure(
    file: File, contenders: dict[str, Contender], rounds: int
) -> tuple[dict[str, list[Spent]], dict[str, int]]:
    """Times per contender, and how many of its frames were wrong or missing in a first call."""
    wrong = {name: _wrong(file, contender) for name, contender in contenders.items()}
    timed = {**contenders, decoding_alone.__name__: decoding_alone}
    spent: dict[str, list[Spent]] = {name: [] for name in timed}
    for name in _turns(list(timed), rounds):
        spent[name].append(_spent(timed[name], file))
    return spent, wrong


def _turns(names: list[str], rounds: int) -> Iterator[str]:
    """Every name once per round; who begins changes from round to round."""
    for place in range(rounds):
        start = place % len(names)
        yield from names[start:] + names[:start]


def _wrong(file: File, contender: Contender) -> int:
    frames: Frames = contender(file.path, file.times_s)
    if file.numbers is None:
        return abs(len(file.times_s) - len(frames))
    found = [_clips.number_of(frame) for frame in frames]
    found += [-1] * (len(file.numbers) - len(found))
    return sum(a != b for a, b in zip(file.numbers, found, strict=False))


def _spent(contender: Callable[[Path, Sequence[float]], object], file: File) -> Spent:
    wall, cpu = time.perf_counter(), _cpu_s()
    contender(file.path, file.times_s)
    return Spent(_cpu_s() - cpu, time.perf_counter() - wall)


def _cpu_s() -> float:
    """Seconds that all threads of this process and its finished children have taken."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _clip_figures(file: File, spent: dict[str, list[Spent]], wrong: dict[str, int]) -> list[Figure]:
    cpu = {name: median(s.cpu_s for s in calls) for name, calls in spent.items()}
    mine, alone = cpu.pop(ours.__name__), cpu.pop(decoding_alone.__name__)
    prefix = f"sampling.{file.name}"
    share = MIN_DECODING_SHARE if mine > SHORT_S else MIN_DECODING_SHARE_SHORT
    figures = [
        _figures.at_most(f"{prefix}.wrong_pictures", wrong[ours.__name__], "pictures", 0),
        _figures.at_least(f"{prefix}.share_of_decoding", alone / mine, "", share),
    ]
    for name, theirs in cpu.items():
        figures.append(_figures.at_least(f"{prefix}.cpu_of_{name}", theirs / mine, "x", 1.0))
    return figures


def _side_by_side(
    files: Sequence[File], contenders: dict[str, Contender], rounds: int
) -> list[Figure]:
    """All made clips, shared by two processes: the wall time of others over ours."""
    names = [ours.__name__, *(SIDE_BY_SIDE_TARGETS.keys() & contenders.keys())]
    wall: dict[str, list[float]] = {name: [] for name in names}
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for name in names:  # imports are not measured
            pool.starmap(_call, [(name, files[0])] * 4, chunksize=1)
        for name in _turns(names, rounds):
            start = time.perf_counter()
            pool.starmap(_call, [(name, file) for file in files], chunksize=1)
            wall[name].append(time.perf_counter() - start)
    mine = median(wall.pop(ours.__name__))
    return [
        _figures.at_least(
            f"sampling.two_processes.wall_of_{name}",
            median(times) / mine,
            "x",
            SIDE_BY_SIDE_TARGETS[name],
        )
        for name, times in wall.items()
    ]


def _call(name: str, file: File) -> None:
    available()[0][name](file.path, file.times_s)


def _real_figures(contenders: dict[str, Contender], rounds: int, only: str) -> list[Figure]:
    """All real clips together, of those that a contender can read: its CPU time over ours."""
    folder = os.environ.get("FACESHARDS_ASSETS", "")
    if not folder or only not in "real":
        return []
    mine = dict.fromkeys(REAL_TARGETS, 0.0)
    theirs = dict.fromkeys(REAL_TARGETS, 0.0)
    fell_back = 0
    for path in sorted((Path(folder) / "videos").rglob("*.*")):
        try:
            facts = probe(path, MAX_SIDE_PX)
        except Reject:
            continue
        times = [float(t) for t in range(int(facts.duration_s))]
        file = File(path.name, path, times or [0.0])
        able = {name: contenders[name] for name in _able(file, contenders)}
        spent, wrong = _measure(file, able, rounds)
        _table(file, spent, wrong)
        cpu = {name: median(s.cpu_s for s in calls) for name, calls in spent.items()}
        for name in REAL_TARGETS.keys() & cpu.keys():
            mine[name] += cpu[ours.__name__]
            theirs[name] += cpu[name]
        with VideoReader(path, MAX_SIDE_PX) as reader:
            list(reader.frames_at(file.times_s))
            fell_back += reader.fell_back
    figures = [Figure("sampling.real.decoded_whole", fell_back, "files", None, None)]
    for name, target in REAL_TARGETS.items():
        if theirs[name]:
            ratio = theirs[name] / mine[name]
            figures.append(_figures.at_least(f"sampling.real.cpu_of_{name}", ratio, "x", target))
    return figures


def _able(file: File, contenders: dict[str, Contender]) -> list[str]:
    """Ours, and those of the others that can read this file at all."""
    names = [ours.__name__]
    for name in REAL_TARGETS.keys() & contenders.keys():
        try:
            contenders[name](file.path, file.times_s)
        except Exception as error:
            _say(f"left out for {file.name}: {name} ({str(error).strip().splitlines()[0]})")
        else:
            names.append(name)
    return sorted(names, key=list(contenders).index)


def _table(file: File, spent: dict[str, list[Spent]], wrong: dict[str, int]) -> None:
    _say(f"\n{file.name}: {len(file.times_s)} pictures")
    mine = median(s.cpu_s for s in spent[ours.__name__])
    for name, calls in spent.items():
        cpu, wall = median(s.cpu_s for s in calls), median(s.wall_s for s in calls)
        times = f"{cpu:7.3f} s CPU {wall:7.3f} s wall  x {cpu / mine:5.2f}"
        errors = f"  {wrong[name]} wrong or missing" if name in wrong else ""
        _say(f"  {name:22}{times}{errors}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
