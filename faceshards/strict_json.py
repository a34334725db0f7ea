"""Reading JSON that somebody else wrote: what is unclear in it is an error that names the key."""

import json
import math
import re
from collections import Counter
from typing import Any

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
"""Without one of these escapes no text can hold half a character."""
_INSIDE = (dict, list)
_NAMES = {"nan": "NaN", "inf": "a number that is infinite (Infinity)", "-inf": "-Infinity"}


def parse(data: bytes, max_bytes: int, max_depth: int) -> Any:
    """What some JSON in UTF-8 holds.

    Args:
        data: the bytes of the file.
        max_bytes: most bytes that are read.
        max_depth: most lists and objects within each other.

    Raises:
        ValueError: it is too large, not UTF-8, not JSON or nests too deep; it repeats a key, or
            holds NaN, infinity or half a character (a lone surrogate). One line, with the key.
    """
    if len(data) > max_bytes:
        raise ValueError(f"json of {len(data)} bytes; at most {max_bytes} are read")
    try:
        value = json.loads(data.decode(), object_pairs_hook=_without_duplicates)
    except RecursionError:
        raise ValueError(_too_deep("")) from None
    _check(value, "", max_depth, texts=bool(_SURROGATE.search(data)))
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"json repeats a key: {twice!r}")
    return found


def _check(value: Any, where: str, depth: int, texts: bool) -> None:
    """Looks for what is refused below ``where``, which is keys with slashes; see :func:`parse`."""
    if isinstance(value, dict | list):
        if not depth:
            raise ValueError(_too_deep(where))
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if texts and isinstance(key, str):
                _check(key, where, depth, texts)
            # Lists of millions of plain values are the rule, so those cost no call.
            plain = (
                math.isfinite(item) if isinstance(item, float) else not isinstance(item, _INSIDE)
            )
            if texts or not plain:
                _check(item, f"{where}/{key}" if where else str(key), depth - 1, texts)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"json holds {_NAMES[str(value)]} at {where or 'its top'}")
    elif isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError(f"json holds half a character (a lone surrogate) at {where or 'its top'}")


def _too_deep(where: str) -> str:
    return f"json nests too deep at {where[:80]}" if where else "json nests too deep"
