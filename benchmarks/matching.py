"""Time to find each target's nearest source of another person, beside what a user would take.

Landmarks as aligned faces have them: 25 directions of falling strength and 0.8 px of noise, a
thousand people with as many faces each. Ours answers all targets; the others some of them, scaled
up. They do not leave out a target's own person but for the scan. Besides, data without main
directions, where no bound helps: there, a bare product of matrices is what cannot be beaten.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks import _figures
from pipeline.expansion.matching import Exclusions, nearest_sources

Points = NDArray[np.float64]
PEOPLE = 1000
COORDINATES = 136
HARD_TARGETS = 0.1
"""Of the targets; with as many sources."""
CHECKED = 50
AT_LEAST = {"scan": 150.0, "faiss": 3.0, "scikit_learn": None, "kd_tree": None}
"""Times as fast as each other that ours should be, with 100 000 on each side."""
SOME = {"scan": 50, "faiss": 5_000, "scikit_learn": 5_000, "kd_tree": 500}
"""Targets that the others answer."""
HARD_AT_MOST = 1.3
PEAK_MB = 2_000.0


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the figures to stdout."""
    parser = argparse.ArgumentParser(prog="benchmarks matching", description=__doc__)
    parser.add_argument("--targets", type=int, default=100_000)
    parser.add_argument("--sources", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    targets, sources = _landmarks(options.targets, 1), _landmarks(options.sources, 2)
    ties = _people(options.targets, options.sources)
    before_mb = _figures.peak_mb()
    nearest, _ = nearest_sources(targets, sources, ties)
    peak_mb = _figures.peak_mb()
    spent: dict[str, list[float]] = {"ours": []}
    for _ in range(options.rounds):
        spent["ours"].append(_seconds(lambda: nearest_sources(targets, sources, ties)))
        for name, other in _others(targets, sources, ties).items():
            some = min(SOME[name], len(targets))
            spent.setdefault(name, []).append(_seconds(other) * len(targets) / some)
    ours_s = float(np.median(spent["ours"]))
    figures = [
        _figures.at_least("matching", ours_s, "s", None),
        _figures.at_least(
            "matching_rate", len(targets) * len(sources) / ours_s / 1e6, "million pairs/s", None
        ),
        _figures.at_least("matching_exact", _exact(targets, sources, ties, nearest), "share", 1.0),
        _figures.at_most("matching_peak", peak_mb, "MB", PEAK_MB),
        _figures.at_least("matching_tables", before_mb, "MB", None),
    ]
    for name, target in AT_LEAST.items():
        if name not in spent:
            print(f"{name} is not installed: pip install -e '.[bench]'", file=sys.stderr)
            continue
        ratio = np.median(np.divide(spent[name], spent["ours"]))
        figures.append(_figures.at_least(f"matching_{name}_over_ours", float(ratio), "x", target))
    figures.append(
        _figures.at_most(
            "matching_hard",
            _hard(int(HARD_TARGETS * options.targets), options.sources, options.rounds),
            "x",
            HARD_AT_MOST,
        )
    )
    _figures.show(figures)


def _others(targets: Points, sources: Points, ties: Exclusions) -> dict[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {
        "scan": lambda: [_scan(targets[row], sources, ties, row) for row in range(SOME["scan"])],
        "kd_tree": lambda: cKDTree(sources).query(targets[: SOME["kd_tree"]], 32, workers=-1),
    }
    try:
        metrics = importlib.import_module("sklearn.metrics")
        found["scikit_learn"] = lambda: metrics.pairwise_distances_argmin(
            targets[: SOME["scikit_learn"]], sources
        )
        faiss = importlib.import_module("faiss")
    except ImportError:
        return found

    def flat() -> object:
        index = faiss.IndexFlatL2(COORDINATES)
        index.add(sources.astype(np.float32))
        return index.search(targets[: SOME["faiss"]].astype(np.float32), 1)

    return found | {"faiss": flat}


def _scan(target: Points, sources: Points, ties: Exclusions, row: int) -> int:
    """Measures every source of another person."""
    measured = np.square(sources - target).sum(axis=1)
    measured[ties.source_group == ties.target_group[row]] = np.inf
    return int(measured.argmin())


def _exact(targets: Points, sources: Points, ties: Exclusions, nearest: NDArray[np.int64]) -> float:
    """Share of some targets whose answer is that of the scan."""
    rows = np.linspace(0, len(targets) - 1, CHECKED).astype(int).tolist()
    return float(
        np.mean([nearest[row, 0] == _scan(targets[row], sources, ties, row) for row in rows])
    )


def _hard(count: int, many: int, rounds: int) -> float:
    """Our time over that of a product of matrices and its least values, on data without form."""
    rng = np.random.default_rng(3)
    targets, sources = (112 + rng.normal(0, 20, (rows, COORDINATES)) for rows in (count, many))
    ties = _people(count, many)
    there = sources.astype(np.float32)
    there_2 = np.square(there).sum(axis=1)

    def product() -> None:
        for start in range(0, count, 256):
            about = targets[start : start + 256].astype(np.float32) @ there.T
            about *= -2
            about += there_2
            about.argmin(axis=1)

    ratios = [
        _seconds(lambda: nearest_sources(targets, sources, ties)) / _seconds(product)
        for _ in range(rounds)
    ]
    return float(np.median(ratios))


def _landmarks(rows: int, seed: int) -> Points:
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(0).normal(size=(25, COORDINATES))
    strength = 8 * 0.75 ** np.arange(25)
    return (
        112
        + rng.normal(size=(rows, 25)) * strength @ directions
        + rng.normal(0, 0.8, (rows, COORDINATES))
    )


def _people(targets: int, sources: int) -> Exclusions:
    people = [np.arange(rows) * PEOPLE // rows for rows in (targets, sources)]
    return Exclusions(people[0], people[1], [np.array([one]) for one in range(PEOPLE)])


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
