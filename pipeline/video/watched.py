"""A row's file must be the one that ``scan`` saw, before and after the row is worked.

A file may be away for a moment, or half-copied. What is seen of such a file must not be kept under
the fingerprint of the whole one.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.datasets import fingerprint as prints
from pipeline.datasets.fingerprint import Mode
from pipeline.engine.rows import Inputs, RowResult, Task
from pipeline.errors import Reject
from pipeline.tables.schemas import AWAY_REASONS
from pipeline.video.stills import split_location

_Stamp = tuple[int, int, int, int]
"""Size, times of change of content and of inode, inode."""
_REMEMBERED = 64
"""Files whose fingerprint is remembered: a tar is asked for with every frame in it."""


class WatchedTask:
    """Another task whose rows bring ``fingerprint``, ``media`` and ``file``, watched.

    Args:
        task: does the work.
        mode: how ``scan`` made the fingerprints (``datasets.fingerprint``).
    """

    def __init__(self, task: Task, mode: Mode) -> None:
        self._task = task
        self._mode = mode

    def settings(self) -> Mapping[str, Any]:
        """Those of the task: watching decides no output."""
        return self._task.settings()

    def open(self) -> None:
        """Opens the task."""
        self._task.open()

    def units(self, inputs: Inputs) -> Sequence[str]:
        """Those of the task."""
        return self._task.units(inputs)

    def identify(self, row_id: str, fields: Mapping[str, Any]) -> dict[str, str]:
        """As the task does."""
        return self._task.identify(row_id, fields)

    def work(self, inputs: Inputs) -> RowResult:
        """Works the row. Raises Reject as the task and :func:`as_scan_saw_it`."""
        with as_scan_saw_it(inputs["media"], inputs["file"], inputs["fingerprint"], self._mode):
            return self._task.work(inputs)


@contextmanager
def as_scan_saw_it(media: str, location: str, fingerprint: str, mode: Mode) -> Iterator[None]:
    """A block in which the file, or folder of frames, is the one with this fingerprint.

    Raises Reject, whatever the block raised: ``missing`` or ``unreadable`` where the file is away,
    ``changed`` where it is another one, or became one during the block. A complaint of the block
    that a sound file is away becomes ``decode_error``: trying again would not help.
    """
    before = _stamps(media, location)
    if _fingerprint(media, location, before, mode) != fingerprint:
        raise Reject("changed", "its size or content is not what scan saw")
    try:
        yield
    except Reject as reject:
        _check_same(media, location, before)
        if reject.reason in AWAY_REASONS:
            detail = f"{reject.reason}: {reject.detail}" if reject.detail else reject.reason
            raise Reject("decode_error", detail) from reject
        raise
    _check_same(media, location, before)


def _check_same(media: str, location: str, before: Sequence[_Stamp]) -> None:
    if _stamps(media, location) != before:
        raise Reject("changed", "it changed while it was read")


def _stamps(media: str, location: str) -> list[_Stamp]:
    """What the disk says of the file, or of a folder's frames in order of their names."""
    try:
        if media != "frames":
            return [_stamp(os.stat(_file(media, location)))]  # noqa: PTH116 - not followed by more
        found: list[_Stamp] = []

        def note(_: "os.DirEntry[str]", facts: os.stat_result) -> str:
            found.append(_stamp(facts))
            return ""

        _, names = prints.folder_fingerprint(location, note)
        return [*found, _stamp(os.stat(location)), (int(names, 16), 0, 0, 0)]  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        raise Reject("missing") from None
    except OSError as error:
        raise Reject("unreadable", error.strerror or type(error).__name__) from error


def _fingerprint(media: str, location: str, stamps: Sequence[_Stamp], mode: Mode) -> str:
    try:
        if media == "frames":
            return prints.folder_fingerprint(
                location,
                lambda entry, facts: (
                    prints.fingerprint(entry.path, mode) if mode == "full" else str(facts.st_size)
                ),
            )[1]
        file = _file(media, location)
        found = _of_file(str(file), stamps[0], mode)
        if file == Path(location):
            return found
        return prints.inside_fingerprint(found, split_location(location)[1])
    except (FileNotFoundError, NotADirectoryError):
        raise Reject("missing") from None
    except OSError as error:
        raise Reject("unreadable", error.strerror or type(error).__name__) from error


@lru_cache(_REMEMBERED)
def _of_file(file: str, _: _Stamp, mode: Mode) -> str:
    return prints.fingerprint(file, mode)


def _file(media: str, location: str) -> Path:
    return Path(location) if media in ("video", "image") else split_location(location)[0]


def _stamp(facts: os.stat_result) -> _Stamp:
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino
