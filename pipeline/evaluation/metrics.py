"""All numbers of one run: per split, dataset, manipulation and group."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.evaluation import calibration, groups, nodes, pooling, ranking
from pipeline.evaluation.aggregate import OK, SPLITS
from pipeline.evaluation.measures import Rules, counted, measure
from pipeline.labels.semantics import Graph

_DECIMALS = 6
"""Of numbers that people read."""

Metrics = Mapping[str, Any]
"""Numbers, or such mappings of numbers, by name."""


def evaluate(
    faces: pa.Table,
    videos: pa.Table,
    rules: Rules,
    meaningless: bool = False,
    least: int = 1,
    graph: Graph | None = None,
) -> Metrics:
    """All metrics of one run. Nothing is rounded; see :func:`rounded`.

    Args:
        faces: table ``predictions_faces``; empty where videos were scored as a whole.
        videos: of :func:`pipeline.evaluation.facts.known`, of the same scores.
        rules: how sets are measured.
        meaningless: the scores are those of a model too small to mean anything.
        least: reals and fakes that a group must have to be measured.
        graph: label graph of the columns of ``videos``; None where there is none.

    Returns:
        ``meaningless`` (0 or 1) and one entry per split: ``overall``, and under ``datasets`` per
        dataset ``overall``, ``pooling`` and, under ``methods``, each manipulation against the reals
        of its dataset. ``overall`` and methods hold the numbers of
        :func:`pipeline.evaluation.measures.measure`. Besides, per split: ``pooling``
        (:func:`pipeline.evaluation.pooling.table`), ``groups``
        (:func:`pipeline.evaluation.groups.groups`) and, of runs with a label graph, ``nodes``
        (:func:`pipeline.evaluation.nodes.table`). A split without videos has no entry.
        ``fitted`` holds what val says: ``temperature`` of the videos' log-odds, and ``threshold``,
        where val has both classes; test has ``video_balanced_accuracy_fitted`` by it, overall and
        per dataset.
    """
    whole: dict[str, Any] = {"meaningless": int(meaningless)}
    for split in SPLITS:
        in_split = pc.field("split") == split
        mine = videos.filter(in_split)
        if mine.num_rows:
            whole[split] = _of_split(faces.filter(in_split), mine, rules, least, graph)
    val = videos.filter(pc.field("split") == "val")
    held, seen = counted(val, rules.missing), val.filter(pc.field("status") == OK)
    if held.both:
        fitted = ranking.best_threshold(held.labels, held.scores)
        odds = seen.column("log_odds").to_numpy()
        temperature = calibration.temperature(seen.column("label").to_numpy(), odds)
        whole["fitted"] = {"threshold": fitted, "temperature": temperature}
        test = videos.filter(pc.field("split") == "test")
        _add_fitted(whole.get("test", {}), test, rules, fitted)
    return whole


def rounded(numbers: Any) -> Any:
    """The same with every fraction to 1e-6: for people, and nowhere else."""
    if isinstance(numbers, Mapping):
        return {name: rounded(value) for name, value in numbers.items()}
    return round(numbers, _DECIMALS) if isinstance(numbers, float) else numbers


HEADLINE = ("video_auc", "video_balanced_accuracy", "coverage")


def headline(whole: Metrics) -> Metrics:
    """The few numbers of :func:`evaluate` that a person compares runs by, for `dvc metrics`.

    ``meaningless``, and per split the :data:`HEADLINE` numbers overall and per dataset, where they
    exist.
    """
    few: dict[str, Any] = {"meaningless": whole["meaningless"]}
    for split in SPLITS:
        if split in whole:
            found = whole[split]
            datasets = {name: _few(about["overall"]) for name, about in found["datasets"].items()}
            few[split] = {**_few(found["overall"]), **datasets}
    return few


def _few(numbers: Metrics) -> Metrics:
    return {name: numbers[name] for name in HEADLINE if name in numbers}


def _of_split(
    faces: pa.Table, videos: pa.Table, rules: Rules, least: int, graph: Graph | None
) -> dict[str, Any]:
    datasets = {}
    for dataset in _names(videos, "dataset"):
        inside = pc.field("dataset") == dataset
        datasets[dataset] = _of_dataset(faces.filter(inside), videos.filter(inside), rules)
    found = {
        "overall": measure(faces, videos, rules),
        "datasets": datasets,
        "pooling": pooling.table(faces, videos, rules.threshold),
        "groups": groups.measured(groups.groups(videos, graph), faces, videos, rules, least),
    }
    if graph and (by_node := nodes.table(faces, videos, graph)):
        found["nodes"] = by_node
    return found


def _of_dataset(faces: pa.Table, videos: pa.Table, rules: Rules) -> dict[str, Any]:
    methods = {}
    for method in _names(videos.filter(pc.field("label") == 1), "method"):
        against = (pc.field("label") == 0) | (pc.field("method") == method)
        methods[method] = measure(faces.filter(against), videos.filter(against), rules)
    return {
        "overall": measure(faces, videos, rules),
        "pooling": pooling.table(faces, videos, rules.threshold),
        "methods": methods,
    }


def _add_fitted(test: dict[str, Any], videos: pa.Table, rules: Rules, threshold: float) -> None:
    """Adds the balanced accuracy at another threshold, overall and per dataset."""
    parts = [(test.get("overall", {}), videos)]
    for name, found in test.get("datasets", {}).items():
        parts.append((found["overall"], videos.filter(pc.field("dataset") == name)))
    for numbers, part in parts:
        if numbers.get("one_class") == 0:
            held = counted(part, rules.missing)
            found = ranking.balanced_accuracy(held.labels, held.scores, threshold)
            numbers["video_balanced_accuracy_fitted"] = found


def _names(table: pa.Table, column: str) -> list[str]:
    return sorted(table.column(column).unique().to_pylist())
