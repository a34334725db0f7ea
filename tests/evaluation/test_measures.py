"""Every number of a set of videos against scikit-learn, and against a DeLong written here."""

import numpy as np
import pyarrow.compute as pc
import pytest
from scipy.stats import norm
from sklearn import metrics as sk

from pipeline.evaluation import facts
from pipeline.evaluation.aggregate import per_video
from pipeline.evaluation.measures import Rules, counted, measure
from tests.evaluation import made

RULES = Rules(threshold=0.4, resamples=60)


def scored(n=60, seed=0, apart=0.25):
    """Videos of two or three faces each, in scenes of up to three; ties are common."""
    draw = np.random.default_rng(seed)
    rows = []
    for place in range(n):
        label = int(place % 3 > 0)
        for _ in range(2 + place % 2):
            score = float(np.round(np.clip(draw.uniform(0, 0.7) + apart * label, 0.02, 0.98), 2))
            rows.append((f"a/{('real', 'DF')[label]}/{place:03}", "test", label, score))
    return rows


def sample(n=60, seed=0):
    faces, videos = made.known(scored(n, seed))
    return faces, videos


def delong_variance(labels, scores):
    """Variance of the AUC from all pairs, as DeLong, DeLong and Clarke-Pearson write it."""
    fakes, reals = scores[labels == 1], scores[labels == 0]
    won = [[(f > r) + (f == r) / 2 for r in reals] for f in fakes]
    by_fake, by_real = np.mean(won, axis=1), np.mean(won, axis=0)
    return np.var(by_fake, ddof=1) / len(fakes) + np.var(by_real, ddof=1) / len(reals)


def equal_error_rate(labels, scores):
    """By bisection on scikit-learn's curve."""
    false, true, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - np.interp(middle, false, true) > middle else (low, middle)
    return low


@pytest.mark.parametrize("seed", range(4))
def test_every_number_is_that_of_independent_code(seed):
    faces, videos = sample(seed=seed)
    found = measure(faces, videos, RULES)
    labels, scores = (videos.column(name).to_numpy() for name in ("label", "score"))
    odds = videos.column("log_odds").to_numpy()
    face_labels, face_scores = (faces.column(name).to_numpy() for name in ("label", "score"))
    p = 1 / (1 + np.exp(-odds))
    false, true, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    area = sk.roc_auc_score(labels, scores)
    half = norm.ppf(0.975) * delong_variance(labels, scores) ** 0.5
    bins = np.clip((p * 15).astype(int), 0, 14)
    gaps = [abs((p[bins == b] - labels[bins == b]).sum()) for b in range(15)]
    wanted = {
        "video_auc": area,
        "video_balanced_accuracy": sk.balanced_accuracy_score(labels, scores >= 0.4),
        "frame_auc": sk.roc_auc_score(face_labels, face_scores),
        "video_average_precision": sk.average_precision_score(labels, scores),
        "video_tpr_at_1": true[false <= 0.01].max(),
        "video_tpr_at_5": true[false <= 0.05].max(),
        "video_eer": equal_error_rate(labels, scores),
        "video_brier": sk.brier_score_loss(labels, p),
        "video_nll": sk.log_loss(labels, p),
        "video_ece": sum(gaps) / len(labels),
        "video_auc_delong_low": max(0, area - half),
        "video_auc_delong_high": min(1, area + half),
        "coverage": 1,
        "videos_real": 20,
        "videos_fake": 40,
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name
    for name in ("video_auc", "video_balanced_accuracy"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]


def gaps(policy):
    """Two reals and two fakes with scores, a real and two fakes without."""
    rows = [("a/real/0", "test", 0, 0.2), ("a/real/1", "test", 0, 0.6)]
    rows += [("a/DF/0", "test", 1, 0.5), ("a/DF/1", "test", 1, 0.9)]
    absent = [("a/real/9", "test", 0), ("a/DF/8", "test", 1), ("a/DF/9", "test", 1)]
    return measure(*made.known(rows, absent), Rules(missing=policy, resamples=20))


@pytest.mark.parametrize(
    ("policy", "filled"), [("as_real", 0.0), ("as_fake", 1.0), ("half", 0.5), ("exclude", None)]
)
def test_what_videos_without_a_score_count_as(policy, filled):
    found = gaps(policy)
    labels, scores = [0, 0, 1, 1], [0.2, 0.6, 0.5, 0.9]
    if filled is not None:
        labels, scores = [*labels, 0, 1, 1], [*scores, filled, filled, filled]
    assert found["video_auc"] == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-9)
    judged = np.array(scores) >= 0.5
    wanted = sk.balanced_accuracy_score(labels, judged)
    assert found["video_balanced_accuracy"] == pytest.approx(wanted, abs=1e-9)
    # Counts, coverage and calibration are of what has a score, whatever the others count as.
    assert (found["videos_real"], found["videos_fake"], found["videos_missing"]) == (2, 2, 3)
    assert found["coverage"] == pytest.approx(4 / 7)
    assert found["video_nll"] == gaps("exclude")["video_nll"]


def test_scenes_are_leak_groups_else_people_else_videos():
    names = [f"a/real/{i}" for i in range(6)]
    rows = made.videos([(name, "test", 0) for name in names]).to_pylist()
    for row, (group, person) in zip(
        rows, [("g", "x"), ("g", ""), ("", "x"), ("", "x"), ("", ""), ("", "")], strict=True
    ):
        row |= {"leak_group": group, "identity": person}
    videos = made.videos_of(rows)
    faces = made.faces([(name, "test", 0, 0.5) for name in names])
    known = facts.known(per_video(faces, videos), videos, faces)
    zero, one, two, three, four, five = known.column("scene").to_pylist()
    assert (zero == one, two == three) == (True, True)
    assert len({zero, two, four, five}) == 4
    held = counted(known, "exclude")
    assert sorted(set(held.scenes.tolist())) == [0, 1, 2, 3]
    assert not held.both


def test_one_scene_per_class_gives_an_interval_of_what_can_be_drawn():
    rows = [(f"a/real/{i}", "test", 0, 0.1) for i in range(3)]
    rows += [(f"a/DF/{i}", "test", 1, 0.9) for i in range(3)]
    found = measure(*made.known(rows), RULES)
    assert (found["video_auc_low"], found["video_auc_high"]) == (1.0, 1.0)


def test_no_video_is_covered_by_nothing():
    faces, videos = sample(n=3)
    nothing = pc.field("label") == 7
    found = measure(faces.filter(nothing), videos.filter(nothing), RULES)
    assert (found["coverage"], found["one_class"]) == (0, 1)
