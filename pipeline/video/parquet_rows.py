"""One image out of a Parquet file with many, which are read in order.

A row can only be reached from the first one of its row group on, so the place that was reached is
kept: the rows of a plan come in order.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.datasets.folders import MAX_IMAGE_BYTES
from pipeline.errors import Reject

_BATCH_ROWS = 16
"""Rows of a Parquet file that are in memory at once."""
_BUFFER_BYTES = 1 << 20

_Key = tuple[str, int, int]
"""Path, size, and time of change in ns of a file."""


@dataclass
class _Cursor:
    """How far a row group was read."""

    batches: Iterator[pa.RecordBatch]
    start: int = 0
    """Row in its group of the first one in ``values``."""
    values: list[bytes | None] = field(default_factory=list)


class _Remembered(threading.local):
    """What a thread knows of the files that it has read."""

    def __init__(self) -> None:
        self.cursors: dict[tuple[_Key, str, int], _Cursor] = {}


_remembered = _Remembered()


def row_name(column: str, group: int, row: int) -> str:
    """How a row is called in paths; names sort as rows do."""
    return f"{column}/{group:05d}/{row:06d}"


def neighbours(videos: pa.Table) -> tuple[list[str], list[str]]:
    """What keeps rows of ``videos`` in one partition, and their order there; else their ids.

    Rows of one row group of a Parquet file are worked one after the other, since each costs all
    that lie before it. Other videos go wherever their ids say.

    Args:
        videos: columns ``video_id``, ``media``, ``dataset`` and ``path``.
    """
    ids: list[str] = videos.column("video_id").to_pylist()
    together, order = list(ids), list(ids)
    names = (videos.column(name).to_pylist() for name in ("media", "dataset", "path"))
    for at, (media, dataset, path) in enumerate(zip(*names, strict=True)):
        if media == "parquet":
            order[at] = f"{dataset}/{path}"
            together[at] = order[at].rpartition("/")[0]
    return together, order


def read_row(file: Path, inside: str) -> bytes:
    """An image in a Parquet file: bytes, or the ``bytes`` of Hugging Face's struct for images.

    Args:
        file: the Parquet file.
        inside: where in it, as :func:`row_name` has it.

    Raises:
        Reject: ``missing`` where there is no such row, ``empty`` where it holds no bytes,
            ``unreadable`` for a file that is damaged.
    """
    column, group, row = inside.rsplit("/", 2)
    try:
        data = _value(file, column, int(group), int(row))
    except (OSError, pa.ArrowException) as error:
        raise Reject("unreadable", " ".join(str(error).split())[:300]) from error
    if data is None:
        raise Reject("empty", "this row has no bytes of a picture")
    if len(data) > MAX_IMAGE_BYTES:
        raise Reject("unreadable", f"{len(data)} bytes; at most {MAX_IMAGE_BYTES} are read")
    return data


def _key(file: Path) -> _Key:
    facts = file.stat()
    return str(file), facts.st_size, facts.st_mtime_ns


def _value(file: Path, column: str, group: int, row: int) -> bytes | None:
    """The bytes in a row, None for none; rows behind the last one that was read cost least."""
    key = (_key(file), column, group)
    cursor = _remembered.cursors.get(key)
    if cursor is None or row < cursor.start:
        cursor = _Cursor(_batches(file, column, group))
    _remembered.cursors = {}  # of a file that turns out to be damaged nothing is kept
    while row >= cursor.start + len(cursor.values):
        batch = next(cursor.batches, None)
        if batch is None:
            raise Reject("missing", f"row group {group} has fewer than {row + 1} rows")
        cursor.start += len(cursor.values)
        cursor.values = _bytes(batch.column(0))
    _remembered.cursors = {key: cursor}
    return cursor.values[row - cursor.start]


def _batches(file: Path, column: str, group: int) -> Iterator[pa.RecordBatch]:
    opened = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES)
    if column not in opened.schema_arrow.names:
        raise Reject("missing", f"the file has no column {column}")
    if group >= opened.num_row_groups:
        raise Reject("missing", f"the file has {opened.num_row_groups} row groups")
    struct = pa.types.is_struct(opened.schema_arrow.field(column).type)
    batches: Iterator[pa.RecordBatch] = opened.iter_batches(
        _BATCH_ROWS,
        row_groups=[group],
        columns=[f"{column}.bytes" if struct else column],
        use_threads=False,
    )
    return batches


def _bytes(column: pa.Array) -> list[bytes | None]:
    if pa.types.is_struct(column.type):
        column = column.field("bytes")
    values: list[bytes | None] = column.to_pylist()
    return values
