"""Which partition or shard a row falls into, by a hash alone."""

import numpy as np
from numpy.typing import NDArray


def bucket_count(n_rows: int, target: int) -> int:
    """Number of buckets for ``n_rows`` rows at about ``target`` rows each; at least 1."""
    return max(1, -(-n_rows // target))


def buckets_of(hashes: NDArray[np.uint64], n: int) -> NDArray[np.int64]:
    """Buckets in [0, n) of 64-bit hashes by linear hashing: from n to n + 1 one bucket splits."""
    modulus = 1 << (n - 1).bit_length()
    places = (hashes & np.uint64(modulus - 1)).astype(np.int64)
    return np.where(places < n, places, places - (modulus >> 1))
