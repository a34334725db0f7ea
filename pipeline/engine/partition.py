"""Partitions: which rows belong together, what one looks like on disk, and how it is committed.

A partition is ``<name>.<12 hex of its plan's digest>.parquet`` and, where the stage stores
pictures, one tar. The parquet holds one row per plan row: its fingerprint, its outputs and its
rejects. It names its tar and is the commit: a tar that no parquet names does not exist. In a store
a tar's name ends with 12 hex of its own SHA-256. So nothing is ever replaced: what an earlier plan
made stays readable until a run is over. Shards have plain names for their readers; there the digest
in the parquet is compared.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline import keys, tables
from pipeline.engine.rows import Plan

PLAN_COLUMNS = ("_id", "_fingerprint", "_content", "_location", "_attach")
_METADATA_KEY = b"faceshards"

REJECT_TYPE = pa.struct(
    [
        pa.field("unit", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class PartitionPlan:
    """The rows of one partition that are to exist when the run is over."""

    name: str
    digest: str
    """Of ids, fingerprints and attached columns in order: what its parquet must carry."""
    rows: pa.Table
    """Columns ``_id``, ``_fingerprint``, ``_content`` and ``_attach`` (JSON text), and location."""
    location: tuple[str, ...]

    @property
    def file(self) -> str:
        """Name of its parquet in the store."""
        return f"{self.name}.{self.digest[:12]}.parquet"


@dataclass(frozen=True)
class Committed:
    """What a partition's parquet says of itself."""

    plan: str
    platform: str
    tar: str
    """Name of its tar relative to the tar folder; "" where it has none."""
    tar_bytes: int
    tar_sha256: str
    transient: int
    """Rejects that the next run tries again."""


def schema(table: str) -> pa.Schema:
    """Arrow schema of the partitions of a stage whose output rows form ``table``."""
    outputs = pa.struct(list(tables.schema(table)))
    fields = [("id", pa.string()), ("fingerprint", pa.string())]
    fields += [("done", pa.int32()), ("left_out", pa.int32())]
    fields += [("outputs", pa.list_(outputs)), ("rejects", pa.list_(REJECT_TYPE))]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields])


def divide(
    plan: Plan, settings: Mapping[str, Any], target_rows: int, contiguous: bool
) -> list[PartitionPlan]:
    """Cuts a plan into partitions by linear hashing of ``bucket_by``.

    ``settings`` (parameters, weights, version) go into every row's fingerprint. ``contiguous``
    numbers the partitions of a group 00000, 00001 … without the gaps that empty buckets leave.
    """
    table = plan.table
    ids = table.column(plan.id)
    if pc.count_distinct(ids).as_py() != table.num_rows:
        raise ValueError(f"plan column {plan.id} is not unique")
    groups = table.column(plan.group_by) if plan.group_by else pa.repeat("", table.num_rows)
    names, places = _assign(groups, table.column(plan.bucket_by), target_rows, contiguous)
    base = hashlib.blake2b(canonical(settings).encode(), digest_size=16)
    content = _json_rows(table, plan.content)
    columns = {
        "_id": ids.cast(pa.string()),
        "_fingerprint": [_fingerprint(base, text) for text in content],
        "_content": content,
        "_attach": _json_rows(table, plan.attach),
        "_order": table.column(plan.order_by) if plan.order_by else ids,
        "_place": places,
    }
    rows = pa.table({**columns, **{name: table.column(name) for name in plan.location}})
    keys_of_order = [(name, "ascending") for name in ("_place", "_order", "_id")]
    rows = rows.take(pc.sort_indices(rows, keys_of_order))
    bounds = np.searchsorted(rows.column("_place").to_numpy(), np.arange(len(names) + 1))
    rows = rows.drop_columns(["_order", "_place"])
    return [
        _partition_plan(name, rows.slice(start, stop - start), plan.location)
        for name, start, stop in zip(names, bounds[:-1], bounds[1:], strict=True)
    ]


def rows_to_work(part: PartitionPlan) -> pa.RecordBatch:
    """The rows of a partition as workers read them: columns :data:`PLAN_COLUMNS`."""
    rows = part.rows.append_column(
        "_location", pa.array(_json_rows(part.rows, part.location), pa.string())
    )
    return rows.select(list(PLAN_COLUMNS)).combine_chunks().to_batches()[0]


def _fingerprint(base: hashlib.blake2b, content: str) -> str:
    digest = base.copy()
    digest.update(content.encode())
    return digest.hexdigest()


def _assign(
    groups: pa.ChunkedArray | pa.Array,
    bucket_by: pa.ChunkedArray,
    target_rows: int,
    contiguous: bool,
) -> tuple[list[str], NDArray[np.int64]]:
    """Names of all partitions in order, and the place (N,) of every row in that list."""
    group_codes, group_names = _codes(groups)
    value_codes, values = _codes(bucket_by)
    hashes = np.array([keys.hash64(value) for value in values], np.uint64)[value_codes]
    buckets = np.zeros(len(hashes), np.int64)
    for code, size in enumerate(np.bincount(group_codes, minlength=len(group_names))):
        mine = group_codes == code
        buckets[mine] = keys.buckets(hashes[mine], keys.bucket_count(int(size), target_rows))
    by_name = np.argsort(np.argsort(np.array(group_names, object)))  # groups in order of name
    pairs = np.stack([by_name[group_codes], buckets], axis=1)  # (N, 2)
    unique, places = np.unique(pairs, axis=0, return_inverse=True)
    ordered = sorted(group_names)
    names: list[str] = []
    numbers: Counter[str] = Counter()
    for group_code, bucket in unique.tolist():
        group = ordered[group_code]
        names.append(
            (f"{group}-" if group else "") + f"{numbers[group] if contiguous else bucket:05d}"
        )
        numbers[group] += 1
    return names, places.reshape(-1)


def _codes(column: pa.ChunkedArray | pa.Array) -> tuple[NDArray[np.int64], list[str]]:
    """Column as codes (N,) into a list of its distinct values."""
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = chunk.dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def _partition_plan(name: str, rows: pa.Table, location: tuple[str, ...]) -> PartitionPlan:
    digest = hashlib.blake2b(digest_size=16)
    for column in ("_id", "_fingerprint", "_attach"):
        digest.update("\n".join([*rows.column(column).to_pylist(), "", ""]).encode())
    return PartitionPlan(name, digest.hexdigest(), rows, location)


def _json_rows(table: pa.Table, columns: Sequence[str]) -> list[str]:
    if not columns:
        return ["{}"] * table.num_rows
    return [canonical(row) for row in table.select(list(columns)).to_pylist()]


_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
)


def canonical(value: Any) -> str:
    """JSON text of a value, the same for the same value."""
    return _ENCODER.encode(value)


def write(path: Path, table: str, rows: Sequence[dict[str, Any]], facts: Committed) -> None:
    """Commits a partition: its parquet, by rename. The tar it names must be in place already."""
    _write(path, pa.Table.from_pylist(list(rows), schema=schema(table)), facts)


def forget_rows(path: Path, rows: Sequence[dict[str, Any]], facts: Committed) -> None:
    """Commits a partition's rows anew; those without a fingerprint are for the next run to work."""
    content = pa.Table.from_pylist(list(rows), schema=pq.read_schema(path))
    forgotten = sum(not row["fingerprint"] for row in rows)
    _write(path, content, replace(facts, transient=facts.transient + forgotten))


def _write(path: Path, content: pa.Table, facts: Committed) -> None:
    metadata = {_METADATA_KEY: json.dumps(asdict(facts), sort_keys=True)}
    content = content.replace_schema_metadata(metadata)
    temporary = path.with_name(f".tmp-{path.name}-{facts.plan[:8]}-{keys.attempt()}")
    try:
        pq.write_table(content, temporary, compression="zstd")
        tables.replace_durably(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_facts(path: Path) -> Committed | None:
    """What a committed partition says of itself; None for a file that is not one."""
    try:
        metadata = pq.read_schema(path).metadata or {}
        return Committed(**json.loads(metadata[_METADATA_KEY]))
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None


def read_rows(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a partition (columns of :func:`schema`)."""
    return pq.read_table(path, columns=list(columns) if columns else None)


def outputs(path: Path, table: str) -> pa.Table:
    """The output rows of one partition as a table of schema ``table``, in order."""
    column = read_rows(path, ["outputs"]).column("outputs").combine_chunks()
    flat = (
        column.flatten() if isinstance(column, pa.ListArray) else pa.chunked_array(column).flatten()
    )
    return pa.Table.from_struct_array(flat).cast(tables.schema(table))


def rejects(path: Path) -> pa.Table:
    """The rejects of one partition as a table of schema ``rejected``."""
    rows = read_rows(path, ["id", "rejects"]).to_pylist()
    found = [
        {"id": row["id"] + r["unit"], "reason": r["reason"], "detail": r["detail"]}
        for row in rows
        for r in row["rejects"]
    ]
    return tables.from_rows("rejected", found)
