"""Detectors against their bare networks, and the stage `faces` against its own decoding.

Contenders take turns within each round, so that whatever else the machine does hits all of them.
Weights and clips come from FACESHARDS_ASSETS.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import cv2
import numpy as np
import onnxruntime
import pyarrow as pa
import torch

from benchmarks import _clips, _figures
from benchmarks._children import answers
from benchmarks._figures import Figure
from faceshards import images
from faceshards.images import Image
from pipeline import weights
from pipeline.config.params import EngineParams, FacesParams, FramesParams, Params
from pipeline.config.values import Weights
from pipeline.engine import stage
from pipeline.engine.process import pin_threads
from pipeline.faces import crop, detect, retinaface
from pipeline.faces.detect import make_detector, pad_to, resize_longer_side
from pipeline.faces.extract import FacesTask
from pipeline.faces.plan import faces_plan
from pipeline.tables.sources import Held
from pipeline.video.decode import VideoReader
from pipeline.video.plan import FramesTask, sampling_text

SIDE_PX = 640
PICTURE = "videos/real/lp_s18_wide.mp4"
CLIPS = "videos/real"
FILES = {"scrfd": "det_2.5g.onnx", "retinaface": "retinaface_mobilenet0.25.pth"}
MAX_SIDE_PX = 8192
SAME_BOX = 0.01
"""Boxes are the same when no side is further away than this share of the face."""


def main(arguments: Sequence[str]) -> None:
    """Measures, prints what it does to stderr and the figures to stdout."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks faces", description=__doc__)
    parser.add_argument("--rounds", type=int, default=41, help="how often each is measured")
    parser.add_argument("--pictures", type=int, default=40, help="looked at by each worker")
    parser.add_argument("--clips", type=int, default=100, help="of the stage's share, at most")
    parser.add_argument("--height", type=int, default=2160, help="of the film for memory, in px")
    options = parser.parse_args(arguments)
    folder = os.environ.get("FACESHARDS_ASSETS", "")
    if not Path(folder, "weights", FILES["scrfd"]).is_file():
        sys.exit("FACESHARDS_ASSETS must name a folder of weights and clips; it is not set.")
    assets = Path(folder)
    pin_threads()
    picture = _first_picture(assets / PICTURE)
    # As in a worker that has decoded a 4K frame: from then on the C library keeps freed memory of
    # that size, where before each call would ask the system for its pages anew.
    bytearray(3 * 3840 * 2160)
    figures = [
        *_wrappers(assets, picture, options.rounds),
        _shape(assets, picture, options.rounds),
        *_two_workers(assets, picture, options.pictures, min(5, options.rounds)),
        *_stage_share(assets, options.clips),
        *_memory(assets, options.height),
        *_gpu(picture),
    ]
    _figures.show(figures)


def _params(assets: Path, detector: str, **changes: Any) -> FacesParams:
    path = assets / "weights" / FILES[detector]
    backbone = "mobilenet0.25" if detector == "retinaface" else ""
    known = Weights(str(path), weights.sha256(path))
    params = {"detector": detector, "weights": known, "backbone": backbone} | changes
    return FacesParams(**params)


def _first_picture(path: Path) -> Image:
    with VideoReader(path, MAX_SIDE_PX) as reader:
        return next(reader.frames_at([0.0])).image


def _wrappers(assets: Path, picture: Image, rounds: int) -> Iterator[Figure]:
    """The whole detector against the network alone, on what the network sees."""
    resized = resize_longer_side(picture, SIDE_PX)[0]
    height, width = resized.shape[:2]
    ours = make_detector(_params(assets, "scrfd", input_size_px=SIDE_PX))
    session = ours.raw.session
    seen = np.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), np.float32)
    feed = {session.get_inputs()[0].name: seen}
    yield _ratio("scrfd", ours, picture, lambda: session.run(None, feed), rounds)

    ours = make_detector(_params(assets, "retinaface", input_size_px=SIDE_PX))
    model = ours.raw.model
    batch = torch.from_numpy(cv2.dnn.blobFromImage(resized, mean=retinaface.MEAN_BGR, swapRB=True))

    def bare() -> None:
        with torch.inference_mode():
            model(batch)

    yield _ratio("retinaface", ours, picture, bare, rounds)


def _ratio(
    name: str, ours: detect.Detector, picture: Image, bare: Callable[[], object], rounds: int
) -> Figure:
    spent = _figures.in_turn(rounds, bare=bare, ours=lambda: ours.detect(picture))
    _say(f"{name}: bare {spent['bare'] * 1e3:.1f} ms, detector {spent['ours'] * 1e3:.1f} ms of CPU")
    return _figures.at_most(f"{name}_over_bare_network", spent["ours"] / spent["bare"], "x", 1.10)


def _shape(assets: Path, picture: Image, rounds: int) -> Figure:
    """The picture's own shape against a square, with the same boxes."""
    own = make_detector(_params(assets, "scrfd", input_size_px=SIDE_PX))
    square = make_detector(_params(assets, "scrfd", input_size_px="full"))

    def padded() -> list[detect.Detection]:
        resized, x, y = resize_longer_side(picture, SIDE_PX)
        found = square.raw.candidates([pad_to(resized, SIDE_PX, SIDE_PX)])[0].scaled(1 / x, 1 / y)
        return detect.choose(found, picture.shape[1], picture.shape[0], 0.5, 0)

    pairs = list(zip(own.detect(picture), padded(), strict=True))
    for one, other in pairs:
        side = max(one.box[2] - one.box[0], one.box[3] - one.box[1])
        if np.abs(np.subtract(one.box, other.box)).max() > SAME_BOX * side:
            sys.exit(f"the boxes differ: {one.box} and {other.box}")
    spent = _figures.in_turn(rounds, own=lambda: own.detect(picture), square=padded)
    _say(f"scrfd: square {spent['square'] * 1e3:.1f} ms, own shape {spent['own'] * 1e3:.1f} ms")
    speed = spent["square"] / spent["own"]
    return _figures.at_least(f"scrfd_own_shape_over_square_{len(pairs)}_faces", speed, "x", 1.5)


def _two_workers(assets: Path, picture: Image, count: int, rounds: int) -> Iterator[Figure]:
    """Two processes against one: in wall time, and in CPU time, which other programs disturb less.

    By CPU time, two are twice one if a picture costs each of them what it costs one alone.
    """
    params = _params(assets, "scrfd", input_size_px=SIDE_PX)
    rates: dict[int, list[float]] = {1: [], 2: []}
    costs: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers in rates:
            rate, cost_s = _rate(params, picture, count, workers)
            rates[workers].append(rate)
            costs[workers].append(cost_s)
    one, two = (median(found) for found in rates.values())
    alone_s, together_s = (median(found) for found in costs.values())
    _say(f"scrfd: one worker {one:.1f}, two workers {two:.1f} pictures/s")
    yield _figures.at_least("scrfd_two_workers_over_one_wall", two / one, "x", 1.85)
    scaling = 2 * alone_s / together_s
    yield _figures.at_least("scrfd_two_workers_over_one_cpu", scaling, "x", 1.85)


def _rate(params: FacesParams, picture: Image, count: int, workers: int) -> tuple[float, float]:
    """Pictures per second of so many processes together, and CPU seconds per picture."""
    context = multiprocessing.get_context("spawn")
    gate, results = context.Barrier(workers), context.Queue()
    children = [
        context.Process(target=_work, args=(params, picture, count, gate, results))
        for _ in range(workers)
    ]
    spans = answers(children, results, "Detection by several workers")
    starts, ends, cpu_s = zip(*spans, strict=True)
    done = workers * count
    return done / (max(ends) - min(starts)), sum(cpu_s) / done


def _work(params: FacesParams, picture: Image, count: int, gate: Any, results: Any) -> None:
    pin_threads()
    detector = make_detector(params)
    detector.detect(picture)
    gate.wait()
    start, cpu_s = time.monotonic(), time.process_time()
    for _ in range(count):
        detector.detect(picture)
    results.put((start, time.monotonic(), time.process_time() - cpu_s))


@dataclass
class _Clock:
    """Wall time spent within some functions."""

    spent_s: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, start: float) -> None:
        self.spent_s[name] = self.spent_s.get(name, 0.0) + time.perf_counter() - start

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*given: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                self.add(name, start)

        return wrapper

    def timed_iterator(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*given: Any) -> Iterator[Any]:
            items = iter(function(*given))
            while True:
                start = time.perf_counter()
                try:
                    item = next(items)
                except StopIteration:
                    return
                finally:
                    self.add(name, start)
                yield item

        return wrapper


def _stage_share(assets: Path, clips: int) -> Iterator[Figure]:
    """Share of the stage, from plan to table, that decoding, networks and codecs take."""
    for detector in FILES:
        clock = _Clock()
        session = onnxruntime.InferenceSession
        patches = [
            (VideoReader, "__enter__", clock.timed("decode", VideoReader.__enter__)),
            (
                VideoReader,
                "frames_at",
                clock.timed_iterator("decode", VideoReader.frames_at),
            ),
            (session, "run", clock.timed("inference", session.run)),
            (
                retinaface.RetinaFace,
                "__call__",
                clock.timed("inference", retinaface.RetinaFace.__call__),
            ),
            (detect, "resize_longer_side", clock.timed("resize", resize_longer_side)),
            (retinaface, "resize_longer_side", clock.timed("resize", resize_longer_side)),
            (crop, "resize", clock.timed("resize", crop.resize)),
            (images, "encode_jpeg", clock.timed("encode", images.encode_jpeg)),
        ]
        task, plan = _stage(assets, _params(assets, detector), clips)
        task.open()
        with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
            for place, name, function in patches:
                stack.enter_context(mock.patch.object(place, name, function))
            stack.enter_context(_working_in(folder))
            store = stage.table_store("faces", "faces", len(plan.table))
            start = time.perf_counter()
            stage.run_stage(stage.Stage("faces", task, plan, store), EngineParams(workers=0))
            whole_s = time.perf_counter() - start
        parts = {name: round(spent / whole_s, 3) for name, spent in clock.spent_s.items()}
        _say(f"stage with {detector}: {whole_s:.1f} s, of which {parts}")
        share = sum(clock.spent_s.values()) / whole_s
        yield _figures.at_least(f"stage_share_of_needed_work_{detector}", share, "1", 0.90)


@contextmanager
def _working_in(folder: str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _stage(assets: Path, params: FacesParams, clips: int) -> tuple[FacesTask, Any]:
    return _planned(sorted((assets / CLIPS).iterdir())[:clips], params)


def _planned(files: Sequence[Path], params: FacesParams) -> tuple[FacesTask, Any]:
    """Task and plan of the stage for some videos at 1 FPS."""
    columns: dict[str, list[Any]] = {
        "video_id": [f"d/real/{path.stem}" for path in files],
        "dataset": ["d"] * len(files),
        "split": ["train"] * len(files),
        "media": ["video"] * len(files),
        "fingerprint": [path.name for path in files],
        "path": [str(path) for path in files],
        "label": [0] * len(files),
    }
    references = ("mask_path", "mask_fingerprint", "pair_path", "pair_fingerprint")
    columns |= {name: [""] * len(files) for name in references}
    frames = FramesTask(FramesParams())
    sampled: list[Mapping[str, Any]] = []
    for path, video in zip(files, columns["video_id"], strict=True):
        inputs = {"file": str(path), "media": "video", "segments_s": [], "segments_frames": []}
        inputs["outside"] = 0
        inputs["sampling"] = sampling_text(FramesParams())
        rows = frames.work(inputs).outputs
        sampled += [{"video_id": video, "time_s": row.fields["time_s"]} for row in rows]
    plan, rules = faces_plan(
        Held(pa.table(columns)),
        Held(pa.Table.from_pylist(sampled)),
        lambda rows: rows.column("path").to_pylist(),
        Params(faces=params),
    )
    return FacesTask(rules, MAX_SIDE_PX), plan


def _memory(assets: Path, height_px: int) -> Iterator[Figure]:
    """Peak resident memory of a process that works a video of 4K, unless told otherwise."""
    recipe = _clips.Recipe(f"h264_{height_px}p_default", height_px)
    with tempfile.TemporaryDirectory() as folder:
        video = _clips.write(recipe, Path(folder), 2.0)
        made = Path(folder) / "resnet50.pth"
        torch.save(retinaface.RetinaFace("resnet50").state_dict(), made)
        known = Weights(str(made), weights.sha256(made))
        large = FacesParams(
            detector="retinaface", backbone="resnet50", weights=known, score_threshold=1.0
        )
        for name, params in (("scrfd", _params(assets, "scrfd")), ("retinaface_resnet50", large)):
            results: Any = multiprocessing.get_context("spawn").Queue()
            child = multiprocessing.get_context("spawn").Process(
                target=_work_large, args=(video, params, results)
            )
            peak_gb = answers([child], results, f"{name} on {height_px}p")[0] / 1000
            _say(f"{name} on {height_px}p: {peak_gb:.2f} GB")
            yield _figures.at_most(f"resident_gb_on_{height_px}p_{name}", peak_gb, "GB", 1.5)


def _work_large(video: Path, params: FacesParams, results: Any) -> None:
    pin_threads()
    task, plan = _planned([video], params)
    task.open()
    (row,) = plan.table.to_pylist()
    task.work({name: row[name] for name in (*plan.content, *plan.location)})
    results.put(_figures.peak_mb())


def _gpu(picture: Image) -> Iterator[Figure]:
    """Pictures per second of RetinaFace with ResNet-50 on a GPU."""
    if not torch.cuda.is_available():
        _say("no CUDA device: RetinaFace on a GPU is not measured")
        return
    params = FacesParams(
        detector="retinaface", provider="cuda", backbone="resnet50", score_threshold=1.0
    )
    for batch in (1, retinaface.CUDA_BATCH):
        detector = retinaface.RetinaFaceDetector(retinaface.RetinaFace("resnet50"), params)
        detector.batch = batch
        detector.candidates([picture] * batch)
        start = time.perf_counter()
        for _ in range(10):
            detector.candidates([picture] * batch)
        rate = 10 * batch / (time.perf_counter() - start)
        yield _figures.at_least(f"retinaface_resnet50_cuda_batch_{batch}", rate, "1/s", None)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
