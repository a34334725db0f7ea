"""Reading and writing tables, checked against their schemas each time.

Files carry no clock times: same rows, same bytes (for one version of pyarrow).
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import keys
from pipeline.errors import UserError
from pipeline.schemas import TABLES, Column, schema


def from_rows(name: str, rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Table of dictionaries with exactly the table's columns, checked."""
    rows = list(rows)
    wanted = [c.name for c in TABLES[name]]
    for row in rows:
        if set(row) != set(wanted):
            raise ValueError(
                f"table {name}: columns {sorted(set(row) ^ set(wanted))} missing or unknown"
            )
    table = pa.Table.from_pylist(rows, schema=schema(name))
    check(name, table)
    return table


def from_columns(name: str, columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """Table of lists by column name, in any order, checked; faster than rows where there are many.

    Raises ValueError for a column that is missing or unknown.
    """
    fields = schema(name)
    if set(columns) != set(fields.names):
        odd = sorted(set(columns) ^ set(fields.names))
        raise ValueError(f"table {name}: columns {odd} missing or unknown")
    arrays = [pa.array(columns[field.name], field.type) for field in fields]
    table = pa.Table.from_arrays(arrays, schema=fields)
    check(name, table)
    return table


def check(name: str, table: pa.Table) -> None:
    """Raises ValueError naming table, column and a bad value where a table breaks its schema."""
    if not table.schema.equals(schema(name), check_metadata=False):
        raise ValueError(f"table {name}: schema is\n{table.schema}\nbut must be\n{schema(name)}")
    for c in TABLES[name]:
        _check_column(name, c, table.column(c.name))


def _check_column(name: str, c: Column, values: pa.ChunkedArray) -> None:
    if values.null_count:
        raise ValueError(
            f"table {name}, column {c.name}: {values.null_count} nulls; absent is '', -1 or []"
        )
    bad = None
    if c.among:
        bad = pc.invert(pc.is_in(values, value_set=pa.array(c.among, c.type)))
    elif c.length is not None:
        lengths = pc.list_value_length(values)
        bad = pc.invert(pc.is_in(lengths, value_set=pa.array([0, c.length], lengths.type)))
    elif c.low is not None or c.high is not None:
        low = pc.less(values, c.low) if c.low is not None else False
        high = pc.greater(values, c.high) if c.high is not None else False
        bad = pc.or_(low, high)
    if bad is not None and pc.any(bad).as_py():
        first = values.filter(bad)[0].as_py()
        raise ValueError(f"table {name}, column {c.name}: {first!r} is not allowed ({c.meaning})")


def write(path: Path, name: str, batches: pa.Table | Iterable[pa.Table]) -> int:
    """Writes a table by rename, one row group per batch; returns the number of rows.

    Rows keep their order. The file is flushed to disk before it takes its name.
    """
    batches = [batches] if isinstance(batches, pa.Table) else batches
    rows = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}-{keys.attempt()}")
    try:
        with pq.ParquetWriter(temporary, schema(name), compression="zstd") as writer:
            for batch in batches:
                check(name, batch)
                if batch.num_rows:
                    writer.write_table(batch, row_group_size=batch.num_rows)
                rows += batch.num_rows
        replace_durably(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return rows


def read(path: Path, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads and checks a table. Raises UserError where the file is absent or of another schema."""
    with _readable(path):
        table = pq.read_table(path, columns=list(columns) if columns else None)
    _check_schema(path, name, table.schema, columns)
    _check_columns(name, table)
    return table


def read_batches(
    path: Path, name: str, columns: Sequence[str], batch_rows: int
) -> Iterator[pa.Table]:
    """Reads and checks columns of a table, so many rows at a time; at least one table, maybe empty.

    Raises UserError as :func:`read`.
    """
    with _readable(path):
        file = pq.ParquetFile(path)
    with file:
        # In the order asked for; a column that is missing is left out, and so missed.
        found = [c for c in columns if c in file.schema_arrow.names]
        _check_schema(path, name, pa.schema([file.schema_arrow.field(c) for c in found]), columns)
        batches = file.iter_batches(batch_rows, columns=found, use_threads=False)
        table = schema(name).empty_table().select(found)
        while True:
            yield table
            with _readable(path):
                batch = next(batches, None)
            if batch is None:
                return
            table = pa.Table.from_batches([batch]).select(found)
            _check_columns(name, table)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise UserError(
            f"{path} does not exist. It is written by an earlier stage: run `dvc repro`."
        )
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        # Without a number, it is how Arrow calls damage.
        raise UserError(
            f"{path} is not a readable table ({error}). Delete it and run `dvc repro`."
        ) from error


def _check_schema(path: Path, name: str, found: pa.Schema, columns: Sequence[str] | None) -> None:
    wanted = schema(name)
    if columns:
        wanted = pa.schema([wanted.field(c) for c in columns])
    if not found.equals(wanted, check_metadata=False):
        raise UserError(
            f"{path} is not a table of this version ({name}). Run `dvc repro` to make it anew."
        )


def _check_columns(name: str, table: pa.Table) -> None:
    for c in TABLES[name]:
        if c.name in table.column_names:
            _check_column(name, c, table.column(c.name))


def replace_durably(temporary: Path, final: Path) -> None:
    """Flushes a file, renames it, flushes its folder: a crash leaves the old or the new."""
    for target, rename in ((temporary, True), (final.parent, False)):
        handle = os.open(target, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if rename:
            temporary.replace(final)
