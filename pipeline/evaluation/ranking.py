"""Measures of how well scores put fakes above reals. Pure functions of arrays.

Everywhere ``labels`` is (n,) 0 real, 1 fake, of which both must occur, and ``scores`` is (n,),
higher for fakes. Equal scores are never told apart.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer[Any]]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Roc:
    """What every threshold gives, from the strictest to the one that calls all fake."""

    thresholds: Scores
    """(k + 1,) a score at or above it is judged fake; the first is infinite."""
    false_positives: Scores
    """(k + 1,) share of reals judged fake, ascending from 0 to 1."""
    true_positives: Scores
    """(k + 1,) share of fakes judged fake, ascending from 0 to 1."""


def roc(labels: Labels, scores: Scores) -> Roc:
    """The ROC curve. Raises ValueError where only one class occurs, or a score is no number."""
    if not np.isfinite(scores).all():
        raise ValueError("a score is not a finite number")
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise ValueError("reals and fakes must both occur, labelled 0 and 1")
    order = np.argsort(-scores, kind="stable")
    ranked, fake = scores[order], labels[order] == 1
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # of each distinct score
    above = np.cumsum(fake)[last]
    below = last + 1 - above
    return Roc(
        thresholds=np.concatenate([[np.inf], ranked[last]]),
        false_positives=np.concatenate([[0.0], below / (~fake).sum()]),
        true_positives=np.concatenate([[0.0], above / fake.sum()]),
    )


def auc(labels: Labels, scores: Scores) -> float:
    """Area under the ROC curve: how often a fake scores higher than a real; ties count half."""
    curve = roc(labels, scores)
    return float(np.trapezoid(curve.true_positives, curve.false_positives))


def balanced_accuracy(labels: Labels, scores: Scores, threshold: float) -> float:
    """Mean of the share of reals below the threshold and of fakes at or above it."""
    curve = roc(labels, scores)
    at = int(np.searchsorted(-curve.thresholds, -threshold, side="right")) - 1
    return float((curve.true_positives[at] + 1 - curve.false_positives[at]) / 2)


def equal_error_rate(labels: Labels, scores: Scores) -> float:
    """Where equal shares of reals and fakes are misjudged, on the straight lines of the curve."""
    curve = roc(labels, scores)
    miss = 1 - curve.true_positives
    gap = miss - curve.false_positives  # falls from 1 to -1
    at = int(np.argmax(gap <= 0))
    if gap[at] == 0:
        return float(miss[at])
    share = gap[at - 1] / (gap[at - 1] - gap[at])
    return float(miss[at - 1] + share * (miss[at] - miss[at - 1]))


def average_precision(labels: Labels, scores: Scores) -> float:
    """Sum over thresholds of precision times the gain in recall, without interpolation."""
    curve = roc(labels, scores)
    fakes = int((labels == 1).sum())
    found = curve.true_positives[1:] * fakes
    called = found + curve.false_positives[1:] * (len(labels) - fakes)
    return float((found / called * np.diff(curve.true_positives)).sum())


def true_positives_at(labels: Labels, scores: Scores, false_positives: float) -> float:
    """Largest share of fakes found while at most this share of reals is called fake."""
    curve = roc(labels, scores)
    allowed = curve.false_positives <= false_positives
    return float(curve.true_positives[allowed].max())


def best_threshold(labels: Labels, scores: Scores) -> float:
    """The score at or above which a video is judged fake for the best balanced accuracy.

    Half-way between the two scores that it parts; of equally good ones the lowest. Never infinite:
    where nothing is better than calling none fake, it lies above all scores.
    """
    curve = roc(labels, scores)
    accuracy = (curve.true_positives + 1 - curve.false_positives) / 2
    at = len(accuracy) - 1 - int(np.argmax(accuracy[::-1]))
    if at == 0:
        return float(np.nextafter(scores.max(), np.inf))
    below = curve.thresholds[at + 1] if at + 1 < len(curve.thresholds) else curve.thresholds[at]
    return float((curve.thresholds[at] + below) / 2)
