"""Reading lists and CSV files that somebody else wrote: what is unclear is told with its line."""

import codecs
import csv
import io
from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest

from faceshards.wording import suggestion


def lines(data: bytes, max_bytes: int) -> list[str]:
    """The lines of a text in UTF-8, without their ends; line n is item n - 1.

    Only line feeds and carriage returns end a line, since file names may hold the other characters
    that :meth:`str.splitlines` takes for ends. A byte order mark is left out.

    Args:
        data: the bytes of the file.
        max_bytes: most bytes that are read.

    Raises:
        ValueError: it is too large, not UTF-8, or holds a zero byte. One line, with the line.
    """
    return _text(data, max_bytes).replace("\r\n", "\n").replace("\r", "\n").split("\n")


def table(
    data: bytes,
    max_bytes: int,
    required: Sequence[str],
    known: Collection[str] | None = None,
    verbatim: Collection[str] = (),
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by column of each row of a CSV file with commas and a header.

    Empty lines are left out. Cells and names of columns lose the blanks at their ends. Cells that a
    row lacks at its end are "", which is for the caller to judge.

    Args:
        data: the bytes of the file.
        max_bytes: most bytes that are read.
        required: columns that must be there.
        known: all columns that may be there; None = any.
        verbatim: columns whose cells keep the blanks at their ends, such as names of files.

    Raises:
        ValueError: as :func:`lines`; a column is missing, unknown or there twice; a row is longer
            than the header, or its quotes are wrong. One line, with the line.
    """
    text = _text(data, max_bytes)
    # The module would otherwise end a line within quotes wherever the text has a carriage return.
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        _check_header(header, required, known)
        for cells in rows:
            if not cells:
                continue
            if any(cell.strip() for cell in cells[len(header) :]):
                raise ValueError(
                    f"line {rows.line_num}: {len(cells)} cells, but the header has "
                    f"{len(header)}; a cell with a comma needs quotes around it"
                )
            named = zip_longest(header, cells[: len(header)], fillvalue="")
            row = {name: cell if name in verbatim else cell.strip() for name, cell in named}
            yield rows.line_num, row
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num} is no line of a CSV file: {error}") from error


def _text(data: bytes, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise ValueError(f"it has {len(data)} bytes; at most {max_bytes} are read")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not text in UTF-8: {error.reason}") from error
    if (zero := text.find("\0")) >= 0:
        raise ValueError(f"line {text.count(chr(10), 0, zero) + 1} holds a zero byte")
    return text


def _check_header(
    header: list[str], required: Sequence[str], known: Collection[str] | None
) -> None:
    for name in required:
        if name not in header:
            have = ", ".join(header) or "nothing"
            column = f"column {name}" if name else "a column without a name"
            raise ValueError(f"the first line must name {column}, but has {have[:200]}")
    for name in header:
        if known is not None and name not in known:
            column = name or "(no name)"
            raise ValueError(f"unknown column {column}. {suggestion(name, known).rstrip('.')}")
        # Tables from a spreadsheet end in columns without a name and without cells.
        if header.count(name) > 1 and (name or name in required):
            raise ValueError(f"column {name or '(no name)'} is there twice; keep one")
