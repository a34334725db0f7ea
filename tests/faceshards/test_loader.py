"""Batches against the samples themselves, for any threads, ranks and place to resume at."""

import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from faceshards import images
from faceshards import samples as samples_module
from faceshards.errors import UserError
from faceshards.filters import ByPlace, Filter
from faceshards.loader import Batch, Loader
from faceshards.order import Balanced, ClassesBySamples, InOrder, Shuffled, Weighted
from faceshards.reading import Shards
from faceshards.samples import Samples


@pytest.fixture(scope="module")
def folders(shards: Path) -> list[Path]:
    return [shards / "train", shards / "expanded"]


@pytest.fixture(scope="module")
def samples(folders: list[Path]) -> Samples:
    return Samples(folders, columns=("sample_id", "method"))


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(getattr(a, f), getattr(b, f))
        for a, b in zip(one, other, strict=True)
        for f in ("images", "labels", "vectors", "places")
    )


def test_pictures_labels_and_vectors_are_those_of_the_samples(folders, samples):
    expected = [sample for folder in folders for sample in Shards(folder).samples()]
    got = list(Loader(samples, InOrder(len(samples), 5)))
    assert sum(len(batch.labels) for batch in got) == len(expected) == len(samples)
    for batch in got:
        for at, place in enumerate(batch.places.tolist()):
            about = expected[place].about
            assert np.array_equal(batch.images[at], images.decode_rgb(expected[place].jpg))
            assert batch.labels[at] == about["label"]
            assert batch.vectors[at].tolist() == about["vector"]
            assert samples.table["method"][place].as_py() == about["method"]


@pytest.mark.parametrize("size_px", [0, 112])
def test_landmarks_come_in_px_of_the_pictures_where_they_are_asked_for(folders, size_px):
    told = [sample.about["landmarks"] for one in folders for sample in Shards(one).samples()]
    assert {len(points) for points in told} == {136}
    samples = Samples(folders, size_px=size_px, landmarks=True)
    scale = samples.side_px / 224
    for batch in Loader(samples, InOrder(len(samples), 7)):
        assert batch.landmarks.dtype == np.float32
        points = np.reshape([told[place] for place in batch.places.tolist()], (-1, 68, 2))
        # The middle of the first pixel is at 0, and its left edge at -0.5, in any size.
        np.testing.assert_allclose(batch.landmarks, (points + 0.5) * scale - 0.5, atol=1e-3)
    plain = Samples(folders, size_px=size_px)
    assert next(iter(Loader(plain, InOrder(len(plain), 7)))).landmarks is None


def test_a_face_without_landmarks_has_nan(shards):
    samples = Samples([shards / "val"], landmarks=True)  # landmarks are made for train alone
    (batch,) = Loader(samples, InOrder(len(samples), 100))
    assert np.isnan(batch.landmarks).all()
    assert batch.landmarks.shape == (len(samples), 68, 2)


def test_what_is_done_with_each_picture_is_the_same_for_any_threads(samples):
    def marked(epoch: int, batch: Batch, at: int) -> None:
        batch.images[at] //= epoch + 1
        batch.images[at, 0, 0] = batch.places[at] % 256

    order = Shuffled(len(samples), 6)
    plain = Loader(samples, order)
    before = [batch for _ in range(2) for batch in plain]
    for threads in (0, 1, 3):
        loader = Loader(samples, order, threads=threads, each=marked)
        after = [batch for _ in range(2) for batch in loader]
        for at, (one, other) in enumerate(zip(before, after, strict=True)):
            expected = one.images // (1 if at < len(plain) else 2)
            expected[:, 0, 0] = one.places[:, None] % 256
            assert np.array_equal(other.images, expected)


ORDERS = {
    "in order": lambda s: InOrder(len(s), 6),
    "shuffled": lambda s: Shuffled(len(s), 6),
    "balanced": lambda s: Balanced(s.labels.astype(np.int64), 6, 4),
    "weighted": lambda s: Weighted(np.arange(1.0, len(s) + 1), 6, 4),
    "p x k": lambda s: ClassesBySamples(s.labels.astype(np.int64), 2, 3, 4),
}


@pytest.mark.parametrize("name", ORDERS)
def test_threads_and_ranks_change_no_batch(samples, name):
    order = ORDERS[name](samples)
    whole = list(Loader(samples, order, seed=7, threads=0))
    for threads in (1, 2, 5):
        assert same(list(Loader(samples, order, seed=7, threads=threads)), whole)
    for n_ranks in (2, 3, 6):
        ranks = [
            list(Loader(samples, order, seed=7, rank=rank, n_ranks=n_ranks))
            for rank in range(n_ranks)
        ]
        for number, batch in enumerate(whole):
            parts = np.concatenate([rank[number].images for rank in ranks])
            assert np.array_equal(parts, batch.images)


@pytest.mark.parametrize(("before", "after"), list(product((1, 2), (1, 3))))
def test_resumed_anywhere_under_other_ranks_it_goes_on_with_the_same_batches(
    samples, before, after
):
    order = Shuffled(len(samples), 6)
    whole = Loader(samples, order, seed=1)
    expected = [batch.places.tolist() for _ in range(2) for batch in whole]
    for stop in range(1, len(whole) + 1):
        first = Loader(samples, order, seed=1, rank=0, n_ranks=before)
        for delivered, _ in enumerate(iter(first), 1):
            if delivered == stop:
                break
        rest = [
            Loader(samples, order, seed=1, rank=r, n_ranks=after, threads=3) for r in range(after)
        ]
        for loader in rest:
            loader.resume(first.state())
        got = [
            np.concatenate(parts).tolist()
            for parts in zip(
                *([b.places for _ in range(2) for b in loader] for loader in rest), strict=True
            )
        ]
        assert got[: len(expected) - stop] == expected[stop:]


def test_a_state_of_other_samples_or_another_seed_is_refused(samples, folders):
    state = Loader(samples, InOrder(len(samples), 4), seed=1).state()
    with pytest.raises(UserError, match="another seed"):
        Loader(samples, InOrder(len(samples), 4), seed=2).resume(state)
    filtered = Samples(folders, Filter(datasets=("ffpp",)))
    with pytest.raises(UserError, match="another filter"):
        Loader(filtered, InOrder(len(filtered), 4), seed=1).resume(state)


def test_chosen_places_are_samples_of_their_own_and_a_key_alone_decides_the_order(folders, samples):
    some = Samples(folders, ByPlace(np.array([1, 4, 5, 9])), columns=("sample_id",))
    assert some.table["sample_id"].to_pylist() == [
        samples.table["sample_id"][place].as_py() for place in (1, 4, 5, 9)
    ]
    others = Samples(folders, ByPlace(np.array([0, 4, 5, 9])))
    assert len({some.key, others.key, Samples(folders).key}) == 3
    order = Shuffled(4, 2)
    first, second = (Loader(of, order, key="mine") for of in (some, others))
    assert [b.places.tolist() for b in first] == [b.places.tolist() for b in second]
    first.resume(second.state())
    with pytest.raises(UserError, match="another"):
        first.resume(Loader(some, order).state())


def test_where_the_folder_lies_changes_no_order(folders, samples, tmp_path):
    for folder in folders:
        shutil.copytree(folder, tmp_path / folder.name)
    moved = Samples([tmp_path / folder.name for folder in folders])
    order = Shuffled(len(samples), 6)
    assert same(list(Loader(moved, order)), list(Loader(samples, order)))


def test_ranks_of_an_evaluation_cover_every_sample_once(samples):
    for n_ranks in (1, 2, 3):
        order = InOrder(len(samples), 6 * n_ranks)
        seen = [
            place
            for rank in range(n_ranks)
            for batch in Loader(samples, order, rank=rank, n_ranks=n_ranks)
            for place in batch.places.tolist()
        ]
        assert sorted(seen) == list(range(len(samples)))


@pytest.mark.parametrize(
    ("where", "passes"),
    [
        (Filter(), lambda a: True),
        (Filter(datasets=("wild",)), lambda a: a["dataset"] == "wild"),
        (Filter(methods=("Deepfakes",)), lambda a: a["label"] == 0 or a["method"] == "Deepfakes"),
        (Filter(categories=("local",)), lambda a: a["label"] == 0 or a["category"] == "local"),
        (Filter(min_altered=0.2), lambda a: not 0 <= a["altered"] < 0.2),
        (Filter(regions=("eye",)), lambda a: a["region"] in ("", "eye")),
        (
            Filter(datasets=("ffpp",), generators=("swap",)),
            lambda a: a["dataset"] == "ffpp" and a["generator"] in ("", "swap"),
        ),
    ],
)
def test_filters_let_pass_what_they_say(folders, where, passes):
    samples = Samples(folders, where, columns=("sample_id",))
    everyone = Samples(folders, columns=("sample_id",)).table["sample_id"].to_pylist()
    abouts = [sample.about for folder in folders for sample in Shards(folder).samples()]
    wanted = [i for i, about in zip(everyone, abouts, strict=True) if passes(about)]
    assert samples.table["sample_id"].to_pylist() == wanted


def test_at_most_so_many_of_a_video_and_method(folders):
    columns = ("video_id", "method", "sample_id")
    whole = Samples(folders, columns=columns).table.to_pylist()
    for most in (1, 2):
        kept = Samples(folders, Filter(max_per_video=most), columns=columns).table.to_pylist()
        groups = {(row["video_id"], row["method"]) for row in whole}
        for group in groups:
            there = [r for r in whole if (r["video_id"], r["method"]) == group]
            left = [r for r in kept if (r["video_id"], r["method"]) == group]
            assert len(left) == min(most, len(there))
    more = Samples(folders, Filter(max_per_video=2), columns=columns).table["sample_id"].to_pylist()
    few = Samples(folders, Filter(max_per_video=1), columns=columns).table["sample_id"].to_pylist()
    assert set(few) < set(more)


def test_a_name_that_occurs_nowhere_is_told_with_those_that_do(folders):
    with pytest.raises(UserError, match=r"'Deepfake', which no sample has. There are: Deepfakes"):
        Samples(folders, Filter(methods=("Deepfake",)))


def test_a_damaged_picture_is_an_error_with_its_tar_and_key(folders, tmp_path):
    folder = tmp_path / "train"
    shutil.copytree(folders[0], folder)
    shards = Shards(folder)
    row = shards.index.slice(3, 1).to_pylist()[0]
    with (folder / row["tar"]).open("r+b") as file:
        file.seek(row["jpg_offset"] + row["jpg_size"] // 2)
        file.write(b"\xff\xd9" + bytes(40))
    samples = Samples([folder])
    loader = Loader(samples, InOrder(len(samples), 2))
    with pytest.raises(UserError) as raised:
        list(loader)
    assert row["tar"] in str(raised.value)
    assert row["key"] in str(raised.value)
    assert loader.state()["number"] == 1  # the batch before it was delivered


def test_a_tar_that_is_cut_is_an_error(folders, tmp_path):
    folder = tmp_path / "train"
    shutil.copytree(folders[0], folder)
    last = Shards(folder).index.slice(len(Shards(folder)) - 1, 1).to_pylist()[0]
    os.truncate(folder / last["tar"], last["jpg_offset"] + 5)
    samples = Samples([folder])
    with pytest.raises(UserError, match="the tar ends before"):
        samples.jpeg(len(samples) - 1)


CUT_WHILE_OPEN = """
import os, sys
from pathlib import Path
import numpy as np
from faceshards.errors import UserError
from faceshards.samples import Samples
folder = Path(sys.argv[1])
samples = Samples([folder])
picture = np.empty((samples.side_px, samples.side_px, 3), np.uint8)
for place in range(len(samples)):
    samples.decode_into(place, picture)
for tar in folder.glob("*.tar"):
    os.truncate(tar, 600)
try:
    samples.decode_into(len(samples) - 1, picture)
except UserError as error:
    print(error)
"""


def test_a_tar_that_is_cut_while_it_is_open_is_an_error_and_no_bus_error(folders, tmp_path):
    folder = tmp_path / "train"
    shutil.copytree(folders[0], folder)
    done = subprocess.run(
        [sys.executable, "-c", CUT_WHILE_OPEN, str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert "the tar ends before" in done.stdout


def test_more_tars_than_may_be_open_are_read(folders, samples, monkeypatch):
    monkeypatch.setattr(samples_module, "MOST_OPEN_TARS", 2)
    few = Samples(folders)
    assert len(set(few._tars)) > 2
    order = Shuffled(len(few), 6)
    assert same(list(Loader(few, order, threads=4)), list(Loader(samples, order, threads=4)))
    assert len(few._open) == 2


def test_other_sizes_are_scaled(folders):
    samples = Samples(folders, size_px=96)
    (batch,) = Loader(samples, InOrder(len(samples), len(samples)))
    assert batch.images.shape == (len(samples), 96, 96, 3)


@pytest.mark.slow
def test_pytorchs_own_loader_gives_the_same_batches(samples):
    torch = pytest.importorskip("torch")
    from faceshards.torch_data import FaceDataset, OrderSampler, tensors

    loader = Loader(samples, Shuffled(len(samples), 4), seed=5)
    sampler = OrderSampler(loader)
    dataset = FaceDataset(samples)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        theirs = list(torch.utils.data.DataLoader(dataset, batch_sampler=sampler, num_workers=1))
        ours = [tensors(batch) for batch in loader]
        assert len(theirs) == len(ours) == len(loader)
        for one, other in zip(theirs, ours, strict=True):
            assert all(torch.equal(one[name], other[name]) for name in other)
