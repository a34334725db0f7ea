"""Reading and writing tables, checked against their schemas each time.

Files carry no clock times: same rows, same bytes (for one version of pyarrow).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from faceshards.columns import check_values
from faceshards.replace import drop_attempts, replacing
from pipeline.errors import UserError
from pipeline.tables.schemas import TABLES, schema


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
    check_values(name, TABLES[name], table)


def write(path: Path, name: str, batches: pa.Table | Iterable[pa.Table]) -> int:
    """Writes a table by rename, one row group per batch; returns the number of rows.

    Rows keep their order. The file is flushed to disk before it takes its name. What killed runs
    had begun to write of it goes: its folder may be a dependency.
    """
    drop_attempts(path)
    batches = [batches] if isinstance(batches, pa.Table) else batches
    rows = 0
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema(name), compression="zstd") as writer,
    ):
        for batch in batches:
            check(name, batch)
            if batch.num_rows:
                writer.write_table(batch, row_group_size=batch.num_rows)
            rows += batch.num_rows
    return rows


def read(
    path: Path,
    name: str,
    columns: Sequence[str] | None = None,
    encoded: Sequence[str] = (),
) -> pa.Table:
    """Reads and checks a table. Raises UserError where the file is absent or of another schema.

    Args:
        path: the file.
        name: the table's.
        columns: those wanted; None = all.
        encoded: columns of text that come dictionary-encoded: less memory where values repeat.
    """
    with _readable(path):
        table = pq.read_table(
            path,
            columns=list(columns) if columns else None,
            read_dictionary=list(encoded),
            pre_buffer=False,  # it would hold the file's bytes as well
        )
    plain = [f.with_type(f.type.value_type) if f.name in encoded else f for f in table.schema]
    _check_schema(path, name, pa.schema(plain), columns)
    check_values(name, TABLES[name], table)
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
            check_values(name, TABLES[name], table)


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
