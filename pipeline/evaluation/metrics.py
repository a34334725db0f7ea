"""How well scores tell fakes from reals: per split, dataset and manipulation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.evaluation import calibration, ranking, uncertainty
from pipeline.evaluation.aggregate import SPLITS
from pipeline.models.scores import auc, balanced_accuracy

_DECIMALS = 6
"""Of numbers that people read."""

Metrics = Mapping[str, Any]
"""Numbers, or such mappings of numbers, by name."""


def evaluate(faces: pa.Table, videos: pa.Table, threshold: float, meaningless: bool) -> Metrics:
    """All metrics of one run.

    Args:
        faces: table ``predictions_faces``.
        videos: table ``predictions_videos`` of the same faces.
        threshold: a video's score at or above it is judged fake (metric learning, section 4.3:
            0.5).
        meaningless: the scores are those of a model too small to mean anything.

    Returns:
        ``meaningless`` (0 or 1) and one entry per split: ``overall``, and under ``datasets`` per
        dataset ``overall`` and, under ``methods``, each manipulation against the reals of its
        dataset. Each holds the numbers of :func:`measure`. A split without videos has no entry.
        ``fitted`` holds what val says: ``temperature`` of the videos' log-odds, and ``threshold``,
        where val has both classes; test has ``video_balanced_accuracy_fitted`` by it, overall and
        per dataset.
    """
    whole: dict[str, Any] = {"meaningless": int(meaningless)}
    for split in SPLITS:
        in_split = pc.field("split") == split
        mine = videos.filter(in_split)
        if mine.num_rows:
            whole[split] = _of_split(faces.filter(in_split), mine, threshold)
    val = _seen(videos.filter(pc.field("split") == "val"))
    if len(val.column("label").unique()) == 2:
        labels, scores = _arrays(val)
        odds = val.column("log_odds").to_numpy()
        fitted = ranking.best_threshold(labels, scores)
        whole["fitted"] = {
            "threshold": fitted,
            "temperature": calibration.temperature(labels, odds),
        }
        _add_fitted(whole.get("test", {}), videos.filter(pc.field("split") == "test"), fitted)
    return whole


def _add_fitted(test: dict[str, Any], videos: pa.Table, threshold: float) -> None:
    """Adds the balanced accuracy at another threshold, overall and per dataset."""
    parts = [(test.get("overall", {}), videos)]
    for name, found in test.get("datasets", {}).items():
        parts.append((found["overall"], videos.filter(pc.field("dataset") == name)))
    for numbers, part in parts:
        if numbers.get("one_class") == 0:
            found = balanced_accuracy(*_arrays(_seen(part)), threshold)
            numbers["video_balanced_accuracy_fitted"] = found


def _seen(videos: pa.Table) -> pa.Table:
    """Videos that have a score."""
    return videos.filter(pc.field("faces") > 0)


def measure(faces: pa.Table, videos: pa.Table, threshold: float) -> dict[str, float]:
    """Metrics of one set of videos and their faces, as in :func:`evaluate`.

    Returns:
        ``videos_real``, ``videos_fake``, ``faces_real``, ``faces_fake``: how many have a score;
        ``videos_without_face``: how many have none and count in nothing else;
        ``one_class``: 1 where reals or fakes are missing, else 0; and, where it is 0,
        ``video_auc``, ``video_balanced_accuracy`` and ``frame_auc`` (each face by itself);
        ``video_auc_low`` and ``video_auc_high`` (95 %, DeLong; where each class has two videos),
        ``video_eer``, ``video_average_precision``, ``video_tpr_at_1`` and ``video_tpr_at_5`` (share
        of fakes found while 1 and 5 % of reals are called fake); ``video_brier``, ``video_nll``
        and ``video_ece`` of the mean log-odds. Rounded to 1e-6 here, and nowhere before.
    """
    seen = _seen(videos)
    labels, scores = _arrays(seen)
    face_labels, _ = _arrays(faces)
    numbers: dict[str, float] = {
        "videos_real": int((labels == 0).sum()),
        "videos_fake": int((labels == 1).sum()),
        "videos_without_face": videos.num_rows - seen.num_rows,
        "faces_real": int((face_labels == 0).sum()),
        "faces_fake": int((face_labels == 1).sum()),
    }
    if not (numbers["videos_real"] and numbers["videos_fake"]):
        return numbers | {"one_class": 1}
    odds = seen.column("log_odds").to_numpy()
    found = {
        "video_auc": auc(labels, scores),
        "video_balanced_accuracy": balanced_accuracy(labels, scores, threshold),
        "frame_auc": auc(face_labels, faces.column("log_odds").to_numpy()),
        "video_eer": ranking.equal_error_rate(labels, scores),
        "video_average_precision": ranking.average_precision(labels, scores),
        "video_tpr_at_1": ranking.true_positives_at(labels, scores, 0.01),
        "video_tpr_at_5": ranking.true_positives_at(labels, scores, 0.05),
        "video_brier": calibration.brier(labels, odds),
        "video_nll": calibration.log_loss(labels, odds),
        "video_ece": calibration.expected_calibration_error(labels, odds),
    }
    if min(numbers["videos_real"], numbers["videos_fake"]) > 1:
        low, high = uncertainty.delong_interval(labels, scores)
        found |= {"video_auc_low": low, "video_auc_high": high}
    return numbers | {"one_class": 0} | {name: round(v, _DECIMALS) for name, v in found.items()}


HEADLINE = ("video_auc", "video_balanced_accuracy")


def headline(whole: Metrics) -> Metrics:
    """The few numbers of :func:`evaluate` that a person compares runs by, for `dvc metrics`.

    ``meaningless``, and per split the :data:`HEADLINE` numbers overall and per dataset, where they
    exist.
    """
    few: dict[str, Any] = {"meaningless": whole["meaningless"]}
    for split, found in whole.items():
        if split in ("meaningless", "fitted"):
            continue
        datasets = {name: _few(about["overall"]) for name, about in found["datasets"].items()}
        few[split] = {**_few(found["overall"]), **datasets}
    return few


def _few(numbers: Metrics) -> Metrics:
    return {name: numbers[name] for name in HEADLINE if name in numbers}


def _of_split(faces: pa.Table, videos: pa.Table, threshold: float) -> dict[str, Any]:
    datasets = {}
    for dataset in _names(videos, "dataset"):
        inside = pc.field("dataset") == dataset
        datasets[dataset] = _of_dataset(faces.filter(inside), videos.filter(inside), threshold)
    return {"overall": measure(faces, videos, threshold), "datasets": datasets}


def _of_dataset(faces: pa.Table, videos: pa.Table, threshold: float) -> dict[str, Any]:
    methods = {}
    for method in _names(videos.filter(pc.field("label") == 1), "method"):
        against = (pc.field("label") == 0) | (pc.field("method") == method)
        methods[method] = measure(faces.filter(against), videos.filter(against), threshold)
    return {"overall": measure(faces, videos, threshold), "methods": methods}


def _names(table: pa.Table, column: str) -> list[str]:
    return sorted(table.column(column).unique().to_pylist())


def _arrays(table: pa.Table) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    return table.column("label").to_numpy(), table.column("score").to_numpy()
