"""Where the images of every folder of a tar are, so that a tar is walked once per process.

A tar has no table of contents: to find one folder, every header in it is read, and of a gzipped tar
every byte. Datasets of sequences have several folders per tar, and each is a row of its own.
"""

import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import folders, tar_names
from pipeline.files.memory import SETTLED_S
from pipeline.video.natural import natural

MAX_IMAGES = 4_000_000
"""So many images of tars are remembered, in 64 MB."""

_Identity = tuple[int, ...]
"""What tells a file from another and from itself after a change: device, inode, size, times."""


@dataclass(frozen=True)
class TarIndex:
    """Images of a tar by folder."""

    places: Mapping[str, NDArray[np.int64]]
    """Folder → (n, 2) first byte and size of each image, in natural order of their names."""
    members: int
    """Files and links in the tar."""
    damage: str
    """"" or why there may be more than could be found."""


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

    A tar that has just been changed is not remembered (see :data:`SETTLED_S`). Raises OSError where
    there is none any more.
    """
    facts = tar.stat()
    identity = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    index = _remembered.get(identity)
    if index is None:
        index = _walk(tar)
        if time.time() - facts.st_ctime > SETTLED_S:
            _remembered.put(identity, index)
    return index


def _walk(tar: Path) -> TarIndex:
    found: dict[str, dict[str, tuple[int, int]]] = {}
    members, damage = 0, ""
    try:
        for member in tar_names.walk(tar):
            members += 1
            path = PurePosixPath(member.name)
            if member.regular and folders.is_image(path.name):
                # A name that is there again replaces the first, as it does when unpacked.
                of_folder = found.setdefault(str(path.parent), {})
                of_folder[path.name] = member.offset, member.size
    except (EOFError, OSError, zlib.error, ValueError) as error:
        damage = str(error) or type(error).__name__
    places = {
        folder: np.array([files[name] for name in sorted(files, key=natural)], np.int64)
        for folder, files in found.items()
    }
    return TarIndex(places, members, damage)


def _count(index: TarIndex) -> int:
    return sum(map(len, index.places.values()))
