"""The engine beside the work: what a run costs when there is little or nothing to do.

Rows do trivial work. Every figure is taken in a fresh process, so that its memory is its own; the
median of ``--repeat`` runs counts. Threads of the run's process are compared, in turn, with what
placed local work before, a Dask cluster of this machine. Where FACESHARDS_ASSETS names real clips,
they are decoded with one and with two workers, in turn.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks import _tables
from benchmarks._figures import Figure, at_least, at_most, peak_mb, show
from pipeline import config, versions
from pipeline.config.params import EngineParams
from pipeline.engine import run, stage, survey
from pipeline.engine.rows import Inputs, Output, Plan, RowResult, in_batches
from pipeline.engine.survey import Store
from pipeline.tables.sources import BATCH_ROWS

ROOT = Path(__file__).parents[1]
FEW_SHARE = 25
"""Runs of few rows have one row for so many."""
PLANNED = ("frames", "faces", "landmarks", "shard")
MAX_SIDE_PX = 8192


@dataclass
class Trivial:
    """A row of ``landmarks`` that is always the same."""

    def settings(self) -> Mapping[str, Any]:
        return {}

    def open(self) -> None:
        pass

    def units(self, inputs: Inputs) -> Sequence[str]:
        return ("",)

    def work(self, inputs: Inputs) -> RowResult:
        return RowResult([Output({"points": [], "score": -1.0})], done=1)

    def identify(self, row_id: str, fields: Mapping[str, Any]) -> dict[str, str]:
        return {"face_id": row_id}


def plan(rows: int, changed: int = -1) -> Plan:
    """A plan as ``frames`` has it; one row may differ."""

    def batches() -> Iterator[pa.Table]:
        for start in range(0, rows, BATCH_ROWS):
            yield _plan_rows(range(start, min(start + BATCH_ROWS, rows)), changed)

    schema = _plan_rows(range(1), changed).schema
    return Plan(batches, schema, "id", "id", content=("fingerprint",), location=("file",))


def _plan_rows(numbers: range, changed: int) -> pa.Table:
    ids = [f"dfdc/real/part_{i % 50}/video_{i:07d}" for i in numbers]
    marks = [f"{i:032x}" if i != changed else "changed" for i in numbers]
    return pa.table({"id": ids, "fingerprint": marks, "file": [f"/data/{i}.mp4" for i in ids]})


def use(placing: str) -> None:
    """Places partitions in this process as the contender of that name does."""
    if placing == "cluster":
        from benchmarks import _local_cluster

        run.place = _local_cluster.place


def one_run(
    folder: Path, rows: int, changed: int, workers: int, isolate: int = 1, placing: str = "threads"
) -> None:
    """Runs in a fresh process; prints seconds and the most memory it held."""
    use(placing)
    os.chdir(folder)
    made = plan(rows, changed)
    where = Store(Path("store"), "landmarks", target_rows=2000, isolate=bool(isolate))
    started = time.perf_counter()
    whole = run.run("engine", Trivial(), made, where, EngineParams(workers=workers), version=1)
    stage.write_table(whole, Path("table.parquet"), "landmarks")
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb()}))


def fresh(kind: str, *words: object) -> dict[str, float]:
    """Figures of one run in a process of its own, which keeps no freed memory: no stage does."""
    start = "import sys; from benchmarks.engine import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", start, kind, *map(str, words)]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=bare)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


class Decoding(Trivial):
    """Decodes a clip at one frame per second; what it gives is as trivial."""

    def work(self, inputs: Inputs) -> RowResult:
        from pipeline.video.decode import VideoReader

        with VideoReader(Path(inputs["file"]), MAX_SIDE_PX) as reader:
            for _ in reader.frames_at([float(second) for second in range(10)]):
                pass
        return super().work(inputs)


def decode(folder: Path, clips: Path, workers: int, placing: str, copies: int) -> None:
    """Decodes every clip below a folder several times; prints seconds."""
    use(placing)
    os.chdir(folder)
    files = sorted(str(path) for path in clips.rglob("*.mp4"))
    rows = [(f"clips/real/{i}-{j}", file) for j in range(copies) for i, file in enumerate(files)]
    ids, located = zip(*rows, strict=True)
    table = pa.table({"id": ids, "file": located})
    made = Plan(in_batches(table), table.schema, "id", "id", content=("id",), location=("file",))
    where = Store(Path("store"), "landmarks", target_rows=4)
    started = time.perf_counter()
    run.run("engine", Decoding(), made, where, EngineParams(workers=workers), version=1)
    print(json.dumps({"seconds": time.perf_counter() - started}))


def stage_plan(folder: Path, name: str) -> None:
    """Makes the plan of a stage and compares it with an empty store; prints memory and rows."""
    os.chdir(folder)
    prepared = importlib.import_module(f"stages.{name}").prepare(config.load())
    with tempfile.TemporaryFile() as file:
        number = versions.version(name)
        found = survey.survey(
            prepared.task, prepared.plan, prepared.store, number, prepared.store.sound(), file
        )
    print(json.dumps({"peak_mb": peak_mb(), "rows": found.total_rows}))


def main(words: Sequence[str]) -> None:
    """Measures and prints one JSON line per figure."""
    if words[:1] == ["one-run"]:
        one_run(Path(words[1]), *map(int, words[2:6]), *words[6:])
        return
    if words[:1] == ["decode"]:
        decode(Path(words[1]), Path(words[2]), int(words[3]), words[4], int(words[5]))
        return
    if words[:1] == ["stage-plan"]:
        stage_plan(Path(words[1]), words[2])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks engine", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rows", type=int, default=250_000, help="of a large run")
    parser.add_argument("--copies", type=int, default=32, help="of every clip that is decoded")
    arguments = parser.parse_args(words)
    rows, few, repeat = arguments.rows, arguments.rows // FEW_SHARE, arguments.repeat
    with tempfile.TemporaryDirectory() as parent:
        figures = overheads(Path(parent), repeat, rows, few)
        figures += placed(Path(parent), repeat, few)
        figures += plans(Path(parent), rows, few)
        assets = os.environ.get("FACESHARDS_ASSETS")
        if assets:
            figures += scaling(Path(parent), Path(assets), repeat, arguments.copies)
    show(figures)


def overheads(parent: Path, repeat: int, rows: int, few_rows: int) -> list[Figure]:
    """What the loop itself costs, per run and per row."""
    large, few = parent / "large", parent / "few"
    for folder in (large, few, *(parent / f"child{i}" for i in range(repeat))):
        folder.mkdir()
    first = fresh("one-run", large, rows, -1, 0)
    small = fresh("one-run", few, few_rows, -1, 0)
    idle = [fresh("one-run", large, rows, -1, 0) for _ in range(repeat)]
    changed = [fresh("one-run", large, rows, i, 0)["seconds"] for i in range(repeat)]
    child = [
        fresh("one-run", parent / f"child{i}", few_rows, -1, 1)["seconds"] for i in range(repeat)
    ]
    idle_s = statistics.median(one["seconds"] for one in idle)
    grown_bytes = (first["peak_mb"] - small["peak_mb"]) * 1e6 / (rows - few_rows)
    grown = [
        Figure(f"peak_of_{many}_rows_to_do", round(one["peak_mb"], 1), "MB", None, None)
        for many, one in ((few_rows, small), (rows, first))
    ]
    return [
        at_most("no_op_250k_rows", idle_s, "s", 5),
        at_most("no_op_250k_peak", max(one["peak_mb"] for one in idle), "MB", 1000),
        at_most("one_of_250k_changed", statistics.median(changed), "s", 8),
        at_most("row_with_child", statistics.median(child) / few_rows * 1000, "ms", 2),
        *grown,
        at_most("parent_memory_per_row", grown_bytes, "bytes", 120),
    ]


def placed(parent: Path, repeat: int, few_rows: int) -> list[Figure]:
    """Two workers on rows that do nothing: threads of the run's process, and what was before."""
    seconds: dict[str, list[float]] = {}
    for i in range(repeat):
        for isolate, kind in enumerate(("cheap_rows", "rows_with_child")):
            for placing in ("threads", "cluster"):
                folder = parent / f"{kind}-{placing}{i}"
                folder.mkdir()
                took = fresh("one-run", folder, few_rows, -1, 2, isolate, placing)["seconds"]
                seconds.setdefault(f"{kind}_by_{placing}", []).append(took)
    medians = {name: statistics.median(took) for name, took in seconds.items()}
    return [
        at_most(name, took, "s", round(medians[name.replace("_threads", "_cluster")], 3))
        if name.endswith("threads")
        else Figure(name, round(took, 3), "s", None, None)
        for name, took in medians.items()
    ]


def plans(parent: Path, rows: int, few_rows: int) -> list[Figure]:
    """Memory of making a stage's plan, for few and for many videos."""
    peaks: dict[str, list[dict[str, float]]] = {name: [] for name in PLANNED}
    for videos in (few_rows, rows):
        folder = parent / f"tables{videos}"
        (folder / "raw").mkdir(parents=True)
        _tables.write(folder, videos)
        entry = f"dfdc: {{adapter: csv, root: {folder}/raw, manifest: rows.csv}}\n"
        (folder / "manifests/datasets.yaml").write_text(entry)
        for name in ("params.yaml", "manifests/semantics.yaml"):
            (folder / name).write_text((ROOT / name).read_text())
        for name, found in peaks.items():
            found.append(fresh("stage-plan", folder, name))
    figures = []
    for name, (few, many) in peaks.items():
        grown_bytes = (many["peak_mb"] - few["peak_mb"]) * 1e6 / (many["rows"] - few["rows"])
        figures.append(at_most(f"plan_of_{name}_per_row", grown_bytes, "bytes", 400))
        figures.append(Figure(f"plan_of_{name}_peak", round(many["peak_mb"], 1), "MB", None, None))
    return figures


def scaling(parent: Path, assets: Path, repeat: int, copies: int) -> list[Figure]:
    """Real decoding with one worker over two, and two placed as before, in turn."""
    took: dict[tuple[int, str], list[float]] = {
        (1, "threads"): [],
        (2, "threads"): [],
        (2, "cluster"): [],
    }
    for i in range(repeat):
        for (workers, placing), seconds in took.items():
            folder = parent / f"decode{i}-{workers}-{placing}"
            folder.mkdir()
            words = (folder, assets / "videos", workers, placing, copies)
            seconds.append(fresh("decode", *words)["seconds"])
    one, two, before = took.values()
    ratios = [a / b for a, b in zip(one, two, strict=True)]
    before_s = round(statistics.median(before), 3)
    return [
        at_least("two_workers_over_one", statistics.median(ratios), "ratio", 1.8),
        at_most("decoding_by_threads", statistics.median(two), "s", before_s),
        Figure("decoding_by_cluster", before_s, "s", None, None),
    ]
