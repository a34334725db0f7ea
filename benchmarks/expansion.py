"""Region swaps against what a user would write instead, in pictures per second of one core.

Faces are those of the sample dataset, in crops of 224 px. Contenders take turns within each round,
so that whatever else the machine does hits all of them; times are CPU times of this process. A swap
is alignment, mask, colors, blur, blending and one JPEG of quality 95.

Hoped for were 6 and 4 times the speed of the other scripts, which a prototype in 8-bit integers
had; its Lab alters most pixels by a level before anything is swapped. The targets are what float32
gives.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import cv2
import numpy as np

from benchmarks import _blenders, _figures
from benchmarks._children import answers
from benchmarks._figures import Figure
from faceshards import images, keys, tar
from faceshards.images import Image
from pipeline.config.params import ExpandParams
from pipeline.engine.process import pin_threads
from pipeline.expansion.expand import SwapTask
from pipeline.expansion.generators import make, recipe_for
from pipeline.expansion.regions import Points
from pipeline.expansion.self_blending import self_blend
from pipeline.sample_data.identities import people

SIDE_PX = 224
REACH = 1.3
REGIONS = {
    "eye": slice(36, 48),
    "lip": slice(48, 60),
    "mouth": slice(48, 60),
    "nose": slice(27, 36),
}
"""The paper's regions, and the points whose hull the other scripts take."""
PARAMS = ExpandParams(min_change=0, max_color_gap=0, max_sharpness_gap=0)


class Face(NamedTuple):
    """A crop and its points in px of it."""

    image: Image
    points: Points


def main(arguments: Sequence[str]) -> None:
    """Measures, prints what it does to stderr and the figures to stdout."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks expansion", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often each is measured")
    parser.add_argument("--swaps", type=int, default=300, help="made by each worker")
    options = parser.parse_args(arguments)
    pin_threads()
    faces = [_crop(person.picture, person.points) for person in people().values()]
    pairs = [(faces[place], faces[place - 1]) for place in range(len(faces))]
    figures = [*_swaps(pairs, options.rounds)]
    with tempfile.TemporaryDirectory() as folder:
        rows = _rows(pairs, Path(folder))
        figures += [*_whole_path(rows, options.rounds), *_two_workers(rows, options.swaps)]
    _figures.show(figures)


def _crop(picture: Image, points: Points) -> Face:
    """The square about the points, enlarged, at 224 px."""
    low, high = points.min(axis=0), points.max(axis=0)
    scale = SIDE_PX / (REACH * (high - low).max())
    shift = SIDE_PX / 2 - scale * (low + high) / 2
    matrix = np.column_stack([np.eye(2) * scale, shift])
    image = cv2.warpAffine(picture, matrix, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)
    return Face(np.asarray(image, np.uint8), points * scale + shift)


def _ours(target: Face, source: Face, region: str) -> bytes:
    recipe = recipe_for("swap", region, "similarity", PARAMS, target.points, "")
    made = make(recipe, target.image, source.image, target.points, source.points)
    return images.encode_jpeg(made.image, 95, "4:2:0") if made else b""


def _swaps(pairs: Sequence[tuple[Face, Face]], rounds: int) -> Iterator[Figure]:
    def theirs(script: Callable[..., bytes]) -> Callable[[], None]:
        def work() -> None:
            for target, source in pairs:
                for hull in REGIONS.values():
                    script(target.image, source.image, target.points, source.points, hull)

        return work

    def ours(regions: Sequence[str]) -> Callable[[], None]:
        return lambda: [_ours(t, s, region) for t, s in pairs for region in regions] and None

    def encoding() -> None:
        for target, _ in pairs:
            for _ in REGIONS:
                images.encode_jpeg(target.image, 95, "4:2:0")

    def self_blended() -> None:
        for target, _ in pairs:
            for seed in range(len(REGIONS)):
                images.encode_jpeg(self_blend(target.image, target.points, seed).image, 95, "4:2:0")

    spent = _figures.in_turn(
        rounds,
        ours=ours(tuple(REGIONS)),
        usual_script=theirs(_blenders.usual_script),
        sbi_style=theirs(_blenders.sbi_style),
        encoding=encoding,
        self_blended=self_blended,
    )
    count = len(pairs) * len(REGIONS)
    rates = {name: count / seconds for name, seconds in spent.items()}
    _say("pictures per second of one core: " + _listed(rates))
    yield _figures.at_least("expansion.swaps_per_second", rates["ours"], "1/s", None)
    yield _figures.at_least(
        "expansion.speed_of_usual_script", rates["ours"] / rates["usual_script"], "x", 4.0
    )
    yield _figures.at_least(
        "expansion.speed_of_sbi_style", rates["ours"] / rates["sbi_style"], "x", 3.5
    )
    yield _figures.at_most(
        "expansion.time_of_encoding_alone", rates["encoding"] / rates["ours"], "x", 8.0
    )
    yield _figures.at_least(
        "expansion.self_blend_speed_of_sbi_style",
        rates["self_blended"] / rates["sbi_style"],
        "x",
        1.0,
    )
    each = _figures.in_turn(
        rounds,
        **{region: ours((region,)) for region in (*REGIONS, "eyebrow", "skin")},
    )
    _say("by region: " + _listed({name: len(pairs) / seconds for name, seconds in each.items()}))


def _rows(pairs: Sequence[tuple[Face, Face]], folder: Path) -> list[dict[str, Any]]:
    """Rows of the stage's plan, with the crops in a tar."""
    stored: list[dict[str, Any]] = []
    path = folder / "faces.tar"
    with path.open("w+b") as file:
        for place, (face, _) in enumerate(pairs):
            data = images.encode_png(face.image)
            offset, size = tar.append(file, f"{place}.png", data)
            where = {"tar": str(path), "offset": offset, "size": size}
            points = face.points.astype(np.float32).ravel().tolist()
            stored.append(where | {"digest": keys.digest128(data), "points": points})
        tar.finish(file)
    rows = []
    for place, target in enumerate(stored):
        for region in REGIONS:
            row = {"generator": "swap", "region": region, "align": "similarity"}
            row |= {f"target_{name}": value for name, value in target.items()}
            rows.append(row | {f"source_{name}": v for name, v in stored[place - 1].items()})
    return rows


def _whole_path(rows: Sequence[dict[str, Any]], rounds: int) -> Iterator[Figure]:
    """The stage's own work: both crops decoded from PNG, image and mask encoded as PNG."""
    task = SwapTask(PARAMS)

    def codecs() -> None:
        for row in rows:
            pictures = [_decoded(row, role) for role in ("target", "source")]
            images.encode_png(pictures[0])

    spent = _figures.in_turn(
        rounds, whole=lambda: [task.work(row) for row in rows], png_codecs_alone=codecs
    )
    rates = {name: len(rows) / seconds for name, seconds in spent.items()}
    _say("rows of the stage per second of one core: " + _listed(rates))
    yield _figures.at_least("expansion.rows_per_second", rates["whole"], "1/s", None)
    share = rates["whole"] / rates["png_codecs_alone"]
    yield _figures.at_least("expansion.share_of_png_codecs", share, "1", None)


def _decoded(row: dict[str, Any], role: str) -> Image:
    data = tar.read(Path(row[f"{role}_tar"]), row[f"{role}_offset"], row[f"{role}_size"])
    return images.decode_rgb(data)


def _two_workers(rows: Sequence[dict[str, Any]], swaps: int) -> Iterator[Figure]:
    """Two processes against one: in wall time, and in CPU time, which other programs disturb less.

    By CPU time, two are twice one if a swap costs each of them what it costs one alone.
    """
    rates: dict[int, list[float]] = {1: [], 2: []}
    costs: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(3):
        for workers in rates:
            rate, cost_s = _rate(rows, swaps, workers)
            rates[workers].append(rate)
            costs[workers].append(cost_s)
    one, two = (median(found) for found in rates.values())
    alone_s, together_s = (median(found) for found in costs.values())
    _say(f"one worker {one:.0f}, two workers {two:.0f} rows/s of wall time")
    yield _figures.at_least("expansion.two_workers_over_one_wall", two / one, "x", 1.8)
    scaling = 2 * alone_s / together_s
    yield _figures.at_least("expansion.two_workers_over_one_cpu", scaling, "x", 1.8)


def _rate(rows: Sequence[dict[str, Any]], swaps: int, workers: int) -> tuple[float, float]:
    """Rows per second of so many processes together, and CPU seconds per row."""
    context = multiprocessing.get_context("spawn")
    gate, results = context.Barrier(workers), context.Queue()
    children = [
        context.Process(target=_work, args=(list(rows), swaps, gate, results))
        for _ in range(workers)
    ]
    spans = answers(children, results, "Expansion by several workers")
    starts, ends, cpu_s = zip(*spans, strict=True)
    done = workers * swaps
    return done / (max(ends) - min(starts)), sum(cpu_s) / done


def _work(rows: list[dict[str, Any]], swaps: int, gate: Any, results: Any) -> None:
    pin_threads()
    task = SwapTask(PARAMS)
    task.work(rows[0])
    gate.wait()
    start, cpu_s = time.monotonic(), time.process_time()
    for place in range(swaps):
        task.work(rows[place % len(rows)])
    results.put((start, time.monotonic(), time.process_time() - cpu_s))


def _listed(rates: dict[str, float]) -> str:
    return ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())


def _say(words: str) -> None:
    print(words, file=sys.stderr)
