"""Columns of tables: type, meaning, unit and allowed values, and the check of a table against them.

Absent text is "", an unknown number is -1; nothing is null.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Column:
    """One column: Arrow type, meaning, unit and what values are allowed.

    ``among`` is a closed set; ``low`` and ``high`` are inclusive bounds; ``length`` is the exact
    length of a list (0 is allowed besides, for "absent").
    """

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    among: Sequence[Any] = ()
    low: float | None = None
    high: float | None = None
    length: int | None = None


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Arrow schema of a table with these columns; their meanings travel as field metadata."""
    fields = []
    for c in columns:
        about = {"meaning": c.meaning} | ({"unit": c.unit} if c.unit else {})
        fields.append(pa.field(c.name, c.type, nullable=False, metadata=about))
    return pa.schema(fields)


def check_values(name: str, columns: Sequence[Column], table: pa.Table) -> None:
    """Raises ValueError naming table, column and a bad value where one is not allowed.

    Columns that the table lacks are not looked at.
    """
    for c in columns:
        if c.name in table.column_names:
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
