"""Scores that another detector made, brought onto our lists of videos."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from faceshards.wording import counted, nearest, suggestion
from pipeline import tables
from pipeline.errors import UserError
from pipeline.evaluation.aggregate import (
    ERROR,
    MISSING,
    NO_SCORE,
    OK,
    listed,
    per_video,
    predictions,
)
from pipeline.evaluation.calibration import probability
from pipeline.files import strict_text
from pipeline.tables import schemas

COLUMNS = ("video_id", "face_id", "score", "log_odds", "status", "reason")
_MOST_BYTES = 1 << 30
_SURE = 40.0
"""Log-odds that stand for a probability of exactly 0 or 1, of which they are infinite."""
_NOT_LISTED = "not in the file"
_EMPTY = "the file has no number for it"
_NO_FACE = "the file has no score of any of its faces"


@dataclass(frozen=True)
class Imported:
    """Scores on our lists."""

    videos: pa.Table
    """Table ``predictions_videos``: every video of val and test."""
    faces: pa.Table
    """Table ``predictions_faces``; empty where the file has scores of videos."""
    of_train: int
    """Rows of videos that are in train, which nobody evaluates."""


@dataclass(frozen=True)
class _Row:
    line: int
    score: float
    log_odds: float
    status: str
    reason: str


def read(name: str, data: bytes, videos: pa.Table, index: pa.Table | None) -> Imported:
    """Reads a CSV file of scores, strictly.

    It has the column ``video_id`` or ``face_id``, with ids of ours, and ``score`` (probability of
    being fake) or ``log_odds``; ``status`` and ``reason`` may stand beside them. A row without a
    number says ``missing``, or ``error`` and why. A video of the list without a row is ``missing``.

    Args:
        name: of the file, for messages.
        data: its bytes.
        videos: table ``videos``.
        index: columns of the shards' index of val and test: ``face_id``, ``video_id``, ``split``,
            ``dataset``, ``method``, ``category``, ``label``; needed for scores of faces only.

    Raises:
        UserError: naming the line: a column is unknown or missing; an id is none of ours, or twice;
            a number is none, infinite or out of range; a status contradicts its row; no video of
            val or test has a score.
    """
    try:
        rows = list(strict_text.table(data, _MOST_BYTES, (), COLUMNS, ("video_id", "face_id")))
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    key = _key(name, rows[0][1] if rows else {})
    parsed: dict[str, _Row] = {}
    for line, cells in rows:
        one = cells[key]
        if one in parsed:
            raise UserError(f"{name}, line {line}: {one} is there twice; keep one row.")
        parsed[one] = _row(f"{name}, line {line}", line, cells)
    if key == "face_id":
        found = _of_faces(name, parsed, videos, index)
    else:
        found = _of_videos(name, parsed, videos)
    if not pc.sum(pc.equal(found.videos.column("status"), OK)).as_py():
        raise UserError(f"{name} has no score of any video of val or test.")
    return found


def text(found: Imported, name: str) -> str:
    """What was imported, per split: how many videos have a score."""
    lines = []
    for split in ("val", "test"):
        mine = found.videos.filter(pc.field("split") == split)
        states = mine.column("status").to_pylist()
        if states:
            gaps = [f"{states.count(s)} {s}" for s in (MISSING, ERROR) if states.count(s)]
            share = states.count(OK) / len(states)
            told = f" ({', '.join(gaps)})" if gaps else ""
            lines.append(
                f"{name}, {split}: {states.count(OK)} of {counted(len(states), 'video')} have a "
                f"score, {share:.1%}{told}"
            )
    if found.of_train:
        lines.append(f"{counted(found.of_train, 'row')} of train left out: it is not evaluated.")
    return "\n".join(lines)


def _key(name: str, first: Mapping[str, str]) -> str:
    if not first:
        raise UserError(f"{name} has no rows.")
    keys = [key for key in ("video_id", "face_id") if key in first]
    if len(keys) != 1:
        raise UserError(f"{name}: the first line must name one of video_id and face_id.")
    if not {"score", "log_odds"} & set(first):
        raise UserError(f"{name}: the first line must name score or log_odds.")
    return keys[0]


def _row(where: str, line: int, cells: Mapping[str, str]) -> _Row:
    numbers = {name: cells[name] for name in ("score", "log_odds") if cells.get(name)}
    status, reason = cells.get("status", ""), cells.get("reason", "")
    status = status or (OK if numbers else MISSING)
    if status not in schemas.SCORE_STATUSES:
        near = suggestion(status, schemas.SCORE_STATUSES)
        raise UserError(f"{where}: status is {status!r}. {near}")
    if (status == OK) != bool(numbers):
        need = "needs a score" if status == OK else "must have none"
        raise UserError(f"{where}: a row of status {status} {need}.")
    if status == OK and reason:
        raise UserError(f"{where}: a row with a score has no reason; leave it empty.")
    if status == ERROR and not reason:
        raise UserError(f"{where}: status error needs a reason.")
    if not numbers:
        return _Row(line, NO_SCORE, 0.0, status, reason or _EMPTY)
    values = {name: _number(f"{where}: {name}", text) for name, text in numbers.items()}
    if not 0 <= (score := values.get("score", 0.0)) <= 1:
        raise UserError(
            f"{where}: score is {score:g}, but is a probability from 0 to 1; other numbers go into "
            "the column log_odds."
        )
    if "log_odds" not in values:
        return _Row(line, score, _log_odds(score), OK, "")
    odds = values["log_odds"]
    by_odds = float(probability(np.array([odds]))[0])
    if "score" in values and abs(by_odds - score) > 1e-4:
        raise UserError(f"{where}: score {score:g} and log_odds {odds:g} contradict each other.")
    return _Row(line, values.get("score", by_odds), odds, OK, "")


def _number(where: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise UserError(f"{where} is {text[:40]!r}, which is no number.") from None
    if not math.isfinite(number):
        raise UserError(f"{where} is {text[:40]}; leave it empty where there is no score.")
    return number


def _log_odds(score: float) -> float:
    if score in (0.0, 1.0):
        return _SURE if score else -_SURE
    return math.log(score) - math.log1p(-score)


def _of_videos(name: str, parsed: Mapping[str, _Row], videos: pa.Table) -> Imported:
    of_train = _check_known(name, parsed, videos, "video_id")
    chosen = listed(videos)
    gap = _Row(0, NO_SCORE, 0.0, MISSING, _NOT_LISTED)
    rows = [parsed.get(one, gap) for one in chosen.column("video_id").to_pylist()]
    status = np.array([row.status for row in rows], object)
    table = predictions(
        chosen,
        status=status,
        reason=np.array([row.reason for row in rows], object),
        faces=np.where(status == OK, -1, 0),
        score=np.array([row.score for row in rows], np.float64),
        log_odds=np.array([row.log_odds for row in rows], np.float64),
    )
    return Imported(table, schemas.schema("predictions_faces").empty_table(), of_train)


def _of_faces(
    name: str, parsed: Mapping[str, _Row], videos: pa.Table, index: pa.Table | None
) -> Imported:
    if index is None:
        raise UserError(f"{name} has scores of faces, which needs the shards of val and test.")
    of_train = _check_known(name, parsed, index, "face_id")
    scored = {face: row for face, row in parsed.items() if row.status == OK}
    wanted = pa.array([*scored], pa.string())
    mine = index.filter(pc.is_in(index.column("face_id"), wanted))
    mine = mine.filter(pc.not_equal(mine.column("split"), "train")).sort_by("face_id")
    rows = [scored[face] for face in mine.column("face_id").to_pylist()]
    columns = {c: mine.column(c) for c in mine.schema.names}
    columns["score"] = pa.array([row.score for row in rows], pa.float64())
    columns["log_odds"] = pa.array([row.log_odds for row in rows], pa.float64())
    columns["graph"] = pa.array([""] * len(rows), pa.string())
    columns["node_probabilities"] = pa.array([[]] * len(rows), pa.list_(pa.float64()))
    schema = schemas.schema("predictions_faces")
    faces = pa.table([columns[c] for c in schema.names], schema=schema)
    faces = pa.concat_tables([faces.filter(pc.field("split") == s) for s in ("val", "test")])
    failed = {face: row.reason for face, row in sorted(parsed.items()) if row.status == ERROR}
    return Imported(_with_reasons(per_video(faces, videos), index, failed), faces, of_train)


def _with_reasons(scored: pa.Table, index: pa.Table, failed: Mapping[str, str]) -> pa.Table:
    """The same, where videos without a score say what the file says of the first of their faces."""
    errors = index.filter(pc.is_in(index.column("face_id"), pa.array([*failed], pa.string())))
    of_video: dict[str, str] = {}
    for row in errors.sort_by("face_id").select(["face_id", "video_id"]).to_pylist():
        of_video.setdefault(row["video_id"], failed[row["face_id"]])
    rows = scored.to_pylist()
    for row in rows:
        if row["status"] == MISSING:
            reason = of_video.get(row["video_id"])
            row |= {"status": ERROR if reason else MISSING, "reason": reason or _NO_FACE}
    return tables.from_rows("predictions_videos", rows)


def _check_known(name: str, parsed: Mapping[str, _Row], ours: pa.Table, key: str) -> int:
    """How many are of train. Raises UserError for an id that is none of ours."""
    split_of = dict(
        zip(ours.column(key).to_pylist(), ours.column("split").to_pylist(), strict=True)
    )
    of_train = 0
    for one, row in parsed.items():
        if one not in split_of:
            near = nearest(one, [known for known in split_of if known[-3:] == one[-3:]])
            told = f"Did you mean {near}?" if near else f"See {key} in manifests/."
            raise UserError(f"{name}, line {row.line}: {one!r} is no {key} of ours. {told}")
        of_train += split_of[one] == "train"
    return of_train
