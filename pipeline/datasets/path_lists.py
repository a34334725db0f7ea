"""Lists that researchers pass around: one path and one word per line.

Their paths begin wherever the dataset lay on the author's machine, so a list and a disk are
compared from a folder on that both must have.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.datasets import lists
from pipeline.datasets.base import Source
from pipeline.errors import UserError

_AND = " and "


def tail(path: str, is_top: Callable[[str], bool]) -> str:
    """A path from its last folder on for which ``is_top`` holds, in lower case, with slashes.

    The whole path where there is no such folder. ``is_top`` gets folders in lower case.
    """
    parts = path.replace("\\", "/").casefold().split("/")
    at = max((i for i, part in enumerate(parts[:-1]) if is_top(part)), default=0)
    return "/".join(parts[at:])


def read(source: Source, file: Path, word: str) -> Iterator[tuple[str, str]]:
    """Path and word of each line; blank lines are left out.

    Args:
        source: the dataset, for messages.
        file: the list.
        word: pattern of the word behind the path.

    Raises:
        UserError: the list cannot be read, or a line is not of this form.

    """
    remedy = "Take the authors' file, or remove it."
    for number, line in lists.read_lines(source, file, remedy):
        path, _, found = line.rpartition(" ")
        if not path or not re.fullmatch(word, found):
            raise UserError(
                f"Dataset {source.name}: {file}, line {number} is not a path and a label like "
                f"{word}. {remedy}"
            )
        yield path.strip(), found


def by_key(
    lines: Iterable[tuple[str, str]], key: Callable[[str], str]
) -> dict[str, tuple[str, str]]:
    """Path and word of each line, by key; where lines differ, the words with "and" between them."""
    found: dict[str, tuple[str, str]] = {}
    for path, word in lines:
        first, said = found.setdefault(key(path), (path, word))
        if word not in said.split(_AND):
            found[key(path)] = (first, f"{said}{_AND}{word}")
    return found


def labels(source: Source, key: Callable[[str], str]) -> dict[str, tuple[str, str]]:
    """Path and label ("0" or "1") of each line of the list that option ``list`` names, by key.

    Empty where the option names none. Raises UserError as :func:`read`, and where it is not there.
    """
    name = source.options["list"]
    if not name:
        return {}
    file = lists.find(source, name, "what is read", ", or take option list out")
    return by_key(read(source, file, "[01]"), key)
