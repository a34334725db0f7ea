"""Self-blended images in training: made anew each epoch, of reals with landmarks alone."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from faceshards.samples import Samples
from pipeline.config.run_params import DataParams
from pipeline.errors import UserError
from pipeline.expansion.self_blending import self_blend
from pipeline.training import inputs, loop
from pipeline.training.self_blended import SelfBlendedFaces
from pipeline.training.step import Learner
from tests.training import made

SELF_BLENDED = DataParams(fakes="self_blended")


def _params(epochs: int = 2, batch_size: int = 16):
    params = made.metric_learning(epochs, "none", 2e-3)
    optimizer = replace(params.optimizer, batch_size=batch_size)
    return replace(params, data=SELF_BLENDED, optimizer=optimizer)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """21 reals of which 20 have landmarks, and 20 fakes that are not read; 20 faces of val."""
    root = tmp_path_factory.mktemp("self-blended")
    train = made.blended(0, 42)
    train[4] = replace(train[4], landmarks=())
    made.shards(root, "train", train[:-1], per_tar=10)
    made.shards(root, "val", made.blended(10_000, 20))
    return root


def _read(shards: Path, **change) -> inputs.RunData:
    return inputs.read(made.run(replace(_params(), **change)), shards, made.SIDE_PX)


def _epoch(faces, loader):
    return [(b.images.numpy(), b.labels.tolist()) for b in faces.batches(loader)]


def _same(one, other) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a[0], b[0]) and a[1] == b[1] for a, b in zip(one, other, strict=True)
    )


def test_reals_with_landmarks_are_read_and_each_gives_itself_and_a_fake(shards):
    data = _read(shards)
    assert data.counts == {"train": 20, "val": 20}
    assert data.notes == ("1 of 21 real faces have no landmarks and are left out.",)
    assert data.classes == ("real", "fake")
    assert len(data.train) == 40
    assert data.val.labels.tolist() == [0, 1] * 10
    stored = Samples([shards / "train"])
    reals = [place for place in range(41) if place % 2 == 0 and place != 4]
    pictures = np.empty((20, 64, 64, 3), np.uint8)
    for at, place in enumerate(reals):
        stored.decode_into(place, pictures[at])
    (batch,) = data.train.batches(data.train.in_order(100))
    assert batch.labels.tolist() == batch.classes.tolist() == [0, 1] * 20
    assert batch.vectors[0::2].tolist() == [[0] + [-1] * 9] * 20
    assert batch.vectors[1::2].tolist() == [[1] + [-1] * 9] * 20
    images = batch.images.numpy()
    untouched = [np.array_equal(images[2 * at], pictures[at]) for at in range(20)]
    assert 4 <= sum(untouched) <= 16  # the others have other colors or sharpness
    blended = [not np.array_equal(images[2 * at], images[2 * at + 1]) for at in range(20)]
    assert sum(blended) >= 18


def test_a_pair_is_what_the_function_gives_of_the_stored_face(shards, monkeypatch):
    faces, seeds = _read(shards).train, set()

    def noted(image, points, seed):
        np.testing.assert_allclose(points.ravel(), made.LANDMARKS, rtol=0, atol=1e-4)
        seeds.add(seed)
        return self_blend(image, points, seed)

    monkeypatch.setattr("pipeline.training.self_blended.self_blend", noted)
    images = next(iter(faces.in_order(8))).images
    assert len(seeds) >= 4  # batches ahead are made as well
    stored = np.empty((64, 64, 3), np.uint8)
    faces.samples.decode_into(6, stored)
    points = np.reshape(made.LANDMARKS, (68, 2)).astype(np.float32).astype(np.float64)
    pairs = [self_blend(stored, points, seed) for seed in seeds]
    found = [(np.array_equal(p.base, images[6]), np.array_equal(p.image, images[7])) for p in pairs]
    assert (True, True) in found


def test_blends_are_a_function_of_key_epoch_and_face_alone(shards):
    faces = _read(shards).train
    loader = faces.shuffled("0/toy", 8)
    first, second = _epoch(faces, loader), _epoch(faces, loader)
    assert len(first) == 5
    assert all(labels == [0, 1] * 4 for _, labels in first)
    assert not _same(first, second)
    again = faces.shuffled("0/toy", 8)
    assert _same(_epoch(faces, again), first)
    resumed = _read(shards).train.shuffled("0/toy", 8)
    resumed.resume({"key": "0/toy", "epoch": 1, "number": 3})
    assert _same(_epoch(faces, resumed), second[3:])
    # Another batch size meets a face with another neighbour, and its blend is the same.
    by_picture = {image.tobytes() for images, _ in first for image in images}
    other = _epoch(faces, faces.shuffled("0/toy", 20))
    assert {image.tobytes() for images, _ in other for image in images} == by_picture
    assert not _same(_epoch(faces, faces.shuffled("1/toy", 8)), first)


def test_where_nobody_has_landmarks_it_says_what_to_do(tmp_path):
    without = [replace(sample, landmarks=()) for sample in made.blended(0, 20)]
    made.shards(tmp_path, "train", without)
    made.shards(tmp_path, "val", made.blended(1000, 4))
    with pytest.raises(UserError, match=r"None of the 10 real faces .*landmarks\.landmarker to"):
        _read(tmp_path)


def test_a_graph_of_labels_may_be_learnt_of_them(shards, tmp_path):
    params = replace(made.sjedd(1), data=SELF_BLENDED)
    loop.train(made.run(params), shards, tmp_path / "models/toy", tmp_path / "toy.csv")
    assert (tmp_path / "models/toy/run.json").is_file()


@pytest.mark.parametrize(("shuffled", "low", "high"), [(False, 0.95, 1.0), (True, 0.0, 0.65)])
@pytest.mark.slow
def test_what_blends_break_is_found_in_other_fakes_and_shuffled_labels_teach_nothing(
    tmp_path, monkeypatch, shuffled, low, high
):
    made.shards(tmp_path, "train", [s for s in made.blended(0, 192) if not s.label])
    made.shards(tmp_path, "val", made.blended(10_000, 80))
    if shuffled:
        before = SelfBlendedFaces.__init__

        def with_other_labels(self, *args):
            before(self, *args)
            self.labels = self.classes = np.tile(np.array([0, 0, 1, 1], np.int8), len(self) // 4)

        monkeypatch.setattr(SelfBlendedFaces, "__init__", with_other_labels)
    loop.train(made.run(_params(3)), tmp_path, tmp_path / "models/toy", tmp_path / "toy.csv")
    with (tmp_path / "toy.csv").open() as file:
        rows = list(csv.DictReader(file))
    best = min(rows, key=lambda row: float(row["val_cross_entropy"]))
    assert low <= float(best["val_auc"]) <= high


def test_interrupted_in_the_middle_of_an_epoch_it_ends_with_the_same_weights(
    shards, tmp_path, monkeypatch, capsys
):
    real, steps = Learner.step, 0

    def interrupted(self, batch, second, rate):
        nonlocal steps
        steps += 1
        if steps == 7:
            raise KeyboardInterrupt
        return real(self, batch, second, rate)

    run = made.run(_params(2, batch_size=8))
    loop.train(run, shards, tmp_path / "whole", tmp_path / "whole.csv")
    assert "1 of 21 real faces have no landmarks" in capsys.readouterr().err
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(Learner, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.train(run, shards, tmp_path / "part", tmp_path / "part.csv")
    torch.manual_seed(12345)
    loop.train(run, shards, tmp_path / "part", tmp_path / "part.csv")
    assert "1 batch" in capsys.readouterr().err
    assert (tmp_path / "part/last.pt").read_bytes() == (tmp_path / "whole/last.pt").read_bytes()
