"""Which files are to be judged: one file, all of a folder, or those that a CSV lists."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from pipeline.datasets import folders
from pipeline.datasets.fingerprint import Mode, fingerprint
from pipeline.datasets.lists import MAX_TEXT_BYTES
from pipeline.engine.rows import Plan
from pipeline.errors import UserError
from pipeline.files import strict_text

DEPTH = 32
"""Levels of folders that are looked into."""
ROWS_AT_ONCE = 1000
_PREFIX, _SUFFIX = "files/given/", "/0"
"""Around a file's name in an id, which has the parts that ids of faces have."""

_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("file_id", "media", "fingerprint", "file")],
)


@dataclass(frozen=True)
class Asked:
    """What is to be judged."""

    root: Path
    """Absolute; ``files`` are relative to it."""
    files: list[str]
    """POSIX paths, distinct; they name the files in the results."""
    left_out: list[dict[str, str]] = field(default_factory=list)
    """Rejects: files of a folder that are no videos or images by their names."""

    def plan(self, mode: Mode) -> Plan:
        """One row per file. A file that cannot be read has no fingerprint, and is rejected."""

        def batches() -> Iterator[pa.Table]:
            for at in range(0, len(self.files), ROWS_AT_ONCE):
                names = self.files[at : at + ROWS_AT_ONCE]
                paths = [str(self.root / name) for name in names]
                media = ["image" if folders.is_image(name) else "video" for name in names]
                prints = [_fingerprint(path, mode) for path in paths]
                ids = [_PREFIX + name + _SUFFIX for name in names]
                columns = dict(zip(_SCHEMA.names, (ids, media, prints, paths), strict=True))
                yield pa.table(columns, schema=_SCHEMA)

        return Plan(
            batches,
            _SCHEMA,
            id="file_id",
            bucket_by="file_id",
            content=("media", "fingerprint"),
            location=("file",),
        )


def find(given: Path) -> Asked:
    """What a path stands for.

    Args:
        given: a folder (all videos and images below it), a ``.csv`` file with a column ``path``
            (relative to the CSV's folder), or a video or image.

    Raises:
        UserError: it does not exist, the folder has nothing to judge, or the list is no such list.
    """
    if given.is_dir():
        return _of_folder(given.absolute())
    if not given.exists():
        raise UserError(f"{given} does not exist. Give a video, an image, a folder or a CSV file.")
    if given.suffix.lower() == ".csv":
        return _of_list(given.absolute())
    return Asked(given.absolute().parent, [given.name])


def name_of(file_id: str) -> str:
    """The file's name in the results, from its row's id."""
    return file_id.removeprefix(_PREFIX).removesuffix(_SUFFIX)


def _of_folder(folder: Path) -> Asked:
    names = list(folders.files(folder, DEPTH))
    judged = [name for name in names if folders.is_video(name) or folders.is_image(name)]
    if not judged:
        raise UserError(f"There is no video and no image below {folder}.")
    others = sorted(set(names) - set(judged))
    detail = "neither a video nor an image by its name"
    return Asked(
        folder,
        judged,
        [{"id": name, "reason": "unsupported_media", "detail": detail} for name in others],
    )


def _of_list(file: Path) -> Asked:
    try:
        rows = list(
            strict_text.table(file.read_bytes(), MAX_TEXT_BYTES, ["path"], verbatim=["path"])
        )
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{file}: {error}.") from error
    seen: dict[str, int] = {}
    for line, row in rows:
        name = os.path.normpath(row["path"]) if row["path"] else ""
        if not name:
            raise UserError(f"{file}: line {line} has no path.")
        if name in seen:
            raise UserError(f"{file}: line {line} names {name}, and line {seen[name]} does too.")
        seen[name] = line
    if not seen:
        raise UserError(f"{file} lists no file.")
    return Asked(file.parent, list(seen))


def _fingerprint(path: str, mode: Mode) -> str:
    try:
        return fingerprint(path, mode)
    except OSError:
        return ""
