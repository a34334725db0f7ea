"""Images inside tars: where each one is, by its folder and name, so that a tar is walked once.

A tar has no table of contents: to find one image, every header in it is read, and of a gzipped tar
every byte. So what a process has found is remembered, in 24 bytes per image. Nothing is unpacked.
Only regular files with a name inside the tar are images; links, devices and FIFOs never are.
"""

import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceshards import keys
from pipeline.datasets import folders, tar_names
from pipeline.datasets.folders import MAX_IMAGE_BYTES
from pipeline.errors import Reject
from pipeline.files.memory import SETTLED_S
from pipeline.video.natural import natural

MAX_IMAGES = 4_000_000
"""So many images of tars are remembered, in 96 MB."""

_Identity = tuple[int, ...]
"""What tells a file from another and from itself after a change: device, inode, size, times."""


@dataclass(frozen=True)
class TarFolder:
    """Images of one folder of a tar, in natural order of their names."""

    hashes: NDArray[np.uint64]
    """(n,) of their names in the folder."""
    places: NDArray[np.int64]
    """(n, 2) first byte and size."""


@dataclass(frozen=True)
class TarIndex:
    """Images of a tar by folder; the top is called ``.``."""

    folders: Mapping[str, TarFolder]
    special: Set[int]
    """Hashes of the names of links, devices and FIFOs."""
    members: int
    """Files and links in the tar."""
    damage: str
    """"" or why there may be more than could be found."""

    def place(self, name: str) -> tuple[int, int]:
        """First byte and size of an image.

        Raises Reject ``not_media`` (not a tar), ``unsupported_media`` (a link, device or FIFO),
        ``missing``.
        """
        where, last = _split(name)
        images = self.images(where) if where in self.folders else None
        at = np.flatnonzero(images.hashes == _hash(last)) if images else np.zeros(0, np.int64)
        if images is None or not len(at):
            self._check_is_tar()
            if _hash(name) in self.special:
                raise Reject("unsupported_media", tar_names.SPECIAL)
            raise Reject("missing", f"the tar has no {name}{self._damaged()}")
        offset, size = images.places[at[0]].tolist()
        return offset, size

    def images(self, folder: str) -> TarFolder:
        """Images of a folder. Raises Reject ``not_media`` (not a tar) or ``missing``."""
        self._check_is_tar()
        if folder not in self.folders:
            raise Reject("missing", f"the tar has no picture in {folder}{self._damaged()}")
        return self.folders[folder]

    def _check_is_tar(self) -> None:
        if not self.members:
            raise Reject("not_media", f"not a tar: {self.damage or 'it has no member'}")

    def _damaged(self) -> str:
        return f"; it is damaged: {self.damage}" if self.damage else ""


class _Remembered:
    """The indexes of the tars that were walked last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._indexes: OrderedDict[_Identity, TarIndex] = OrderedDict()
        self._images = 0

    def get(self, identity: _Identity) -> TarIndex | None:
        with self._lock:
            if identity in self._indexes:
                self._indexes.move_to_end(identity)
            return self._indexes.get(identity)

    def put(self, identity: _Identity, index: TarIndex) -> None:
        with self._lock:
            if identity in self._indexes:
                return
            self._indexes[identity] = index
            self._images += _count(index)
            while self._images > MAX_IMAGES and len(self._indexes) > 1:
                _, oldest = self._indexes.popitem(last=False)
                self._images -= _count(oldest)


_remembered = _Remembered()


def of(tar: Path) -> TarIndex:
    """The index of a tar; walks it where it was not walked before, or has changed since.

    A tar that has just been changed is not remembered (see :data:`SETTLED_S`). Raises Reject
    ``unreadable`` where the file cannot be read.
    """
    try:
        facts = tar.stat()
    except OSError as error:
        raise Reject("unreadable", error.strerror or str(error)) from error
    identity = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    index = _remembered.get(identity)
    if index is None:
        index = _walk(tar)
        if time.time() - facts.st_ctime > SETTLED_S:
            _remembered.put(identity, index)
    return index


def read_member(tar: Path, name: str) -> bytes:
    """The content of an image in a plain tar.

    Raises:
        Reject: as :meth:`TarIndex.place`; ``unreadable``, ``unsupported_media`` (gzipped),
            ``truncated``.
    """
    try:
        if tar_names.is_gzipped(tar):
            raise Reject("unsupported_media", "a gzipped tar: its pictures cannot be read in place")
        offset, size = of(tar).place(name)
        if size > MAX_IMAGE_BYTES:
            raise Reject("unreadable", f"{size} bytes; at most {MAX_IMAGE_BYTES} are read")
        with tar.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(size)
    except OSError as error:
        raise Reject("unreadable", error.strerror or str(error)) from error
    if len(data) < size:
        raise Reject("truncated", "the tar ends within this picture")
    return data


def _walk(tar: Path) -> TarIndex:
    found: dict[str, dict[str, tuple[int, int]]] = {}
    special: set[int] = set()
    members, damage = 0, ""
    try:
        for member in tar_names.walk(tar):
            members += 1
            if not member.regular:
                special.add(_hash(tar_names.plain(member.name)))
            elif tar_names.is_inside(member.name) and folders.is_image(member.name):
                # A name that is there again replaces the first, as it does when unpacked.
                folder, name = _split(tar_names.plain(member.name))
                found.setdefault(folder, {})[name] = member.offset, member.size
    except (EOFError, OSError, zlib.error, ValueError) as error:
        damage = str(error) or type(error).__name__
    return TarIndex(
        {folder: _sorted(files) for folder, files in found.items()}, special, members, damage
    )


def _sorted(files: Mapping[str, tuple[int, int]]) -> TarFolder:
    names = sorted(files, key=natural)
    return TarFolder(
        np.array([_hash(name) for name in names], np.uint64),
        np.array([files[name] for name in names], np.int64),
    )


def _split(name: str) -> tuple[str, str]:
    folder, _, last = name.rpartition("/")
    return folder or ".", last


def _hash(name: str) -> int:
    return int(keys.digest128(name.encode("utf-8", "surrogateescape"))[:16], 16)


def _count(index: TarIndex) -> int:
    return sum(len(folder.places) for folder in index.folders.values())
