"""Batches: which faces, in what order, with which labels and images."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faceshards.order import Shuffled
from faceshards.reading import Shards
from faceshards.samples import Samples
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
    return [root / "train", root / "expanded"]


def _whole(faces):
    (batch,) = faces.batches(faces.in_order(100))
    return batch


def test_every_face_comes_with_its_own_image_label_and_vector(folders, samples):
    faces = Faces(Samples(folders, size_px=made.SIDE_PX))
    assert len(faces) == 23 + 4
    batch = _whole(faces)
    assert batch.labels.dtype == batch.classes.dtype == torch.int64
    assert batch.labels.tolist() == [s.label for s in samples] + [1] * 4
    assert batch.classes.tolist() == batch.labels.tolist()
    assert batch.vectors.dtype == torch.int8
    assert batch.vectors.tolist() == [s.vector for s in samples] + [made.VECTORS[1]] * 4
    assert batch.images.shape == (27, 64, 64, 3)
    for sample, image in zip(samples, batch.images.numpy(), strict=False):
        # JPEG of quality 95 changes little; another face differs by some 50.
        assert np.abs(image.astype(int) - sample.image).mean() < 3


def test_images_are_what_the_shards_reader_reads(folders):
    from faceshards import images

    batch = _whole(Faces(Samples(folders[:1])))
    expected = [images.decode_rgb(sample.jpg) for sample in Shards(folders[0]).samples()]
    assert np.array_equal(batch.images.numpy(), np.stack(expected))


def test_what_is_learnt_goes_with_its_face_in_any_order(folders):
    samples = Samples(folders)
    vectors = np.arange(27, dtype=np.int8)[:, None]
    faces = Faces(samples, vectors, np.arange(27, dtype=np.int8) % 5)
    whole = _whole(faces)
    for batch in faces.batches(faces.shuffled("k", 4)):
        places = batch.vectors[:, 0].long()
        assert torch.equal(batch.images, whole.images[places])
        assert torch.equal(batch.labels, whole.labels[places])
        assert torch.equal(batch.classes, places % 5)


def test_normalised_is_the_formula():
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8))
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    expected = (images.numpy().transpose(0, 3, 1, 2) / 255 - np.reshape(mean, (3, 1, 1))) / (
        np.reshape(std, (3, 1, 1))
    )
    got = data.normalised(images, mean, std)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=1e-6)


@settings(max_examples=50)
@given(st.text(max_size=5), st.integers(0, 40), st.integers(0, 12))
def test_an_epoch_is_whole_batches_of_an_order_by_key(folders, key, epoch, size):
    faces, size = Faces(Samples(folders)), size + 2
    loader = faces.shuffled(f"{key}/run", size)
    plan = [loader.places(epoch, n).tolist() for n in range(len(loader))]
    other = Shuffled(27, size)
    assert plan == [other.batch(f"{key}/run", epoch, n).tolist() for n in range(27 // size)]
    seen = [face for some in plan for face in some]
    assert len(set(seen)) == len(seen) > 27 - size
    assert plan != [loader.places(epoch + 1, n).tolist() for n in range(len(loader))]


def test_the_order_depends_on_nothing_but_its_key_and_the_number_of_faces(folders, tmp_path):
    first = Faces(Samples(folders[:1])).shuffled("0/run", 5)
    made.shards(tmp_path, "train", made.planted(900, 23))
    second = Faces(Samples([tmp_path / "train"])).shuffled("0/run", 5)
    assert all(np.array_equal(first.places(3, n), second.places(3, n)) for n in range(4))
    third = Faces(first.samples).shuffled("1/run", 5)
    assert not np.array_equal(first.places(3, 0), third.places(3, 0))


def test_a_set_smaller_than_a_batch_is_one_batch(folders):
    faces = Faces(Samples(folders))
    (batch,) = faces.batches(faces.shuffled("k", 100))
    assert len(batch.labels) == 27


def test_a_tar_that_is_not_what_the_index_says_is_one_sentence(tmp_path):
    folder = made.shards(tmp_path, "val", made.planted(0, 4))
    path = folder / "toy-00000.tar"
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(UserError, match=r"toy-00000\.tar.*dvc repro shard"):
        _whole(Faces(Samples([folder])))
