"""What a form of export is, and what the forms share."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from faceshards import fields
from faceshards.errors import UserError
from faceshards.reading import Sample, Shards

LABEL_NAMES = ("real", "fake")

Files = Iterator[tuple[str, bytes]]
"""Paths below the folder of the export, with slashes, and what the files hold."""

Named = Iterator[tuple[str, Sample]]
"""Samples with their ids."""


@dataclass(frozen=True)
class TarSamples:
    """The samples of one tar."""

    folder: str
    """Name of the shard folder, such as ``train``."""
    tar: str
    samples: Named


class Form(ABC):
    """One form of export. Pure: it gives names and bytes, and writes nothing itself."""

    name: ClassVar[str]
    about: ClassVar[str]
    """One line for the help."""
    copies: ClassVar[bool] = True
    """Whether pictures keep their bytes; else they are decoded and stored as PNG."""

    @abstractmethod
    def of_tar(self, part: TarSamples) -> Files:
        """Files that the samples of one tar become. They depend on nothing else."""

    @abstractmethod
    def lists(self, folders: Sequence[Shards]) -> Files:
        """Files about all samples, made of the indexes alone. They are written last."""


def checked_path(path: str) -> str:
    """The same path, below the folder of the export.

    Raises UserError where an id in a shard folder would lead out of it.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in path or "\\" in path:
        raise UserError(f"the id {path!r} cannot be the name of a file. Nothing was written.")
    if any(len(part.encode()) > 250 for part in parts):
        raise UserError(f"a part of the id {path!r} is too long for the name of a file.")
    return path


def rows(folders: Sequence[Shards]) -> Iterator[tuple[Shards, dict[str, Any]]]:
    """What the index says of every sample, folder by folder, without its place in the tars.

    All rows have the same columns: those of an expanded sample, ``sample_id`` and ``key`` first,
    ``vector`` last; where nothing is known as in the tables ("", -1).
    """
    for shards in folders:
        names = ["sample_id", "key", *fields.scalars(shards.name), "vector"]
        for batch in shards.index.select(names).to_batches(max_chunksize=_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                yield shards, _BLANK | row


_BLANK = {
    "sample_id": "",
    "key": "",
    **{name: fields.absent()[name] for name in fields.scalars(fields.EXPANDED)},
    "vector": [],
}
_ROWS_AT_ONCE = 4096
