"""What the page says about training runs: their parameters, curves and scores.

Which runs there are is said by the parameters alone: files of a run that was removed are not read.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.audit.shortcuts import Shortcut
from pipeline.config.run_params import DataParams, OptimizerParams, RunParams
from pipeline.errors import UserError
from pipeline.report.cells import Cell, Table, limited
from pipeline.report.charts import Chart, Points, line_chart
from pipeline.report.figures import Figure, figures
from pipeline.report.robustness import robustness_charts
from pipeline.report.stages import read_json
from pipeline.shards.run_data import Count

WEIGHT, _WEIGHTS = "weight", "weights of the losses"
"""Columns such as ``weight_root`` are the lines of one chart."""
PARTS = ("train", "val")
"""A column of a history such as ``val_loss`` is one line, ``val``, of the chart ``loss``."""

SPLITS = ("val", "test")
"""Splits that are evaluated."""

ONE_CLASS = "one class"
"""Stands where a score needs both reals and fakes and there are only some of one."""

_SCORES = {
    "video_auc": "video AUC",
    "video_balanced_accuracy": "video bal. acc.",
    "frame_auc": "face AUC",
}
_COUNTS = {
    "videos_real": "real",
    "videos_fake": "fake",
}
_LEADING = ("video_auc", "video_balanced_accuracy")
"""Scores that stand for a run among others."""

_MODELS = {"vit": "ViT", "joint_embedding": "CLIP joint embedding"}


@dataclass(frozen=True)
class RunFacts:
    """One run."""

    name: str
    settings: tuple[tuple[str, str], ...]
    """What was trained and how: term and value."""
    meaningless: bool
    """A tiny model that started from random numbers: its scores say nothing about the method."""
    charts: tuple[Chart, ...]
    """Training curves, and those of changed faces; empty where there are none."""
    overall: Mapping[str, Mapping[str, Any]]
    """Metrics over a whole split, by split; empty where the run was not evaluated."""
    scores: tuple[Table, ...]
    """By dataset and method, one table per evaluated split."""
    one_class: tuple[str, ...]
    """Sets without reals or without fakes."""
    unscored: int
    """Videos without a score, over all evaluated splits."""
    figures: tuple[Figure, ...] = ()
    """Of what it sees and learns."""


def run_facts(
    name: str,
    params: RunParams,
    plots: Path,
    predictions: Path,
    reads: Sequence[Count] = (),
    shortcuts: Sequence[Shortcut] = (),
) -> RunFacts:
    """What is known about a run.

    Args:
        name: of the run.
        params: of the run.
        plots: holds ``<run>.csv``, its history; it may be absent.
        predictions: holds ``<run>/metrics.json``, its scores; it may be absent.
        reads: samples that the run reads, by shard folder.
        shortcuts: what the probe found; its AUC stands beside that of each dataset of test.

    Raises:
        UserError: one of the two is damaged.
    """
    path = predictions / name / "metrics.json"
    found = read_json(path) if path.is_file() else {}
    evaluated = [split for split in SPLITS if split in found]
    try:
        overall = {split: found[split]["overall"] for split in evaluated}
        sets = {split: _sets(found[split]) for split in evaluated}
        blind = {(one.folder, one.dataset): one.whole.auc for one in shortcuts if one.whole}
        tables = tuple(_score_table(split, rows, blind) for split, rows in sets.items())
        unscored = sum(
            int(about["videos_missing"]) + int(about["videos_error"]) for about in overall.values()
        )
        one_class = tuple(
            " ".join(filter(None, (split, *names)))
            for split, rows in sets.items()
            for names, about in rows
            if about["one_class"]
        )
        changed = robustness_charts(found.get("robustness", {}))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path} is not of this version ({error!r}). Run `dvc repro evaluate@{name}`."
        ) from error
    return RunFacts(
        name=name,
        settings=(*_settings(params), *_data(params.data, reads)),
        meaningless=bool(found.get("meaningless", params.model.size == "tiny")),
        charts=(*charts(plots / f"{name}.csv"), *changed),
        overall=overall,
        scores=tables,
        one_class=one_class,
        unscored=unscored,
        figures=figures(predictions / name),
    )


def run_table(runs: Sequence[RunFacts]) -> Table:
    """All runs with their leading scores."""
    rows: list[tuple[Cell, ...]] = []
    for run in runs:
        cells = [
            _score(run.overall[split], score).partition(" [")[0] if split in run.overall else "none"
            for split in SPLITS
            for score in _LEADING
        ]
        rows.append((run.name, *cells, "tiny, random: means nothing" if run.meaningless else ""))
    head = [f"{split} {_SCORES[score]}" for split in SPLITS for score in _LEADING]
    return limited("Scores over all datasets, by run", ("run", *head, "note"), "lrrrrl", rows)


def charts(history: Path) -> tuple[Chart, ...]:
    """One chart per quantity of a training history; none where the file is absent or has no rows.

    The column ``epoch`` is the axis; ``train_…`` and ``val_…`` of one quantity share a chart, and
    so do the weights of losses.

    Empty cells are left out: an AUC of one class alone is none.

    Raises:
        UserError: the file has no column ``epoch``, or holds something that is no number.
    """
    quantities: dict[str, dict[str, Points]] = {}
    for name, points in columns(history).items():
        part, _, quantity = name.partition("_")
        if part == WEIGHT:
            part, quantity = quantity, _WEIGHTS
        elif part not in PARTS or not quantity:
            part, quantity = name, name
        quantities.setdefault(quantity, {})[part.replace("_", " ")] = points
    # What is known of train and val comes first.
    ordered = sorted(quantities.items(), key=lambda item: (item[0] == _WEIGHTS, -len(item[1])))
    drawn = [line_chart(title.replace("_", " "), lines) for title, lines in ordered]
    return tuple(chart for chart in drawn if chart)


def columns(history: Path) -> dict[str, Points]:
    """Points (epoch, value) of every column of a training history; none where it is absent.

    Raises:
        UserError: the file has no column ``epoch``, or holds something that is no number.
    """
    if not history.is_file():
        return {}
    with history.open(encoding="utf-8", newline="") as file:
        names, *rows = [*csv.reader(file)] or [[]]
    try:
        numbered = [dict(zip(names, map(_number, row), strict=True)) for row in rows]
        of_names = {name: [row[name] for row in numbered] for name in names}
        epochs = of_names.pop("epoch")
        if not all(map(math.isfinite, epochs)):
            raise ValueError("an epoch is empty")
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{history} is not a training history ({error}). Delete it and run `dvc repro`."
        ) from error
    return {name: list(zip(epochs, values, strict=True)) for name, values in of_names.items()}


def _number(cell: str) -> float:
    """NaN where a quantity is not known, such as the AUC of one class alone."""
    return float(cell) if cell else math.nan


def _settings(params: RunParams) -> tuple[tuple[str, str], ...]:
    model, objective, optimizer = params.model, params.objective, params.optimizer
    start = Path(model.weights.path).name if model.weights.path else "random numbers"
    return (
        ("model", f"{_MODELS[model.architecture]}, {model.size}"),
        ("starts from", start),
        ("loss", objective.words()),
        ("shards", "train and expanded" if params.also == "expanded" else "train"),
        ("epochs", f"{optimizer.epochs}, {optimizer.warmup_epochs} of them warm-up"),
        ("batch", f"{optimizer.batch_size} faces"),
        ("learning rate", _rate(optimizer)),
        ("weight decay", f"{optimizer.weight_decay:g}"),
    )


def _data(data: DataParams, reads: Sequence[Count]) -> tuple[tuple[str, str], ...]:
    """What of the shards the run reads, and how many faces that is."""
    given = {f.name: getattr(data, f.name) for f in fields(data)}
    named = [
        f"{key}: {', '.join(value) if isinstance(value, tuple) else value}"
        for key, value in given.items()
        if value != getattr(DataParams(), key)
    ]
    counts = tuple((f"{one.folder} faces", one.words) for one in reads)
    return (("data", "; ".join(named) or "all of it"), *counts)


def _rate(optimizer: OptimizerParams) -> str:
    words = f"{optimizer.highest_rate:g}"
    if optimizer.layer_decay != 1:
        words += f", times {optimizer.layer_decay:g} from a layer to the one before it"
    return words


_Set = tuple[tuple[str, str], Mapping[str, Any]]
"""Dataset and method ("" = all fakes) of a set of videos, and its metrics."""


def _sets(split: Mapping[str, Any]) -> list[_Set]:
    rows: list[_Set] = [(("all datasets", ""), split["overall"])]
    for dataset, found in split["datasets"].items():
        rows.append(((dataset, ""), found["overall"]))
        rows += [((dataset, method), about) for method, about in found["methods"].items()]
    return rows


def _score_table(split: str, sets: Sequence[_Set], blind: Mapping[tuple[str, str], float]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for (dataset, method), about in sets:
        scores = [_score(about, name) for name in _SCORES]
        known = blind.get((split, dataset)) if not method else None
        shortcut = "" if known is None else f"{known:.3f}"
        counts = [int(about[name]) for name in _COUNTS]
        coverage = f"{float(about['coverage']):.1%}"
        rows.append((dataset, method or "all fakes", *scores, shortcut, coverage, *counts))
    head = ("dataset", "fakes", *_SCORES.values(), "shortcut AUC", "scored")
    caption = f"{split}: the fakes of each method against the reals of its dataset"
    return limited(caption, (*head, *_COUNTS.values()), "llrrrrrrr", rows)


def _score(about: Mapping[str, Any], name: str) -> str:
    if about["one_class"]:
        return ONE_CLASS
    if name not in about:
        return "none"
    text = f"{float(about[name]):.3f}"
    if f"{name}_low" in about:
        text += f" [{float(about[f'{name}_low']):.2f}, {float(about[f'{name}_high']):.2f}]"
    return text
