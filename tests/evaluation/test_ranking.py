"""Measures equal those of scikit-learn, or the sentence that defines them, to 1e-9."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from pipeline.evaluation import ranking


@st.composite
def scored(draw, tied=True):
    n = draw(st.integers(2, 60))
    labels = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    labels[:2] = [0, 1]
    values = st.integers(0, 8) if tied else st.floats(0, 1)
    scores = draw(st.lists(values, min_size=n, max_size=n))
    return np.array(labels), np.array(scores, np.float64)


@settings(max_examples=60, deadline=None)
@given(scored())
def test_as_scikit_learn(found):
    labels, scores = found
    assert ranking.auc(labels, scores) == pytest.approx(
        metrics.roc_auc_score(labels, scores), abs=1e-9
    )
    assert ranking.average_precision(labels, scores) == pytest.approx(
        metrics.average_precision_score(labels, scores), abs=1e-9
    )
    far, near, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    for most in (0.01, 0.05, 0.5):
        wanted = max(t for f, t in zip(far, near, strict=True) if f <= most)
        assert ranking.true_positives_at(labels, scores, most) == pytest.approx(wanted, abs=1e-9)
    # Where the line from one corner to the other meets the curve, on a fine grid.
    grid = np.linspace(0, 1, 20_001)
    wanted = grid[np.argmin(np.abs(1 - np.interp(grid, far, near) - grid))]
    vertical = any(f == far[i + 1] for i, f in enumerate(far[:-1]))
    if not vertical:
        assert ranking.equal_error_rate(labels, scores) == pytest.approx(wanted, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(scored())
def test_the_equal_error_is_between_its_neighbours(found):
    labels, scores = found
    rate = ranking.equal_error_rate(labels, scores)
    assert 0 <= rate <= 1
    assert ranking.equal_error_rate(1 - labels, -scores) == pytest.approx(rate, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(scored())
def test_no_threshold_is_better_than_the_best(found):
    labels, scores = found

    def accuracy(threshold):
        return metrics.balanced_accuracy_score(labels, scores >= threshold)

    best = ranking.best_threshold(labels, scores)
    assert np.isfinite(best)
    every = [*np.unique(scores), scores.max() + 1]
    assert accuracy(best) == pytest.approx(max(map(accuracy, every)), abs=1e-12)


def test_scores_that_differ_in_the_last_digits_are_told_apart():
    """What rounding to a millionth took for ties."""
    labels, scores = np.array([0, 0, 1, 1]), np.array([4e-8, 5e-8, 1.1e-7, 2e-7])
    assert ranking.auc(labels, scores) == 1.0


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], [0, 2]])
def test_one_class_is_refused(labels):
    with pytest.raises(ValueError, match="both"):
        ranking.auc(np.array(labels), np.array([0.1, 0.2]))


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="finite"):
        ranking.auc(np.array([0, 1]), np.array([0.1, np.nan]))
