"""A plan on its way to the workers: its rows become lines of a file, and digests in memory.

As Python objects a plan takes a hundred times the memory of its digests, so its rows are read once,
a batch at a time. What workers need of a row is a line of JSON beside the store; what decides where
the row belongs and whether it is known is some 50 bytes here.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from faceshards import keys
from pipeline.engine.rows import Inputs, Plan
from pipeline.tables.arrays import Ints

Marks = NDArray[np.bytes_]
"""Digests (n,) of 16 bytes each."""
DIGEST_BYTES = 16
MARK = np.dtype(f"S{DIGEST_BYTES}")


@dataclass(frozen=True)
class PlanRow:
    """One row to be worked."""

    id: str
    fingerprint: str
    inputs: Inputs
    attach: Mapping[str, Any]
    order: Any
    """Rows of a partition are sorted by this, then by id."""


@dataclass(frozen=True)
class Digests:
    """What is kept of N rows, in the plan's order."""

    groups: list[str]
    """Distinct groups."""
    group: NDArray[np.int32]
    """Place (N,) of each row's group in ``groups``."""
    bucket: NDArray[np.uint64]
    """Hash (N,) that picks the bucket."""
    ids: NDArray[np.uint64]
    """Hash (N,) of the id."""
    fingerprints: Marks
    """(N,)"""
    rows: Marks
    """Digest (N,) of all that decides a row's records: id, fingerprint, attached columns, order."""
    offsets: Ints
    """First byte (N,) of each row's line in the plan file; empty where there is none."""


def digest(plan: Plan, settings: Mapping[str, Any], file: BinaryIO | None) -> Digests:
    """Reads a plan once.

    Args:
        plan: the rows.
        settings: what holds for all of them (parameters, weights, version); part of every
            fingerprint.
        file: gets a line per row; None = nobody will work them.

    Raises:
        ValueError: two rows have the same id.
    """
    base = hashlib.blake2b(canonical(settings).encode(), digest_size=DIGEST_BYTES)
    groups: dict[str, int] = {}
    found = _Columns()
    for batch in plan.tables():
        _add(batch, plan, base, groups, found, file)
    sizes = np.frombuffer(found.sizes, np.int64)
    ids = np.frombuffer(found.ids, np.uint64)
    if len(np.unique(ids)) < len(ids):
        _check_all_differ(plan)
    return Digests(
        groups=list(groups),
        group=np.frombuffer(found.group, np.int32),
        bucket=ids if plan.bucket_by == plan.id else np.frombuffer(found.bucket, np.uint64),
        ids=ids,
        fingerprints=np.frombuffer(found.fingerprints, MARK),
        rows=np.frombuffer(found.rows, MARK),
        offsets=np.cumsum(sizes) - sizes,
    )


@dataclass(frozen=True)
class _Columns:
    """Bytes of the arrays in :class:`Digests`, and of the lines' sizes, as they grow."""

    group: bytearray = field(default_factory=bytearray)
    bucket: bytearray = field(default_factory=bytearray)
    ids: bytearray = field(default_factory=bytearray)
    fingerprints: bytearray = field(default_factory=bytearray)
    rows: bytearray = field(default_factory=bytearray)
    sizes: bytearray = field(default_factory=bytearray)


def _add(
    batch: pa.Table,
    plan: Plan,
    base: "hashlib.blake2b",
    groups: dict[str, int],
    found: _Columns,
    file: BinaryIO | None,
) -> None:
    ids = batch.column(plan.id).cast(pa.string()).to_pylist()
    content, attach = _texts(batch, plan.content), _texts(batch, plan.attach)
    order = batch.column(plan.order_by).to_pylist() if plan.order_by else ids
    heads = [
        f"[{canonical(one)},{canonical(by)},{text}"
        for one, by, text in zip(ids, order, attach, strict=True)
    ]
    marks = [_extended(base, text) for text in content]
    for head, mark in zip(heads, marks, strict=True):
        found.fingerprints.extend(mark)
        found.rows.extend(hashlib.blake2b(head.encode() + mark, digest_size=DIGEST_BYTES).digest())
    found.ids.extend(_hashes(ids))
    if plan.bucket_by != plan.id:
        found.bucket.extend(_hashes(batch.column(plan.bucket_by).to_pylist()))
    in_group = batch.column(plan.group_by).to_pylist() if plan.group_by else [""] * len(ids)
    codes = [groups.setdefault(name, len(groups)) for name in in_group]
    found.group.extend(np.array(codes, np.int32).tobytes())
    if file is not None:
        texts = zip(heads, marks, content, _texts(batch, plan.location), strict=True)
        lines = [f'{a},"{b.hex()}",{c},{d}]\n'.encode() for a, b, c, d in texts]
        found.sizes.extend(np.array([len(line) for line in lines], np.int64).tobytes())
        file.writelines(lines)


def _check_all_differ(plan: Plan) -> None:
    """Raises ValueError where an id comes twice; two ids of one hash are no reason to stop."""
    seen: set[str] = set()
    for batch in plan.tables():
        for name in batch.column(plan.id).to_pylist():
            if name in seen:
                raise ValueError(f"plan column {plan.id} is not unique: {name!r}")
            seen.add(name)


def read(path: Path, offsets: Ints) -> list[PlanRow]:
    """Rows of a plan file by the first bytes (n,) of their lines, in that order."""
    rows: dict[int, PlanRow] = {}
    with path.open("rb") as file:
        for at in np.argsort(offsets).tolist():
            file.seek(int(offsets[at]))
            row_id, order, attach, mark, content, where = json.loads(file.readline())
            rows[at] = PlanRow(row_id, mark, {**content, **where}, attach, order)
    return [rows[at] for at in range(len(offsets))]


_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
)


def canonical(value: Any) -> str:
    """JSON text of a value, the same for the same value, without line breaks."""
    return _ENCODER.encode(value)


def _texts(batch: pa.Table, columns: Sequence[str]) -> list[str]:
    if not columns:
        return ["{}"] * batch.num_rows
    return [canonical(row) for row in batch.select(list(columns)).to_pylist()]


def _extended(base: "hashlib.blake2b", text: str) -> bytes:
    found = base.copy()
    found.update(text.encode())
    return found.digest()


def _hashes(texts: Iterable[str]) -> bytes:
    return np.array([keys.hash64(text) for text in texts], np.uint64).tobytes()
