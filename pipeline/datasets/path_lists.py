"""Lists that researchers pass around: one path and one word per line.

Their paths begin wherever the dataset lay on the author's machine, so a list and a disk are
compared from a folder on that both must have.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.datasets.base import Source
from pipeline.errors import UserError


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
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"Dataset {source.name}: the list {file} cannot be read ({error}). {remedy}"
        ) from error
    for number, line in enumerate(lines, 1):
        path, _, found = line.strip().rpartition(" ")
        if not line.strip():
            continue
        if not path or not re.fullmatch(word, found):
            raise UserError(
                f"Dataset {source.name}: {file}, line {number} is not a path and a label like "
                f"{word}. {remedy}"
            )
        yield path.strip(), found


def labels(source: Source, key: Callable[[str], str]) -> dict[str, tuple[str, str]]:
    """Path and label ("0" or "1") of each line of the list that option ``list`` names, by key.

    Empty where the option names none. Raises UserError as :func:`read`.
    """
    name = source.options["list"]
    if not name:
        return {}
    lines = read(source, source.roots[0] / name, "[01]")
    return {key(path): (path, label) for path, label in lines}
