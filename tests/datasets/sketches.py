"""Dataset folders from a list of paths: one per line, each a file of a few bytes."""

import io
import tarfile
from pathlib import Path

from tests.datasets.trees import put, put_splits

PAIRS = ([["000", "003"], ["010", "011"]], [["001", "005"]], [["002", "004"]])
"""FaceForensics++ in small: train, val, test."""


def sketch(root: Path, text: str) -> Path:
    """Makes the files named in ``text``; ``{a,b}`` in a name makes one for each."""
    for line in text.split("\n"):
        if line.strip():
            for path in _expanded(line.strip()):
                put(root / path, path.encode())
    return root


def ffpp_splits(folder: Path) -> Path:
    put_splits(folder, *PAIRS)
    return folder


def tar(path: Path, names: list[str], mode: str = "w", cut: int = 0) -> Path:
    """A tar as GNU tar makes it, with folders; ``cut`` bytes are missing at its end."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.GNU_FORMAT) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            else:
                member.size = 700
                archive.addfile(member, io.BytesIO(bytes(700)))
    data = buffer.getvalue()
    return put(path, data[: len(data) - cut])


def _expanded(line: str) -> list[str]:
    start, brace, rest = line.partition("{")
    if not brace:
        return [line]
    inside, _, end = rest.partition("}")
    return [f"{start}{word}{tail}" for word in inside.split(",") for tail in _expanded(end)]
