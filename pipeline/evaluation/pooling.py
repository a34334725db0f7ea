"""Other ways to make one score of a video's faces than their mean, side by side."""

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.evaluation import ranking
from pipeline.evaluation.aggregate import OK, rows_of
from pipeline.evaluation.calibration import probability
from pipeline.evaluation.facts import per_row

TOP = 5
"""So many of the highest scores of a video are averaged by ``top_5``."""


def pooled(faces: pa.Table, videos: pa.Table) -> dict[str, NDArray[np.float64]]:
    """Scores of videos by each way of pooling, from 0 to 1, (videos,) each; -1 without a face.

    ``mean``, ``median``, ``max`` and ``top_5`` (mean of the five highest) are of the faces' scores,
    ``mean_log_odds`` is the probability that their mean log-odds stand for.

    Args:
        faces: table ``predictions_faces``.
        videos: table ``predictions_videos``, which has the videos of all faces.
    """
    row = rows_of(faces, videos)
    scores, odds = (faces.column(name).to_numpy() for name in ("score", "log_odds"))
    # Each way gets the values of a video in ascending order.
    ways: dict[str, Callable[[NDArray[np.float64]], float]] = {
        "mean": _mean,
        "median": lambda part: float(np.median(part)),
        "max": lambda part: float(part[-1]),
        "top_5": lambda part: _mean(part[-TOP:]),
    }
    found = {name: per_row(way, scores, row, videos.num_rows) for name, way in ways.items()}
    mean_odds = per_row(_mean, odds, row, videos.num_rows, absent=np.nan)
    known = np.isfinite(mean_odds)
    found["mean_log_odds"] = np.where(known, probability(np.where(known, mean_odds, 0)), -1.0)
    return found


def _mean(values: NDArray[np.float64]) -> float:
    """Rounded once, so that equal means are equal."""
    return math.fsum(values) / len(values)


def table(faces: pa.Table, videos: pa.Table, threshold: float) -> dict[str, dict[str, float]]:
    """AUC and balanced accuracy of videos that have a score, by way of pooling; not rounded.

    AUC of ``mean_log_odds`` is by the log-odds themselves, which tell very sure scores apart. Empty
    where there are no faces or only one class.
    """
    scored = np.array(videos.column("status").to_pylist(), object) == OK
    labels = videos.column("label").to_numpy()[scored]
    if not faces.num_rows or len(np.unique(labels)) < 2:
        return {}
    found = {}
    for name, scores in pooled(faces, videos).items():
        ranked = videos.column("log_odds").to_numpy() if name == "mean_log_odds" else scores
        found[name] = {
            "video_auc": ranking.auc(labels, ranked[scored]),
            "video_balanced_accuracy": ranking.balanced_accuracy(labels, scores[scored], threshold),
        }
    return found
