"""Errors of the disk (full, no permission, store gone) as one sentence instead of a traceback."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import UserError

_TROUBLES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file would exceed the largest size allowed",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ENOENT: "a file or folder of the store vanished",
    errno.ENOTDIR: "a folder of the store is no folder any more",
    errno.EIO: "the disk reports an error",
    errno.ESTALE: "the network file system lost a file",
}


def is_trouble(error: OSError) -> bool:
    """Whether an error says that the disk cannot take more, whatever was being written."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextmanager
def explained(store: Path) -> Iterator[None]:
    """Turns an OSError from below into a UserError that names the store and what to do.

    Errors of foreign media never come this far: work turns them into rejects.
    """
    try:
        yield
    except OSError as error:
        said = trouble(error)
        if said is None:
            raise
        raise UserError(sentence(store, said, error)) from error


def trouble(error: OSError) -> str | None:
    """What an error says of the disk; None where it is no trouble of a disk."""
    # Arrow raises the class without the number.
    number = errno.ENOENT if isinstance(error, FileNotFoundError) else error.errno
    return _TROUBLES.get(number or 0)


def sentence(store: Path, said: str, error: OSError) -> str:
    """What happened, where, and that nothing is lost."""
    here = store if store.exists() else Path()
    free_gb = shutil.disk_usage(here).free / 1e9
    file = f" ({error.filename})" if error.filename else ""
    return (
        f"{store}: {said}{file}; {free_gb:.1f} GB are free. What was committed is kept: "
        "mend it and run `dvc repro` again."
    )
