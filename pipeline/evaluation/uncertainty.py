"""How far an AUC, or a difference of two, could be off by chance. Pure functions of arrays."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from pipeline.evaluation.ranking import Labels, Scores

RESAMPLES = 1000
LEVEL = 0.95
_NUMBERS_AT_ONCE = 1 << 22
"""Of bootstrap samples times videos; bounds the memory."""


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


def draws(
    groups: NDArray[np.integer[Any]], seed: int, count: int = RESAMPLES
) -> Iterator[NDArray[np.float64]]:
    """Bootstrap samples: whole groups (people, scenes) are drawn with replacement.

    Args:
        groups: (n,) number of each video's group, 0 and up.
        seed: of the draws.
        count: samples in all.

    Yields:
        float64 (samples, n), how often each video was drawn; ``count`` samples in all, so many at
        a time that they fit into memory.
    """
    draw = np.random.Generator(np.random.Philox(seed))
    number = int(groups.max()) + 1 if len(groups) else 0
    step = max(1, _NUMBERS_AT_ONCE // max(len(groups), 1))
    for start in range(0, count, step):
        chosen = [draw.integers(number, size=number) for _ in range(min(step, count - start))]
        yield np.stack([np.bincount(c, minlength=number)[groups] for c in chosen]).astype(float)


def drawn_auc(labels: Labels, scores: Scores, drawn: Scores) -> Scores:
    """AUC of each bootstrap sample (samples, n); NaN where it has one class."""
    order = np.argsort(scores, kind="stable")
    ranked, drawn = scores[order], drawn[:, order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])  # of each distinct score
    fake = labels[order] == 1
    fakes = np.add.reduceat(np.where(fake, drawn, 0), starts, axis=1)  # (samples, k)
    reals = np.add.reduceat(np.where(fake, 0, drawn), starts, axis=1)  # (samples, k)
    below = np.cumsum(reals, axis=1) - reals / 2  # ties count half
    pairs = fakes.sum(axis=1) * reals.sum(axis=1)
    return _share((fakes * below).sum(axis=1), pairs)


def drawn_balanced_accuracy(
    labels: Labels, scores: Scores, threshold: float, drawn: Scores
) -> Scores:
    """Balanced accuracy of each bootstrap sample (samples, n); NaN where it has one class."""
    right = (scores >= threshold) == (labels == 1)
    shares = [_share((drawn * (mine & right)).sum(axis=1), (drawn * mine).sum(axis=1))
              for mine in (labels == 0, labels == 1)]  # fmt: skip
    return np.asarray((shares[0] + shares[1]) / 2)


def _share(part: Scores, whole: Scores) -> Scores:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


def interval(values: Scores, level: float = LEVEL) -> tuple[float, float] | None:
    """The middle ``level`` of bootstrap values that are numbers; None where there are none."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the same order."""
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    largest = 0.0
    for rank, at in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[at])
        corrected[at] = min(1.0, largest)
    return [float(p) for p in corrected]
