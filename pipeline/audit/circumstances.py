"""What is known of samples besides their faces, for the shortcut probe; its answers in words."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from faceshards import fields, keys, tar
from faceshards.wording import counted
from pipeline import tables
from pipeline.audit.shortcuts import Answer, Shortcut, Values, probe
from pipeline.errors import UserError
from pipeline.tables.sources import Filtered, Places, Stored, lookup

OF_PICTURE = ("jpeg bytes", "bit rate", "sharpness", "detector score")
"""Columns that the picture itself decides too: a blurred face needs fewer bytes."""
MOST_SAMPLES = 5000
"""Of each class of a dataset; those whose ids have the smallest hashes."""
SHOWN = 5
"""Columns named in an answer."""
FOLDERS = ("train", "test", fields.EXPANDED)
"""Whose fakes are looked at. Reals to hold expanded samples against are those of train."""

_INDEX = (
    *("sample_id", "label", "dataset", "video_id", "pair_id", "face_id", "tar"),
    *("jpg_offset", "jpg_size", "score", "face_px", "padded", "sharpness"),
)
_FRAMES = ("container", "codec", "width_px", "height_px", "duration_s", "average_fps")
_HEAD_BYTES = 2048
_DQT = 0xDB
_SOS = 0xDA
_TABLE_BYTES = 65


def look(root: Path) -> list[Shortcut]:
    """Probes every dataset of a project's shards, by folder and name.

    Raises UserError where shards or tables are absent or damaged.
    """
    return [
        probe(
            dataset,
            folder,
            _columns(rows, root),
            OF_PICTURE,
            np.asarray(rows["label"].to_numpy() == 1),
            rows["video_id"].to_pylist(),
            _scenes(rows),
        )
        for folder in FOLDERS
        for dataset, rows in _datasets(root / "data/shards", folder)
    ]


def _scenes(rows: pa.Table) -> list[str]:
    """The scene of each sample where one is known, else the video."""
    pairs = zip(rows["pair_id"].to_pylist(), rows["video_id"].to_pylist(), strict=True)
    return [f"scene {pair}" if pair else video for pair, video in pairs]


def _datasets(shards: Path, folder: str) -> Iterator[tuple[str, pa.Table]]:
    """Some reals and fakes of each dataset that has fakes in the folder, with their ``folder``."""
    rows = _index(shards, folder)
    if folder == fields.EXPANDED:
        reals = _index(shards, "train")
        rows = pa.concat_tables([rows, reals.filter(pc.equal(reals["label"], 0))])
    for dataset in sorted(pc.unique(rows["dataset"]).to_pylist()):
        mine = rows.filter(pc.equal(rows["dataset"], dataset))
        classes = [mine.filter(pc.equal(mine["label"], label)) for label in (0, 1)]
        if all(one.num_rows for one in classes):
            yield dataset, pa.concat_tables(map(_some, classes)).combine_chunks()


def _index(shards: Path, folder: str) -> pa.Table:
    name = "index_expanded" if folder == fields.EXPANDED else "index"
    index = tables.read(shards / folder / "index.parquet", name, _INDEX)
    return index.append_column("folder", pa.repeat(pa.scalar(folder), index.num_rows))


def _some(rows: pa.Table) -> pa.Table:
    hashes = np.array([keys.hash64(one) for one in rows["sample_id"].to_pylist()], np.uint64)
    return rows.take(pa.array(np.argsort(hashes, kind="stable")[:MOST_SAMPLES]))


def _columns(rows: pa.Table, root: Path) -> dict[str, Values]:
    """What is known of each sample, float64 (n,) each; -1 where it is not."""
    columns = {
        "jpeg bytes": _numbers(rows["jpg_size"]),
        "jpeg quantisation": _quantisation(rows, root / "data/shards"),
        "detector score": _numbers(rows["score"]),
        "face size": _numbers(rows["face_px"]),
        "padding": _numbers(rows["padded"]),
        "sharpness": _numbers(rows["sharpness"]),
    }
    manifests = root / "manifests"
    box = np.stack(_of(rows, "face_id", manifests / "faces.parquet", "faces", ("box",))["box"])
    film = _of(rows, "video_id", manifests / "frames.parquet", "frames", _FRAMES)
    size = _of(rows, "video_id", manifests / "videos.parquet", "videos", ("bytes",))["bytes"]
    width_px, height_px = (np.array(film[name], float) for name in ("width_px", "height_px"))
    duration_s = np.array(film["duration_s"], float)
    columns |= {
        "box across": (box[:, 0] + box[:, 2]) / 2 / width_px,
        "box down": (box[:, 1] + box[:, 3]) / 2 / height_px,
        "box shape": (box[:, 2] - box[:, 0]) / np.maximum(box[:, 3] - box[:, 1], 1),
        "frame width": width_px,
        "frame height": height_px,
        "frame rate": np.array(film["average_fps"], float),
        "duration": duration_s,
        "bit rate": np.array(size, float) * 8 / np.maximum(duration_s, 0.001),
        "codec": _codes(film["codec"]),
        "container": _codes(film["container"]),
    }
    return {name: np.where(np.isfinite(v), v, -1.0) for name, v in columns.items()}


def _numbers(column: pa.ChunkedArray) -> Values:
    return np.asarray(column.to_numpy(), np.float64)


def _codes(words: Sequence[str]) -> Values:
    return np.unique(np.asarray(words, object), return_inverse=True)[1].astype(np.float64)


def _of(
    rows: pa.Table, key: str, path: Path, name: str, columns: Sequence[str]
) -> dict[str, list[Any]]:
    """Columns of another table's row of the same key, for each row."""
    wanted = Places([rows[key]])
    there = Filtered(Stored(path, name), (key,), lambda part: wanted.find(part[key]) >= 0)
    places, held = lookup(there, key, columns)
    at = places.find(rows[key])
    if (at < 0).any():
        lost = rows[key][int(np.argmax(at < 0))].as_py()
        raise UserError(f"{lost} is in the shards and not in {path}. Run `dvc repro`.")
    found: dict[str, list[Any]] = held.take(pa.array(at)).to_pydict()
    return found


def _quantisation(rows: pa.Table, shards: Path) -> Values:
    """Sum of all entries of each JPEG's quantisation tables: the coarser, the greater."""
    where = ("folder", "tar", "jpg_offset", "jpg_size")
    sums = [
        _table_sum(tar.read(shards / folder / name, offset, min(size, _HEAD_BYTES)))
        for folder, name, offset, size in zip(*(rows[c].to_pylist() for c in where), strict=True)
    ]
    return np.array(sums, np.float64)


def _table_sum(head: bytes) -> float:
    total, at = 0, 2
    while at + 4 <= len(head) and head[at + 1] != _SOS:
        length = int.from_bytes(head[at + 2 : at + 4], "big")
        if head[at + 1] == _DQT:
            found = head[at + 4 : at + 2 + length]
            total += sum(found) - sum(found[::_TABLE_BYTES])  # each begins with its number
        at += 2 + length
    return float(total)


def text(found: Sequence[Shortcut], metrics: Path) -> str:
    """The answers to read in a terminal, beside the AUC that trained runs have.

    Args:
        found: what :func:`look` found.
        metrics: folder of the runs' metrics, ``metrics/evaluate``.
    """
    if not found:
        return "No dataset has reals and fakes in its shards; there is nothing to tell apart."
    parts = [_entry(one, _runs(metrics, one)) for one in found]
    apart = _named([one for one in found if one.apart and one.apart.tells])
    whole = _named([one for one in found if one.whole and one.whole.tells])
    if apart:
        parts.append(
            f"Labels can be told without a look at the picture in {apart}: a detector can learn "
            "that instead of faces."
        )
    elif whole:
        parts.append(
            f"What tells in {whole} depends on the picture itself: fakes are softer or sharper "
            "than reals, or their videos were encoded in another way."
        )
    else:
        parts.append("Nothing besides the face tells reals from fakes more than chance does.")
    return "\n\n".join(parts)


def _named(found: Sequence[Shortcut]) -> str:
    return ", ".join(f"{one.dataset} ({one.folder})" for one in found)


def _entry(one: Shortcut, runs: Sequence[str]) -> str:
    fakes = "expanded samples" if one.folder == fields.EXPANDED else f"fakes of {one.folder}"
    head = f"{one.dataset}, reals against {fakes}, {counted(one.samples, 'sample')} of "
    head += counted(one.groups, "scene")
    if one.whole is None or one.apart is None:
        return f"{head}: too few to say anything."
    lines = [f"{head}:", f"  all columns                 {_in_words(one.whole)}"]
    lines.append(f"  without {', '.join(OF_PICTURE)}")
    lines.append(f"                              {_in_words(one.apart)}")
    alone = ", ".join(f"{name} {auc:.3f}" for name, auc in one.columns[:SHOWN])
    lines.append(f"  each column alone: {alone or 'all samples have the same values'}")
    return "\n".join([*lines, *(f"  {run}" for run in runs)])


def _in_words(answer: Answer) -> str:
    if answer.chance is None:
        return f"AUC {answer.auc:.3f}"
    low, high = answer.chance
    return f"AUC {answer.auc:.3f}; chance gives {low:.3f} to {high:.3f}"


def _runs(metrics: Path, one: Shortcut) -> list[str]:
    """What trained runs reach on the same dataset, where the split is one that is evaluated."""
    lines = []
    for path in sorted(metrics.glob("*.json")):
        scores = json.loads(path.read_text()).get(one.folder, {}).get(one.dataset, {})
        if "video_auc" in scores:
            lines.append(f"run {path.stem}: video AUC {scores['video_auc']:.3f}")
    return lines
