"""The lists that come with a dataset: finding them, and comparing them with the folders.

A list names files; folders hold files. What only one of the two has is a reject, so that nothing
vanishes: see :class:`CrossCheck`.
"""

import codecs
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from faceshards import strict_json
from pipeline.datasets import folders
from pipeline.datasets.base import Rejected, Source
from pipeline.errors import UserError

MAX_JSON_BYTES = 64 << 20
_JSON_DEPTH = 16
"""DeepfakeBench's lists nest 7 deep, the others 3."""
_LOOK_DEPTH = 3
"""Levels below a root in which a list that is not at its place is looked for."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def find(source: Source, name: str, says: str) -> Path:
    """The list of that name in the first root that has it.

    Args:
        source: the dataset.
        name: file name, relative to a root.
        says: what the list is for, as in "It says what is test".

    Raises:
        UserError: no root has it. The message says where it must be, and where one lies that only
            has to be moved.
    """
    for root in source.roots:
        if (root / name).is_file():
            return root / name
    raise absent(source, name, says)


def parse_json(data: bytes, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """What a JSON list holds; raises as :func:`faceshards.strict_json.parse`."""
    return strict_json.parse(data.removeprefix(codecs.BOM_UTF8), max_bytes, _JSON_DEPTH)


def read_json(
    source: Source, file: Path, form: str, remedy: str, max_bytes: int = MAX_JSON_BYTES
) -> Any:
    """What a file with a JSON list holds.

    Args:
        source: the dataset, for messages.
        file: the list.
        form: what it should be, as the end of the sentence "the file …".
        remedy: what to do about a file that is damaged.
        max_bytes: a larger one is refused before it is read.

    Raises:
        UserError: it cannot be read, or is unclear (see :mod:`faceshards.strict_json`).
    """
    try:
        if (size := file.stat().st_size) > max_bytes:
            raise ValueError(f"it has {size} bytes; at most {max_bytes} are read")
        return parse_json(file.read_bytes(), max_bytes)
    except (OSError, ValueError) as error:
        raise UserError(f"Dataset {source.name}: {file} {form}: {error}. {remedy}") from error


def absent(source: Source, name: str, says: str, otherwise: str = "") -> UserError:
    """The error of a list that is in no root; ``otherwise`` = what else can be done."""
    where = ", ".join(map(str, source.roots))
    last = name.rpartition("/")[2].casefold()
    near = next(
        (
            root / relative
            for root in source.roots
            for relative in folders.files(root, _LOOK_DEPTH)
            if relative.rpartition("/")[2].casefold() == last
        ),
        None,
    )
    goal = source.roots[0] / name
    step = f"Move {near} to {goal}" if near else f"Put it at {goal}"
    return UserError(
        f"Dataset {source.name}: there is no {name} below {where}. It says {says}. "
        f"{step}{otherwise}."
    )


class CrossCheck(Generic[K, V]):
    """Compares a list with the files on disk, file by file.

    Args:
        listed: what the list says, by key. A key is what a file is called in the list.
        unlisted: reason and detail of a file that the list does not name; None = such files count.
        counted: keys of files that count already; shared where several lists name the same files.
    """

    def __init__(
        self,
        listed: Mapping[K, V],
        unlisted: tuple[str, str] | None,
        counted: set[K] | None = None,
    ) -> None:
        self._listed = listed
        self._unlisted = unlisted
        self._counted: set[K] = set() if counted is None else counted
        self._on_disk: set[K] = set()

    def reject(self, path: str, key: K, called: str, media: str = "video") -> Rejected | None:
        """Why a file on disk does not count; None where it does, which makes a second one a repeat.

        Args:
            path: the file's ``path`` column.
            key: what the list would call it.
            called: what messages call it.
            media: ``video`` and ``image`` have known suffixes; ``frames`` are folders.
        """
        if media == "video" and not folders.is_video(path):
            return Rejected(path, "unsupported_media", "not the suffix of a video")
        if media == "image" and not folders.is_image(path):
            return Rejected(path, "unsupported_media", "not the suffix of an image")
        self._on_disk.add(key)
        if key in self._counted:
            return Rejected(path, "duplicate", f"{called} is there already")
        if self._unlisted and key not in self._listed:
            return Rejected(path, *self._unlisted)
        self._counted.add(key)
        return None

    def missing(self) -> Iterator[tuple[K, V]]:
        """What is listed, and was not among the files on disk."""
        return ((key, said) for key, said in self._listed.items() if key not in self._on_disk)
