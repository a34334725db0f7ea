"""Training from shards beside the same step on tensors that are in memory already.

Both are the trainer's own step; the first reads, decodes, augments and normalises its faces too.
They take turns within each round, so that whatever else the machine does hits both. The model
starts from random numbers, which cost what others do.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import shards
from benchmarks._figures import Figure, at_least, show
from faceshards.samples import Samples
from pipeline import models
from pipeline.config.objectives import MetricLearningParams
from pipeline.config.run_params import ModelParams, OptimizerParams, RunParams
from pipeline.config.training_options import ComputeParams
from pipeline.models.device import prepare
from pipeline.training.data import Faces, TrainingBatch
from pipeline.training.inputs import BINARY, Run, RunData
from pipeline.training.loss_weights import Prepared
from pipeline.training.steps import RunSteps

TARGETS = {"cpu": 0.9, "cuda": 0.97}
"""Least share of the throughput on tensors in memory, for ViT-B/16."""


def main(arguments: list[str]) -> None:
    """Prints the figures."""
    given = _options(arguments)
    device = prepare()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "train"
        shards._folder(folder, list(shards._jpegs(given.faces)), shards.PER_TAR)
        steps = _steps(given, folder, device)
        from_shards, in_memory, flops = _measure(steps, given, device)
    show(_figures(given, from_shards, in_memory, flops, device))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks training", description=__doc__)
    parser.add_argument("--size", default="vit-b16", help="of the model; tiny for a try")
    parser.add_argument("--batch", type=int, default=8, help="faces per step")
    parser.add_argument("--steps", type=int, default=4, help="per contender and round")
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many counts")
    parser.add_argument("--faces", type=int, default=640, help="in the shards")
    parser.add_argument("--augmentation", default="fsfm", help="none, flip or fsfm")
    parser.add_argument("--precision", default="float32", help="float32 or bf16")
    parser.add_argument("--peak-tflops", type=float, default=0.0, help="of the device, for MFU")
    return parser.parse_args(arguments)


def _steps(given: argparse.Namespace, folder: Path, device: torch.device) -> RunSteps:
    params = RunParams(
        ModelParams("vit", given.size, start="random"),
        MetricLearningParams("metric_learning", "batch_all"),
        "train",
        OptimizerParams(batch_size=given.batch, layer_decay=0.75),
        augmentation=given.augmentation,
        compute=ComputeParams(precision=given.precision),
    )
    model = models.build(params.model, None).to(device)
    faces = Faces(Samples([folder], size_px=model.image_px))
    data = RunData(faces, faces, BINARY, {}, "", ())
    model.train()
    return RunSteps(Run("benchmark", params, 0, 0, None), data, model, device)


def _measure(
    steps: RunSteps, given: argparse.Namespace, device: torch.device
) -> tuple[list[float], list[float], int]:
    """Seconds of each round, from shards and in memory, and operations of one step."""
    epochs = _without_end(steps)
    ready = _in_memory(given.batch, steps, device)
    counter = FlopCounterMode(display=False)
    with counter:
        steps.learner.step(ready, None, 1e-6)
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(given.rounds + 1):
        first = _seconds(lambda: list(islice(epochs, given.steps)), device)
        second = _seconds(
            lambda: [steps.learner.step(ready, None, 1e-6) for _ in range(given.steps)], device
        )
        if number:  # the first round warms up
            found[0].append(first)
            found[1].append(second)
    return *found, counter.get_total_flops()


def _without_end(steps: RunSteps) -> Iterator[dict[str, Tensor]]:
    epoch = 0
    while True:
        yield from steps.of_epoch(epoch)
        epoch += 1


def _in_memory(n: int, steps: RunSteps, device: torch.device) -> Prepared:
    side = steps.learner.model.image_px
    labels = torch.arange(n, device=device) % 2
    vectors = torch.zeros((n, 0), dtype=torch.int8, device=device)
    images = torch.zeros((n, 0, 0, 3), dtype=torch.uint8, device=device)
    random = torch.randn((n, 3, side, side), generator=torch.Generator().manual_seed(0))
    return Prepared(random.to(device), TrainingBatch(images, labels, vectors, labels))


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _figures(
    given: argparse.Namespace,
    from_shards: list[float],
    in_memory: list[float],
    flops: int,
    device: torch.device,
) -> list[Figure]:
    faces = given.batch * given.steps
    ratios = [memory / read for read, memory in zip(from_shards, in_memory, strict=True)]
    target = TARGETS[device.type] if given.size == "vit-b16" else None
    rate = faces / statistics.median(from_shards)
    tflops = flops * rate / given.batch / 1e12
    figures = [
        at_least(
            f"{given.size}, from shards, share of tensors in memory",
            statistics.median(ratios),
            "",
            target,
        ),
        at_least(f"{given.size}, from shards", rate, "faces/s", None),
        at_least(f"{given.size}, from shards", tflops, "TFLOP/s", None),
    ]
    if given.peak_tflops:
        figures.append(at_least(f"{given.size}, MFU", tflops / given.peak_tflops, "", None))
    return figures
