"""Whether a probability means what it says. Pure functions of arrays.

``labels`` is (n,) 0 real, 1 fake; ``log_odds`` is float64 (n,), the logarithm of p / (1 - p).
"""

import numpy as np
from scipy.optimize import minimize_scalar

from pipeline.evaluation.ranking import Labels, Scores

BINS = 15
"""Of the expected calibration error (Guo et al. 2017)."""
_LIMITS = (-5.0, 5.0)
"""Natural logarithm of the temperatures that are looked at: 1/148 to 148."""


def probability(log_odds: Scores) -> Scores:
    """P of each log-odds, without overflow."""
    small = np.exp(-np.abs(log_odds))
    return np.where(log_odds >= 0, 1 / (1 + small), small / (1 + small))


def log_loss(labels: Labels, log_odds: Scores) -> float:
    """Mean negative log-likelihood, natural logarithm; finite for any finite log-odds."""
    signed = np.where(labels == 1, log_odds, -log_odds)
    return float(np.logaddexp(0, -signed).mean())


def brier(labels: Labels, log_odds: Scores) -> float:
    """Mean square of probability minus label."""
    return float(((probability(log_odds) - labels) ** 2).mean())


def expected_calibration_error(labels: Labels, log_odds: Scores, bins: int = BINS) -> float:
    """Mean distance of probability and share of fakes over bins of equal width, by their sizes."""
    p = probability(log_odds)
    which = np.minimum((p * bins).astype(np.int64), bins - 1)
    sizes = np.bincount(which, minlength=bins)
    said = np.bincount(which, weights=p, minlength=bins)
    fakes = np.bincount(which, weights=labels.astype(np.float64), minlength=bins)
    return float(np.abs(said - fakes)[sizes > 0].sum() / len(p))


def temperature(labels: Labels, log_odds: Scores) -> float:
    """What log-odds are to be divided by for the lowest :func:`log_loss` (Guo et al. 2017).

    1 where the labels have one class or all log-odds are 0: nothing can be fitted then.
    """
    if len(np.unique(labels)) < 2 or not np.any(log_odds):
        return 1.0
    found = minimize_scalar(
        lambda log_t: log_loss(labels, log_odds / np.exp(log_t)),
        bounds=_LIMITS,
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))
