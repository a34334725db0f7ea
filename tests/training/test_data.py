"""Batches: which faces, in what order, with which labels and images."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from faceshards.reading import Shards
from pipeline.errors import UserError
from pipeline.training import data
from pipeline.training.data import Faces
from tests.training import made


@pytest.fixture(scope="module")
def samples():
    return made.planted(0, 23)


@pytest.fixture(scope="module")
def folders(samples, tmp_path_factory):
    """A train folder of three tars and an expanded one."""
    root = tmp_path_factory.mktemp("shards")
    made.shards(root, "train", samples, per_tar=10)
    fakes = [s for s in made.planted(500, 8) if s.label]
    made.shards(root, "expanded", fakes)
    return [Shards(root / "train"), Shards(root / "expanded")]


def test_every_face_comes_with_its_own_image_label_and_vector(folders, samples):
    faces = Faces(folders, made.SIDE_PX)
    assert len(faces) == 23 + 4
    (batch,) = faces.batches(data.in_order(len(faces), 100))
    assert batch.labels.dtype == torch.int64
    assert batch.labels.tolist() == [s.label for s in samples] + [1] * 4
    assert batch.vectors.dtype == torch.int8
    assert batch.vectors.tolist() == [s.vector for s in samples] + [made.VECTORS[1]] * 4
    assert batch.images.shape == (27, 64, 64, 3)
    for sample, image in zip(samples, batch.images.numpy(), strict=False):
        # JPEG of quality 95 changes little; another face differs by some 50.
        assert np.abs(image.astype(int) - sample.image).mean() < 3


def test_images_are_what_the_shards_reader_reads(folders):
    from faceshards import images

    faces = Faces(folders[:1], made.SIDE_PX)
    expected = [images.decode_rgb(sample.jpg) for sample in folders[0].samples()]
    assert all(np.array_equal(faces.image(n), image) for n, image in enumerate(expected))


def test_a_mirrored_image_is_the_image_mirrored(folders):
    faces = Faces(folders, made.SIDE_PX)
    flips = np.array([False, True])
    (batch,) = faces.batches([(np.array([3, 3]), flips)])
    plain, mirrored = batch.images.numpy()
    assert np.array_equal(mirrored, np.fliplr(plain))
    assert not np.array_equal(mirrored, plain)


def test_images_get_the_models_size(folders):
    faces = Faces(folders, 32)
    assert faces.image(0).shape == (32, 32, 3)
    by_area = Faces(folders, 64).image(0).reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(faces.image(0) - by_area).max() <= 1
    assert Faces(folders, 96).image(0).shape == (96, 96, 3)


def test_normalised_is_the_formula():
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8))
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    expected = (images.numpy().transpose(0, 3, 1, 2) / 255 - np.reshape(mean, (3, 1, 1))) / (
        np.reshape(std, (3, 1, 1))
    )
    got = data.normalised(images, mean, std)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=1e-6)


def _plan(*key):
    return [(faces.tolist(), flips.tolist()) for faces, flips in data.epoch_plan(*key)]


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 40),
    st.integers(1, 90),
    st.integers(2, 20),
)
def test_an_epoch_is_whole_batches_without_repeats(seed, epoch, n_faces, batch_size):
    plan = _plan(seed, "run", epoch, n_faces, batch_size)
    assert plan == _plan(seed, "run", epoch, n_faces, batch_size)
    seen = [face for faces, _ in plan for face in faces]
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(range(n_faces))
    assert {len(faces) for faces, _ in plan} == {min(batch_size, n_faces)}
    assert n_faces - len(seen) < batch_size
    assert len(plan) == data.steps_per_epoch(n_faces, batch_size)


def test_seed_run_and_epoch_each_change_the_order():
    plans = [_plan(0, "a", 0, 64, 16), _plan(1, "a", 0, 64, 16), _plan(0, "b", 0, 64, 16)]
    plans.append(_plan(0, "a", 1, 64, 16))
    assert all(a != b for n, a in enumerate(plans) for b in plans[:n])


def test_batch_size_cuts_one_and_the_same_order():
    small = [face for faces, _ in _plan(0, "a", 3, 64, 4) for face in faces]
    large = [face for faces, _ in _plan(0, "a", 3, 64, 32) for face in faces]
    assert small == large


def test_about_half_are_mirrored_and_every_face_is_seen_both_ways():
    drawn = {}
    for epoch in range(40):
        for faces, flips in _plan(0, "a", epoch, 50, 10):
            for face, flip in zip(faces, flips, strict=True):
                drawn.setdefault(face, []).append(flip)
    assert all(0 < sum(flips) < len(flips) for flips in drawn.values())
    everything = [flip for flips in drawn.values() for flip in flips]
    assert 0.45 < np.mean(everything) < 0.55


def test_order_of_batches_is_kept_however_many_are_decoded_ahead(folders):
    faces = Faces(folders, made.SIDE_PX)
    plan = [(np.array([n, 26 - n]), np.array([False, True])) for n in range(20)]
    labels = [batch.labels.tolist() for batch in faces.batches(plan)]
    assert labels == [[int(faces.labels[n]), int(faces.labels[26 - n])] for n in range(20)]


def test_a_tar_that_is_not_what_the_index_says_is_one_sentence(tmp_path):
    folder = made.shards(tmp_path, "val", made.planted(0, 4))
    faces = Faces([Shards(folder)], made.SIDE_PX)
    path = folder / "toy-00000.tar"
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(UserError, match=r"toy-00000\.tar.*dvc repro shard"):
        list(faces.batches(data.in_order(4, 4)))


def test_vectors_of_two_graphs_are_refused(tmp_path):
    folder = made.shards(tmp_path, "train", made.planted(0, 2))
    other = made.shards(tmp_path, "val", [made.Sample(made.face(0), 0, [0] * 12)])
    with pytest.raises(UserError, match=r"\[10, 12\] values.*different graphs"):
        Faces([Shards(folder), Shards(other)], made.SIDE_PX)
