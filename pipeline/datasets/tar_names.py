"""Names of the files in a tar of somebody else's, plain or gzipped, by its headers alone.

The standard library makes an object of some kilobytes per member; a dataset has a million of them
and is looked at in every run, so here a member costs one read of 512 bytes.
"""

import gzip
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from pipeline.datasets import folders
from pipeline.datasets.base import Rejected

_BLOCK = 512
_GZIP = b"\x1f\x8b"
_FILES = (b"0", b"\0", b"7")
_SPECIAL = (b"1", b"2", b"3", b"4", b"6")
"""Hard and symbolic links, devices and FIFOs."""
OUTSIDE = "a name outside the tar"
SPECIAL = "a link, device or FIFO in a tar"
_LONG_NAME, _PAX = b"L", b"x"
_MAX_NAME_BYTES = 1 << 16


class MemberHeader(NamedTuple):
    """One file of a tar, by its header."""

    name: str
    regular: bool
    """Whether it is a regular file, and not a link, device or FIFO."""
    offset: int
    """First byte of its content in the tar (uncompressed)."""
    size: int
    """Bytes of its content."""


def plain(name: str) -> str:
    """How a member of a tar is called in paths: without ``./`` and doubled slashes."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def is_inside(name: str) -> bool:
    """Whether a member of this name would be unpacked below the folder of its tar."""
    return name[:1] != "/" and ".." not in name.split("/")


def images(tar: Path, path: str) -> Iterator[MemberHeader | Rejected]:
    """Images in a tar, called as in paths, and rejects of what no tar of images may hold.

    Args:
        tar: the file.
        path: how it is called in rejects.

    Raises as :func:`walk`.
    """
    for member in walk(tar):
        if not is_inside(member.name):
            yield Rejected(f"{path}!{member.name}", "unsupported_media", OUTSIDE)
        elif not member.regular:
            yield Rejected(f"{path}!{member.name}", "unsupported_media", SPECIAL)
        elif folders.is_image(member.name):
            yield member._replace(name=plain(member.name))


def is_gzipped(tar: Path) -> bool:
    """Whether a file begins as gzip does; raises OSError where it cannot be read."""
    with tar.open("rb") as stream:
        return stream.read(len(_GZIP)) == _GZIP


def walk(tar: Path) -> Iterator[MemberHeader]:
    """Files in a tar, in order; long names of GNU and PAX tars as well. Folders are left out.

    Raises:
        ValueError: a header is damaged, or the end of the archive is missing.
        OSError, EOFError, zlib.error: the file or its gzip stream cannot be read.

    """
    with ExitStack() as stack:
        stream: BinaryIO = stack.enter_context(tar.open("rb"))
        if stream.read(len(_GZIP)) == _GZIP:
            stream.seek(0)
            stream = cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=stream)))
        yield from _walk(stream)


def _walk(stream: BinaryIO) -> Iterator[MemberHeader]:
    at, long_name = 0, b""
    while True:
        stream.seek(at)
        header = stream.read(_BLOCK)
        if len(header) < _BLOCK:
            raise ValueError(f"the end of the archive is missing at byte {at}")
        if not any(header):
            return
        size, kind = _number(header[124:136]), header[156:157]
        if _number(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * ord(" "):
            raise ValueError(f"damaged header at byte {at}")
        if kind in (_LONG_NAME, _PAX):
            if size > _MAX_NAME_BYTES:
                raise ValueError(f"a name of {size} bytes at byte {at}")
            data = stream.read(size)
            long_name = data.rstrip(b"\0") if kind == _LONG_NAME else _pax_path(data) or long_name
        else:
            if kind in _FILES or kind in _SPECIAL:
                name = (long_name or _name(header)).decode("utf-8", "surrogateescape")
                yield MemberHeader(name, kind in _FILES, at + _BLOCK, size)
            long_name = b""
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK


def _name(header: bytes) -> bytes:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _number(field: bytes) -> int:
    """Octal digits, or base 256 where the first bit is set."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise ValueError(f"{field!r} is no number of a tar header")
    return int(digits or b"0", 8)


def _pax_path(data: bytes) -> bytes:
    """The path among records of ``<length> <key>=<value>`` and a newline; b"" for none."""
    while data:
        length = data.partition(b" ")[0]
        if not length.isdigit() or not 0 < int(length) <= len(data):
            raise ValueError("damaged PAX header")
        record = data[len(length) + 1 : int(length)].removesuffix(b"\n")
        key, _, value = record.partition(b"=")
        if key == b"path":
            return value
        data = data[int(length) :]
    return b""
