"""Splits of our own, for datasets that have no official one: seeded and identity-disjoint.

Rows that share an identity are tied together, directly or through others. Each group of tied rows
goes to one split as a whole, by a hash of the seed and the group's first identity: so a row's split
depends neither on the order of rows nor on groups it is not tied to, and shares hold on average
only.
"""

import hashlib
from collections.abc import Iterable, Sequence

from faceshards.fields import SPLITS

SHARES = (70, 15, 15)
"""Percent of groups in train, val and test (metric learning, Table 1: FakeAVCeleb)."""


def components(ties: Iterable[Sequence[str]]) -> dict[str, str]:
    """Each identity's group, named by the group's smallest identity.

    Args:
        ties: identities that belong together, such as both people of a face swap.

    """
    parent: dict[str, str] = {}

    def top(one: str) -> str:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for tied in ties:
        for one in tied:
            parent.setdefault(one, one)
        for one in tied[1:]:
            a, b = sorted((top(tied[0]), top(one)))
            parent[b] = a
    return {one: top(one) for one in parent}


def place(seed: int, name: str) -> int:
    """Where a name falls among the numbers below 2 ** 64; the same for a seed and name always."""
    digest = hashlib.blake2b(f"split/{seed}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def draw(seed: int, group: str, shares: Sequence[int] = SHARES) -> str:
    """The split of a group: train, val or test with these shares, by a hash of seed and name."""
    percent = place(seed, group) * sum(shares) >> 64
    for split, share in zip(SPLITS, shares, strict=True):
        if percent < share:
            return split
        percent -= share
    raise ValueError(f"shares {tuple(shares)} are not three numbers from 0 with a sum above 0")
