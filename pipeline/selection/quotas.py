"""Sharing a number out over videos as equally as their sizes allow."""

import numpy as np

from pipeline.tables.arrays import Ints


def equal_quotas(available: Ints, total: int, at_least: int = 0) -> Ints:
    """How many faces each video gives so that together they give ``total``, as equally as can be.

    Every video gives ``min(available, q)`` for the largest q that does not exceed the total; what
    is left goes one by one to the first videos that have more. A larger total never takes a face
    away from a video.

    Args:
        available: int64 (videos,), in the order of preference for the remainder.
        total: 0 or more; what exceeds the sum of ``available`` cannot be given.
        at_least: smallest q; 1 gives every video a face, which may exceed the total.

    Returns:
        int64 (videos,), each at most ``available``.
    """
    low, high = at_least, max(at_least, int(available.max(initial=0)))
    while low < high:
        middle = (low + high + 1) // 2
        if np.minimum(available, middle).sum() <= total:
            low = middle
        else:
            high = middle - 1
    quota = np.minimum(available, low)
    remainder = max(0, total - int(quota.sum()))
    quota[np.flatnonzero(available > low)[:remainder]] += 1
    return quota
