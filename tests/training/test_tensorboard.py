"""Epochs in event files, where the package is installed."""

import pytest

pytest.importorskip("tensorboard")

from pipeline.training import tensorboard
from pipeline.training.loop import train
from tests.training import made


def _read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]
    }


def test_epochs_are_written_and_a_second_attempt_replaces_the_first(tmp_path):
    for epoch, loss in ((1, 0.5), (2, 0.75), (2, 0.25)):
        row = {"epoch": float(epoch), "train_loss": loss, "val_auc": float("nan")}
        tensorboard.add_epoch(tmp_path, row)
    assert _read(tmp_path) == {"train_loss": [(1, 0.5), (2, 0.25)]}


def test_a_run_writes_its_columns(tmp_path):
    made.shards(tmp_path, "train", made.planted(0, 16))
    made.shards(tmp_path, "val", made.planted(1000, 8))
    run = made.run(made.metric_learning(2, "none"))
    train(run, tmp_path, tmp_path / "toy", tmp_path / "toy.csv", tmp_path / "board")
    found = _read(tmp_path / "board")
    losses = {"train_cross_entropy", "val_cross_entropy"}
    assert set(found) == losses | {"learning_rate", "val_auc", "val_accuracy"}
    assert [step for step, _ in found["val_auc"]] == [1, 2]
