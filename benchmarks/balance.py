"""Time and memory to balance ten million faces, beside duckdb and polars.

Everybody reads the same two tables of train videos, keeps faces with a detector score of at least
0.2, takes as many real as fake of them, spread over the videos, at least one of each, and writes a
table of them. Each in a process of its own, two threads, in turns; imports do not count. The others
choose by a hash, we by what docs/decisions.md says, and we write the weights besides.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import _figures
from faceshards import keys
from pipeline import tables
from pipeline.tables import schemas
from pipeline.tables.arrays import counting

MIN_SCORE = 0.2
FACES_PER_VIDEO = (10, 31)
REAL_OF = 6
"""One of so many videos is real."""
ROWS = 20_000
"""In a row group."""
THREADS = 2
AGAINST = {"duckdb": 1.0, "polars": 0.8}
"""Most of the others' time that we may take."""
PEAK_MB = 700 * 1.048576


SQL = """
COPY (
    WITH usable AS (
        SELECT face_id, video_id, label, row_number() OVER (
            PARTITION BY video_id ORDER BY hash(face_id)) AS place
        FROM '{folder}/faces.parquet' JOIN '{folder}/videos.parquet' USING (video_id)
        WHERE split = 'train' AND score >= {min_score}),
    wanted AS (
        SELECT min(faces) AS faces
        FROM (SELECT count(*) AS faces FROM usable GROUP BY label)),
    ranked AS (
        SELECT *, row_number() OVER (
            PARTITION BY label ORDER BY place, hash(video_id)) AS overall FROM usable)
    SELECT face_id, 'train' AS split, label FROM ranked, wanted
    WHERE place = 1 OR overall <= wanted.faces
) TO '{folder}/duckdb.parquet' (COMPRESSION zstd)"""


def ours(folder: Path) -> Callable[[], int]:
    """The stage ``balance``."""
    from pipeline.config.params import BalanceParams
    from stages import balance as stage

    params = BalanceParams(min_score=MIN_SCORE)
    pa.set_cpu_count(THREADS)
    return lambda: int(stage.write_samples(folder, params, 0).metrics["outputs"])


def duckdb(folder: Path) -> Callable[[], int]:
    """The same in SQL."""
    import duckdb as library

    statement = SQL.format(folder=folder, min_score=MIN_SCORE)

    def work() -> int:
        connection = library.connect(config={"threads": THREADS})
        rows = connection.execute(statement).fetchone()
        return int(rows[0]) if rows else 0

    return work


def polars(folder: Path) -> Callable[[], int]:
    """The same in polars' lazy frames."""
    import polars as library

    def work() -> int:
        videos = library.scan_parquet(folder / "videos.parquet").filter(
            library.col("split") == "train"
        )
        faces = library.scan_parquet(folder / "faces.parquet").filter(
            library.col("score") >= MIN_SCORE
        )
        usable = (
            faces.select("face_id", "video_id")
            .join(videos.select("video_id", "label"), on="video_id")
            .with_columns(library.col("face_id").hash(0).alias("hash"))
            .with_columns(library.col("hash").rank("ordinal").over("video_id").alias("place"))
            .sort("place", "hash")
            .with_columns(library.int_range(library.len()).over("label").alias("overall"))
            .with_columns(library.len().over("label").alias("faces"))
        )
        chosen = usable.filter(
            (library.col("place") == 1) | (library.col("overall") < library.col("faces").min())
        ).select("face_id", library.lit("train").alias("split"), "label")
        frame = chosen.collect()
        frame.write_parquet(folder / "polars.parquet", compression="zstd")
        return int(frame.height)

    return work


CONTENDERS = {"ours": ours, "duckdb": duckdb, "polars": polars}


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the figures to stdout."""
    parser = argparse.ArgumentParser(prog="benchmarks balance", description=__doc__)
    parser.add_argument("--faces", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where tables are made; default: temporary")
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        _one(options.one, options.folder)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        rows = _make(folder, options.faces)
        found = {name: [] for name in CONTENDERS}
        for _ in range(options.rounds):
            for name, results in found.items():
                results.append(_measured(name, folder))
    _figures.show(_compare(rows, found))


def _compare(rows: int, found: dict[str, list[dict[str, float]]]) -> list[_figures.Figure]:
    def median(name: str, what: str) -> float:
        return float(np.median([one[what] for one in found[name]]))

    figures = [_figures.at_least("balance_faces", rows, "faces", None)]
    for name in found:
        if not found[name][0]:
            print(f"{name} is not installed: pip install -e '.[bench]'", file=sys.stderr)
            continue
        spent, peak = median(name, "spent_s"), median(name, "peak_mb")
        figures.append(_figures.at_least(f"balance_{name}", spent, "s", None))
        figures.append(
            _figures.at_least(f"balance_{name}_samples", found[name][0]["rows"], "", None)
        )
        if name == "ours":
            figures.append(_figures.at_most("balance_ours_peak", peak, "MB", PEAK_MB))
        else:
            figures.append(_figures.at_least(f"balance_{name}_peak", peak, "MB", None))
            # Rounds side by side: the machine is not the same in all of them.
            ratios = [
                a["spent_s"] / b["spent_s"] for a, b in zip(found["ours"], found[name], strict=True)
            ]
            ratio = float(np.median(ratios))
            figures.append(_figures.at_most(f"balance_over_{name}", ratio, "x", AGAINST[name]))
    return figures


def _measured(name: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks", "balance", "--one", name, "--folder"]
    done = subprocess.run([*command, str(folder)], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def _one(name: str, folder: Path) -> None:
    try:
        work = CONTENDERS[name](folder)
    except ImportError:
        print("{}")
        return
    wall, cpu = time.perf_counter(), time.process_time()
    rows = work()
    spent = {"spent_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    print(json.dumps(spent | {"rows": rows, "peak_mb": _figures.peak_mb()}))


def _make(folder: Path, faces: int) -> int:
    """Tables ``videos`` and ``faces``, as much of them as is looked at; how many faces."""
    rng = np.random.default_rng(0)
    count = max(2, 2 * faces // sum(FACES_PER_VIDEO))
    ids = [
        keys.video_id("dfdc", "fake" if n % REAL_OF else "real", f"part_{n % 50}/video_{n:07d}")
        for n in range(count)
    ]
    label = [int(n % REAL_OF > 0) for n in range(count)]
    columns = {
        "video_id": ids,
        "label": label,
        "split": ["train"] * count,
        "dataset": ["dfdc"] * count,
    }
    columns["method"] = [one.split("/")[1] for one in ids]
    rest = {c.name: [_empty(c)] * count for c in schemas.TABLES["videos"] if c.name not in columns}
    tables.write(folder / "videos.parquet", "videos", tables.from_columns("videos", columns | rest))
    order = rng.permutation(count)  # as buckets have them
    sizes = rng.integers(*FACES_PER_VIDEO, count)
    wanted = pa.schema(
        [
            schemas.schema("faces").field(n)
            for n in ("face_id", "video_id", "sample", "rank", "score")
        ]
    )
    rows = 0
    with pq.ParquetWriter(folder / "faces.parquet", wanted, compression="zstd") as writer:
        for start in range(0, count, 1000):
            videos = order[start : start + 1000]
            sample = counting(sizes[videos])
            of_video = [ids[n] for n in np.repeat(videos, sizes[videos]).tolist()]
            part = pa.table(
                {
                    "face_id": [
                        keys.face_id(v, s, 0)
                        for v, s in zip(of_video, sample.tolist(), strict=True)
                    ],
                    "video_id": of_video,
                    "sample": pa.array(sample, pa.int32()),
                    "rank": pa.array(np.zeros(len(sample)), pa.int16()),
                    "score": pa.array(np.round(rng.random(len(sample)), 4), pa.float32()),
                }
            )
            writer.write_table(part.cast(wanted), row_group_size=ROWS)
            rows += len(sample)
    return rows


def _empty(column: schemas.Column) -> Any:
    """One allowed value."""
    if column.among:
        return column.among[0]
    if pa.types.is_list(column.type):
        return []
    return "" if pa.types.is_string(column.type) else 0
