"""Dividing a plan into partitions, each with a digest of the rows that it must hold.

A partition's number comes from a hash by linear hashing, so that it is a function of the plan
alone: one more partition splits one of the others.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from pipeline.engine.buckets import bucket_count, buckets_of
from pipeline.engine.plan_file import Digests, Marks
from pipeline.tables.arrays import Ints


@dataclass(frozen=True)
class PartitionPlan:
    """The rows of one partition that are to exist when the run is over."""

    name: str
    digest: str
    """Of its rows: what its parquet must carry."""
    rows: Ints
    """Their places (n,) in the plan."""

    @property
    def file(self) -> str:
        """Name of its parquet in the store."""
        return f"{self.name}.{self.digest[:12]}.parquet"

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.rows)


def divide(rows: Digests, target_rows: int, contiguous: bool) -> list[PartitionPlan]:
    """Cuts a plan into partitions of about ``target_rows`` by linear hashing.

    ``contiguous`` numbers the partitions of a group 00000, 00001 … without the gaps that empty
    buckets leave.
    """
    names, places = _assign(rows, target_rows, contiguous)
    at = np.argsort(places, kind="stable")  # (N,)
    bounds = np.searchsorted(places[at], np.arange(len(names) + 1))
    return [
        PartitionPlan(name, _digest(rows.rows[at[start:stop]]), at[start:stop])
        for name, start, stop in zip(names, bounds[:-1], bounds[1:], strict=True)
    ]


def _digest(rows: Marks) -> str:
    """Of all rows of a partition, in whatever order they come."""
    return hashlib.blake2b(np.sort(rows).tobytes(), digest_size=16).hexdigest()


def _assign(rows: Digests, target_rows: int, contiguous: bool) -> tuple[list[str], Ints]:
    """Names of all partitions in order, and the place (N,) of every row in that list."""
    buckets = np.zeros(len(rows.bucket), np.int64)
    for code, size in enumerate(np.bincount(rows.group, minlength=len(rows.groups))):
        mine = rows.group == code
        buckets[mine] = buckets_of(rows.bucket[mine], bucket_count(int(size), target_rows))
    by_name = np.argsort(np.argsort(np.array(rows.groups, object)))  # groups in order of name
    most = int(buckets.max(initial=0)) + 1
    pairs = by_name[rows.group] * most + buckets if rows.groups else buckets
    unique = np.unique(pairs)
    places = np.searchsorted(unique, pairs)
    ordered = sorted(rows.groups)
    names: list[str] = []
    numbers: Counter[str] = Counter()
    for group_code, bucket in (divmod(pair, most) for pair in unique.tolist()):
        group = ordered[group_code]
        names.append(
            (f"{group}-" if group else "") + f"{numbers[group] if contiguous else bucket:05d}"
        )
        numbers[group] += 1
    return names, places
