"""Whether a triplet loss helps on fakes of another kind: two planted artefacts and a shared one.

Fakes that are trained on carry the first artefact and the shared one, those that are tested on the
second and the shared one. So the first is a shortcut, and the shared one is what carries over. For
each seed (faces, batches, initial numbers) a tiny network is trained by cross-entropy alone and by
cross-entropy with each triplet loss; the figure is the difference of the AUC on the other fakes,
its mean over seeds with a 95 % interval (Student's t).
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks import shards
from benchmarks._figures import Figure, show
from faceshards import images
from faceshards.samples import Samples
from pipeline import models
from pipeline.config.objectives import MetricLearningParams
from pipeline.config.run_params import ModelParams, OptimizerParams, RunParams
from pipeline.models.device import prepare
from pipeline.training.data import Faces
from pipeline.training.inputs import BINARY, Run, RunData
from pipeline.training.steps import RunSteps
from pipeline.training.triplets import TRIPLETS
from pipeline.training.validation import validate

SIDE_PX = 64
SHORTCUT, SHARED = 8.0, 3.0
"""Amplitudes, of 255."""


def main(arguments: list[str]) -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks generalisation", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=5, help="at least 2")
    parser.add_argument("--faces", type=int, default=640, help="to train on; a quarter to test")
    parser.add_argument("--epochs", type=int, default=8, help="of each training")
    given = parser.parse_args(arguments)
    scores: dict[str, list[float]] = {kind: [] for kind in ("none", *TRIPLETS)}
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as name:
            train, test = Path(name) / "train", Path(name) / "test"
            shards._folder(train, made(seed, given.faces, "first"), shards.PER_TAR)
            shards._folder(test, made(1000 + seed, given.faces // 4, "second"), shards.PER_TAR)
            for kind, found in scores.items():
                found.append(auc(kind, seed, given.epochs, Faces(Samples([train])), test))
    show(figures(scores))


def made(seed: int, n: int, shortcut: str) -> list[bytes]:
    """JPEGs of soft pictures, real and fake by turns.

    Args:
        seed: another one, other pictures.
        n: how many.
        shortcut: artefact of the fakes besides the shared one: ``first`` or ``second``.
    """
    random = np.random.default_rng(seed)
    return [
        images.encode_jpeg(_face(random, number % 2 == 1, shortcut), 95, "4:4:4")
        for number in range(n)
    ]


def _face(random: np.random.Generator, is_fake: bool, shortcut: str) -> NDArray[np.uint8]:
    small = random.integers(40, 216, (5, 5, 3), np.uint8)
    face = cv2.resize(small, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC).astype(np.float64)
    if is_fake:
        wave = np.sin(np.arange(SIDE_PX) * np.pi / 2 + 0.5)
        stripes = np.tile(wave, (SIDE_PX, 1))  # upright
        face += SHORTCUT * (stripes if shortcut == "first" else stripes.T)[..., None]
        face += SHARED * np.outer(wave, wave)[..., None] * 2  # a grid, at a slant to both
    return np.clip(face, 0, 255).round().astype(np.uint8)


def auc(triplet: str, seed: int, epochs: int, train: Faces, test: Path) -> float:
    """Area under the curve on the other fakes, after a training."""
    params = RunParams(
        ModelParams("vit", "tiny"),
        MetricLearningParams("metric_learning", triplet),
        "train",
        OptimizerParams(2e-3, epochs=epochs, batch_size=16, warmup_epochs=min(1, epochs - 1)),
    )
    device = prepare()
    model = models.build(params.model, None, seed).to(device)
    faces = Faces(Samples([test]))
    run = Run("generalisation", params, seed, 0, None)
    steps = RunSteps(run, RunData(train, faces, BINARY, {}, "", ()), model, device)
    for epoch in range(epochs):
        model.train()
        for _ in steps.of_epoch(epoch):
            pass
    return validate(steps.learner, faces, 64, device)["auc"]


def figures(scores: dict[str, list[float]]) -> list[Figure]:
    """Of AUCs by triplet loss, one per seed: their means, and differences with their intervals."""
    found = []
    for kind, values in scores.items():
        mean = statistics.mean(values)
        found.append(Figure(f"AUC on other fakes, triplet {kind}", round(mean, 4), "", None, None))
        if kind == "none":
            continue
        gains = [value - plain for value, plain in zip(values, scores["none"], strict=True)]
        gain, half = statistics.mean(gains), half_width(gains)
        for name, value in (("", gain), (", low end", gain - half), (", high end", gain + half)):
            found.append(Figure(f"gain by {kind}{name}", round(value, 4), "AUC", None, None))
    return found


def half_width(values: list[float]) -> float:
    """Half the width of the 95 % interval of a mean, by Student's t."""
    quantile = float(stats.t.ppf(0.975, len(values) - 1))
    return quantile * statistics.stdev(values) / len(values) ** 0.5
