"""The ranges of a run's losses over its first steps, to choose their weights by.

Metric learning, section 4.3: the weight of the triplet loss "was chosen such that the BCE and
triplet loss components contributed comparably, each operating within a similar value range".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import models
from pipeline.models.device import prepare
from pipeline.training.inputs import Run, read
from pipeline.training.steps import RunSteps


@dataclass(frozen=True)
class LossRange:
    """One loss over the steps of a calibration, before it is weighted."""

    name: str
    weight: float
    """As the parameters have it."""
    first: float
    low: float
    """A twentieth of the steps is below it."""
    median: float
    high: float
    """A twentieth of the steps is above it."""
    last: float
    equal_weight: float
    """By which its median is as large as that of the weighted first loss; NaN where it is 0."""


def calibrate(run: Run, shards: Path, steps: int) -> list[LossRange]:
    """Trains a run for some steps, with its own schedule, and keeps nothing of it.

    Args:
        run: what to train.
        shards: folder of its shard folders.
        steps: how many; the whole run where it has fewer.

    Returns:
        The losses, in the order of the objective.

    Raises:
        UserError: shards or weights are absent or unfit.
    """
    device = prepare()
    faces = read(run, shards, models.image_px(run.params.model))
    model = models.build(run.params.model, run.graph, run.seed, len(faces.classes)).to(device)
    training = RunSteps(run, faces, model, device)
    steps = min(steps, run.params.optimizer.epochs * len(training.loader))
    found: dict[str, list[float]] = {}
    while len(next(iter(found.values()), [])) < steps:
        epoch = training.loader.epoch
        model.train()
        for losses in training.of_epoch(epoch):
            for name, loss in losses.items():
                found.setdefault(name, []).append(float(loss))
            if len(next(iter(found.values()))) == steps:
                break
    weights = training.objective.weights.current
    return ranges({name: np.array(values) for name, values in found.items()}, weights)


def ranges(
    losses: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float]
) -> list[LossRange]:
    """What there is to say of losses (steps,) by name."""
    first, *_ = losses
    goal = weights[first] * float(np.median(losses[first]))
    found = []
    for name, values in losses.items():
        low, median, high = (float(v) for v in np.quantile(values, [0.05, 0.5, 0.95]))
        equal = goal / median if median > 0 else float("nan")
        ends = float(values[0]), float(values[-1])
        found.append(LossRange(name, weights[name], ends[0], low, median, high, ends[1], equal))
    return found


def table(found: Sequence[LossRange]) -> list[str]:
    """The same as lines for people."""
    heads = ("loss", "weight", "first", "5 %", "median", "95 %", "last", "weight for equal medians")
    rows = [heads] + [
        (
            r.name,
            *(f"{v:.4g}" for v in (r.weight, r.first, r.low, r.median, r.high, r.last)),
            "-" if np.isnan(r.equal_weight) else f"{r.equal_weight:.3g}",
        )
        for r in found
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(len(heads))]
    lines = [
        "  ".join(
            cell.ljust(w) if at == 0 else cell.rjust(w)
            for at, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return ["Losses before they are weighted:", *lines]
