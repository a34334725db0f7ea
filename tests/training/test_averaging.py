"""Averages of weights against sums by hand."""

import torch

from pipeline.config.training_options import AveragingParams
from pipeline.training.averaging import Averages


class _Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        self.register_buffer("seen", torch.tensor(0))


def _set(model, value, seen=0):
    with torch.no_grad():
        model.weight.fill_(value)
        model.seen.fill_(seen)


def test_the_moving_average_is_the_recursion():
    model = _Model()
    averages = Averages(model, AveragingParams(ema=0.9), 3)
    expected = torch.tensor([1.0, 2.0])
    for step, value in enumerate([3.0, -1.0, 5.0]):
        _set(model, value, step + 1)
        averages.after_step()
        expected = 0.9 * expected + 0.1 * value
    with averages.moving():
        torch.testing.assert_close(model.weight.detach(), expected)
        assert model.seen == 3  # what cannot be averaged is as it is now
    assert model.weight.tolist() == [5.0, 5.0]


def test_the_soup_is_the_mean_of_the_last_epochs_and_goes_on_from_its_state():
    model = _Model()
    averages = Averages(model, AveragingParams(last_epochs=3), 5)
    for epoch, value in enumerate([100.0, 100.0, 1.0, 2.0, 6.0]):
        _set(model, value)
        averages.after_step()
        averages.after_epoch(epoch)
        state = averages.state_dict()
        averages = Averages(model, AveragingParams(last_epochs=3), 5)
        averages.load_state_dict(state)
    with averages.of_epochs():
        assert model.weight.tolist() == [3.0, 3.0]
    assert model.weight.tolist() == [6.0, 6.0]


def test_a_soup_of_a_moving_average():
    model = _Model()
    averages = Averages(model, AveragingParams(ema=0.5, last_epochs=2), 2)
    for epoch, value in enumerate([3.0, 5.0]):
        _set(model, value)
        averages.after_step()
        averages.after_epoch(epoch)
    # 0.5 * [1, 2] + 1.5 = [2, 2.5]; then [3.5, 3.75].
    with averages.of_epochs():
        torch.testing.assert_close(model.weight.detach(), torch.tensor([2.75, 3.125]))


def test_nothing_is_kept_where_nothing_is_averaged():
    model = _Model()
    averages = Averages(model, AveragingParams(), 2)
    averages.after_step()
    averages.after_epoch(1)
    assert averages.state_dict() == {"ema": {}, "soup": {}, "souped": 0}
    with averages.moving(), averages.of_epochs():
        assert model.weight.tolist() == [1.0, 2.0]
