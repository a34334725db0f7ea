"""The ranges of losses: by hand, and of a run that then is not there."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.commands.main import main
from pipeline.training.calibration import calibrate, ranges, table
from tests.training import made


def test_ranges_are_quantiles_and_a_weight_makes_medians_equal():
    losses = {"a": np.arange(101.0), "b": np.full(101, 0.25), "c": np.zeros(101)}
    found = ranges(losses, {"a": 2.0, "b": 1.0, "c": 1.0})
    a, b, c = found
    assert (a.first, a.low, a.median, a.high, a.last) == (0, 5, 50, 95, 100)
    assert a.equal_weight == pytest.approx(2.0)
    assert b.equal_weight * 0.25 == pytest.approx(2.0 * 50)
    assert math.isnan(c.equal_weight)
    lines = table(found)
    assert [line.split()[0] for line in lines[1:]] == ["loss", "a", "b", "c"]
    assert lines[-1].split()[-1] == "-"
    assert len({len(line) for line in lines[1:]}) == 1


def test_a_run_is_trained_for_some_steps_and_nothing_of_it_is_kept(tmp_path):
    made.shards(tmp_path, "train", made.planted(0, 24))
    made.shards(tmp_path, "val", made.planted(1000, 8))
    params = made.metric_learning(2, rate=1e-2)
    params = replace(params, optimizer=replace(params.optimizer, batch_size=8))
    before = sorted(tmp_path.rglob("*"))
    entropy, triplet = calibrate(made.run(params), tmp_path, 4)  # into the second epoch
    assert (entropy.name, triplet.name) == ("cross_entropy", "triplet")
    assert entropy.first == pytest.approx(math.log(2), abs=1e-3)
    assert entropy.last != entropy.first
    assert triplet.low <= triplet.median <= triplet.high
    assert calibrate(made.run(params), tmp_path, 100)  # the whole run has six
    assert sorted(tmp_path.rglob("*")) == before
    assert torch.is_grad_enabled()


def test_the_command_prints_the_table_or_one_sentence(tmp_path, monkeypatch, capsys):
    run = "{model: {architecture: vit, size: tiny}, objective: {kind: metric_learning, triplet: "
    run += "batch_all}, also: train, optimizer: {batch_size: 8}}"
    (tmp_path / "params.yaml").write_text(f"runs: {{a: {run}}}\n")
    monkeypatch.chdir(tmp_path)
    assert main(["calibrate", "a"]) == 2
    assert "data/shards/train does not exist" in capsys.readouterr().err
    made.shards(tmp_path / "data/shards", "train", made.planted(0, 16))
    made.shards(tmp_path / "data/shards", "val", made.planted(1000, 8))
    assert main(["calibrate", "a", "--steps", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["Losses", "loss", "cross_entropy", "triplet"]
    assert main(["calibrate", "b"]) == 2
    assert "no run 'b'" in capsys.readouterr().err
