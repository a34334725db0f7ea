"""Metrics against their definitions, counted pair by pair."""

import json
from fractions import Fraction
from itertools import product
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation import metrics
from pipeline.evaluation.measures import Rules
from pipeline.models.scores import auc, balanced_accuracy
from tests.evaluation import made

RULES = Rules(resamples=50)
SCORED = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=40).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)
"""Few different scores, so that ties are common."""


def _pairwise_auc(labels, scores):
    """Mann-Whitney: share of (fake, real) pairs in which the fake scores higher; ties half."""
    reals = [score for label, score in zip(labels, scores, strict=True) if label == 0]
    fakes = [score for label, score in zip(labels, scores, strict=True) if label == 1]
    pairs = [Fraction((fake > real) - (fake < real) + 1, 2) for fake, real in product(fakes, reals)]
    return float(sum(pairs) / len(pairs))


@settings(max_examples=100, deadline=None)
@given(SCORED)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows):
    labels, scores = zip(*[(label, score / 20) for label, score in rows], strict=True)
    assert auc(labels, scores) == pytest.approx(_pairwise_auc(labels, scores), abs=6e-7)


@settings(max_examples=100, deadline=None)
@given(SCORED, st.sampled_from((0.25, 0.5, 1.0)))
def test_balanced_accuracy_is_the_mean_of_two_shares(rows, threshold):
    labels, scores = zip(*[(label, score / 20) for label, score in rows], strict=True)
    right = {0: [], 1: []}
    for label, score in zip(labels, scores, strict=True):
        right[label].append((score >= threshold) == bool(label))
    shares = [Fraction(sum(found), len(found)) for found in right.values()]
    expected = float(sum(shares) / 2)
    found = balanced_accuracy(labels, scores, threshold)
    assert found == pytest.approx(expected, abs=6e-7)


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], []])
def test_one_class_has_no_measure(labels):
    scores = [0.5] * len(labels)
    with pytest.raises(ValueError, match="both occur"):
        auc(labels, scores)
    with pytest.raises(ValueError, match="both occur"):
        balanced_accuracy(labels, scores, 0.5)


def _evaluate(rows, extra_videos=()):
    """Metrics of (video_id, split, label, score) rows and of videos without a face."""
    return metrics.rounded(metrics.evaluate(*made.known(rows, extra_videos), RULES))


ROWS = [
    ("a/real/000", "test", 0, 0.2),
    ("a/real/000", "test", 0, 0.4),
    ("a/real/001", "test", 0, 0.6),
    ("a/DF/000", "test", 1, 0.5),
    ("a/DF/000", "test", 1, 0.3),
    ("a/FS/000", "test", 1, 0.9),
    ("b/unknown/x", "test", 1, 0.55),
    ("a/real/009", "val", 0, 0.1),
]


def test_each_method_is_measured_against_the_reals_of_its_dataset():
    found = _evaluate(ROWS)
    test = found["test"]
    assert set(test["datasets"]) == {"a", "b"}
    # Videos: reals 0.3 and 0.6, DF 0.4, FS 0.9.
    deepfakes, faceswap = test["datasets"]["a"]["methods"].values()
    of_odds = {name: deepfakes.pop(f"video_{name}") for name in ("brier", "nll", "ece")}
    assert all(0 < value < 2 for value in of_odds.values())
    assert deepfakes == {
        "videos_real": 2,
        "videos_fake": 1,
        "videos_missing": 0,
        "videos_error": 0,
        "coverage": 1.0,
        "faces_real": 3,
        "faces_fake": 2,
        "one_class": 0,
        "video_auc": 0.5,
        "video_balanced_accuracy": 0.25,
        "frame_auc": 0.5,
        # 0.6 real, 0.4 fake, 0.3 real: one of two is fake when the fake is found.
        "video_eer": 0.5,
        "video_average_precision": 0.5,
        "video_tpr_at_1": 0.0,
        "video_tpr_at_5": 0.0,
    }
    assert (faceswap["video_auc"], faceswap["video_balanced_accuracy"]) == (1.0, 0.75)
    assert test["datasets"]["a"]["overall"]["video_auc"] == 0.75
    assert test["overall"]["videos_fake"] == 3
    # By hand, of six pairs: 0.4, 0.9 and 0.55 against 0.3 and 0.6: four in order.
    assert test["overall"]["video_auc"] == pytest.approx(4 / 6, abs=1e-6)


def test_one_class_is_reported_as_such():
    found = _evaluate(ROWS)
    only_fakes = found["test"]["datasets"]["b"]
    expected = {
        "videos_real": 0,
        "videos_fake": 1,
        "videos_missing": 0,
        "videos_error": 0,
        "coverage": 1.0,
        "faces_real": 0,
        "faces_fake": 1,
        "one_class": 1,
    }
    assert only_fakes == {"overall": expected, "methods": {"unknown": expected}, "pooling": {}}
    only_reals = found["val"]["datasets"]["a"]
    assert only_reals["methods"] == {}
    assert only_reals["overall"]["one_class"] == 1
    assert "video_auc" not in only_reals["overall"]


def test_videos_without_a_face_are_counted_and_change_nothing_else():
    more = [("a/DF/005", "test", 1), ("a/real/005", "test", 0), ("c/EFS/1", "test", 1)]
    plain, found = _evaluate(ROWS)["test"], _evaluate(ROWS, more)["test"]
    gaps = {"videos_missing": 3, "coverage": 5 / 8}
    assert found["overall"] == plain["overall"] | gaps
    methods = found["datasets"]["a"]["methods"]
    assert methods["DF"]["videos_missing"] == 2
    assert methods["FS"]["videos_missing"] == 1
    for method, numbers in plain["datasets"]["a"]["methods"].items():
        assert methods[method] | {"videos_missing": 0, "coverage": 1.0} == numbers
    faceless = found["datasets"]["c"]["overall"]
    assert (faceless["videos_fake"], faceless["one_class"]) == (0, 1)


def test_no_video_no_entry():
    assert _evaluate([]) == {"meaningless": 0}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("a", "b")),
            st.sampled_from(("real", "DF", "FS")),
            st.sampled_from(("000", "001")),
            st.integers(0, 8),
        ),
        max_size=24,
    ),
    st.randoms(use_true_random=False),
)
def test_any_set_gives_finite_numbers_in_any_order(drawn, random):
    rows = [(f"{d}/{m}/{n}", "val", int(m != "real"), score / 8) for d, m, n, score in drawn]
    found = _evaluate(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert _evaluate(shuffled) == found
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    if "val" in found:
        overall = found["val"]["overall"]
        means = {v: fmean([r[3] for r in rows if r[0] == v]) for v in {r[0] for r in rows}}
        labels = [int("/real/" not in video) for video in means]
        assert overall["one_class"] == int(len(set(labels)) < 2)
        if not overall["one_class"]:
            expected = _pairwise_auc(labels, [round(m, 6) for m in means.values()])
            assert overall["video_auc"] == pytest.approx(expected, abs=6e-7)


def test_it_says_when_scores_mean_nothing():
    assert metrics.evaluate(*made.known(ROWS), RULES, True)["meaningless"] == 1


def test_what_val_fits_is_used_on_test():
    """On val 0.3 parts the classes, on test it calls one real of two fake; 0.5 misses a fake."""
    rows = [(f"a/real/v{i}", "val", 0, s) for i, s in enumerate((0.1, 0.2))]
    rows += [(f"a/DF/v{i}", "val", 1, s) for i, s in enumerate((0.4, 0.8))]
    rows += [(f"a/real/t{i}", "test", 0, s) for i, s in enumerate((0.25, 0.35))]
    rows += [(f"a/DF/t{i}", "test", 1, s) for i, s in enumerate((0.45, 0.9))]
    found = _evaluate(rows)
    assert found["fitted"]["threshold"] == pytest.approx(0.3)
    assert found["fitted"]["temperature"] > 0
    overall = found["test"]["overall"]
    assert overall["video_balanced_accuracy"] == 0.75
    assert overall["video_balanced_accuracy_fitted"] == 0.75
    assert found["test"]["datasets"]["a"]["overall"]["video_balanced_accuracy_fitted"] == 0.75
    assert 0 <= overall["video_auc_low"] <= overall["video_auc"] == 1.0
    assert "fitted" not in metrics.headline(found)
    assert "video_balanced_accuracy_fitted" not in found["val"]["overall"]


def test_scores_that_saturate_are_told_apart_by_their_log_odds():
    """Probabilities of 1e-8 and of 3e-8 were one number when scores were rounded."""
    rows = [("a/real/0", "test", 0, 1e-8), ("a/DF/0", "test", 1, 3e-8)]
    assert _evaluate(rows)["test"]["overall"]["video_auc"] == 1.0
