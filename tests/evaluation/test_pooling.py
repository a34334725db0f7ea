"""Ways of pooling against their words."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from pipeline.evaluation import pooling
from tests.evaluation import made
from tests.evaluation.test_measures import sample, scored


def by_hand(scores):
    odds = np.log(np.array(scores) / (1 - np.array(scores)))
    return {
        "mean": np.mean(scores),
        "median": np.median(scores),
        "max": max(scores),
        "top_5": np.mean(sorted(scores)[::-1][:5]),
        "mean_log_odds": 1 / (1 + np.exp(-np.mean(odds))),
    }


def test_each_way_by_hand_and_videos_without_a_face():
    scores = [0.9, 0.1, 0.3, 0.2, 0.8, 0.7, 0.6]
    rows = [("a/DF/0", "test", 1, score) for score in scores] + [("a/real/0", "test", 0, 0.3)]
    faces, videos = made.known(rows, [("a/real/1", "test", 0)])
    found = pooling.pooled(faces, videos)
    assert set(found) == set(by_hand(scores))
    for name, value in by_hand(scores).items():
        assert found[name] == pytest.approx([value, 0.3, -1], abs=1e-12), name


def test_the_table_is_that_of_independent_code_at_any_order_of_faces():
    faces, videos = sample(seed=5)
    found = pooling.table(faces, videos, 0.4)
    labels = videos.column("label").to_numpy()
    of = {}
    for video, _, _, score in scored(seed=5):
        of.setdefault(video, []).append(score)
    pooled = [by_hand(of[video]) for video in videos.column("video_id").to_pylist()]
    for name, numbers in found.items():
        scores = np.array([one[name] for one in pooled])
        area = roc_auc_score(labels, np.round(scores, 12))  # ties differ in the last bit
        assert numbers["video_auc"] == pytest.approx(area, abs=1e-9), name
        judged = balanced_accuracy_score(labels, np.round(scores, 12) >= 0.4)
        assert numbers["video_balanced_accuracy"] == pytest.approx(judged, abs=1e-9), name
    shuffled = np.random.default_rng(0).permutation(faces.num_rows)
    assert pooling.table(faces.take(shuffled), videos, 0.4) == found
    assert pooling.table(faces.slice(0, 0), videos, 0.4) == {}
