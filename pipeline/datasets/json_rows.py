"""A JSON list of millions of objects, one by one: a list of a gigabyte need not be in memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faceshards import strict_json
from pipeline.datasets import lists
from pipeline.datasets.base import Source
from pipeline.errors import UserError

_CHUNK_CHARS = 1 << 20
MAX_ROW_CHARS = 4 << 20
"""A longer object is taken for damage."""
_DEPTH = 8
_BETWEEN = " \t\r\n,"


def json_rows(source: Source, file: Path, remedy: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSON list.

    Args:
        source: the dataset, for messages.
        file: the list, in UTF-8.
        remedy: what to do about a file that is damaged.

    Raises:
        UserError: it cannot be read, is no list of objects, or is unclear (see
            :mod:`faceshards.strict_json`).
    """
    place = 0
    try:
        for text in _objects(file):
            row = strict_json.parse(text.encode(), MAX_ROW_CHARS, _DEPTH)
            if not isinstance(row, dict):
                raise ValueError("it is not an object")
            yield row
            place += 1
    except (OSError, ValueError) as error:
        raise UserError(
            f"Dataset {source.name}: {file} is not a JSON list of objects: entry {place + 1}: "
            f"{lists.in_words(error)}. {remedy}"
        ) from error


def _objects(file: Path) -> Iterator[str]:
    """The text of each entry of a list; raises ValueError where it is none."""
    decoder = json.JSONDecoder()
    with file.open(encoding="utf-8-sig") as stream:
        text = stream.read(_CHUNK_CHARS).lstrip()
        if not text.startswith("["):
            raise ValueError("it does not begin with [")
        at = 1
        while True:
            while at < len(text) and text[at] in _BETWEEN:
                at += 1
            if text[at : at + 1] == "]":
                if (text[at + 1 :] + stream.read(_CHUNK_CHARS)).strip():
                    raise ValueError("there is something behind the list")
                return
            try:
                _, end = decoder.raw_decode(text, at)
            except json.JSONDecodeError as error:
                more = stream.read(_CHUNK_CHARS)
                if not more or len(text) - at > MAX_ROW_CHARS:
                    raise ValueError(f"{error.msg} at {text[at : at + 60]!r}") from error
                text, at = text[at:] + more, 0
                continue
            yield text[at:end]
            at = end
