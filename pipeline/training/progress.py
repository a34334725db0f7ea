"""What a person sees of a training: a bar in a terminal, a line now and then elsewhere."""

import sys
import time

from tqdm import tqdm

from pipeline.training import ranks

LINE_EVERY_S = 60.0


class EpochProgress:
    """Counts the faces of one epoch of a run.

    Args:
        title: of the epoch.
        faces: of the whole epoch.
        done: of these, before.
        faces_behind: of the epochs after this one.
    """

    def __init__(self, title: str, faces: int, done: int, faces_behind: int) -> None:
        self._title, self._faces, self._behind = title, faces, faces_behind
        self._done, self._first = done, done
        self._started = self._last_line = time.monotonic()
        self._bar = tqdm(
            total=faces, initial=done, desc=title, unit=" faces", disable=not is_watched()
        )

    def __enter__(self) -> "EpochProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advance(self, faces: int) -> None:
        """So many more faces have been learnt."""
        self._done += faces
        self._bar.update(faces)
        now = time.monotonic()
        if not is_watched() and now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            say(self.line(now - self._started))

    def line(self, seconds: float) -> str:
        """How far it is, in words, after so many seconds."""
        per_second = (self._done - self._first) / seconds
        left_s = (self._faces - self._done + self._behind) / per_second
        return (
            f"{self._title}: {self._done:,} of {self._faces:,} faces, {per_second:,.0f} faces/s, "
            f"the run ends in about {_duration(left_s)} (without validation)"
        )


def is_watched() -> bool:
    """Whether somebody looks at this process's progress on a terminal."""
    return ranks.is_first() and sys.stderr.isatty()


def say(line: str) -> None:
    """Prints a line about a run; once, where several processes train it."""
    if ranks.is_first():
        print(line, file=sys.stderr)  # noqa: T201 - the progress of a run is for people


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
