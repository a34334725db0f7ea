"""DeLong against the placements of its paper; intervals that hold what they say."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from pipeline.evaluation import uncertainty
from pipeline.evaluation.ranking import auc


def made(seed, n=40, apart=1.0):
    draw = np.random.default_rng(seed)
    labels = (np.arange(n) % 3 == 0).astype(np.int64)
    shared = draw.normal(size=n)
    first = np.round(shared + draw.normal(size=n) + apart * labels, 1)
    second = np.round(shared + draw.normal(size=n) + apart * labels, 1)
    return labels, first, second


def placements(labels, scores):
    """Structural components as DeLong, DeLong and Clarke-Pearson write them, pair by pair."""
    fakes, reals = scores[labels == 1], scores[labels == 0]
    kernel = (fakes[:, None] > reals).astype(float) + 0.5 * (fakes[:, None] == reals)
    return kernel.mean(axis=1), kernel.mean(axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_the_covariance_pair_by_pair(seed):
    labels, *scores = made(seed)
    areas, covariance = uncertainty.delong(labels, scores)
    by_fake, by_real = zip(*(placements(labels, s) for s in scores), strict=True)
    wanted = np.cov(by_fake) / (labels == 1).sum() + np.cov(by_real) / (labels == 0).sum()
    assert np.allclose(covariance, wanted, atol=1e-12)
    assert np.allclose(areas, [auc(labels, s) for s in scores], atol=1e-12)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    truth = 0.760250  # of two normal distributions, 1 apart
    held = 0
    for seed in range(300):
        draw = np.random.default_rng(seed)
        labels = np.repeat([0, 1], 60)
        low, high = uncertainty.delong_interval(labels, draw.normal(size=120) + labels)
        held += low <= truth <= high
    assert 0.90 < held / 300 < 0.99


def test_the_same_detector_does_not_differ_and_a_better_one_does():
    labels, first, _ = made(1, n=400)
    assert uncertainty.delong_p(labels, first, first) == 1.0
    assert uncertainty.delong_p(labels, first, -first) < 1e-6
    p_values = [uncertainty.delong_p(*made(seed)) for seed in range(200)]
    assert 0.01 < np.mean(np.array(p_values) < 0.05) < 0.12


def test_groups_are_drawn_whole_and_the_draws_stay():
    groups = np.array([0, 0, 1, 2, 2, 2])
    (found,) = uncertainty.draws(groups, seed=3, count=50)
    assert found.shape == (50, 6)
    for drawn in found:
        assert all(len(set(drawn[groups == group])) == 1 for group in range(3))
        assert sum(drawn[groups == group][0] for group in range(3)) == 3
    assert len({tuple(drawn) for drawn in found}) > 5
    (again,) = uncertainty.draws(groups, seed=3, count=50)
    assert (found == again).all()


def test_many_videos_are_drawn_in_parts_and_alike(monkeypatch):
    groups = np.arange(40) // 2
    (whole,) = uncertainty.draws(groups, seed=1, count=30)
    monkeypatch.setattr(uncertainty, "_NUMBERS_AT_ONCE", 400)
    parts = list(uncertainty.draws(groups, seed=1, count=30))
    assert len(parts) == 3
    assert (np.concatenate(parts) == whole).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_drawn_sample_is_measured_as_if_its_videos_were_written_out(seed):
    labels, scores, _ = made(seed, n=30)
    (drawn,) = uncertainty.draws(np.arange(30) // 2, seed, count=40)
    areas = uncertainty.drawn_auc(labels, scores, drawn)
    accuracies = uncertainty.drawn_balanced_accuracy(labels, scores, 0.5, drawn)
    for counts, area, accuracy in zip(drawn.astype(int), areas, accuracies, strict=True):
        places = np.repeat(np.arange(30), counts)
        assert area == pytest.approx(roc_auc_score(labels[places], scores[places]), abs=1e-12)
        judged = scores[places] >= 0.5
        wanted = balanced_accuracy_score(labels[places], judged)
        assert accuracy == pytest.approx(wanted, abs=1e-12)


def test_a_sample_of_one_class_has_no_number():
    labels, scores = np.array([0, 1]), np.array([0.1, 0.9])
    drawn = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    assert np.isnan(uncertainty.drawn_auc(labels, scores, drawn)).tolist() == [False, True, True]
    assert uncertainty.interval(np.array([np.nan, np.nan])) is None
    assert uncertainty.interval(np.array([np.nan, 0.5])) == (0.5, 0.5)


def test_groups_that_hang_together_widen_the_interval():
    def width(labels, scores, groups):
        (drawn,) = uncertainty.draws(groups, 0)
        low, high = uncertainty.interval(uncertainty.drawn_auc(labels, scores, drawn))
        return high - low

    labels, scores, _ = made(2, n=60)
    alone = width(labels, scores, np.arange(60))
    copies = np.repeat(np.arange(60), 4)
    together = width(labels[copies], scores[copies], copies)
    apart = width(labels[copies], scores[copies], np.arange(240))
    assert together == pytest.approx(alone, rel=0.2)
    assert apart < 0.7 * together


def test_holm_by_hand():
    assert uncertainty.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert uncertainty.holm([0.9, 0.8]) == [1.0, 1.0]
