"""The folder of a stage's partitions: its lock, its committed partitions, and deleting the rest."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.engine import partition
from pipeline.errors import UserError

LOCK_WAIT_S = 10.0


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Holds the store for this process. Waits :data:`LOCK_WAIT_S`, then says who holds it."""
    store.mkdir(parents=True, exist_ok=True)
    path = store.parent / f".{store.name}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _wait_for(handle, path)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, path: Path) -> None:
    give_up = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                holder = os.pread(handle, 20, 0).decode() or "unknown"
                raise UserError(
                    f"another run (process {holder}) works on {path.parent / path.name[1:-5]}. "
                    "Wait for it to end, or stop it, then run again."
                ) from None
            time.sleep(0.1)


def committed(store: Path, tars: Path) -> dict[str, partition.Committed]:
    """The partitions by file name whose parquet is whole and whose tar is there."""
    found = {}
    for path in sorted(store.rglob("*.parquet")):
        facts = None if path.name.startswith(".tmp-") else _facts(path)
        if facts and (not facts.tar or (tars / facts.tar).is_file()):
            found[path.relative_to(store).as_posix()] = facts
    return found


def _facts(path: Path) -> partition.Committed | None:
    """What a partition says of itself; None, and a line that says so, where it is damaged."""
    try:
        return partition.read_facts(path)
    except partition.DamagedError as error:
        sys.stderr.write(f"{error}: its rows are worked anew.\n")
        return None


def sweep(store: Path, tars: Path, keep: Mapping[str, partition.Committed]) -> None:
    """Deletes every partition and tar not to be kept, and what attempts left behind."""
    wanted = {store / name for name in keep}
    wanted |= {tars / facts.tar for facts in keep.values() if facts.tar}
    found = [*store.rglob("*.parquet"), *tars.rglob("*.tar")]
    found = [path for path in found if path not in wanted]
    found += [*store.rglob(".tmp-*"), *tars.rglob(".tmp-*")]
    for path in found:
        path.unlink(missing_ok=True)
