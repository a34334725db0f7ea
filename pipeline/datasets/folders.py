"""Looking into folders: names in order, hidden ones left out, links followed.

Paths below a root are texts with slashes; a dataset of a million files would otherwise spend most
of its time on making path objects.
"""

import os
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from pipeline.datasets.base import IMAGE_SUFFIXES, VIDEO_SUFFIXES

MAX_IMAGE_BYTES = 256 << 20
"""Larger images are not read."""
MEDIA = {"videos": "video", "images": "frames", "frames": "frames"}
"""Folders that say what lies in them, and the ``media`` of that; the first that is there counts."""


def entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """What a folder holds, sorted by name, hidden entries left out; [] where there is no folder."""
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if e.name[0] != "."), key=attrgetter("name"))
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_dir(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def subfolders(folder: Path | str) -> list[str]:
    """Names of the folders in a folder, sorted, hidden ones left out."""
    return [entry.name for entry in entries(folder) if is_dir(entry)]


def files(folder: Path | str, depth: int = 1) -> Iterator[str]:
    """Paths of files below a folder, relative to it, sorted within each folder.

    Args:
        folder: where to look; nothing comes out where it is absent.
        depth: levels that are looked into; 1 = the folder alone. It also ends circles of links.
    """
    for entry in entries(folder):
        if not is_dir(entry):
            yield entry.name
        elif depth > 1:
            for below in files(entry.path, depth - 1):
                yield f"{entry.name}/{below}"


def without_suffix(path: str) -> str:
    """The path without the last suffix of its file name."""
    dot = path.rfind(".")
    return path[:dot] if dot > path.rfind("/") + 1 else path


def stem(path: str) -> str:
    """File name without folders and last suffix."""
    return without_suffix(path[path.rfind("/") + 1 :])


def suffix(path: str) -> str:
    """Last suffix of a file name with its dot, in lower case; "" where there is none."""
    return path[len(without_suffix(path)) :].lower()


def is_video(path: str) -> bool:
    """Whether a file counts as a video by its suffix."""
    return suffix(path) in VIDEO_SUFFIXES


def is_image(path: str) -> bool:
    """Whether a file counts as a picture by its suffix."""
    return suffix(path) in IMAGE_SUFFIXES


def medium(folder: Path | str) -> tuple[str, str]:
    """Where the media of a folder lie, and what they are.

    Copies put videos into the folder itself or one level deeper, in ``videos``; prepared ones have
    one folder of pictures per video, in ``frames`` or ``images``.

    Returns:
        ``("", "video")``, ``("videos/", "video")``, ``("frames/", "frames")`` …: the level with a
        slash, and the value of the column ``media``.

    """
    inside = subfolders(folder)
    for level, media in MEDIA.items():
        if level in inside:
            return f"{level}/", media
    return "", "video"
