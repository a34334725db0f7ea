"""Which videos were lost: those that gave no face, or pictures at fewer times than were planned."""

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceshards.replace import replacing
from pipeline import tables
from pipeline.report.cells import Cell, Table, limited

HEAD = ("video", "split", "planned", "with a face", "reasons")
LISTED = "lost.csv"
"""Beside the page: all of them."""
_STAGES = ("scan", "frames", "faces")


def lost(manifests: Path) -> list[tuple[Cell, ...]]:
    """Cells by :data:`HEAD` of each video that gave less than planned.

    Files that ``scan`` rejected come first, by their path; then videos without any face, then the
    others by how many times are missing, the most first.

    Args:
        manifests: holds ``videos.parquet``, ``frames.parquet``, ``faces.parquet`` and ``rejected``.

    Raises:
        UserError: a table is absent or damaged.
    """
    videos = tables.read(manifests / "videos.parquet", "videos", ["video_id", "split"])
    ids = videos["video_id"]
    frames = tables.read(manifests / "frames.parquet", "frames", ["video_id"])
    planned = _counts(ids, frames["video_id"])
    faces = tables.read(manifests / "faces.parquet", "faces", ["video_id", "sample"])
    seen = _counts(ids, faces.group_by(["video_id", "sample"]).aggregate([])["video_id"])
    files, of_video = _reasons(manifests / "rejected", set(ids.to_pylist()))
    rows: list[tuple[Cell, ...]] = [(file, "", 0, 0, _words(files[file])) for file in sorted(files)]
    found = [
        (name, split, *counts)
        for name, split, *counts in zip(
            ids.to_pylist(),
            videos["split"].to_pylist(),
            planned.tolist(),
            seen.tolist(),
            strict=True,
        )
        if name in of_video or not counts[1]
    ]
    found.sort(key=lambda row: (row[3] > 0, row[3] - row[2], row[0]))
    return rows + [(*row, _words(of_video[row[0]])) for row in found]


def _counts(ids: pa.ChunkedArray, of: pa.ChunkedArray) -> NDArray[np.int64]:
    """How often each video occurs, (videos,)."""
    at = pc.index_in(of, ids).drop_null().to_numpy().astype(np.int64)
    return np.bincount(at, minlength=len(ids))


def _reasons(
    folder: Path, videos: set[str]
) -> tuple[dict[str, Counter[str]], dict[str, Counter[str]]]:
    """Reasons by file that is no video of the table, and by video."""
    files: dict[str, Counter[str]] = defaultdict(Counter)
    of_video: dict[str, Counter[str]] = defaultdict(Counter)
    for stage in _STAGES:
        path = folder / f"{stage}.parquet"
        if path.is_file():
            table = tables.read(path, "rejected", ["id", "reason"])
            for name, reason in zip(*(c.to_pylist() for c in table.columns), strict=True):
                # A planned time of a video has a number behind the video's id.
                owner = name if name in videos else name.rpartition("/")[0]
                if stage != "scan" and owner in videos:
                    of_video[owner][reason] += 1
                elif reason != "excluded":  # by a rule that the user stated
                    files[name][reason] += 1
    return files, of_video


def _words(reasons: Counter[str]) -> str:
    """Say ``3 no_face, 1 damaged``; a reason that stands alone has no number."""
    if reasons.total() == 1:
        return next(iter(reasons))
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {reason}" for reason, count in ordered)


def lost_table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    """The first of them, as the page shows them."""
    return limited("Videos that gave nothing, or less than planned", HEAD, "llrrl", rows)


def write(path: Path, rows: Sequence[tuple[Cell, ...]]) -> None:
    """Writes all of them as CSV, by rename."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEAD)
        table.writerows(rows)
