"""Whether one run is better than another on the same videos, and how sure that is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.evaluation import facts, uncertainty
from pipeline.evaluation.aggregate import OK
from pipeline.evaluation.measures import Unscored, filled
from pipeline.evaluation.ranking import auc

OVERALL = "all datasets"

FEW_VIDEOS = 20
"""Below so many, intervals and p rest on a handful of people."""
LEAST_P = 0.001
"""What is smaller is only said to be."""


@dataclass(frozen=True)
class Difference:
    """Two runs on one set of videos."""

    where: str
    """A dataset, or :data:`OVERALL`."""
    first: str
    second: str
    videos: int
    """How many count: those that have a score of all runs, unless others count as something."""
    listed: int
    """How many there are."""
    difference: float
    """AUC of the first minus that of the second."""
    low: float
    high: float
    """95 % interval of the difference: bootstrap over people or scenes, paired."""
    p: float
    """Two-sided, DeLong, corrected for all pairs of runs and sets (Holm)."""


def compare(
    runs: Mapping[str, pa.Table],
    videos: pa.Table,
    split: str,
    missing: Unscored = "exclude",
    seed: int = 0,
) -> list[Difference]:
    """Every pair of runs, over all datasets and on each.

    Args:
        runs: table ``predictions_videos`` of each run, by its name; at least two.
        videos: table ``videos``; videos of one scene are drawn together, see
            :func:`pipeline.evaluation.facts.scenes`.
        split: ``val`` or ``test``.
        missing: what a video counts as for a run that has no score of it.
        seed: of the bootstrap.

    Returns:
        Differences of sets in which each class has two videos that all runs have a score of.

    Raises:
        UserError: fewer than two runs, or no set can be compared.
    """
    if len(runs) < 2:
        raise UserError("Name two runs or more to compare.")
    names = list(runs)
    of_split = [one.filter(pc.field("split") == split) for one in runs.values()]
    seen = of_split
    if missing == "exclude":
        seen = [one.filter(pc.field("status") == OK) for one in of_split]
    common = sorted(set.intersection(*(set(t.column("video_id").to_pylist()) for t in seen)))
    wanted = pa.array(common, pa.string())
    tables = [t.take(pc.index_in(wanted, t.column("video_id").combine_chunks())) for t in seen]
    scores = {n: filled(t, missing) for n, t in zip(names, tables, strict=True)}
    labels = tables[0].column("label").to_numpy()
    datasets = np.array(tables[0].column("dataset").to_pylist(), object)
    listed = Counter(of_split[0].column("dataset").to_pylist())
    listed[OVERALL] = sum(listed.values())
    groups = facts.scenes(wanted, videos)
    found: list[Difference] = []
    for where in (OVERALL, *sorted(set(datasets))):
        at = np.flatnonzero((datasets == where) | (where == OVERALL))
        counts = np.bincount(labels[at], minlength=2)
        if counts.min() < 2:
            continue
        parts = {name: score[at] for name, score in scores.items()}
        found += _pairs(where, listed[where], parts, labels[at], groups[at], seed)
    if not found:
        raise UserError(f"No set of {split} has two reals and two fakes that all runs scored.")
    corrected = uncertainty.holm([one.p for one in found])
    return [Difference(**{**one.__dict__, "p": p}) for one, p in zip(found, corrected, strict=True)]


def text(found: Sequence[Difference]) -> str:
    """One line per pair and set."""
    lines = []
    for one in found:
        lines.append(
            f"{one.where}, {one.videos} of {one.listed} videos: {one.first} minus {one.second} "
            f"{one.difference:+.4f} AUC, 95 % from {one.low:+.4f} to {one.high:+.4f}, {_p(one.p)}"
        )
    lines.append("Intervals: bootstrap over people and scenes. p: DeLong, corrected by Holm.")
    if any(one.videos < FEW_VIDEOS for one in found):
        lines.append(f"Sets of fewer than {FEW_VIDEOS} videos say next to nothing, whatever p is.")
    return "\n".join(lines)


def _p(value: float) -> str:
    """A probability for people: never 0, which none is."""
    return f"p {value:.2g}" if value >= LEAST_P else f"p below {LEAST_P:g}"


def _pairs(
    where: str,
    listed: int,
    scores: Mapping[str, NDArray[np.float64]],
    labels: NDArray[np.int8],
    groups: NDArray[np.int64],
    seed: int,
) -> list[Difference]:
    """All pairs of runs on one set; p is not corrected yet."""
    _, here = np.unique(groups, return_inverse=True)
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in scores}
    for drawn in uncertainty.draws(here, seed):
        for name, score in scores.items():
            parts[name].append(uncertainty.drawn_auc(labels, score, drawn))
    areas = {name: np.concatenate(found) for name, found in parts.items()}
    found = []
    for first, second in combinations(scores, 2):
        difference = auc(labels, scores[first]) - auc(labels, scores[second])
        apart = areas[first] - areas[second]
        low, high = uncertainty.interval(apart) or (-1.0, 1.0)
        p = uncertainty.delong_p(labels, scores[first], scores[second])
        counts = (len(labels), listed)
        found.append(Difference(where, first, second, *counts, difference, low, high, p))
    return found
