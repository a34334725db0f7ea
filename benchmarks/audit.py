"""Time to find near-duplicate faces among a million, on one core.

The hashes are like those of videos: faces of a video differ in a few bits, faces of different
videos have bits in common, since faces are alike, and some videos are there twice.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from benchmarks import _figures
from pipeline.audit.near_duplicates import near_duplicates

PER_VIDEO = 20
TWICE = 0.01
"""Share of videos of which a copy is in another split."""
TARGET_S = 300.0
_RARE, _EVEN = 0.1, 0.5
_FLIPPED = 0.04


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the figures to stdout."""
    parser = argparse.ArgumentParser(prog="benchmarks audit", description=__doc__)
    parser.add_argument("--faces", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    videos, faces = _tables(max(2, options.faces // PER_VIDEO))
    begun = time.perf_counter()
    found = near_duplicates(videos, faces)
    spent_s = time.perf_counter() - begun
    figures = [
        _figures.at_most("audit_near_duplicates", spent_s, "s", TARGET_S),
        _figures.at_least("audit_faces", faces.num_rows, "faces", None),
        _figures.at_least("audit_superfluous", int(found.superfluous.sum()), "faces", None),
    ]
    _figures.show(figures)


def _tables(count: int) -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(0)
    odds = np.where(np.arange(64) % 5 < 2, _RARE, _EVEN)
    of_video = rng.random((count, 64)) < odds  # (videos, 64)
    copies = rng.choice(count, int(count * TWICE) * 2, replace=False).reshape(2, -1)
    of_video[copies[0]] = of_video[copies[1]]
    flipped = rng.random((count * PER_VIDEO, 64)) < _FLIPPED  # (faces, 64)
    bits = np.repeat(of_video, PER_VIDEO, axis=0) ^ flipped
    hashes = [row.tobytes().hex() for row in np.packbits(bits, axis=1)]
    ids = [f"d/m/{n:07d}" for n in range(count)]
    videos = {"video_id": ids, "dataset": ["d"] * count, "split": ["train"] * count}
    for row in copies[0]:
        videos["split"][row] = "test"
    videos |= {name: [""] * count for name in ("identity", "target_id", "source_id", "pair_id")}
    videos["leak_group"] = [f"g:{n // 5}" for n in range(count)]
    faces = {
        "face_id": [f"{video}/{n:05d}-0" for video in ids for n in range(PER_VIDEO)],
        "video_id": [video for video in ids for _ in range(PER_VIDEO)],
        "phash": hashes,
    }
    return pa.table(videos), pa.table(faces)
