"""Reading what a stage stored in the tars of its store, checked against its digest."""

from contextlib import suppress
from pathlib import Path

from faceshards import keys, tar
from pipeline.errors import UserError


def read_stored(path: Path, offset: int, size: int, digest: str, stage: str) -> bytes:
    """Bytes that a stage stored.

    Args:
        path: the tar.
        offset: first byte.
        size: number of bytes.
        digest: BLAKE2b-128 of them, or "" where none is known.
        stage: who stored them.

    Raises:
        UserError: they are not there, or others are; one partition is then to be made anew.
    """
    try:
        data = tar.read(path, offset, size)
    except FileNotFoundError as error:
        raise UserError(
            f"{path} is not there. The stage {stage} writes it: run `dvc repro`."
        ) from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error}). Delete this one file and run `dvc repro`: the stage "
            f"{stage} makes what was in it anew, and keeps the rest."
        ) from error
    except ValueError as error:
        raise _damaged(path, str(error), stage) from error
    if digest and keys.digest128(data) != digest:
        raise _damaged(path, f"byte {offset} is not what the stage {stage} stored there", stage)
    return data


def _damaged(path: Path, what: str, stage: str) -> UserError:
    with suppress(OSError):
        path.touch()  # a disk that loses bits does not say so; this makes DVC look at the file
    return UserError(
        f"{path} is damaged ({what}). Run `dvc repro`: the stage {stage} makes the damaged rows "
        "in it anew, and keeps the rest."
    )
