"""Files per second of ``scan``, with an empty stat cache and with a full one.

Walks a tree like DFDC's. Its files are holes of 140 000 bytes, which take no room; an empty cache
makes ``scan`` read both ends of each. What the operating system keeps in memory stays there.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import _figures
from pipeline.config.dataset_entries import DatasetEntry
from pipeline.config.params import DatasetsParams
from pipeline.datasets.scan import scan
from pipeline.labels import semantics

PER_PART = 2_500
FILE_BYTES = 140_000
TARGETS = {"cold": 4_000, "warm": 50_000}
"""Files per second, of an otherwise idle machine and a local disk."""


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the figures to stdout: wall time, and CPU time of all threads."""
    options = _options(arguments)
    figures = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root, cache = Path(folder) / "dfdc", Path(folder) / "stat.json"
        _make(root, options.files)
        for name, runs in (("cold", 1), ("warm", options.rounds)):
            wall_s, cpu_s = min(_seconds(root, cache, options.files) for _ in range(runs))
            rate, busy = options.files / wall_s, options.files / cpu_s
            figures.append(_figures.at_least(f"scan_{name}", rate, "files/s", TARGETS[name]))
            figures.append(_figures.at_least(f"scan_{name}_cpu", busy, "files/CPU s", None))
    _figures.show(figures)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks scan", description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument(
        "--rounds", type=int, default=3, help="walks with a full cache; best counts"
    )
    parser.add_argument("--folder", type=Path, help="where the tree is made; default: temporary")
    return parser.parse_args(arguments)


def _seconds(root: Path, cache: Path, files: int) -> tuple[float, float]:
    entries = {"dfdc": DatasetEntry("dfdc", "dfdc", (root,), {})}
    known = semantics.load()
    wall, cpu = time.perf_counter(), time.process_time()
    found = scan(entries, DatasetsParams(), known, cache)
    spent = time.perf_counter() - wall, time.process_time() - cpu
    if found.videos.num_rows != files:
        sys.exit(f"{found.videos.num_rows} of {files} videos found")
    return spent


def _make(root: Path, files: int) -> None:
    """Parts with metadata.json, every fifth video real; dated back, so that they are cached."""
    long_ago = time.time() - 3600
    for part, names in enumerate(_parts(files)):
        folder = root / f"dfdc_train_part_{part}"
        folder.mkdir(parents=True)
        about = {}
        for n, name in enumerate(names):
            with (folder / name).open("wb") as file:
                file.truncate(FILE_BYTES)
            os.utime(folder / name, (long_ago, long_ago))
            fake = {"label": "FAKE", "original": names[n // 5 * 5]}
            about[name] = fake if n % 5 else {"label": "REAL"}
        (folder / "metadata.json").write_text(json.dumps(about), encoding="utf-8")


def _parts(files: int) -> Iterator[list[str]]:
    """Names of ten letters, as DFDC's."""
    for start in range(0, files, PER_PART):
        yield [
            "".join(chr(97 + n // 26**k % 26) for k in range(10)) + ".mp4"
            for n in range(start, min(start + PER_PART, files))
        ]
