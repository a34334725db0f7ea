"""What was said of files, as people and programs read it: CSV, JSON lines and a page."""

import base64
import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from faceshards.replace import replacing
from pipeline.files.stored import read_stored
from pipeline.prediction.inputs import name_of
from pipeline.prediction.predictor import FaceScores, Predictor, Verdict
from pipeline.report import charts, page
from pipeline.report.pictures import DataUri

PREDICTIONS, REJECTED, LINES = "predictions.csv", "rejected.csv", "predictions.jsonl"
PAGE = "predictions-{:04d}.html"
FILES_PER_PAGE = 50
_DECIMALS = 6
_COLUMNS = (
    *("file", "verdict", "score", "probability", "faces", "looked_at", "without_face"),
    "explanation",
)
_REJECT_COLUMNS = {"file": "id", "reason": "reason", "detail": "detail"}
"""Name in the file, and in the table ``rejected``."""
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Judged:
    """One file and what is said of it."""

    file: str
    verdict: Verdict
    faces: int
    looked_at: int
    without_face: int
    times_s: NDArray[np.float64]
    """(B,) of each face."""
    found: FaceScores
    picture: bytes
    """JPEG of its most telling faces."""

    @property
    def row(self) -> dict[str, Any]:
        """The cells of its line in predictions.csv; numbers rounded for people."""
        verdict = self.verdict
        numbers = (round(verdict.score, _DECIMALS), round(verdict.probability, _DECIMALS))
        counts = (self.faces, self.looked_at, self.without_face)
        cells = (self.file, verdict.word, *numbers, *counts, verdict.sentence)
        return dict(zip(_COLUMNS, cells, strict=True))

    @property
    def json(self) -> dict[str, Any]:
        """All that is known, unrounded."""
        return {
            "file": self.file,
            **asdict(self.verdict),
            "faces": self.faces,
            "looked_at": self.looked_at,
            "without_face": self.without_face,
            "times_s": self.times_s.tolist(),
            "scores": self.found.scores.tolist(),
            "log_odds": self.found.log_odds.tolist(),
            "node_probabilities": self.found.nodes.tolist(),
        }

    @property
    def curve(self) -> charts.Chart | None:
        """Score over time: the mean of the faces at each."""
        times = np.unique(self.times_s)  # (T,)
        at = [(float(t), float(self.found.scores[self.times_s == t].mean())) for t in times]
        return (
            charts.line_chart("score over time, not calibrated", {"score": at})
            if len(at) > 1
            else None
        )

    @property
    def picture_uri(self) -> DataUri:
        """The picture as part of a page."""
        return DataUri("data:image/jpeg;base64," + base64.b64encode(self.picture).decode())


def judged(predictor: Predictor, table: pa.Table, store: Path) -> Iterator[Judged]:
    """The rows of a table ``predicted`` with their verdicts; pictures are read from its store."""
    for row in table.to_pylist():
        nodes = np.asarray(row["node_probabilities"], np.float64).reshape(row["faces"], -1)
        found = FaceScores(np.asarray(row["scores"]), np.asarray(row["log_odds"]), nodes)
        where = store / row["tar"], row["offset"], row["size"], row["digest"]
        yield Judged(
            file=name_of(row["file_id"]),
            verdict=predictor.verdict(found),
            faces=row["faces"],
            looked_at=row["looked_at"],
            without_face=row["without_face"],
            times_s=np.asarray(row["times_s"]),
            found=found,
            picture=read_stored(*where, stage="predict"),
        )


class Writer:
    """Writes results into a folder as they come; memory does not grow with their number.

    Args:
        folder: of the results.
        run: name of the run, for the page.
        as_json: whether ``predictions.jsonl`` is written.
        as_html: whether pages are written, of :data:`FILES_PER_PAGE` files each.
    """

    def __init__(self, folder: Path, run: str, as_json: bool, as_html: bool) -> None:
        self.folder = folder
        self._run = run
        self._json = as_json
        self._html = as_html

    def write(
        self, found: Iterable[Judged], rejected: Iterable[Mapping[str, str]]
    ) -> tuple[dict[str, int], list[Judged]]:
        """Writes everything, each file by rename.

        Returns:
            how many files got each verdict, and ``rejected``; and the first few of the judged.
        """
        counts = {"fake": 0, "real": 0, "unsure": 0, "rejected": 0}
        first: list[Judged] = []
        waiting: list[Judged] = []
        pages = 0
        for old in self.folder.glob("predictions-*.html"):
            old.unlink()
        with ExitStack() as open_files:
            table = self._table(open_files, PREDICTIONS, _COLUMNS)
            lines = self._open(open_files, LINES) if self._json else None
            for one in found:
                counts[one.verdict.word] += 1
                first += [one] if len(first) < FILES_PER_PAGE else []
                table.writerow(one.row)
                if lines:
                    lines.write(json.dumps(one.json, allow_nan=False) + "\n")
                if self._html:
                    if len(waiting) == FILES_PER_PAGE:
                        pages += 1
                        self._page(pages, waiting, more=True)
                        waiting = []
                    waiting.append(one)
            if waiting:
                pages += 1
                self._page(pages, waiting, more=False)
            refused = self._table(open_files, REJECTED, list(_REJECT_COLUMNS))
            for reject in rejected:
                counts["rejected"] += 1
                refused.writerow({ours: reject[its] for ours, its in _REJECT_COLUMNS.items()})
        return counts, first

    def _open(self, open_files: ExitStack, name: str) -> IO[str]:
        temporary = open_files.enter_context(replacing(self.folder / name))
        return open_files.enter_context(temporary.open("w", encoding="utf-8", newline=""))

    def _table(
        self, open_files: ExitStack, name: str, columns: Sequence[str]
    ) -> "csv.DictWriter[str]":
        writer = csv.DictWriter(self._open(open_files, name), columns, lineterminator="\n")
        writer.writeheader()
        return writer

    def _page(self, number: int, found: Sequence[Judged], more: bool) -> None:
        html = page.rendered(
            "page.html",
            _FOLDER,
            run=self._run,
            found=found,
            before=PAGE.format(number - 1) if number > 1 else "",
            after=PAGE.format(number + 1) if more else "",
        )
        page.write(self.folder / PAGE.format(number), html)
