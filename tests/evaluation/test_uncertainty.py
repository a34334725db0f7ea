"""DeLong against the placements of its paper; intervals that hold what they say."""

import numpy as np
import pytest

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


def test_groups_are_drawn_whole():
    groups = np.array([0, 0, 1, 2, 2, 2])
    labels = np.array([0, 1, 0, 1, 0, 1])
    found = uncertainty.resamples(groups, labels, seed=3, count=50)
    assert found
    for places in found:
        counts = np.bincount(places, minlength=6)
        for group in range(3):
            assert len(set(counts[groups == group].tolist())) == 1
    again = uncertainty.resamples(groups, labels, seed=3, count=50)
    assert all((a == b).all() for a, b in zip(found, again, strict=True))


def test_groups_that_hang_together_widen_the_interval():
    labels, scores, _ = made(2, n=60)
    alone = uncertainty.bootstrap_auc(labels, scores, np.arange(60), 0)
    copies = np.repeat(np.arange(60), 4)
    together = uncertainty.bootstrap_auc(labels[copies], scores[copies], copies, 0)
    apart = uncertainty.bootstrap_auc(labels[copies], scores[copies], np.arange(240), 0)
    assert together[1] - together[0] == pytest.approx(alone[1] - alone[0], rel=0.2)
    assert apart[1] - apart[0] < 0.7 * (together[1] - together[0])


def test_holm_by_hand():
    assert uncertainty.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert uncertainty.holm([0.9, 0.8]) == [1.0, 1.0]
