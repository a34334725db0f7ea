"""Replacing files by rename: who reads them sees the old one or the new one, never a part."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def attempt() -> str:
    """A name part no other attempt has, for temporary files; never part of an output."""
    return secrets.token_hex(6)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, which takes its name where the block ends well.

    The folder is made where it is absent; the file is flushed to disk before it takes its name. It
    is deleted where the block raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}-{attempt()}")
    try:
        yield temporary
        replace_durably(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_durably(temporary: Path, final: Path) -> None:
    """Flushes a file, renames it, flushes its folder: a crash leaves the old or the new."""
    for target, rename in ((temporary, True), (final.parent, False)):
        handle = os.open(target, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if rename:
            temporary.replace(final)


def drop_attempts(path: Path) -> None:
    """Deletes what killed processes had begun to write of a file that this one alone writes."""
    for left in path.parent.glob(f".tmp-{path.name}-*"):
        left.unlink(missing_ok=True)
