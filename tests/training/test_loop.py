"""The whole trainer: it learns what is there, learns nothing where nothing is, and resumes."""

import csv
import json
import math
import re
import shutil
from dataclasses import replace

import pytest
import torch

from pipeline import models
from pipeline.config.objectives import LevelWeights
from pipeline.config.run_params import ModelParams
from pipeline.config.training_options import AveragingParams
from pipeline.config.values import Weights
from pipeline.engine import store
from pipeline.errors import UserError
from pipeline.training import checkpoint, loop
from pipeline.training.data import normalised
from pipeline.training.loop import train
from pipeline.training.step import Learner
from pipeline.training.triplets import TRIPLETS
from tests.training import made

LEARNING_EPOCHS = 6


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Shards of 40 train, 8 expanded and 20 val faces."""
    root = tmp_path_factory.mktemp("small")
    made.shards(root, "train", made.planted(0, 40))
    made.shards(root, "expanded", [s for s in made.planted(2000, 16) if s.label])
    made.shards(root, "val", made.planted(1000, 20))
    return root


def _train(params, shards, folder, **change):
    train(replace(made.run(params), **change), shards, folder / "models/toy", folder / "toy.csv")


def _history(folder):
    with (folder / "toy.csv").open() as file:
        return list(csv.DictReader(file))


def _bytes(folder):
    files = [*(folder / "models/toy").iterdir(), folder / "toy.csv"]
    return {path.name: path.read_bytes() for path in files}


@pytest.mark.parametrize(("shuffled", "low", "high"), [(False, 0.95, 1.0), (True, 0.35, 0.65)])
@pytest.mark.parametrize(
    "params",
    [
        *(made.metric_learning(LEARNING_EPOCHS, kind, rate=2e-3) for kind in TRIPLETS),
        made.metric_learning(LEARNING_EPOCHS, "none", 2e-3, "category"),
        made.metric_learning(LEARNING_EPOCHS, "batch_all", 2e-3, "dataset"),
        made.sjedd(LEARNING_EPOCHS, rate=2e-3),
    ],
    ids=[*TRIPLETS, "category", "dataset, batch_all", "sjedd"],
)
@pytest.mark.slow
def test_a_planted_signal_is_learnt_and_shuffled_labels_are_not(
    tmp_path, params, shuffled, low, high
):
    plant = made.planted if params.objective.attribution == "none" else made.planted_kinds
    samples = plant(0, 320)
    made.shards(tmp_path, "train", made.relabelled(samples) if shuffled else samples)
    made.shards(tmp_path, "val", plant(10_000, 160))
    _train(params, tmp_path, tmp_path)
    about = json.loads((tmp_path / "models/toy/run.json").read_text())
    best = _history(tmp_path)[about["best_epoch"] - 1]
    assert low <= float(best["val_auc"]) <= high


@pytest.mark.parametrize(
    ("attribution", "classes"),
    [
        ("none", ["real", "fake"]),
        ("category", ["real", "FS", "RE"]),
        ("dataset", ["real", "other", "toy"]),
    ],
)
def test_a_run_learns_the_classes_of_its_attribution(tmp_path, attribution, classes):
    made.shards(tmp_path, "train", made.planted_kinds(0, 40))
    made.shards(tmp_path, "val", made.planted_kinds(10_000, 20))
    params = made.metric_learning(1, attribution=attribution)
    _train(params, tmp_path, tmp_path)
    assert json.loads((tmp_path / "models/toy/run.json").read_text())["classes"] == classes
    best = checkpoint.load(tmp_path / "models/toy/best.pt")
    assert best["classes"] == classes
    assert best["model"]["head.weight"].shape == (len(classes), 64)
    faces = loop.read(made.run(params), tmp_path, 64).val
    batch = next(faces.batches(faces.in_order(8)))
    # Two fakes with upright stripes (FS, toy), then two with stripes across (RE, other).
    by_hand = {"none": [1, 1], "category": [1, 2], "dataset": [2, 1]}[attribution]
    assert batch.labels.tolist() == [0, 1] * 4
    assert batch.classes.tolist() == [0, by_hand[0]] * 2 + [0, by_hand[1]] * 2


@pytest.mark.parametrize(
    ("attribution", "change", "message"),
    [
        ("category", {"category": "EFS"}, "no class for fakes of category EFS"),
        ("dataset", {"dataset": "unseen"}, "no class for fakes of dataset unseen"),
    ],
)
def test_a_fake_of_val_without_a_class_is_named(tmp_path, attribution, change, message):
    made.shards(tmp_path, "train", made.planted_kinds(0, 40))
    fake = replace(made.planted_kinds(10_000, 2)[1], **change)
    made.shards(tmp_path, "val", [*made.planted_kinds(20_000, 8), fake])
    with pytest.raises(UserError, match=message):
        _train(made.metric_learning(1, attribution=attribution), tmp_path, tmp_path)


@pytest.mark.parametrize(("part", "triplet"), [("head", "none"), ("norms", "batch_all")])
def test_what_is_not_to_be_trained_stays_as_it_was(small, tmp_path, part, triplet):
    params = made.metric_learning(2, triplet)
    params = replace(params, model=replace(params.model, trained=part))
    _train(params, small, tmp_path)
    first = models.build(params.model, None, made.run(params).seed)
    last = checkpoint.load(tmp_path / "models/toy/last.pt")["model"]
    moved = {name for name, value in first.state_dict().items() if not last[name].equal(value)}
    assert moved == {name for name, p in first.named_parameters() if p.requires_grad}


def test_a_run_that_is_trained_anew_is_not_called_finished(small, tmp_path, monkeypatch):
    params = made.metric_learning(1)
    _train(params, small, tmp_path)
    about = tmp_path / "models/toy/run.json"
    assert about.is_file()
    _train(params, small, tmp_path)
    assert about.is_file()

    def interrupted(self, epoch):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop._Training, "_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _train(made.metric_learning(2), small, tmp_path)
    assert not about.exists()


@pytest.mark.parametrize(
    ("params", "losses"),
    [
        (made.metric_learning(), ["cross_entropy", "triplet"]),
        (made.metric_learning(triplet="none"), ["cross_entropy"]),
        (made.sjedd(), ["root", "global_attributes", "local_regions"]),
    ],
)
def test_history_and_about_say_what_happened(small, tmp_path, params, losses):
    _train(params, small, tmp_path)
    rows = _history(tmp_path)
    columns = [f"{part}_{name}" for part in ("train", "val") for name in losses]
    assert list(rows[0]) == ["epoch", "learning_rate", *columns, "val_auc", "val_accuracy"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    about = json.loads((tmp_path / "models/toy/run.json").read_text())
    primary = [float(row[f"val_{losses[0]}"]) for row in rows]
    assert about["best_epoch"] == primary.index(min(primary)) + 1
    assert about["chosen_by"] == f"val_{losses[0]}"
    assert about["shards"] == {"train": 40, "val": 20}
    assert about["meaningless"] is True
    assert about["normalisation"]["source"] == ("CLIP's" if len(losses) == 3 else "ImageNet's")
    assert len(about["normalisation"]["mean"]) == len(about["normalisation"]["std"]) == 3
    assert about["device"].startswith("cuda" if torch.cuda.is_available() else "cpu")


def test_the_best_checkpoint_is_the_model_of_the_best_epoch(small, tmp_path):
    run = made.run(made.metric_learning())
    _train(run.params, small, tmp_path)
    best = checkpoint.load_best(tmp_path / "models/toy", "toy", run.digest)
    about = json.loads((tmp_path / "models/toy/run.json").read_text())
    assert best["epoch"] == about["best_epoch"]
    model = models.skeleton(run.params.model, None)
    model.load_state_dict(best["model"])
    faces = loop.read(run, small, model.image_px).val
    (batch,) = faces.batches(faces.in_order(20))
    with torch.no_grad():
        logits = model(normalised(batch.images, model.mean, model.std)).logits
    loss = torch.nn.functional.cross_entropy(logits, batch.labels).item()
    row = _history(tmp_path)[best["epoch"] - 1]
    assert float(row["val_cross_entropy"]) == pytest.approx(loss, rel=1e-4)


def test_the_first_of_the_lowest_primary_losses_is_the_best(small, tmp_path, monkeypatch):
    losses = iter([0.5, 0.25, 0.4, 0.25])
    monkeypatch.setattr(
        loop._Training, "_validate", lambda _: {"cross_entropy": next(losses), "auc": 0.5}
    )
    _train(made.metric_learning(4), small, tmp_path)
    assert checkpoint.load(tmp_path / "models/toy/best.pt")["epoch"] == 2
    assert json.loads((tmp_path / "models/toy/run.json").read_text())["best_epoch"] == 2
    assert checkpoint.load(tmp_path / "models/toy/last.pt")["epoch"] == 4


def test_no_fidelity_loss_below_0_is_shown_and_the_lowest_is_still_chosen(
    small, tmp_path, monkeypatch, capsys
):
    losses = iter([0.5, -0.5e-4, -1e-4])
    rest = {"global_attributes": -1e-4, "local_regions": 0.25, "auc": 0.5}
    monkeypatch.setattr(loop._Training, "_validate", lambda _: {"root": next(losses), **rest})
    _train(made.sjedd(3), small, tmp_path)
    rows = _history(tmp_path)
    assert [row["val_root"] for row in rows] == ["0.5", "0", "0"]
    assert {row["val_global_attributes"] for row in rows} == {"0"}
    assert {row["val_local_regions"] for row in rows} == {"0.25"}
    said = capsys.readouterr().err
    assert "val_root 0, " in said
    assert not re.search(r" -[0-9]", said)
    assert checkpoint.load(tmp_path / "models/toy/best.pt")["epoch"] == 3


@pytest.mark.parametrize("params", [made.metric_learning(), made.sjedd()])
def test_interrupted_anywhere_and_resumed_gives_the_same_bytes(
    small, tmp_path, monkeypatch, params
):
    real, steps, stop_at = Learner.step, 0, 0
    steps_per_epoch = 40 // 16

    def interrupted(self, batch, second, rate):
        nonlocal steps
        steps += 1
        if steps == stop_at:
            raise KeyboardInterrupt
        # As a model with dropout does, the step draws from torch's generator.
        return real(self, batch, second, rate * (1 + torch.rand(()).item()))

    monkeypatch.setattr(Learner, "step", interrupted)
    _train(params, small, tmp_path / "whole")
    for stop_at in (1, steps_per_epoch + 1, 2 * steps_per_epoch):
        folder = tmp_path / f"stop{stop_at}"
        steps = 0
        with pytest.raises(KeyboardInterrupt):
            _train(params, small, folder)
        torch.manual_seed(12345)
        _train(params, small, folder)
        assert steps == stop_at + 3 * steps_per_epoch - (stop_at - 1) // steps_per_epoch * (
            steps_per_epoch
        )
        assert _bytes(folder) == _bytes(tmp_path / "whole")


@pytest.mark.parametrize("augmentation", ["none", "fsfm"])
def test_interrupted_in_the_middle_of_an_epoch_it_goes_on_behind_the_last_saved_step(
    small, tmp_path, monkeypatch, capsys, augmentation
):
    params = made.metric_learning(2)
    smaller = replace(params.optimizer, batch_size=8)  # five steps per epoch
    params = replace(params, optimizer=smaller, augmentation=augmentation)
    real, steps, stop_at = Learner.step, 0, 0

    def interrupted(self, batch, second, rate):
        nonlocal steps
        steps += 1
        if steps == stop_at:
            raise KeyboardInterrupt
        return real(self, batch, second, rate * (1 + torch.rand(()).item()))

    monkeypatch.setattr(Learner, "step", interrupted)
    _train(params, small, tmp_path / "whole")
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    for stop_at in (2, 5, 8):
        folder, steps = tmp_path / f"stop{stop_at}", 0
        with pytest.raises(KeyboardInterrupt):
            _train(params, small, folder)
        torch.manual_seed(12345)
        capsys.readouterr()
        _train(params, small, folder)
        # Only the step that was struck is made again.
        assert steps == 10 + 1
        assert f"{(stop_at - 1) % 5} batches of the next" in capsys.readouterr().err
        assert _bytes(folder) == _bytes(tmp_path / "whole")


def test_a_finished_run_is_not_trained_again_and_lost_reports_come_back(
    small, tmp_path, monkeypatch
):
    _train(made.metric_learning(), small, tmp_path)
    before = _bytes(tmp_path)
    (tmp_path / "toy.csv").unlink()
    (tmp_path / "models/toy/run.json").unlink()
    monkeypatch.delattr(Learner, "step")
    _train(made.metric_learning(), small, tmp_path)
    assert _bytes(tmp_path) == before


def _other_shards(small, tmp_path):
    shutil.copytree(small, tmp_path / "shards")
    shutil.rmtree(tmp_path / "shards/val")
    made.shards(tmp_path / "shards", "val", made.planted(5000, 20))
    return tmp_path / "shards"


@pytest.mark.parametrize("stale", ["parameters", "seed", "shards", "damaged", "without best"])
def test_a_checkpoint_of_something_else_is_not_gone_on_from(small, tmp_path, capsys, stale):
    params, shards, change = made.metric_learning(2), small, {}
    _train(params, small, tmp_path)
    if stale == "parameters":
        params = made.metric_learning(3)
    elif stale == "seed":
        change = {"seed": 1}
    elif stale == "shards":
        shards = _other_shards(small, tmp_path)
    elif stale == "damaged":
        (tmp_path / "models/toy/last.pt").write_bytes(b"no checkpoint")
    else:
        (tmp_path / "models/toy/best.pt").unlink()
    capsys.readouterr()
    _train(params, shards, tmp_path, **change)
    said = capsys.readouterr().err
    words = {"parameters": "other parameters", "seed": "other parameters", "shards": "other shards"}
    assert words.get(stale, "damaged") in said
    assert "starting anew" in said
    _train(params, shards, tmp_path / "fresh", **change)
    assert _bytes(tmp_path) == _bytes(tmp_path / "fresh")


def test_what_an_attempt_left_behind_goes(small, tmp_path):
    left = tmp_path / "models/toy/.tmp-last.pt-0123456789ab"
    left.parent.mkdir(parents=True)
    left.touch()
    _train(made.metric_learning(2), small, tmp_path)
    assert not left.exists()


def test_expanded_faces_are_read_where_the_run_says_so(small, tmp_path):
    _train(made.sjedd(2, also="expanded"), small, tmp_path)
    about = json.loads((tmp_path / "models/toy/run.json").read_text())
    assert about["shards"] == {"train": 40, "expanded": 8, "val": 20}
    faces = loop.read(made.run(made.sjedd(2, also="expanded")), small, 64).train
    assert len(faces) == 48
    assert faces.labels[40:].all()


def test_the_weights_of_the_losses_reach_the_training(small, tmp_path):
    params = made.sjedd(2)
    root_only = replace(params.objective, loss_weights=LevelWeights(1, 0, 0))
    _train(params, small, tmp_path / "all")
    _train(replace(params, objective=root_only), small, tmp_path / "root")
    assert _history(tmp_path / "all")[0] != _history(tmp_path / "root")[0]


@pytest.mark.parametrize(
    ("averaging", "chosen_by"),
    [
        (AveragingParams(ema=0.5), "val_cross_entropy"),
        (AveragingParams(last_epochs=2), "none: mean of the last 2 epochs"),
    ],
)
def test_averages_are_what_is_kept_and_go_on_to_the_same_bytes(
    small, tmp_path, monkeypatch, averaging, chosen_by
):
    params = replace(made.metric_learning(3), averaging=averaging)
    _train(params, small, tmp_path / "whole")
    about = json.loads((tmp_path / "whole/models/toy/run.json").read_text())
    assert about["chosen_by"] == chosen_by
    best, last = (checkpoint.load(tmp_path / f"whole/models/toy/{f}.pt") for f in ("best", "last"))
    kept = last["averages"]["soup" if averaging.last_epochs else "ema"]
    assert best["epoch"] == about["best_epoch"] == 3
    assert all(value.equal(best["model"][name]) for name, value in kept.items())
    assert not best["model"]["head.weight"].equal(last["model"]["head.weight"])
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    real, steps = Learner.step, iter(range(100))

    def interrupted(self, *arguments):
        if next(steps) == 5:  # the second step of the last epoch
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(Learner, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _train(params, small, tmp_path / "stopped")
    _train(params, small, tmp_path / "stopped")
    assert _bytes(tmp_path / "stopped") == _bytes(tmp_path / "whole")


def test_drop_path_goes_on_by_the_same_draws(small, tmp_path, monkeypatch):
    params = made.metric_learning(2, "none")
    params = replace(params, model=replace(params.model, drop_path=0.5))
    _train(params, small, tmp_path / "whole")
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    real, steps = Learner.step, iter(range(100))

    def interrupted(self, *arguments):
        if next(steps) == 1:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(Learner, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _train(params, small, tmp_path / "stopped")
    torch.manual_seed(7)
    _train(params, small, tmp_path / "stopped")
    assert _bytes(tmp_path / "stopped") == _bytes(tmp_path / "whole")


def test_batches_have_as_many_faces_of_each_class_where_that_is_asked_for(
    small, tmp_path, monkeypatch
):
    seen = []
    real = Learner.step
    monkeypatch.setattr(
        Learner,
        "step",
        lambda self, batch, *rest: (
            seen.append(batch.faces.classes.tolist()),
            real(self, batch, *rest),
        )[1],
    )
    params = made.metric_learning(2)
    params = replace(params, optimizer=replace(params.optimizer, per_class=8))
    _train(params, small, tmp_path)
    assert [sorted(batch) for batch in seen] == [[0] * 8 + [1] * 8] * 4
    few = replace(params, optimizer=replace(params.optimizer, per_class=4))
    with pytest.raises(UserError, match="4 groups with 4 samples each"):
        _train(few, small, tmp_path / "few")


@pytest.mark.parametrize(
    "change",
    [{"label_smoothing": 0.1}, {"class_weights": "balanced"}, {"mixup": 0.8, "cutmix": 1.0}],
)
def test_soft_targets_are_trained_on_and_val_is_scored_without_them(small, tmp_path, change):
    params = made.metric_learning(2, "none", rate=1e-2)
    params = replace(params, objective=replace(params.objective, **change))
    _train(params, small, tmp_path / "soft")
    _train(made.metric_learning(2, "none", rate=1e-2), small, tmp_path / "plain")
    soft, plain = _history(tmp_path / "soft")[1], _history(tmp_path / "plain")[1]
    model = models.skeleton(params.model, None)
    model.load_state_dict(checkpoint.load(tmp_path / "soft/models/toy/last.pt")["model"])
    faces = loop.read(made.run(params), small, model.image_px).val
    (batch,) = faces.batches(faces.in_order(20))
    with torch.no_grad():
        logits = model(normalised(batch.images, model.mean, model.std)).logits
    loss = torch.nn.functional.cross_entropy(logits, batch.labels).item()
    assert float(soft["val_cross_entropy"]) == pytest.approx(loss, rel=1e-5)
    if "class_weights" not in change:  # which are 1 where classes are equal
        assert soft["train_cross_entropy"] != plain["train_cross_entropy"]


def test_a_val_of_one_class_has_no_auc(tmp_path):
    made.shards(tmp_path, "train", made.planted(0, 20))
    made.shards(tmp_path, "val", [s for s in made.planted(100, 20) if s.label])
    _train(made.metric_learning(2), tmp_path, tmp_path)
    assert [row["val_auc"] for row in _history(tmp_path)] == ["", ""]


def test_a_run_that_diverges_says_so_and_what_to_lower(small, tmp_path):
    with pytest.raises(
        UserError, match=r"run toy diverged.*Lower runs\.toy\.optimizer\.learning_rate"
    ):
        _train(made.metric_learning(4, rate=1e30), small, tmp_path)
    assert not (tmp_path / "models/toy/run.json").exists()


def test_two_processes_do_not_train_the_same_run(small, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "LOCK_WAIT_S", 0.0)
    with (
        store.locked(tmp_path / "models/toy"),
        pytest.raises(UserError, match=r"another run .* works on .*models/toy"),
    ):
        _train(made.metric_learning(), small, tmp_path)


def _empty(root, name):
    shutil.rmtree(root / name)
    made.shards(root, name, [])


def _one_class(root, label):
    shutil.rmtree(root / "train")
    made.shards(root, "train", [s for s in made.planted(0, 20) if s.label == label])


@pytest.mark.parametrize(
    ("spoil", "params", "message"),
    [
        (lambda r: shutil.rmtree(r / "train"), made.metric_learning(), "train does not exist"),
        (lambda r: shutil.rmtree(r / "val"), made.sjedd(), "val does not exist"),
        (
            lambda r: shutil.rmtree(r / "expanded"),
            made.sjedd(also="expanded"),
            "expanded does not exist",
        ),
        (lambda r: _empty(r, "train"), made.metric_learning(), "train has no samples"),
        (lambda r: _empty(r, "val"), made.metric_learning(), "val has no samples"),
        (
            lambda r: _empty(r, "expanded"),
            made.sjedd(also="expanded"),
            r"expanded has no samples.*runs\.toy\.also to train",
        ),
        (lambda r: _one_class(r, 0), made.metric_learning(), "train has real faces only"),
        (lambda r: _one_class(r, 1), made.metric_learning(), "train has fake faces only"),
        (
            lambda r: (shutil.rmtree(r / "val"), shutil.copytree(r / "train", r / "val")),
            made.metric_learning(),
            "val holds the shards of train",
        ),
        (
            lambda _: None,
            replace(
                made.metric_learning(),
                model=ModelParams("vit", "vit-b16", Weights("absent.pth", "ab" * 32)),
            ),
            r"absent\.pth.*does not exist",
        ),
    ],
)
def test_bad_input_is_one_sentence_before_any_training(
    small, tmp_path, monkeypatch, spoil, params, message
):
    shutil.copytree(small, tmp_path / "shards")
    spoil(tmp_path / "shards")
    monkeypatch.delattr(Learner, "step")
    with pytest.raises(UserError, match=message):
        _train(params, tmp_path / "shards", tmp_path)
    assert not (tmp_path / "toy.csv").exists()


def test_labels_of_another_graph_are_refused(small, tmp_path):
    renamed = replace(made.GRAPH, name="mine")
    reordered = replace(made.GRAPH, nodes=made.GRAPH.nodes[::-1])
    for graph in (renamed, reordered):
        with pytest.raises(UserError, match=r"labels in .*train do not follow the graph"):
            _train(made.sjedd(), small, tmp_path, graph=graph)
