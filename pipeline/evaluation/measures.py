"""The numbers of one set of scored videos."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.evaluation import calibration, ranking, uncertainty
from pipeline.evaluation.aggregate import ERROR, MISSING, OK
from pipeline.evaluation.ranking import Labels, Scores

Unscored = Literal["exclude", "as_real", "as_fake", "half"]
_COUNTS_AS = {"as_real": 0.0, "as_fake": 1.0, "half": 0.5}


@dataclass(frozen=True)
class Rules:
    """How sets of videos are measured."""

    threshold: float = 0.5
    """A score at or above it is judged fake (metric learning, section 4.3: 0.5)."""
    missing: Unscored = "exclude"
    """What a video without a score counts as."""
    seed: int = 0
    """Of bootstrap samples."""
    resamples: int = uncertainty.RESAMPLES


@dataclass(frozen=True)
class Counted:
    """Videos that count, with the score that counts. All are (n,)."""

    labels: Labels
    scores: Scores
    scenes: Labels
    """Which are drawn together, 0 and up."""

    @property
    def both(self) -> bool:
        """Whether both classes occur."""
        return len(np.unique(self.labels)) == 2


def counted(videos: pa.Table, missing: Unscored) -> Counted:
    """Those that count of a table of :func:`pipeline.evaluation.facts.known`."""
    if missing == "exclude":
        videos = videos.filter(pc.field("status") == OK)
    return Counted(
        labels=videos.column("label").to_numpy(),
        scores=filled(videos, missing),
        scenes=np.unique(videos.column("scene").to_numpy(), return_inverse=True)[1],
    )


def filled(videos: pa.Table, missing: Unscored) -> Scores:
    """Scores (n,) of a table ``predictions_videos``; those without one have what they count as."""
    scored = np.array(videos.column("status").to_pylist(), object) == OK
    return np.where(scored, videos.column("score").to_numpy(), _COUNTS_AS.get(missing, np.nan))


def measure(faces: pa.Table, videos: pa.Table, rules: Rules) -> dict[str, float]:
    """Numbers of one set of videos and their faces. Nothing is rounded.

    Args:
        faces: table ``predictions_faces``; empty where videos were scored as a whole.
        videos: of :func:`pipeline.evaluation.facts.known`.
        rules: how.

    Returns:
        ``videos_real``, ``videos_fake``, ``faces_real``, ``faces_fake``: how many have a score;
        ``videos_missing`` and ``videos_error``: how many have none; ``coverage``: share of videos
        that have one, 0 of none;
        ``one_class``: 1 where reals or fakes are missing among those that count, else 0; and, where
        it is 0, ``video_auc`` and ``video_balanced_accuracy``; both with ``…_low`` and ``…_high``
        (95 %, bootstrap over scenes) and ``video_auc_delong_low`` and ``…_high`` (95 %, DeLong),
        where each class has two videos; ``video_eer``, ``video_average_precision``,
        ``video_tpr_at_1`` and ``video_tpr_at_5`` (share of fakes found while 1 and 5 % of reals are
        called fake); ``video_brier``, ``video_nll`` and ``video_ece`` of the mean log-odds of
        videos that have a score; ``frame_auc``, each face by itself, where both classes have some.
    """
    seen = videos.filter(pc.field("status") == OK)
    status = videos.column("status").to_pylist()
    labels = seen.column("label").to_numpy()
    face_labels = faces.column("label").to_numpy()
    numbers: dict[str, float] = {
        "videos_real": int((labels == 0).sum()),
        "videos_fake": int((labels == 1).sum()),
        "videos_missing": status.count(MISSING),
        "videos_error": status.count(ERROR),
        "coverage": seen.num_rows / max(videos.num_rows, 1),
        "faces_real": int((face_labels == 0).sum()),
        "faces_fake": int((face_labels == 1).sum()),
    }
    held = counted(videos, rules.missing)
    if not held.both:
        return numbers | {"one_class": 1}
    numbers |= {"one_class": 0} | _of_ranks(held, rules)
    if seen.num_rows:
        odds = seen.column("log_odds").to_numpy()
        numbers |= {
            "video_brier": calibration.brier(labels, odds),
            "video_nll": calibration.log_loss(labels, odds),
            "video_ece": calibration.expected_calibration_error(labels, odds),
        }
    if numbers["faces_real"] and numbers["faces_fake"]:
        face_odds = faces.column("log_odds").to_numpy()
        numbers["frame_auc"] = ranking.auc(face_labels, face_odds)
    return numbers


def _of_ranks(held: Counted, rules: Rules) -> dict[str, float]:
    labels, scores = held.labels, held.scores
    found = {
        "video_auc": ranking.auc(labels, scores),
        "video_balanced_accuracy": ranking.balanced_accuracy(labels, scores, rules.threshold),
        "video_eer": ranking.equal_error_rate(labels, scores),
        "video_average_precision": ranking.average_precision(labels, scores),
        "video_tpr_at_1": ranking.true_positives_at(labels, scores, 0.01),
        "video_tpr_at_5": ranking.true_positives_at(labels, scores, 0.05),
    }
    if min(np.bincount(labels, minlength=2)) < 2:
        return found
    low, high = uncertainty.delong_interval(labels, scores)
    found |= {"video_auc_delong_low": low, "video_auc_delong_high": high}
    for name, limits in intervals(held, rules).items():
        found |= {f"{name}_low": limits[0], f"{name}_high": limits[1]}
    return found


def intervals(held: Counted, rules: Rules) -> dict[str, tuple[float, float]]:
    """95 % intervals of AUC and balanced accuracy over bootstrap samples of scenes."""
    areas, accuracies = [], []
    for drawn in uncertainty.draws(held.scenes, rules.seed, rules.resamples):
        areas.append(uncertainty.drawn_auc(held.labels, held.scores, drawn))
        accuracies.append(
            uncertainty.drawn_balanced_accuracy(held.labels, held.scores, rules.threshold, drawn)
        )
    found = {
        "video_auc": uncertainty.interval(np.concatenate(areas)),
        "video_balanced_accuracy": uncertainty.interval(np.concatenate(accuracies)),
    }
    return {name: limits for name, limits in found.items() if limits}
