"""Partitions of earlier plans, kept beside the store so that going back to a plan costs nothing.

A partition's name ends with the digest of its plan, so what is asked for again is found by its name
and moved back whole. Nothing else reads what lies here.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.engine import partition
from pipeline.engine.division import PartitionPlan
from pipeline.engine.partition import Committed
from pipeline.engine.sound import SoundTars


def shelve(
    folder: Path,
    store: Path,
    gone: Mapping[str, Committed],
    most_bytes: float,
    sound: SoundTars,
) -> None:
    """Moves partitions out of a store; the oldest in the folder go where it grows too large.

    Args:
        folder: where kept partitions lie, on the store's disk; made where absent.
        store: where they lie now, with their tars.
        gone: by file name.
        most_bytes: of parquets and tars together; 0 = nothing is kept.
        sound: what is known of the tars.
    """
    if most_bytes:
        for name, facts in gone.items():
            _move(store, folder, name, facts, sound)
            os.utime(folder / name)
    _shorten(folder, most_bytes, sound)


def _move(old: Path, new: Path, name: str, facts: Committed, sound: SoundTars) -> None:
    """Moves a partition, the tar first: a parquet without its tar counts nowhere."""
    if facts.tar:
        sound.move(old / facts.tar, new / facts.tar)
    (new / name).parent.mkdir(parents=True, exist_ok=True)
    (old / name).replace(new / name)


def find(folder: Path, wanted: Iterable[PartitionPlan], sound: SoundTars) -> dict[str, Committed]:
    """Kept partitions that are wanted again and are whole, by file name."""
    found = {}
    for part in wanted:
        try:
            facts = partition.read_facts(folder / part.file)
        except partition.DamagedError:
            continue
        if not facts or facts.plan != part.digest or facts.transient:
            continue
        if _has_tar(folder, facts) and not sound.damaged(folder, {part.file: facts}):
            found[part.file] = facts
    return found


def take_back(folder: Path, store: Path, found: Mapping[str, Committed], sound: SoundTars) -> None:
    """Moves kept partitions back into the store."""
    for name, facts in found.items():
        _move(folder, store, name, facts, sound)


def _has_tar(folder: Path, facts: Committed) -> bool:
    return not facts.tar or (folder / facts.tar).is_file()


def _shorten(folder: Path, most_bytes: float, sound: SoundTars) -> None:
    """Deletes what was put here longest ago until the rest fits, and tars that nothing names."""
    parquets = sorted(
        folder.rglob("*.parquet"),
        key=lambda path: (path.stat().st_mtime_ns, path.name),
        reverse=True,
    )
    named, total = set(), 0
    for path in parquets:
        try:
            facts = partition.read_facts(path)
        except partition.DamagedError:
            facts = None
        total += path.stat().st_size + (facts.tar_bytes if facts else 0)
        if facts is None or not _has_tar(folder, facts) or total > most_bytes:
            path.unlink()
        elif facts.tar:
            named.add(folder / facts.tar)
            sound.keep(folder / facts.tar)
    for tar in folder.rglob("*.tar"):
        if tar not in named:
            tar.unlink()
