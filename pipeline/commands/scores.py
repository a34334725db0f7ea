"""Scores of runs and of other detectors: import, groups, comparison."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import config, tables
from pipeline.config.run_params import EvaluateParams
from pipeline.config.values import NAME
from pipeline.engine.stage import write_json
from pipeline.errors import UserError
from pipeline.evaluation import comparison, foreign, metrics, stored
from pipeline.evaluation import groups as grouping
from pipeline.evaluation.measures import Rules
from pipeline.files import strict_text

_MOST_BYTES = 1 << 30
_OF_INDEX = ("face_id", "video_id", "split", "dataset", "method", "category", "label")


def bring(file: Path, name: str) -> str:
    """Imports a file of scores as ``scores/<name>``; returns what to print.

    Raises UserError for a bad file or name.
    """
    params = config.load()
    if not NAME.holds(name):
        raise UserError(f"--name {name!r} is not {NAME}.")
    if name in params.runs:
        raise UserError(f"{name} is a run of params.yaml; give the scores another name.")
    videos = _videos()
    shards = stored.shards()
    index = pa.concat_tables([one.index.select(_OF_INDEX) for one in shards]) if shards else None
    found = foreign.read(file.name, _bytes(file), videos, index)
    scored = stored.Scored(name, found.videos, found.faces)
    known, graph = stored.known(scored, videos)
    asked = params.evaluate
    whole = metrics.evaluate(found.faces, known, _rules(asked), False, asked.min_group, graph)
    folder = stored.IMPORTED / name
    tables.write(folder / "faces.parquet", "predictions_faces", found.faces)
    write_json(folder / "metrics.json", metrics.rounded(whole))
    tables.write(folder / "videos.parquet", "predictions_videos", found.videos)
    return f"{foreign.text(found, name)}\n{_overall(whole)}All numbers: {folder}/metrics.json"


def compare(names: Sequence[str], split: str) -> str:
    """Differences between runs or imported scores, to print."""
    found = {name: stored.load(name).videos for name in names}
    missing = config.load().evaluate.missing
    return comparison.text(comparison.compare(found, _videos(), split, missing))


def groups(name: str, by: Path, split: str, least: int) -> str:
    """Numbers of the groups that a CSV file names, to print.

    Raises UserError for a bad file, or one that names no video of the split.
    """
    asked = config.load().evaluate
    scored = stored.load(name)
    known, _ = stored.known(scored, _videos())
    known = known.filter(pc.field("split") == split)
    columns = read_groups(by.name, _bytes(by), known.column("video_id").to_pylist())
    lines = []
    for kind, value_of in columns.items():
        found = grouping.measured(
            grouping.joined(known, kind, value_of),
            scored.faces,
            known,
            _rules(asked),
            least or asked.min_group,
        )
        lines += [_line(kind, value, numbers) for value, numbers in found.get(kind, {}).items()]
    return "\n".join(lines)


def read_groups(name: str, data: bytes, ours: Sequence[str]) -> dict[str, dict[str, str]]:
    """Columns of a CSV file of groups: video id to value, by column.

    Rows of videos that are not ours are left out. Raises UserError for a bad file, a video that
    is there twice, or none of ours.
    """
    columns: dict[str, dict[str, str]] = {}
    wanted, seen = set(ours), set()
    try:
        for line, cells in strict_text.table(data, _MOST_BYTES, ("video_id",)):
            video = cells.pop("video_id")
            if video in seen:
                raise ValueError(f"line {line}: {video} is there twice; keep one row")
            seen.add(video)
            if video in wanted:
                for kind, value in cells.items():
                    columns.setdefault(kind, {})[video] = value
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    if not columns:
        raise UserError(f"{name} names no video of this split with a column besides video_id.")
    return columns


def _line(kind: str, value: str, numbers: Mapping[str, Any]) -> str:
    counts = (
        f"{numbers['videos_real']} real, {numbers['videos_fake']} fake, "
        f"{numbers['coverage']:.1%} have a score"
    )
    if numbers.get("too_few"):
        return f"{kind} {value}: too few ({counts})"
    return f"{kind} {value}: {_numbers(numbers)} ({counts})"


def _numbers(numbers: Mapping[str, Any]) -> str:
    if numbers["one_class"]:
        return "one class"
    limits = ""
    if "video_auc_low" in numbers:
        limits = f" [{numbers['video_auc_low']:.4f}, {numbers['video_auc_high']:.4f}]"
    accuracy = numbers["video_balanced_accuracy"]
    return f"video AUC {numbers['video_auc']:.4f}{limits}, balanced accuracy {accuracy:.4f}"


def _overall(whole: metrics.Metrics) -> str:
    lines = [
        _line(split, name, found["overall"])
        for split in ("val", "test")
        for name, found in whole.get(split, {}).get("datasets", {}).items()
    ]
    return "".join(f"{line}\n" for line in lines)


def _rules(asked: EvaluateParams) -> Rules:
    return Rules(asked.threshold, asked.missing)


def _videos() -> pa.Table:
    return tables.read(Path("manifests/videos.parquet"), "videos")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
