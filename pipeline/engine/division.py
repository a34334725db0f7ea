"""Which rows of a plan belong together, and the digests that say what they must become.

A partition's number comes from a hash by linear hashing, so that it is a function of the plan
alone: one more partition splits one of the others. Rows are turned into text, which fingerprints
are made of, where they are needed and a partition at a time: as Python objects a plan takes ten
times its memory as a table.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline import keys
from pipeline.engine.rows import Plan

PLAN_COLUMNS = ("_id", "_fingerprint", "_content", "_location", "_attach")
_CHUNK_ROWS = 10_000
"""So many values are Python objects at a time."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PartitionPlan:
    """The rows of one partition that are to exist when the run is over."""

    name: str
    digest: str
    """Of ids, fingerprints and attached columns in order: what its parquet must carry."""
    rows: "_Rows"

    @property
    def file(self) -> str:
        """Name of its parquet in the store."""
        return f"{self.name}.{self.digest[:12]}.parquet"

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.rows.at)

    def fingerprints(self) -> list[str]:
        """Of every row, in order."""
        return self.rows.fingerprints(self.rows.texts(self.rows.plan.content))

    def to_work(self) -> pa.RecordBatch:
        """The rows as workers read them: columns :data:`PLAN_COLUMNS`, all text, mostly JSON."""
        rows = self.rows
        content = rows.texts(rows.plan.content)
        columns = (
            rows.ids(),
            rows.fingerprints(content),
            content,
            rows.texts(rows.plan.location),
            rows.texts(rows.plan.attach),
        )
        return pa.record_batch([pa.array(c, pa.string()) for c in columns], list(PLAN_COLUMNS))


@dataclass(frozen=True)
class _Rows:
    """Some rows of a plan; their texts are made anew each time they are asked for."""

    plan: Plan
    base: "hashlib.blake2b"
    """Digest of what holds for all rows: parameters, weights, version."""
    at: Ints
    """Places (n,) in the plan's table, in the order of the partition."""

    def ids(self) -> list[str]:
        return self._taken([self.plan.id]).column(0).cast(pa.string()).to_pylist()  # type: ignore[no-any-return]  # pyarrow has no types

    def texts(self, columns: Sequence[str]) -> list[str]:
        if not columns:
            return ["{}"] * len(self.at)
        return [canonical(row) for row in self._taken(columns).to_pylist()]

    def fingerprints(self, content: Sequence[str]) -> list[str]:
        found = []
        for text in content:
            digest = self.base.copy()
            digest.update(text.encode())
            found.append(digest.hexdigest())
        return found

    def digest(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        marks = self.fingerprints(self.texts(self.plan.content))
        for texts in (self.ids(), marks, self.texts(self.plan.attach)):
            digest.update("\n".join([*texts, "", ""]).encode())
        return digest.hexdigest()

    def _taken(self, columns: Sequence[str]) -> pa.Table:
        return self.plan.table.select(list(columns)).take(self.at)


def divide(
    plan: Plan, settings: Mapping[str, Any], target_rows: int, contiguous: bool
) -> list[PartitionPlan]:
    """Cuts a plan into partitions by linear hashing of ``bucket_by``.

    ``settings`` (parameters, weights, version) go into every row's fingerprint. ``contiguous``
    numbers the partitions of a group 00000, 00001 … without the gaps that empty buckets leave.
    """
    plan = replace(plan, table=plan.table.combine_chunks())
    table = plan.table
    ids = table.column(plan.id).cast(pa.string())
    if not _all_differ(ids):
        raise ValueError(f"plan column {plan.id} is not unique")
    groups = table.column(plan.group_by) if plan.group_by else pa.repeat("", table.num_rows)
    names, places = _assign(groups, table.column(plan.bucket_by), target_rows, contiguous)
    order = table.column(plan.order_by) if plan.order_by else ids
    sorting = pa.table({"place": places, "order": order, "id": ids})
    by = pc.sort_indices(sorting, [(name, "ascending") for name in sorting.column_names])
    at = by.to_numpy().astype(np.int64)  # (N,)
    bounds = np.searchsorted(places[at], np.arange(len(names) + 1))
    base = hashlib.blake2b(canonical(settings).encode(), digest_size=16)
    return [
        PartitionPlan(name, rows.digest(), rows)
        for name, start, stop in zip(names, bounds[:-1], bounds[1:], strict=True)
        for rows in [_Rows(plan, base, at[start:stop])]
    ]


def _assign(
    groups: pa.ChunkedArray | pa.Array,
    bucket_by: pa.ChunkedArray,
    target_rows: int,
    contiguous: bool,
) -> tuple[list[str], Ints]:
    """Names of all partitions in order, and the place (N,) of every row in that list."""
    group_codes, group_values = _codes(groups)
    group_names = group_values.to_pylist()
    hashes = _hashes(bucket_by)
    buckets = np.zeros(len(hashes), np.int64)
    for code, size in enumerate(np.bincount(group_codes, minlength=len(group_names))):
        mine = group_codes == code
        buckets[mine] = keys.buckets(hashes[mine], keys.bucket_count(int(size), target_rows))
    by_name = np.argsort(np.argsort(np.array(group_names, object)))  # groups in order of name
    most = int(buckets.max(initial=0)) + 1
    unique, places = np.unique(by_name[group_codes] * most + buckets, return_inverse=True)
    ordered = sorted(group_names)
    names: list[str] = []
    numbers: Counter[str] = Counter()
    for group_code, bucket in (divmod(pair, most) for pair in unique.tolist()):
        group = ordered[group_code]
        names.append(
            (f"{group}-" if group else "") + f"{numbers[group] if contiguous else bucket:05d}"
        )
        numbers[group] += 1
    return names, places


def _codes(column: pa.ChunkedArray | pa.Array) -> tuple[Ints, pa.Array]:
    """Column as codes (N,) into an array of its distinct values."""
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = chunk.dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def _all_differ(ids: pa.ChunkedArray) -> bool:
    # Counting the ids themselves takes more memory than the whole plan; equal hashes are rare.
    return len(np.unique(_hashes(ids))) == len(ids) or pc.count_distinct(ids).as_py() == len(ids)


def _hashes(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Hash (N,) of every value."""
    found = np.empty(len(column), np.uint64)
    for start in range(0, len(column), _CHUNK_ROWS):
        codes, values = _codes(column.slice(start, _CHUNK_ROWS))
        hashes = np.array([keys.hash64(value) for value in values.to_pylist()], np.uint64)
        found[start : start + _CHUNK_ROWS] = hashes[codes]
    return found


_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
)


def canonical(value: Any) -> str:
    """JSON text of a value, the same for the same value."""
    return _ENCODER.encode(value)
