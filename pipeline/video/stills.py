"""Sequences of still images: a folder of them, one alone, or some inside a file with others.

They are put in natural order of their names, in which 10 comes after 9. Nobody knows how long each
is on screen, so an image's place takes the part of its time: the first is at 0, the next at 1.
"""

import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, cast

from faceshards.image_header import Header, read_header
from pipeline.datasets import folders
from pipeline.datasets.folders import MAX_IMAGE_BYTES
from pipeline.errors import Reject
from pipeline.video import tar_index
from pipeline.video.container import check_file
from pipeline.video.natural import natural
from pipeline.video.parquet_rows import read_row
from pipeline.video.probe import VideoFacts

_BATCH_BYTES = 64 << 20
"""So much of a tar is read at once, in the order of the tar."""
_GZIP = b"\x1f\x8b"
_UNKNOWN = -1


class Stills(Protocol):
    """Images in order, still encoded."""

    count: int
    damage: str
    """"" or why there may be more than could be found."""

    def read(self, places: Sequence[int]) -> Iterator[bytes | Reject]:
        """The bytes of the images at these places; for one that cannot be read, the reason."""

    def close(self) -> None:
        """Closes what is open."""


def open_stills(media: str, location: str) -> Stills:
    """Opens a sequence of images.

    Args:
        media: ``frames`` (a folder), ``image`` (a file), ``tar`` (a folder in a tar), ``tar_image``
            (an image in a tar) or ``parquet`` (an image in a row of a Parquet file).
        location: absolute path; of what is inside a file, that file's, ``!``, and where in it.

    Raises:
        Reject: ``missing``, ``unreadable``, ``empty`` (no image), ``not_media`` (not a tar).
    """
    if media == "image":
        check_file(Path(location))
        return _Files([Path(location)])
    if media == "frames":
        return _folder(Path(location))
    file, inside = split_location(location)
    if media == "tar":
        return _Tar(file, inside)
    check_file(file)
    return _Packed(
        tar_index.read_member(file, inside) if media == "tar_image" else read_row(file, inside)
    )


def probe_stills(media: str, location: str, max_side_px: int) -> VideoFacts:
    """Facts of a sequence, from the header of its first image; the rate is unknown.

    Raises:
        Reject: as :func:`open_stills`; ``not_media`` where the first image is none,
            ``bad_dimensions`` where it is too large.
    """
    stills = open_stills(media, location)
    try:
        header = checked_header(_first(stills), max_side_px)
    finally:
        stills.close()
    return VideoFacts(
        container=media,
        codec=header.codec,
        width_px=header.width_px,
        height_px=header.height_px,
        rotation_deg=0,
        duration_s=float(stills.count),
        average_fps=float(_UNKNOWN),
        frame_count=stills.count,
    )


def _first(stills: Stills) -> bytes:
    """The first image that can be read; raises Reject as the first one where none can."""
    problem = Reject("empty")
    for data in stills.read(range(stills.count)):
        if not isinstance(data, Reject):
            return data
        problem = problem if problem.reason != "empty" else data
    raise problem


def checked_header(data: bytes, max_side_px: int) -> Header:
    """Header of an image. Raises Reject ``not_media`` or ``bad_dimensions``."""
    try:
        header = read_header(data)
    except ValueError as error:
        raise Reject("not_media", str(error)) from error
    width, height = header.width_px, header.height_px
    if not (0 < width <= max_side_px and 0 < height <= max_side_px):
        raise Reject("bad_dimensions", f"{width} x {height} px; at most {max_side_px} a side")
    return header


class _Files:
    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self.count = len(paths)
        self.damage = ""

    def read(self, places: Sequence[int]) -> Iterator[bytes | Reject]:
        return (_content(self._paths[place]) for place in places)

    def close(self) -> None:
        pass


def _content(path: Path) -> bytes | Reject:
    try:
        # Not blocking: a FIFO would wait for somebody to write to it.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return Reject("unsupported_media", "it is not a regular file")
            data = file.read(MAX_IMAGE_BYTES + 1)
    except FileNotFoundError:
        return Reject("unsupported_media", "a link that leads nowhere")
    except OSError as error:
        return Reject("unreadable", error.strerror or str(error))
    return data if len(data) <= MAX_IMAGE_BYTES else _too_large()


def _too_large() -> Reject:
    return Reject("unsupported_media", f"larger than {MAX_IMAGE_BYTES >> 20} MiB")


class _Packed:
    """One image that came out of a file with others."""

    count = 1
    damage = ""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, places: Sequence[int]) -> Iterator[bytes]:
        return (self._data for _ in places)

    def close(self) -> None:
        pass


def _folder(folder: Path) -> _Files:
    try:
        if not folder.exists():
            raise Reject("missing")
        if not folder.is_dir():
            raise Reject("unreadable", "not a folder")
        paths = [
            Path(entry.path)
            for entry in sorted(folders.entries(folder), key=lambda entry: natural(entry.name))
            if folders.is_image(entry.name) and not entry.is_dir()
        ]
    except OSError as error:
        raise Reject("unreadable", error.strerror or str(error)) from error
    if not paths:
        raise Reject("empty", "no picture in this folder")
    return _Files(paths)


def split_location(location: str) -> tuple[Path, str]:
    """File, and place inside; of several ``!``, the first behind a file's name counts.

    Raises Reject ``missing`` where there is no such file.
    """
    for found in re.finditer("!", location):
        tar = Path(location[: found.start()])
        if tar.is_file():
            return tar, location[found.end() :]
    raise Reject("missing")


class _Tar:
    """Regular files of one folder of a tar, plain or gzipped; nothing is unpacked to disk."""

    def __init__(self, tar: Path, folder: str) -> None:
        check_file(tar)
        with ExitStack() as stack:
            file = stack.enter_context(tar.open("rb"))
            gzipped = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            self._file = file if not gzipped else stack.enter_context(_unzipped(file))
            index = tar_index.of(tar)
            self.damage = index.damage
            images = index.images(str(PurePosixPath(folder)))
            self._places = [(offset, size) for offset, size in images.places.tolist()]
            self.count = len(self._places)
            self._open = stack.pop_all()

    def read(self, places: Sequence[int]) -> Iterator[bytes | Reject]:
        sizes = accumulate(min(self._places[place][1], MAX_IMAGE_BYTES) for place in places)
        batches: dict[int, list[int]] = {}
        for place, total in zip(places, sizes, strict=True):
            batches.setdefault(total // _BATCH_BYTES, []).append(place)
        for batch in batches.values():
            # A gzipped tar is read forwards; going back would begin at its start again.
            stored = sorted(batch, key=self._places.__getitem__)
            data = {place: self._read(*self._places[place]) for place in stored}
            yield from (data[place] for place in batch)

    def _read(self, offset: int, size: int) -> bytes | Reject:
        if size > MAX_IMAGE_BYTES:
            return _too_large()
        try:
            self._file.seek(offset)
            data = self._file.read(size)
        except (EOFError, OSError, zlib.error) as error:
            self.damage = self.damage or str(error)
            return Reject("decode_error", f"the tar is damaged: {error}")
        return data if len(data) == size else Reject("decode_error", "the tar ends before it")

    def close(self) -> None:
        self._open.close()


def _unzipped(file: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(fileobj=file))
