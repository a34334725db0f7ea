"""Whether the tars of a store are as they were committed, at the cost of one stat for each.

Tars are large, so a start does not read them. A note beside the store says what was found of each:
its SHA-256, and its size, times and inode then. A tar whose stat is another, or that the note does
not name, is read once. The note is local to one machine and no output of a stage: losing it costs
one reading, nothing else.
"""

import hashlib
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceshards import keys, tar
from pipeline.engine import partition
from pipeline.engine.partition import Committed
from pipeline.engine.rows import Member
from pipeline.files.memory import FileMemory
from pipeline.tables import schemas

_SHA256 = re.compile("[0-9a-f]{64}")
_KIND = "sha256"
SAVE_EVERY_S = 60.0
"""What a killed run has committed and not noted is read once by the next."""
TOLD_BYTES = 1e9
"""Reading so much takes long enough that somebody wants to know what is going on."""


class SoundTars:
    """What is known of the tars of one store.

    Args:
        note: where that is remembered; made where absent.
    """

    def __init__(self, note: Path) -> None:
        self._note = note
        self._memory = FileMemory(note, _SHA256)
        self._saved = time.monotonic()

    @classmethod
    def of(cls, store: Path) -> "SoundTars":
        """What is known of the tars of the store in this folder."""
        return cls(store.parent / f".{store.name}.tars.json")

    def damaged(self, tars: Path, found: Mapping[str, Committed]) -> set[str]:
        """Those of the partitions, whose tars lie in a folder, that have a damaged one."""
        named = {name: tars / facts.tar for name, facts in found.items() if facts.tar}
        stats = {name: path.stat() for name, path in named.items()}
        cut = {name for name, stat in stats.items() if stat.st_size != found[name].tar_bytes}
        new = [s.st_size for name, s in stats.items() if not self._known(named[name], s)]
        if sum(new) > TOLD_BYTES:
            sys.stderr.write(
                f"{tars}: {len(new)} tars of {sum(new) / 1e9:.0f} GB are new or changed since the "
                "last run; they are read once, to see whether they are whole.\n"
            )
        return cut | {
            name
            for name in named.keys() - cut
            if self._sha256(named[name], stats[name]) != found[name].tar_sha256
        }

    def _sha256(self, path: Path, stat: os.stat_result) -> str:
        return self._memory.recall(os.fspath(path), stat, _KIND, lambda: _sha256(path))

    def committed(self, path: Path, stat: os.stat_result, sha256: str) -> None:
        """Takes note of a tar that has just been written; saves now and then."""
        self._memory.remember(os.fspath(path), stat, _KIND, sha256)
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save()

    def move(self, old: Path, new: Path) -> None:
        """Moves a tar within its disk. That changes a time of it, and nothing else."""
        known = self._known(old, old.stat())
        new.parent.mkdir(parents=True, exist_ok=True)
        old.replace(new)
        if known:
            self._memory.remember(os.fspath(new), new.stat(), _KIND, known)

    def wake(self) -> list[Path]:
        """Touches damaged tars that DVC would take for unchanged, and returns them.

        DVC reads a file again where its size, time of content or inode is another.
        """
        found = []
        for name, stat, sha256 in self._memory.changed_behind():
            path = Path(name)
            if _sha256(path) == sha256:
                self._memory.remember(name, stat, _KIND, sha256)
            else:
                path.touch()
                found.append(path)
        self.save()
        return found

    def keep(self, path: Path) -> None:
        """Goes on remembering a tar of which nothing is asked now."""
        self._known(path, path.stat())

    def save(self) -> None:
        """Writes the note: what was asked for since it was opened."""
        if self._memory or self._note.exists():
            self._memory.save()
        self._saved = time.monotonic()

    def _known(self, path: Path, stat: os.stat_result) -> str | None:
        return self._memory.known(os.fspath(path), stat, _KIND)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def member_columns(table: str) -> list[str]:
    """Prefixes of the location columns of a table: ``["", "mask_"]`` for ``expanded``."""
    names = [column.name for column in schemas.TABLES[table]]
    return [name.removesuffix("offset") for name in names if name.endswith("offset")]


def members(path: Path, table: str, output: Mapping[str, Any]) -> list[Member]:
    """Members of an output row as they lie in a tar. Raises ValueError where they are not those."""
    found = []
    for column in member_columns(table):
        at, size = output[f"{column}offset"], output[f"{column}size"]
        data = tar.read(path, at, size)
        if keys.digest128(data) != output[f"{column}digest"]:
            raise ValueError(f"{path}, byte {at}: not what was stored")
        extension = tar.name_at(path, at).rsplit("/", 1)[-1].partition(".")[2]
        found.append(Member(column, extension, data))
    return found


def lost_rows(folder: Path, name: str, table: str, facts: Committed) -> set[int]:
    """Positions of a partition's rows that lost a member in its tar; says how many."""
    path = folder / facts.tar
    rows = partition.read_rows(folder / name, ["outputs"]).column("outputs").to_pylist()
    lost = {at for at, outputs in enumerate(rows) if not _all_there(path, table, outputs)}
    what = (
        f"{len(lost)} of its {len(rows)} rows are worked anew" if lost else "no row of it is lost"
    )
    sys.stderr.write(f"{path} is damaged: {what}.\n")
    return lost


def _all_there(path: Path, table: str, outputs: list[dict[str, Any]]) -> bool:
    try:
        for output in outputs:
            members(path, table, output)
    except ValueError:
        return False
    return True
