"""Fingerprints of video files, and a local cache that spares unchanged files from being opened.

A fingerprint is made of content only, never of times or places, so it is the same on every machine.
``sampled`` reads the size and both ends: a change that keeps all three is not seen.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pipeline import keys
from pipeline.datasets import folders, mp4

Mode = Literal["sampled", "full"]

END_BYTES = 64 * 1024
"""How much of the head and of the tail ``sampled`` reads; the two overlap in a short file."""

SETTLED_S = 2.0
"""A file changed less than this before it was read is not cached: coarse file systems keep times to
2 s, so a second change could leave size and time as they are."""

_CHUNK_BYTES = 1 << 20
_RATE = "rate"
_VALUE = re.compile(r"[0-9a-f]{32}|[1-9][0-9]*/[1-9][0-9]*")


def fingerprint(file: Path | str, mode: Mode) -> str:
    """BLAKE2b-128 of a file's size (8 bytes, little endian) and content, 32 hex characters.

    ``sampled``: the first and the last 64 KiB. ``full``: every byte. Raises OSError where the file
    cannot be read.
    """
    with open(file, "rb") as stream:  # noqa: PTH123 - a million times
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
    """Remembers facts of files by absolute path, size, time of change and inode.

    Local to one machine and never tracked: losing it costs time, nothing else. A cache file that is
    damaged, or of another form, counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)
        self._seen: dict[str, list[int | str]] = {}

    def fingerprint(self, file: Path | str, facts: os.stat_result, mode: Mode) -> str:
        """Fingerprint of ``file``, whose ``os.stat`` is ``facts``; opens it only where it changed.

        Raises OSError where the file must be opened and cannot be.
        """
        name = os.fspath(file)
        return self._recall(name, name, facts, mode, lambda: fingerprint(file, mode))

    def folder(self, folder: Path | str, mode: Mode) -> tuple[int, str]:
        """Bytes and fingerprint of a folder of pictures: BLAKE2b-128 of sorted names and sizes.

        ``full``: of names and the fingerprints of the pictures. Other files are not looked at.
        Raises OSError where the folder, or a picture that must be opened, cannot be read.
        """
        digest = hashlib.blake2b(digest_size=16)
        total = 0
        for entry in folders.entries(folder):
            if not folders.is_image(entry.name) or not entry.is_file():
                continue
            facts = entry.stat()
            total += facts.st_size
            said = str(facts.st_size)
            if mode == "full":
                said = self.fingerprint(entry.path, facts, mode)
            digest.update(os.fsencode(entry.name) + f"\0{said}\n".encode())
        return total, digest.hexdigest()

    def frame_rate(self, file: Path | str, facts: os.stat_result) -> Fraction:
        """Pictures per second of an MP4 file; raises as :func:`mp4.frame_rate`."""
        name = os.fspath(file)
        rate = self._recall(f"{_RATE}:{name}", name, facts, _RATE, lambda: _rate(file))
        return Fraction(rate)

    def save(self) -> None:
        """Replaces the cache file by one of the files asked for since it was opened."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".tmp-{self._path.name}-{keys.attempt()}")
        try:
            temporary.write_text(json.dumps(self._seen), encoding="ascii")
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)

    def _recall(
        self, key: str, name: str, facts: os.stat_result, kind: str, make: Callable[[], str]
    ) -> str:
        if not name.startswith(os.sep):
            key = f"{key.removesuffix(name)}{os.path.abspath(name)}"  # noqa: PTH100 - keeps links
        stamp: list[int | str] = [facts.st_size, facts.st_mtime_ns, facts.st_ino, kind]
        # A tar is asked for once per folder inside it.
        entry = self._seen.get(key) or self._known.get(key)
        if entry is None or entry[:-1] != stamp:
            entry = [*stamp, make()]
        if time.time() - facts.st_mtime > SETTLED_S:
            self._seen[key] = entry
        return str(entry[-1])


def _rate(file: Path | str) -> str:
    rate = mp4.frame_rate(Path(file))
    return f"{rate.numerator}/{rate.denominator}"


def _read(path: Path) -> dict[str, list[int | str]]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {name: entry for name, entry in data.items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 5
        and isinstance(entry[4], str)
        and _VALUE.fullmatch(entry[4]) is not None
    )
