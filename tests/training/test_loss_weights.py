"""Weights of losses that change while a run trains: what they are given, and that they resume."""

import csv
import itertools
from dataclasses import replace

import pytest
import torch

from pipeline.training import checkpoint, loop
from pipeline.training.loop import train
from pipeline.training.loss_weights import LossWeights
from pipeline.training.objective import MetricLearning
from pipeline.training.step import Learner
from tests.training import made


class _Changing(LossWeights):
    """Follows the losses of a second batch at other parameters, and the means of each epoch."""

    second_from = "train"
    seen: list[tuple[torch.Tensor, torch.Tensor]]

    def before_step(self, losses, optimizer, batch, second):
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        kept = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for parameter in parameters:
                parameter.mul_(1 - optimizer.param_groups[0]["lr"])
            found = losses(second)
            for parameter, value in zip(parameters, kept, strict=True):
                parameter.copy_(value)
        self.current["triplet"] = 0.9 * self.current["triplet"] + 0.1 * found["triplet"].item()
        self.seen.append((batch.images, second.images))

    def after_epoch(self, means):
        self.current["cross_entropy"] = 1 + means["cross_entropy"]

    def columns(self):
        return {f"weight_{name}": value for name, value in self.current.items()}


@pytest.fixture
def changing(monkeypatch):
    real = MetricLearning.__init__

    def init(self, *arguments):
        real(self, *arguments)
        self.weights = _Changing(self.weights.current)

    monkeypatch.setattr(MetricLearning, "__init__", init)
    monkeypatch.setattr(_Changing, "seen", [], raising=False)
    return _Changing.seen


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    root = tmp_path_factory.mktemp("small")
    made.shards(root, "train", made.planted(0, 24))
    made.shards(root, "val", made.planted(1000, 8))
    return root


def _params():
    params = made.metric_learning(2)
    smaller = replace(params.optimizer, batch_size=8)  # three steps per epoch
    return replace(params, optimizer=smaller, augmentation="flip")


def _train(shards, folder):
    train(made.run(_params()), shards, folder / "toy", folder / "toy.csv")
    with (folder / "toy.csv").open() as file:
        return list(csv.DictReader(file))


def test_fixed_weights_have_no_columns_and_see_no_second_batch(small, tmp_path):
    weights = LossWeights({"root": 1.0})
    assert weights.second_from == ""
    assert weights.columns() == {}
    assert weights.state_dict() == {"current": {"root": 1.0}}
    assert not [name for name in _train(small, tmp_path)[0] if name.startswith("weight")]


def test_what_changes_is_given_other_faces_and_is_in_the_history(small, tmp_path, changing):
    rows = _train(small, tmp_path)
    assert len(changing) == 2 * 3
    for batch, second in changing:
        assert batch.shape == second.shape
        assert not batch.equal(second)

    # Over an epoch both are all faces of train, in two orders.
    def all_of(which, epoch):
        pictures = torch.cat([pair[which] for pair in changing[3 * epoch : 3 * epoch + 3]])
        return sorted(picture.abs().sum().item() for picture in pictures)

    assert all_of(0, 0) == pytest.approx(all_of(1, 0), rel=1e-5)
    assert rows[0]["weight_cross_entropy"] == "1"  # as it was in this epoch
    first = 1 + float(rows[0]["train_cross_entropy"])
    assert float(rows[1]["weight_cross_entropy"]) == pytest.approx(first, rel=1e-5)
    assert rows[0]["weight_triplet"] != rows[1]["weight_triplet"]


def test_interrupted_anywhere_they_go_on_to_the_same_bytes(small, tmp_path, changing, monkeypatch):
    _train(small, tmp_path / "whole")
    whole = (tmp_path / "whole/toy/last.pt").read_bytes()
    seen = list(changing)
    real = Learner.step
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    for stop_at in (2, 5):
        changing.clear()
        steps = itertools.count(1)

        def interrupted(self, *arguments, steps=steps, stop_at=stop_at):
            if next(steps) == stop_at:
                raise KeyboardInterrupt
            return real(self, *arguments)

        monkeypatch.setattr(Learner, "step", interrupted)
        folder = tmp_path / f"stop{stop_at}"
        with pytest.raises(KeyboardInterrupt):
            _train(small, folder)
        _train(small, folder)
        assert (folder / "toy/last.pt").read_bytes() == whole
        assert all(
            one.equal(other)
            for pair, again in zip(seen, changing, strict=True)
            for one, other in zip(pair, again, strict=True)
        )


def test_a_state_from_before_there_were_changing_weights_is_gone_on_from(small, tmp_path):
    run = made.run(_params())
    _train(small, tmp_path)
    path = tmp_path / "toy/last.pt"
    state = checkpoint.load(path)
    del state["loss_weights"], state["format"]
    checkpoint.save(path, state)
    assert train(run, small, tmp_path / "toy", tmp_path / "toy.csv") == 0
