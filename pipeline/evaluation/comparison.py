"""Whether one run is better than another on the same videos, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.evaluation import uncertainty
from pipeline.evaluation.ranking import auc

OVERALL = "all datasets"


@dataclass(frozen=True)
class Difference:
    """Two runs on one set of videos."""

    where: str
    """A dataset, or :data:`OVERALL`."""
    first: str
    second: str
    videos: int
    """How many have a score of both."""
    difference: float
    """AUC of the first minus that of the second."""
    low: float
    high: float
    """95 % interval of the difference: bootstrap over people or scenes, paired."""
    p: float
    """Two-sided, DeLong, corrected for all pairs of runs and sets (Holm)."""


def compare(
    runs: Mapping[str, pa.Table], videos: pa.Table, split: str, seed: int = 0
) -> list[Difference]:
    """Every pair of runs, over all datasets and on each.

    Args:
        runs: table ``predictions_videos`` of each run, by its name; at least two.
        videos: table ``videos``; videos of one ``leak_group`` are drawn together.
        split: ``val`` or ``test``.
        seed: of the bootstrap.

    Returns:
        Differences of sets in which each class has two videos that all runs have a score of.

    Raises:
        UserError: fewer than two runs, or no set can be compared.
    """
    if len(runs) < 2:
        raise UserError("Name two runs or more to compare.")
    names = list(runs)
    seen = [t.filter((pc.field("split") == split) & (pc.field("faces") > 0)) for t in runs.values()]
    common = sorted(set.intersection(*(set(t.column("video_id").to_pylist()) for t in seen)))
    wanted = pa.array(common, pa.string())
    tables = [t.take(pc.index_in(wanted, t.column("video_id").combine_chunks())) for t in seen]
    scores = {n: t.column("score").to_numpy() for n, t in zip(names, tables, strict=True)}
    labels = tables[0].column("label").to_numpy()
    datasets = np.array(tables[0].column("dataset").to_pylist(), object)
    groups = _groups(wanted, videos)
    found: list[Difference] = []
    for where in (OVERALL, *sorted(set(datasets))):
        at = np.flatnonzero((datasets == where) | (where == OVERALL))
        counts = np.bincount(labels[at], minlength=2)
        if counts.min() < 2:
            continue
        parts = {name: score[at] for name, score in scores.items()}
        found += _pairs(where, parts, labels[at], groups[at], seed)
    if not found:
        raise UserError(f"No set of {split} has two reals and two fakes that all runs scored.")
    corrected = uncertainty.holm([one.p for one in found])
    return [Difference(**{**one.__dict__, "p": p}) for one, p in zip(found, corrected, strict=True)]


def text(found: Sequence[Difference]) -> str:
    """One line per pair and set."""
    lines = []
    for one in found:
        lines.append(
            f"{one.where}, {one.videos} videos: {one.first} minus {one.second} "
            f"{one.difference:+.4f} AUC, 95 % from {one.low:+.4f} to {one.high:+.4f}, p {one.p:.2g}"
        )
    lines.append("Intervals: bootstrap over people and scenes. p: DeLong, corrected by Holm.")
    return "\n".join(lines)


def _pairs(
    where: str,
    scores: Mapping[str, NDArray[np.float64]],
    labels: NDArray[np.int8],
    groups: NDArray[np.int64],
    seed: int,
) -> list[Difference]:
    """All pairs of runs on one set; p is not corrected yet."""
    _, here = np.unique(groups, return_inverse=True)
    drawn = uncertainty.resamples(here, labels, seed)
    areas = {
        name: np.array([auc(labels[places], score[places]) for places in drawn])
        for name, score in scores.items()
    }
    found = []
    for first, second in combinations(scores, 2):
        difference = auc(labels, scores[first]) - auc(labels, scores[second])
        apart = areas[first] - areas[second]
        low, high = uncertainty.interval(apart.tolist()) if len(apart) else (-1.0, 1.0)
        p = uncertainty.delong_p(labels, scores[first], scores[second])
        found.append(Difference(where, first, second, len(labels), difference, low, high, p))
    return found


def _groups(video_ids: pa.Array, videos: pa.Table) -> NDArray[np.int64]:
    """Number of each video's leak group (n,); a video without one is alone."""
    at = pc.index_in(video_ids, videos.column("video_id").combine_chunks())
    named = videos.column("leak_group").take(at).to_pylist()
    own = [
        group or f"video {name}" for group, name in zip(named, video_ids.to_pylist(), strict=True)
    ]
    return np.unique(np.array(own, object).astype(str), return_inverse=True)[1].astype(np.int64)
