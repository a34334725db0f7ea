"""Writing, walking and reading tars, plain USTAR only: the same members give the same bytes.

Nothing is ever extracted: payloads are read in place by offset and size.
"""

import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

BLOCK = 512
_MAX_SIZE = 8**11 - 1  # eleven octal digits
_MAX_RECORD = 20 * BLOCK  # tar programs pad the end of an archive with zeros up to this

# Mode 0644, user and group 0 before the size; time 0 behind it. Names of user and group are empty.
_OWNER = b"0000644\0" + b"0000000\0" + b"0000000\0"
_TIME = b"00000000000\0"
_BLANK_CHECKSUM = b" " * 8
_MAGIC = b"ustar\00000"
_AFTER_TYPE = bytes(100) + _MAGIC + bytes(80)  # link name, magic, names, device


class TarMember(NamedTuple):
    """One regular file of a tar: where its payload lies, in bytes from the start of the tar."""

    name: str
    offset: int
    size: int


def append(file: BinaryIO, name: str, data: bytes) -> tuple[int, int]:
    """Writes header, payload and padding at the end of the file, which must be a multiple of 512.

    Returns:
        Offset and size of the payload in bytes.

    Raises:
        ValueError: the name is not relative, holds ``..``, or does not fit USTAR (up to 100 bytes
            behind a slash, up to 155 before it); or 8 GiB of data and more.

    """
    start = file.seek(0, os.SEEK_END)
    if start % BLOCK:
        raise ValueError(f"cannot append {name!r}: the tar ends at byte {start}, inside a block")
    file.write(header(name, len(data)) + data + bytes(-len(data) % BLOCK))
    return start + BLOCK, len(data)


def finish(file: BinaryIO) -> None:
    """Writes the two zero blocks that end an archive."""
    file.seek(0, os.SEEK_END)
    file.write(bytes(2 * BLOCK))


def stored_size(size: int) -> int:
    """Bytes that a member of ``size`` bytes takes in a tar: header, payload and padding."""
    return BLOCK + size + -size % BLOCK


def walk(path: Path) -> Iterator[TarMember]:
    """Yields the members of a tar in order, reading headers only.

    Raises:
        ValueError: naming file and byte offset, where a header is damaged, the tar is truncated or
            goes on behind its end, or a member is not a regular file with a relative name (links,
            folders, devices, PAX and GNU extensions are refused).

    """
    with path.open("rb") as file:
        yield from walk_open(file, str(path))


def walk_open(file: BinaryIO, name: str) -> Iterator[TarMember]:
    """The same for a file that is open and can seek; ``name`` is for messages."""
    end = file.seek(0, os.SEEK_END)
    at = 0
    while True:
        file.seek(at)
        block = file.read(BLOCK)
        if block == bytes(BLOCK):
            break
        try:
            member = _member(block, at)
        except ValueError as error:
            raise ValueError(f"{name}, byte {at}: {error}") from error
        at += stored_size(member.size)
        if at > end:
            raise ValueError(f"{name}, byte {end}: truncated inside {member.name!r}")
        yield member
    rest = file.read(_MAX_RECORD)
    if len(rest) < BLOCK or any(rest[:BLOCK]):
        raise ValueError(f"{name}, byte {at + BLOCK}: truncated: the end of the archive is missing")
    if any(rest) or len(rest) == _MAX_RECORD:
        raise ValueError(f"{name}, byte {at + 2 * BLOCK}: bytes behind the end of the archive")


def read(path: Path, offset: int, size: int) -> bytes:
    """Payload of ``size`` bytes at ``offset``. Raises ValueError where the file has none there."""
    with path.open("rb") as file:
        # Asked before reading: a wrong size must not reserve memory.
        end = os.fstat(file.fileno()).st_size
        if not 0 <= offset <= offset + size <= end:
            raise ValueError(f"{path}, byte {offset}: {size} bytes wanted, the file ends at {end}")
        file.seek(offset)
        return file.read(size)


class OpenTar:
    """A tar that stays open, read in place by any number of threads.

    It is read and not mapped into memory: where the file is cut meanwhile, that is a ValueError,
    while a mapping would end the process with a bus error.

    Args:
        path: the tar. OSError where it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.close = weakref.finalize(self, os.close, self._handle)
        """Closes it; so does the end of the last reference to it."""
        self.size = os.fstat(self._handle).st_size
        """Bytes of the file when it was opened."""

    def read(self, offset: int, size: int) -> bytes:
        """Payload of ``size`` bytes at ``offset``. Raises ValueError where there is none."""
        # Asked before reading: a wrong size must not reserve memory.
        if 0 <= offset <= offset + size <= self.size:
            data = os.pread(self._handle, size, offset)
            if len(data) == size:
                return data
        raise ValueError(
            f"{self.path}, byte {offset}: {size} bytes wanted, but the tar ends before"
        )


def name_at(path: Path, offset: int) -> str:
    """Name of the member whose payload starts at ``offset``. Raises ValueError for none."""
    return _member(read(path, offset - BLOCK, BLOCK), offset - BLOCK).name


def header(name: str, size: int) -> bytes:
    """The one header that a member of this name and size has. Raises ValueError as append does."""
    if size > _MAX_SIZE:
        raise ValueError(f"{name!r} has {size} bytes; a tar member has at most {_MAX_SIZE}")
    prefix, last = _split(name)
    before = last.ljust(100, b"\0") + _OWNER + b"%011o\0" % size + _TIME
    behind = (b"0" + _AFTER_TYPE + prefix).ljust(BLOCK - len(before) - len(_BLANK_CHECKSUM), b"\0")
    checksum = sum(before) + sum(_BLANK_CHECKSUM) + sum(behind)
    return before + b"%06o\0 " % checksum + behind


def _split(name: str) -> tuple[bytes, bytes]:
    """Prefix and name field of a member's name."""
    _check_name(name)
    raw = name.encode()
    if len(raw) <= 100:
        return b"", raw
    cut = raw.rfind(b"/", 0, 156)
    if cut < 0 or len(raw) - cut - 1 > 100:
        raise ValueError(f"name {name!r} does not fit 100 bytes behind a slash and 155 before it")
    return raw[:cut], raw[cut + 1 :]


def _check_name(name: str) -> None:
    if "\0" in name or any(part in ("", "..") for part in name.split("/")):
        raise ValueError(f"name {name!r} is not a relative path without '..'")


def _member(header: bytes, at: int) -> TarMember:
    if len(header) < BLOCK:
        raise ValueError("truncated: the end of the archive is missing")
    checksum = sum(header) - sum(header[148:156]) + sum(_BLANK_CHECKSUM)
    if _octal(header[148:156]) != checksum:
        raise ValueError("damaged header: wrong checksum")
    if header[257:265] != _MAGIC:
        raise ValueError("not a USTAR header")
    if header[156:157] not in (b"0", b"\0"):
        raise ValueError(f"member of type {header[156:157]!r}; only regular files are read")
    parts = [field.split(b"\0", 1)[0] for field in (header[345:500], header[:100])]
    name = b"/".join(part for part in parts if part).decode()
    _check_name(name)
    return TarMember(name, at + BLOCK, _octal(header[124:136]))


def _octal(field: bytes) -> int:
    """Number in an octal field, which ends in NULs or spaces."""
    digits = field.strip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise ValueError(f"damaged header: {field!r} is not an octal number")
    return int(digits, 8)
