"""The learning rate at every step."""

import math

import pytest
import torch

from pipeline.config.run_params import OptimizerParams
from pipeline.training.schedule import learning_rate

PARAMS = OptimizerParams(2e-3, 0.05, epochs=10, batch_size=8, warmup_epochs=2)


def test_warm_up_is_linear_and_then_torchs_cosine_follows():
    steps = 5
    rates = [learning_rate(PARAMS, n / steps) for n in range(10 * steps)]
    assert rates[: 2 * steps] == pytest.approx([2e-3 * n / (2 * steps) for n in range(2 * steps)])
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-3)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(other, T_max=8 * steps)
    for rate in rates[2 * steps :]:
        assert rate == pytest.approx(other.param_groups[0]["lr"], rel=1e-9)
        other.step()
        cosine.step()
    assert learning_rate(PARAMS, 10.0) == pytest.approx(0.0, abs=1e-18)


def test_without_warm_up_the_first_step_has_the_full_rate():
    params = OptimizerParams(1.0, 0.0, epochs=4, batch_size=8, warmup_epochs=0)
    assert learning_rate(params, 0.0) == 1.0
    assert learning_rate(params, 2.0) == pytest.approx(0.5)
    assert learning_rate(params, 1.0) == pytest.approx(0.5 + math.sqrt(0.5) / 2)


def _fsfm_rate(epoch, rate, least, warmup, epochs):
    """The rule of FSFM's and MAE's public fine-tuning code, written from its description."""
    if epoch < warmup:
        return rate * epoch / warmup
    share = (epoch - warmup) / (epochs - warmup)
    return least + (rate - least) * 0.5 * (1.0 + math.cos(math.pi * share))


@pytest.mark.parametrize(("base", "highest"), [("lr", 1e-4), ("blr", 2.5e-5)])
def test_the_papers_schedule_at_stated_steps(base, highest):
    params = OptimizerParams(base_rate=base, min_learning_rate=1e-6, layer_decay=0.75)
    assert params.highest_rate == pytest.approx(highest, rel=1e-12)
    for epochs_done in (0, 0.1, 2.5, 5, 5.001, 12.25, 17.5, 29.999, 30):
        expected = _fsfm_rate(epochs_done, highest, 1e-6, 5, 30)
        assert learning_rate(params, epochs_done) == pytest.approx(expected, rel=1e-12)
    assert learning_rate(params, 0) == 0
    assert learning_rate(params, 5) == pytest.approx(highest, rel=1e-12)
    assert learning_rate(params, 17.5) == pytest.approx((highest + 1e-6) / 2, rel=1e-12)
    assert learning_rate(params, 30) == pytest.approx(1e-6, rel=1e-12)


@pytest.mark.parametrize("half", [1, 2, 5])
def test_the_restarting_schedule_is_torchs_with_one_more_step_where_the_rate_is_0(half):
    params = OptimizerParams(
        6e-7, epochs=20, warmup_epochs=0, schedule="restarting", restart_epochs=half
    )
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=6e-7)
    waves = torch.optim.lr_scheduler.CosineAnnealingLR(other, T_max=half)
    for epoch in range(20):
        for share in (0.0, 0.5, 0.999):
            rate = learning_rate(params, epoch + share)
            assert rate == pytest.approx(other.param_groups[0]["lr"], rel=1e-6)
        assert rate > 0
        other.step()
        waves.step()
        if other.param_groups[0]["lr"] < 1e-20:
            waves.step()
