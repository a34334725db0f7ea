"""Sharing a number out over videos as equally as their sizes allow, or by weight."""

from math import gcd

import numpy as np
from numpy.typing import NDArray

from pipeline.tables.arrays import Ints

_WHOLE = 1 << 20
"""Steps are fractions of this: weights up to a thousand are kept to 0.1 %."""


def equal_quotas(available: Ints, total: int, at_least: int = 0, steps: Ints | None = None) -> Ints:
    """How many faces each video gives so that together they give ``total``, as equally as can be.

    Faces are dealt one by one: the k-th face of a video is due at the time k times its step, and
    those that are due first are dealt first; of equal ones those of the first videos. So a larger
    total never takes a face away from a video, and with equal steps two videos that have more to
    give differ by one at most.

    Args:
        available: int64 (videos,), in the order of preference for what cannot be shared equally.
        total: 0 or more; what exceeds the sum of ``available`` cannot be given.
        at_least: each video gives so many before any is dealt, which may exceed the total.
        steps: int64 (videos,), 1 or more, see :func:`steps_of`; None = all alike.

    Returns:
        int64 (videos,), each at most ``available``.
    """
    step = np.int64(1) if steps is None else steps

    def given(time: int) -> Ints:
        dealt = np.maximum(time // step, at_least)
        return np.asarray(np.minimum(available, dealt), np.int64)

    low, high = 0, int((available * step).max(initial=0))
    while low < high:
        middle = (low + high + 1) // 2
        if given(middle).sum() <= total:
            low = middle
        else:
            high = middle - 1
    quota = given(low)
    remainder = max(0, total - int(quota.sum()))
    quota[np.flatnonzero(given(low + 1) > quota)[:remainder]] += 1
    return quota


def steps_of(weights: NDArray[np.float64]) -> Ints:
    """Steps of :func:`equal_quotas`: a video of twice the weight gives twice as many faces.

    Args:
        weights: float64 (videos,), 0.001 to 1000.

    Returns:
        int64 (videos,), the smallest whole numbers of their ratio; 1 where all weights are equal.
    """
    steps = np.rint(_WHOLE / weights).astype(np.int64)
    return steps // gcd(*np.unique(steps).tolist())
