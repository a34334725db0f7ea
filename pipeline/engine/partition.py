"""Partitions: what one looks like on disk, and how it is committed.

A partition is ``<name>.<12 hex of its plan's digest>.parquet`` and, where the stage stores
pictures, one tar. The parquet holds one row per plan row: its fingerprint, its outputs and its
rejects. It names its tar and is the commit: a tar that no parquet names does not exist. In a store
a tar's name ends with 12 hex of its own SHA-256. So nothing is ever replaced: what an earlier plan
made stays readable until a run is over. Shards have plain names for their readers; there the digest
in the parquet is compared.

Every parquet carries a digest of all its bytes, so a flipped bit anywhere in it is found before a
row of it is believed.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from faceshards.replace import replacing
from pipeline import tables
from pipeline.tables import schemas

_METADATA_KEY = b"faceshards"
_DIGEST_KEY = b"faceshards_digest"
_DIGEST_BYTES = 16
_BLANK = b"0" * (2 * _DIGEST_BYTES)
"""Stands for the digest while it is computed."""

LAYOUT = 3
"""Of a partition's parquet. Part of every fingerprint: rows of another layout are worked anew."""
COUNT_TYPE = pa.struct(
    [pa.field("name", pa.string(), nullable=False), pa.field("count", pa.int64(), nullable=False)]
)
REJECT_TYPE = pa.struct(
    [
        pa.field("unit", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)


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
    layout: int = LAYOUT


class DamagedError(ValueError):
    """A partition's parquet is not as it was written."""


def schema(table: str) -> pa.Schema:
    """Arrow schema of the partitions of a stage whose output rows form ``table``."""
    outputs = pa.struct(list(schemas.schema(table)))
    fields = [("id", pa.string()), ("fingerprint", pa.string())]
    fields += [("done", pa.int32()), ("left_out", pa.int32())]
    fields += [("outputs", pa.list_(outputs)), ("rejects", pa.list_(REJECT_TYPE))]
    fields += [("counts", pa.list_(COUNT_TYPE))]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields])


def write(path: Path, table: str, rows: Sequence[dict[str, Any]], facts: Committed) -> None:
    """Commits a partition: its parquet, by rename. The tar it names must be in place already."""
    _write(path, pa.Table.from_pylist(list(rows), schema=schema(table)), facts)


def forget_rows(path: Path, rows: Sequence[dict[str, Any]], facts: Committed) -> None:
    """Commits a partition's rows anew; those without a fingerprint are for the next run to work."""
    content = pa.Table.from_pylist(list(rows), schema=read_rows(path).schema)
    forgotten = sum(not row["fingerprint"] for row in rows)
    _write(path, content, replace(facts, transient=facts.transient + forgotten))


def _write(path: Path, content: pa.Table, facts: Committed) -> None:
    metadata = {_METADATA_KEY: json.dumps(asdict(facts), sort_keys=True)}
    content = content.replace_schema_metadata(metadata)
    with replacing(path) as temporary:
        with pq.ParquetWriter(temporary, content.schema, compression="zstd") as writer:
            writer.write_table(content)
            writer.add_key_value_metadata({_DIGEST_KEY: _BLANK})
        _seal(temporary)


def _seal(path: Path) -> None:
    """Puts the digest of a file in the place that was left for it."""
    data = path.read_bytes()
    at = data.rindex(_DIGEST_KEY)
    at = data.index(_BLANK, at)
    digest = hashlib.blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()
    with path.open("r+b") as file:
        file.seek(at)
        file.write(digest.encode())


def _is_sealed(data: bytes, digest: bytes) -> bool:
    """Whether the bytes of a file are those that its digest was made of."""
    if len(digest) != len(_BLANK):
        return False
    at = data.find(digest, max(0, data.rfind(_DIGEST_KEY)))
    if at < 0:
        return False
    blank = data[:at] + _BLANK + data[at + len(_BLANK) :]
    return hashlib.blake2b(blank, digest_size=_DIGEST_BYTES).hexdigest().encode() == digest


def read_facts(path: Path) -> Committed | None:
    """What a committed partition says of itself; None for a file that is not one.

    Raises OSError for a file that is there but cannot be read (it may be one), and
    :class:`DamagedError` for one that fails its digest.
    """
    try:
        return facts_of(_open(path).schema_arrow)
    except FileNotFoundError:
        return None


def facts_of(schema: pa.Schema) -> Committed | None:
    """What the schema of a partition's parquet says of it; None for another parquet."""
    try:
        return Committed(**{"layout": 0, **json.loads((schema.metadata or {})[_METADATA_KEY])})
    except (KeyError, TypeError, ValueError):
        return None


def read_rows(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a partition (columns of :func:`schema`).

    Raises :class:`DamagedError` where it fails its digest.
    """
    # Small, and a process that ends soon must not be starting threads.
    return _open(path).read(columns=list(columns) if columns else None, use_threads=False)


def _open(path: Path) -> pq.ParquetFile:
    """A partition's parquet in memory, its digest compared.

    One of an earlier layout has no digest. It says so itself, and none of its rows is used.
    """
    data = path.read_bytes()
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        facts = facts_of(file.schema_arrow)
        digest = (file.metadata.metadata or {}).get(_DIGEST_KEY, b"")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedError(f"{path} is damaged") from error
    earlier = facts is not None and not digest and facts.layout < LAYOUT
    if not earlier and not _is_sealed(data, digest):
        raise DamagedError(f"{path} is damaged")
    return file


def outputs(path: Path, table: str) -> pa.Table:
    """The output rows of one partition as a table of schema ``table``, in order."""
    column = read_rows(path, ["outputs"]).column("outputs").combine_chunks()
    flat = (
        column.flatten() if isinstance(column, pa.ListArray) else pa.chunked_array(column).flatten()
    )
    return pa.Table.from_struct_array(flat).cast(schemas.schema(table))


def rejects(path: Path) -> pa.Table:
    """The rejects of one partition as a table of schema ``rejected``."""
    rows = read_rows(path, ["id", "rejects"]).to_pylist()
    found = [
        {"id": row["id"] + r["unit"], "reason": r["reason"], "detail": r["detail"]}
        for row in rows
        for r in row["rejects"]
    ]
    return tables.from_rows("rejected", found)
