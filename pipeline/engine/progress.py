"""What a person sees of a long run: a bar in a terminal, a line now and then elsewhere."""

import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline.engine.work import Done
from pipeline.errors import UserError
from pipeline.tables import schemas

LINE_EVERY_S = 30.0
HOPELESS_ROWS = 100
"""A run whose first rows are all rejected has a common cause; it stops and says so."""
LOGS = Path("logs")
LAST_RUNS = 5


class Progress:
    """Counts the rows of one stage's run and stops a run that rejects too much."""

    def __init__(self, name: str, total: int, to_do: int, max_reject_fraction: float) -> None:
        self._name = name
        self._to_do = to_do
        self._kept = total - to_do
        self._max_reject_fraction = max_reject_fraction
        self._worked = self._empty = 0
        self._reasons: Counter[str] = Counter()
        self._started = self._last_line = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=total, initial=self._kept, desc=name, unit="row", disable=not self._terminal
        )

    def update(self, done: Done) -> None:
        """Takes note of a finished partition.

        Raises:
            UserError: the rows so far were all rejected, or too many of them.
        """
        worked = done.rows - done.copied
        self._worked += worked
        self._empty += done.empty_rows
        self._reasons.update(done.rejects)
        self._bar.update(worked)
        self._bar.set_postfix(rejects=self._reasons.total())
        if not self._terminal and time.monotonic() - self._last_line > LINE_EVERY_S:
            self._last_line = time.monotonic()
            left_s = self.seconds * (self._to_do - self._worked) / max(1, self._worked)
            self._say(f"{self._worked} of {self._to_do} rows, about {left_s:.0f} s left")
        if self._worked >= HOPELESS_ROWS:
            self._check()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Says what was done; where a run breaks off, what is said next begins on its own line."""
        if error is None:
            self.close()
        self._bar.close()

    def close(self) -> None:
        """Says and logs what was done."""
        self._bar.close()
        rejects = self._reasons.total()
        if not self._terminal:
            figures = f"{self._worked} rows worked, {self._kept} kept, {rejects} rejects"
            self._say(f"{figures}, {self.seconds:.1f} s")
        if self._worked:
            log(self._name, {"worked": self._worked, "seconds": round(self.seconds, 3)})

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def _check(self) -> None:
        if self._max_reject_fraction == math.inf:
            return
        most = self._max_reject_fraction * self._worked
        if self._empty > most or self._empty == self._worked:
            raise wholesale(self._name, self._empty, self._worked, self._reasons)

    def _say(self, line: str) -> None:
        print(f"{self._name}: {line}", file=sys.stderr, flush=True)  # noqa: T201 - for people


def wholesale(name: str, empty: int, rows: int, reasons: Counter[str]) -> UserError:
    """Says how many rows gave nothing, and what most of their rejected units have in common."""
    reason, count = reasons.most_common(1)[0]
    return UserError(
        f"{name}: {empty} of {rows} rows were rejected. Of {reasons.total()} rejects {count} are "
        f"{reason}: {schemas.REJECT_REASONS[reason]}. Check the data and the parameters of this "
        "stage; engine.max_reject_fraction says how many may be."
    )


def log(name: str, figures: Mapping[str, Any]) -> None:
    """Appends a line to the stage's untracked log; clock times never enter a tracked file."""
    LOGS.mkdir(exist_ok=True)
    with (LOGS / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(figures, sort_keys=True) + "\n")


@contextmanager
def timed(name: str) -> Iterator[Callable[[int], None]]:
    """Logs how long a block took; it calls what it is given with the number of what it worked."""
    started, worked = time.monotonic(), 0

    def count(done: int) -> None:
        nonlocal worked
        worked += done

    yield count
    if worked:
        log(name, {"worked": worked, "seconds": round(time.monotonic() - started, 3)})


def last_seconds_per_row(name: str) -> float | None:
    """What a row took in the largest of the stage's last runs; None before the first one.

    The largest, because in a run over few rows the start counts for more than the rows.
    """
    path = LOGS / f"{name}.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    runs = [figures for figures in map(_figures, lines[-LAST_RUNS:]) if figures]
    if not runs:
        return None
    largest = max(runs, key=lambda figures: float(figures["worked"]))
    return float(largest["seconds"]) / float(largest["worked"])


def _figures(line: str) -> dict[str, Any]:
    """A line of a log; {} for one that a full disk or a killed run left half-written."""
    try:
        figures: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return figures
