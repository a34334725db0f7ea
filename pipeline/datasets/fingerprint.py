"""Fingerprints of video files, and a local cache that spares unchanged files from being opened.

A fingerprint is made of content only, never of times or places, so it is the same on every machine.
``sampled`` reads the size and both ends: a change that keeps all three is not seen.
"""

import hashlib
import os
import re
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Literal

from faceshards.keys import digest128
from pipeline.datasets import folders
from pipeline.files.memory import FileMemory

Mode = Literal["sampled", "full"]

END_BYTES = 64 * 1024
"""How much of the head and of the tail ``sampled`` reads; the two overlap in a short file."""

_CHUNK_BYTES = 1 << 20
_VALUE = re.compile(r"[0-9a-f]{32}")


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


def folder_fingerprint(
    folder: Path | str, said: Callable[["os.DirEntry[str]", os.stat_result], str]
) -> tuple[int, str]:
    """Bytes and fingerprint of a folder of pictures: BLAKE2b-128 of sorted names and what is said.

    Other files are not looked at. Raises OSError where the folder cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    total = 0
    for entry in folders.entries(folder):
        if not folders.is_image(entry.name) or not entry.is_file():
            continue
        facts = entry.stat()
        total += facts.st_size
        digest.update(os.fsencode(entry.name) + f"\0{said(entry, facts)}\n".encode())
    return total, digest.hexdigest()


def inside_fingerprint(of_file: str, inside: str) -> str:
    """Fingerprint of what lies at a place inside a file of this fingerprint."""
    return digest128(f"{of_file}!{inside}".encode())


class StatCache:
    """Facts of the files of all datasets, see :class:`pipeline.files.memory.FileMemory`."""

    def __init__(self, path: Path) -> None:
        self._memory = FileMemory(path, _VALUE)
        self._alike: set[str] = set()
        self._shared: dict[str, Future[str]] = {}
        self._lock = Lock()

    def fingerprint(self, file: Path | str, facts: os.stat_result, mode: Mode) -> str:
        """Fingerprint of ``file``, whose ``os.stat`` is ``facts``; opens it only where it changed.

        ``full`` opens it always: who asks for every byte does not trust what a disk says of it.
        Raises OSError where the file must be opened and cannot be.
        """
        if mode == "full":
            return fingerprint(file, mode)
        name = os.fspath(file)
        value = self._memory.recall(name, facts, mode, lambda: fingerprint(file, mode))
        if facts.st_size > 2 * END_BYTES and self._memory.was(name, facts, value):
            self._alike.add(name)
        return value

    def shared(self, file: Path | str, facts: os.stat_result, mode: Mode) -> str:
        """As :meth:`fingerprint`, for a file that holds many rows: it is opened once at most.

        Threads that ask for it meanwhile wait for the one that reads it.
        """
        with self._lock:
            known = self._shared.get(os.fspath(file))
            answer = known or self._shared.setdefault(os.fspath(file), Future())
        if known is None:
            try:
                answer.set_result(self.fingerprint(file, facts, mode))
            except OSError as error:
                answer.set_exception(error)
        return answer.result()

    def folder(self, folder: Path | str, mode: Mode) -> tuple[int, str]:
        """Bytes and fingerprint of a folder of pictures: BLAKE2b-128 of sorted names and sizes.

        ``full``: of names and the fingerprints of the pictures. Other files are not looked at.
        Raises OSError where the folder, or a picture that must be opened, cannot be read.
        """

        def said(entry: "os.DirEntry[str]", facts: os.stat_result) -> str:
            full = mode == "full"
            return self.fingerprint(entry.path, facts, mode) if full else str(facts.st_size)

        return folder_fingerprint(folder, said)

    @property
    def alike(self) -> int:
        """Files that were written since they were last read and that ``sampled`` cannot tell."""
        return len(self._alike)

    def save(self) -> None:
        """Keeps what was asked for since the cache was opened."""
        self._memory.save()
