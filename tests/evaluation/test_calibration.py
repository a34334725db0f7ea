"""Losses equal scikit-learn's; a temperature undoes the one that was put in."""

import numpy as np
import pytest
from sklearn import metrics

from pipeline.evaluation import calibration

DRAW = np.random.default_rng(0)
LOG_ODDS = DRAW.normal(0, 2, 4000)
LABELS = (DRAW.random(4000) < 1 / (1 + np.exp(-LOG_ODDS))).astype(np.int64)


def test_losses_as_scikit_learn():
    p = 1 / (1 + np.exp(-LOG_ODDS))
    assert calibration.log_loss(LABELS, LOG_ODDS) == pytest.approx(
        metrics.log_loss(LABELS, p), abs=1e-9
    )
    assert calibration.brier(LABELS, LOG_ODDS) == pytest.approx(
        metrics.brier_score_loss(LABELS, p), abs=1e-9
    )
    assert np.allclose(calibration.probability(LOG_ODDS), p, atol=1e-15)


def test_extreme_log_odds_are_finite():
    extreme = np.array([-2000.0, 2000.0])
    assert calibration.log_loss(np.array([1, 0]), extreme) == pytest.approx(2000)
    assert calibration.probability(extreme).tolist() == [0.0, 1.0]


def test_the_error_of_calibration_by_its_definition():
    p = 1 / (1 + np.exp(-LOG_ODDS))
    total = 0.0
    for low in np.arange(15) / 15:
        inside = (p >= low) & (p < low + 1 / 15) if low < 14 / 15 - 1e-9 else p >= low
        if inside.any():
            total += inside.mean() * abs(p[inside].mean() - LABELS[inside].mean())
    assert calibration.expected_calibration_error(LABELS, LOG_ODDS) == pytest.approx(
        total, abs=1e-9
    )
    assert total < 0.03
    assert calibration.expected_calibration_error(LABELS, 5 * LOG_ODDS) > 0.05


@pytest.mark.parametrize("factor", [0.2, 1.0, 7.0])
def test_the_temperature_is_what_log_odds_were_multiplied_by(factor):
    fitted = calibration.temperature(LABELS, LOG_ODDS)
    assert fitted == pytest.approx(1, abs=0.1)
    found = calibration.temperature(LABELS, factor * LOG_ODDS)
    assert found == pytest.approx(factor * fitted, rel=1e-3)
    grid = [
        calibration.log_loss(LABELS, factor * LOG_ODDS / t) for t in found * np.array([0.9, 1.1])
    ]
    assert calibration.log_loss(LABELS, factor * LOG_ODDS / found) < min(grid)


def test_nothing_to_fit():
    assert calibration.temperature(np.array([1, 1]), np.array([1.0, 2.0])) == 1.0
    assert calibration.temperature(np.array([0, 1]), np.zeros(2)) == 1.0
