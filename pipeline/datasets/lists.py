"""The lists that come with a dataset: finding them, and comparing them with the folders.

A list names files; folders hold files. What only one of the two has is a reject, so that nothing
vanishes: see :class:`CrossCheck`.

Every list is read here, strictly: what is unclear in a file is one sentence that names the file and
the line or key. What is wrong with one entry alone is for the adapter, which makes it a reject.
"""

import codecs
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from faceshards import strict_json
from pipeline.datasets import folders
from pipeline.datasets.base import Rejected, Source
from pipeline.errors import UserError
from pipeline.files import strict_text

MAX_JSON_BYTES = 64 << 20
MAX_TEXT_BYTES = 256 << 20
"""Two million lines of a hundred characters, twice over."""
_SHOWN_CHARS = 300
_JSON_DEPTH = 16
"""DeepfakeBench's lists nest 7 deep, the others 3."""
_LOOK_DEPTH = 3
"""Levels below a root in which a list that is not at its place is looked for."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def find(source: Source, names: str | Sequence[str], says: str, otherwise: str = "") -> Path:
    """The list of that name in the first root that has it.

    Args:
        source: the dataset.
        names: file name, relative to a root or absolute; of several, the first that is there.
        says: what the list is for, as in "It says what is test".
        otherwise: what else can be done, such as ", or unset option list".

    Raises:
        UserError: no root has it. The message says where it must be, and where one lies that only
            has to be moved.
    """
    names = [names] if isinstance(names, str) else names
    for root in source.roots:
        for name in names:
            if (root / name).is_file():
                return root / name
    raise absent(source, names[0], says, otherwise)


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
    with _one_sentence(source, f"{file} {form}", remedy):
        return parse_json(read_bytes(file, max_bytes), max_bytes)


def read_lines(
    source: Source, file: Path, remedy: str, max_bytes: int = MAX_TEXT_BYTES
) -> Iterator[tuple[int, str]]:
    """Number and text of each line of a plain list, without blanks at its ends; empty ones not.

    Args:
        source: the dataset, for messages.
        file: the list.
        remedy: what to do about a file that is damaged, such as "Take the official file."
        max_bytes: a larger one is refused before it is read.

    Raises:
        UserError: it cannot be read, or is unclear (see :func:`strict_text.lines`).
    """
    with _one_sentence(source, str(file), remedy):
        lines = strict_text.lines(read_bytes(file, max_bytes), max_bytes)
    return ((number, text.strip()) for number, text in enumerate(lines, 1) if text.strip())


def read_csv(
    source: Source,
    file: Path,
    required: Sequence[str],
    remedy: str,
    known: Collection[str] | None = None,
    verbatim: Collection[str] = (),
    max_bytes: int = MAX_TEXT_BYTES,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by column of each row of a CSV list; cells that a row lacks are "".

    Args:
        source: the dataset, for messages.
        file: the list.
        required: columns that must be there.
        remedy: what to do about a file that is damaged.
        known: all columns that may be there; None = any.
        verbatim: columns whose cells keep the blanks at their ends; see :func:`as_on_disk`.
        max_bytes: a larger one is refused before it is read.

    Raises:
        UserError: it cannot be read, or is unclear (see :func:`strict_text.table`).
    """
    with _one_sentence(source, str(file), remedy):
        data = read_bytes(file, max_bytes)
        yield from strict_text.table(data, max_bytes, required, known, verbatim)


def as_on_disk(name: str, is_there: Callable[[str], bool]) -> str:
    """The name of a file in a list: as written where it is there, else without outer blanks.

    Names may begin or end with a blank, and so may cells that a spreadsheet has written.
    """
    stripped = name.strip()
    return name if name == stripped or is_there(name) else stripped


def in_words(error: Exception) -> str:
    """What is wrong with a list, on one line and not too long, whatever the list holds."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def read_bytes(file: Path, max_bytes: int) -> bytes:
    """The content of a list; ValueError where it is larger, before it is read."""
    if (size := file.stat().st_size) > max_bytes:
        raise ValueError(f"it has {size} bytes; at most {max_bytes} are read")
    return file.read_bytes()


@contextmanager
def _one_sentence(source: Source, what: str, remedy: str) -> Iterator[None]:
    """Turns errors of reading into a UserError; who may not read is told for all lists alike."""
    try:
        yield
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"Dataset {source.name}: {what}: {in_words(error)}. {remedy}") from error


def nearby(source: Source, name: str, *beside: str) -> Path | None:
    """A file of that name, in any case, in some folder below a root; None where there is none.

    Args:
        source: the dataset.
        name: file name; folders before it do not count.
        beside: names of other files that must lie in the same folder.
    """
    last = name.rpartition("/")[2].casefold()
    return next(
        (
            root / relative
            for root in source.roots
            for relative in folders.files(root, _LOOK_DEPTH)
            if relative.rpartition("/")[2].casefold() == last
            and all(((root / relative).parent / other).is_file() for other in beside)
        ),
        None,
    )


def absent(source: Source, name: str, says: str, otherwise: str = "") -> UserError:
    """The error of a list that is in no root; ``otherwise`` = what else can be done."""
    where = ", ".join(map(str, source.roots))
    near = nearby(source, name)
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
        self.on_disk: set[K] = set()
        """What was found, listed or not."""

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
        self.note(key)
        if key in self._counted:
            return Rejected(path, "duplicate", f"{called} is there already")
        if self._unlisted and key not in self._listed:
            return Rejected(path, *self._unlisted)
        self._counted.add(key)
        return None

    def note(self, key: K) -> None:
        """Remembers that something is on disk, which :meth:`reject` does for each file too."""
        self.on_disk.add(key)

    def missing(self) -> Iterator[tuple[K, V]]:
        """What is listed, and was not among the files on disk."""
        return ((key, said) for key, said in self._listed.items() if key not in self.on_disk)
