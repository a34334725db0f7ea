"""Tables: their schemas, and reading and writing them, whole or a batch at a time."""

from pipeline.tables.parquet import check, from_columns, from_rows, read, read_batches, write

__all__ = ["check", "from_columns", "from_rows", "read", "read_batches", "write"]
