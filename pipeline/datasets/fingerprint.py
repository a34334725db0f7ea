"""Fingerprints of video files, and a local cache that spares unchanged files from being opened.

A fingerprint is made of content only, never of times or places, so it is the same on every machine.
``sampled`` reads the size and both ends: a change that keeps all three is not seen.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Literal

from pipeline import keys

Mode = Literal["sampled", "full"]

END_BYTES = 64 * 1024
"""How much of the head and of the tail ``sampled`` reads; the two overlap in a short file."""

SETTLED_S = 2.0
"""A file changed less than this before it was read is not cached: coarse file systems keep times to
2 s, so a second change could leave size and time as they are."""

_CHUNK_BYTES = 1 << 20


def fingerprint(file: Path, mode: Mode) -> str:
    """BLAKE2b-128 of a file's size (8 bytes, little endian) and content, 32 hex characters.

    ``sampled``: the first and the last 64 KiB. ``full``: every byte. Raises OSError where the file
    cannot be read.
    """
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        digest = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=16)
        if mode == "sampled":
            digest.update(stream.read(END_BYTES))
            stream.seek(max(0, size - END_BYTES))
            digest.update(stream.read(END_BYTES))
        else:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


class StatCache:
    """Remembers fingerprints by absolute path, size, time of change and inode.

    Local to one machine and never tracked: losing it costs time, nothing else. A cache file that is
    damaged, or of another form, counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)
        self._seen: dict[str, list[int | str]] = {}

    def fingerprint(self, file: Path, facts: os.stat_result, mode: Mode) -> str:
        """Fingerprint of ``file``, whose ``os.stat`` is ``facts``; opens it only where it changed.

        Raises OSError where the file must be opened and cannot be.
        """
        name = os.path.abspath(file)  # noqa: PTH100 - Path.resolve would follow links
        stamp = [facts.st_size, facts.st_mtime_ns, facts.st_ino, mode]
        entry = self._known.get(name)
        if entry is None or entry[:-1] != stamp:
            entry = [*stamp, fingerprint(file, mode)]
        if time.time() - facts.st_mtime > SETTLED_S:
            self._seen[name] = entry
        return str(entry[-1])

    def save(self) -> None:
        """Replaces the cache file by one of the files asked for since it was opened."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".tmp-{self._path.name}-{keys.attempt()}")
        try:
            temporary.write_text(json.dumps(self._seen), encoding="ascii")
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, list[int | str]]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {name: entry for name, entry in data.items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    if not (isinstance(entry, list) and len(entry) == 5):
        return False
    hexadecimal = entry[4]
    return (
        isinstance(hexadecimal, str)
        and len(hexadecimal) == 32
        and not set(hexadecimal) - set("0123456789abcdef")
    )
