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


def shelve(folder: Path, store: Path, gone: Mapping[str, Committed], most_bytes: float) -> None:
    """Moves partitions out of a store; the oldest in the folder go where it grows too large.

    Args:
        folder: where kept partitions lie, on the store's disk; made where absent.
        store: where they lie now, with their tars.
        gone: by file name.
        most_bytes: of parquets and tars together; 0 = nothing is kept.
    """
    if most_bytes:
        for name, facts in gone.items():
            # The tar first: a parquet without its tar counts nowhere.
            for moved in (facts.tar, name) if facts.tar else (name,):
                (folder / moved).parent.mkdir(parents=True, exist_ok=True)
                (store / moved).replace(folder / moved)
            os.utime(folder / name)
    _shorten(folder, most_bytes)


def find(folder: Path, wanted: Iterable[PartitionPlan]) -> dict[str, Committed]:
    """Kept partitions that are wanted again and are whole, by file name."""
    found = {}
    for part in wanted:
        try:
            facts = partition.read_facts(folder / part.file)
        except partition.DamagedError:
            continue
        if facts and facts.plan == part.digest and not facts.transient and _is_whole(folder, facts):
            found[part.file] = facts
    return found


def take_back(folder: Path, store: Path, found: Mapping[str, Committed]) -> None:
    """Moves kept partitions back into the store, the tar first: the parquet is the commit."""
    for name, facts in found.items():
        for moved in (facts.tar, name) if facts.tar else (name,):
            (store / moved).parent.mkdir(parents=True, exist_ok=True)
            (folder / moved).replace(store / moved)


def _is_whole(folder: Path, facts: Committed) -> bool:
    if not facts.tar:
        return True
    tar = folder / facts.tar
    return tar.is_file() and tar.stat().st_size == facts.tar_bytes


def _shorten(folder: Path, most_bytes: float) -> None:
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
        if facts is None or not _is_whole(folder, facts) or total > most_bytes:
            path.unlink()
        elif facts.tar:
            named.add(folder / facts.tar)
    for tar in folder.rglob("*.tar"):
        if tar not in named:
            tar.unlink()
