"""Lists that researchers pass around: one path and one word per line.

Their paths begin wherever the dataset lay on the author's machine, so a list and a disk are
compared from a folder on that both must have.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.datasets import lists
from pipeline.datasets.base import Rejected, Source, Video
from pipeline.datasets.lists import CrossCheck
from pipeline.errors import UserError

_AND = " and "
_UNLISTED = "not in the list"


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


class LabelCheck:
    """Compares pictures with the list of ``path label`` that option ``list`` names, if it does.

    Without one, all pictures count.

    Args:
        source: the dataset.
        key: what a path is called, alike in the list and on disk.

    Raises:
        UserError: the list is not there, cannot be read or is of another form.
    """

    def __init__(self, source: Source, key: Callable[[str], str]) -> None:
        self._source = source
        self._key = key
        self._lines: dict[str, tuple[str, str]] = {}
        self.used = bool(source.options["list"])
        if self.used:
            file = lists.find(
                source, source.options["list"], "what is read", ", or take option list out"
            )
            self._lines = by_key(read(source, file, "[01]"), key)
        self._check = CrossCheck(self._lines, ("excluded", _UNLISTED) if self.used else None)

    def judge(self, picture: Video, below: str) -> Video | Rejected:
        """The picture, or why it does not count; ``below`` is its path below the root."""
        key = self._key(below) if self.used else picture.path
        if rejected := self._check.reject(picture.path, key, picture.path, "image"):
            return rejected
        if self.used and (said := self._lines[key][1]) != str(picture.label):
            detail = f"by its folder it is {picture.label}, the list says {said}"
            return Rejected(picture.path, "inconsistent", detail)
        return picture

    def missing(self) -> Iterator[Rejected]:
        """What the list names and was not among the pictures."""
        for _, (path, _) in self._check.missing():
            yield Rejected(self._source.path(0, path), "missing", "in the list")
