"""How far an AUC, or a difference of two, could be off by chance. Pure functions of arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from pipeline.evaluation.ranking import Labels, Scores, auc

RESAMPLES = 1000
LEVEL = 0.95


def delong(labels: Labels, scores: Sequence[Scores]) -> tuple[Scores, NDArray[np.float64]]:
    """AUCs of several detectors on the same videos, and their covariance.

    DeLong et al. 1988 by the mid-ranks of Sun and Xu 2014.

    Args:
        labels: (n,), of each class at least two.
        scores: (n,) of each of r detectors.

    Returns:
        float64 (r,) and (r, r).
    """
    fakes, reals = labels == 1, labels == 0
    m, n = int(fakes.sum()), int(reals.sum())
    if m < 2 or n < 2:
        raise ValueError("of each class at least two videos are needed")
    by_fake, by_real, areas = [], [], []
    for one in scores:
        whole = rankdata(one)
        above = whole[fakes] - rankdata(one[fakes])  # reals below each fake, ties half
        below = whole[reals] - rankdata(one[reals])
        by_fake.append(above / n)
        by_real.append(1 - below / m)
        areas.append(above.sum() / (m * n))
    covariance = np.cov(np.array(by_fake), ddof=1).reshape(len(areas), -1) / m
    covariance = covariance + np.cov(np.array(by_real), ddof=1).reshape(len(areas), -1) / n
    return np.array(areas), covariance


def delong_interval(labels: Labels, scores: Scores, level: float = LEVEL) -> tuple[float, float]:
    """Interval of an AUC by DeLong's variance, within [0, 1]."""
    areas, covariance = delong(labels, [scores])
    half = float(norm.ppf(0.5 + level / 2)) * float(np.sqrt(max(covariance[0, 0], 0.0)))
    return max(0.0, float(areas[0]) - half), min(1.0, float(areas[0]) + half)


def delong_p(labels: Labels, first: Scores, second: Scores) -> float:
    """Two-sided p that two detectors have the same AUC; 1 where they never differ."""
    areas, covariance = delong(labels, [first, second])
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if variance <= 1e-18:
        return 1.0 if areas[0] == areas[1] else 0.0
    return float(2 * norm.sf(abs(areas[0] - areas[1]) / np.sqrt(variance)))


def resamples(
    groups: NDArray[np.int64], labels: Labels, seed: int, count: int = RESAMPLES
) -> list[NDArray[np.int64]]:
    """Places of bootstrap samples: whole groups (people, scenes) are drawn with replacement.

    Args:
        groups: (n,) number of each video's group, 0 and up.
        labels: (n,). A sample in which a class does not occur is left out.
        seed: of the draws.
        count: samples that are drawn.

    Returns:
        At most ``count`` arrays of places, of different lengths where groups have different sizes.
    """
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    draw = np.random.Generator(np.random.Philox(seed))
    found = []
    for _ in range(count):
        chosen = draw.integers(len(sizes), size=len(sizes))
        lengths = sizes[chosen]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        places = order[np.repeat(starts[chosen], lengths) + within]
        if 0 < labels[places].sum() < len(places):
            found.append(places)
    return found


def interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """The middle ``level`` of bootstrap values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_auc(
    labels: Labels, scores: Scores, groups: NDArray[np.int64], seed: int
) -> tuple[float, float]:
    """Interval of an AUC over bootstrap samples of groups."""
    found = [auc(labels[p], scores[p]) for p in resamples(groups, labels, seed)]
    return interval(found) if found else (0.0, 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the same order."""
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    largest = 0.0
    for rank, at in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[at])
        corrected[at] = min(1.0, largest)
    return [float(p) for p in corrected]
