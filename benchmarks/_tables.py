"""Tables as a large dataset would have them, made without any video."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from faceshards import keys
from pipeline import tables
from pipeline.tables import schemas

PLANNED_TIMES = 10
FACES = 4
"""Of every video."""
_METHODS = ("real", "fake_a", "fake_b", "fake_c", "fake_d")
_ROWS = 20_000
"""In a row group, about as many as partitions of a long run have together."""


def write(root: Path, videos: int) -> None:
    """Writes the tables up to ``landmarks`` for so many videos of one CSV dataset, all train."""
    ids = sorted(
        keys.video_id("dfdc", _METHODS[i % len(_METHODS)], f"part_{i % 50}/video_{i:07d}")
        for i in range(videos)
    )
    numbers = range(videos)
    real = ["/real/" in name for name in ids]
    about = {"video_id": ids, "path": [f"{name}.mp4" for name in ids], "dataset": ["dfdc"] * videos}
    about |= {
        "label": [int(not one) for one in real],
        "fingerprint": [f"{i:032x}" for i in numbers],
    }
    about |= {"method": [name.split("/")[1] for name in ids], "split": ["train"] * videos}
    about |= {"identity": [f"dfdc/{i % 3000}" for i in numbers], "category": ["FS"] * videos}
    _write(root, "videos", about, videos)
    times = np.tile(np.arange(PLANNED_TIMES), videos)
    planned = {"video_id": np.repeat(np.array(ids, object), PLANNED_TIMES), "sample": times}
    _write(root, "frames", planned | {"time_s": times.astype(float)}, len(times))
    rows = videos * FACES
    of_video = np.repeat(np.array(ids, object), FACES)
    sample = np.tile(np.arange(FACES), videos)
    faces = [keys.face_id(v, s, 0) for v, s in zip(of_video, sample.tolist(), strict=True)]
    found = {"face_id": faces, "video_id": of_video, "sample": sample, "encoding": ["jpg"] * rows}
    found |= {"digest": [f"{i:032x}" for i in range(rows)]}
    found |= {"tar": [f"{i // 1000:05d}.0123456789ab.tar" for i in range(rows)]}
    _write(root, "faces", found, rows)
    label = np.repeat(np.array(about["label"]), FACES)
    _write(root, "samples", {"face_id": faces, "split": ["train"] * rows, "label": label}, rows)
    _write(root, "landmarks", {"face_id": faces}, rows)
    tables.write(root / "manifests/expanded.parquet", "expanded", [])


def _write(root: Path, name: str, columns: dict[str, Sequence[Any]], rows: int) -> None:
    parts = (
        pa.Table.from_arrays(
            [
                pa.array(columns[c.name][at : at + _ROWS], c.type)
                if c.name in columns
                else _same(c, min(_ROWS, rows - at))
                for c in schemas.TABLES[name]
            ],
            schema=schemas.schema(name),
        )
        for at in range(0, rows, _ROWS)
    )
    tables.write(root / f"manifests/{name}.parquet", name, parts)


def _same(column: schemas.Column, rows: int) -> pa.Array:
    """Rows of one allowed value; lists have their length."""
    if column.among:
        value: Any = column.among[0]
    elif pa.types.is_list(column.type):
        value = [1.5] * (column.length or 0)
    else:
        value = "x" if pa.types.is_string(column.type) else 1
    return pa.repeat(pa.scalar(value, column.type), rows)
