"""How well scores tell fakes from reals, in one number."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DECIMALS = 6


def auc(labels: Sequence[int] | NDArray[Any], scores: Sequence[float] | NDArray[Any]) -> float:
    """Area under the ROC curve, 0 to 1, to 1e-6: how often a fake scores higher than a real.

    Args:
        labels: (n,) 0 real, 1 fake; both must occur.
        scores: (n,) probabilities of being fake. Equal ones count half.

    Raises:
        ValueError: only one class occurs.
    """
    from sklearn.metrics import roc_auc_score

    _check_both(labels)
    return round(float(roc_auc_score(labels, scores)), _DECIMALS)


def balanced_accuracy(
    labels: Sequence[int] | NDArray[Any], scores: Sequence[float] | NDArray[Any], threshold: float
) -> float:
    """Mean of the share of reals judged real and of fakes judged fake, 0 to 1, to 1e-6.

    Args:
        labels: (n,) 0 real, 1 fake; both must occur.
        scores: (n,) probabilities of being fake.
        threshold: a score at or above it is judged fake.

    Raises:
        ValueError: only one class occurs.
    """
    from sklearn.metrics import balanced_accuracy_score

    _check_both(labels)
    judged = np.asarray(scores) >= threshold  # (n,)
    return round(float(balanced_accuracy_score(labels, judged)), _DECIMALS)


def _check_both(labels: Sequence[int] | NDArray[Any]) -> None:
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise ValueError("reals and fakes must both occur, labelled 0 and 1")
