"""Streams against the indexed loader: the same samples and pixels, from a web server."""

import json
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from faceshards import facts as facts_module
from faceshards import remote
from faceshards.errors import UserError
from faceshards.filters import Filter
from faceshards.loader import Batch, Loader
from faceshards.order import InOrder
from faceshards.reading import Shards
from faceshards.remote import RemoteSamples
from faceshards.samples import Samples
from faceshards.streaming import StreamLoader
from tests.faceshards import drafts
from tests.faceshards.served import WebServer

NAMES = ("train", "val", "expanded")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "WAIT_S", 0.0)


@pytest.fixture(scope="module")
def server(shards: Path) -> Iterator[WebServer]:
    with WebServer(shards).running() as running:
        yield running


@pytest.fixture(scope="module")
def samples(server: WebServer) -> RemoteSamples:
    return RemoteSamples([f"{server.url}/{name}" for name in NAMES])


@pytest.fixture(scope="module")
def pictures(shards: Path) -> dict[int, np.ndarray]:
    """Every picture by its place, by the indexed loader."""
    local = Samples([shards / name for name in NAMES])
    (batch,) = Loader(local, InOrder(len(local), len(local)))
    return dict(zip(batch.places.tolist(), batch.images, strict=True))


def places(batches: list[Batch]) -> list[int]:
    return [place for batch in batches for place in batch.places.tolist()]


def simulated(samples: RemoteSamples, workers: int, epoch: int, rank: int, n_ranks: int, **how):
    """What PyTorch makes of the workers of a rank: their batches in turns."""
    loader = StreamLoader(samples, rank=rank, n_ranks=n_ranks, workers=workers, **how)
    streams = [list(loader.read(epoch, 0, worker)) for worker in range(workers)]
    turns = max(map(len, streams))
    found = [s[turn] for turn, s in product(range(turns), streams) if turn < len(s)]
    assert len(found) == len(loader)
    return found


def test_pictures_labels_and_vectors_are_those_of_the_indexed_loader(shards, samples, pictures):
    local = Samples([shards / name for name in NAMES])
    assert (samples.key, samples.graph, len(samples)) == (local.key, local.graph, len(local))
    for shuffle in (False, True):
        got = list(StreamLoader(samples, 7, shuffle=shuffle))
        for batch in got:
            assert np.array_equal(batch.labels, local.labels[batch.places])
            assert np.array_equal(batch.vectors, local.vectors[batch.places])
            for place, image in zip(batch.places.tolist(), batch.images, strict=True):
                assert np.array_equal(image, pictures[place])
    assert places(list(StreamLoader(samples, 7, shuffle=False))) == list(range(len(samples)))


@pytest.mark.parametrize("shuffle", [False, True])
def test_two_workers_of_two_nodes_read_every_sample_exactly_once(samples, shuffle):
    seen, batches = [], set()
    for rank in range(2):
        found = simulated(samples, 2, 3, rank, 2, batch_size=1, shuffle=shuffle)
        seen += places(found)
        batches.add(len(found))
    assert sorted(seen) == list(range(len(samples)))
    assert batches == {len(samples) // 2}


@pytest.mark.parametrize(("n_ranks", "workers", "size"), [(2, 2, 3), (3, 1, 4), (1, 3, 5)])
def test_ranks_of_a_training_have_as_many_whole_batches_and_drop_what_is_counted(
    samples, n_ranks, workers, size
):
    left_out = []
    for epoch in range(2):
        of_rank = [
            simulated(samples, workers, epoch, rank, n_ranks, batch_size=size)
            for rank in range(n_ranks)
        ]
        assert len({len(batches) for batches in of_rank}) == 1
        assert {len(b.places) for batches in of_rank for b in batches} == {size}
        seen = [place for batches in of_rank for place in places(batches)]
        assert len(set(seen)) == len(seen)
        left_out.append(set(range(len(samples))) - set(seen))
    dropped = StreamLoader(samples, size, n_ranks=n_ranks, workers=workers).dropped_per_epoch
    assert [len(left) for left in left_out] == [dropped] * 2
    assert not dropped or left_out[0] != left_out[1]


def test_the_order_differs_by_epoch_and_seed_and_is_the_same_again(samples):
    loader = StreamLoader(samples, 4, seed=1)
    epochs = [places(list(loader)) for _ in range(3)]
    assert len({tuple(order) for order in epochs}) == 3
    again = StreamLoader(samples, 4, seed=1)
    assert [places(list(again)) for _ in range(3)] == epochs
    assert places(list(StreamLoader(samples, 4, seed=2))) != epochs[0]


@pytest.mark.parametrize("shuffle", [False, True])
def test_resumed_anywhere_it_goes_on_and_reads_no_tar_that_is_done(server, samples, shuffle):
    whole = StreamLoader(samples, 4, shuffle=shuffle)
    expected = [batch.places.tolist() for _ in range(2) for batch in whole]
    for stop in range(1, len(whole) + 1):
        first = StreamLoader(samples, 4, shuffle=shuffle)
        for delivered, _ in enumerate(iter(first), 1):
            if delivered == stop:
                break
        server.asked.clear()
        rest = StreamLoader(samples, 4, shuffle=shuffle)
        rest.resume(first.state())
        got = [batch.places.tolist() for batch in rest]
        asked = sum(server.asked.values())
        got += [batch.places.tolist() for batch in rest]
        assert got[: len(expected) - stop] == expected[stop:]
        if stop == len(whole) - 1:
            assert 1 <= asked <= 2  # the tars of the last block; all of them are more
    assert len(samples.starts) - 1 > 4


def test_a_state_of_another_layout_is_refused(samples):
    state = StreamLoader(samples, 4).state()
    for other in ({"workers": 2}, {"seed": 2}, {"n_ranks": 2}, {"shuffle": False}):
        with pytest.raises(UserError, match="number of ranks or workers"):
            StreamLoader(samples, 4, **other).resume(state)
    StreamLoader(samples, 4).resume(state)


def test_mixture_weights_decide_how_often_each_url_comes(samples):
    sizes = np.diff(samples.starts)
    ends = [int(sizes[list(tars)].sum()) for tars in samples.sources]
    how = {"batch_size": 10, "weights": (1, 3, 0), "batches": 20}
    loader = StreamLoader(samples, **how)
    got = list(loader)
    assert len(got) == len(loader) == 20
    drawn = np.array(places(got))
    of_url = np.searchsorted(np.cumsum(ends), drawn, side="right")
    counts = np.bincount(of_url, minlength=3)
    assert counts[2] == 0
    assert counts[0] / counts.sum() == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 200) ** 0.5)
    for url, n in ((0, ends[0]), (1, ends[1])):  # all of a url before one of it comes again
        of_it = drawn[of_url == url]
        for at in range(0, len(of_it) - n, n):
            assert len(set(of_it[at : at + n].tolist())) == n
    # Two workers of two ranks have as many batches, and go on where they stopped.
    for rank in range(2):
        whole = simulated(samples, 2, 0, rank, 2, **how)
        assert len(whole) == 20
        later = StreamLoader(samples, rank=rank, n_ranks=2, workers=2, **how)
        rest = [list(later.read(0, 7, worker)) for worker in range(2)]
        turns = [b for pair in zip(*rest, strict=False) for b in pair]
        assert places(turns) == places(whole)[70 : 70 + 10 * len(turns)]
        assert len(turns) >= 12


@pytest.mark.slow
def test_pytorchs_workers_give_the_same_batches_and_resume(samples):
    pytest.importorskip("torch")
    expected = simulated(samples, 2, 0, 0, 1, batch_size=6)
    loader = StreamLoader(samples, 6, workers=2)
    assert places(list(loader)) == places(expected)
    loader.resume(StreamLoader(samples, 6, workers=2).state() | {"number": 3})
    assert places(list(loader)) == places(expected[3:])


@pytest.mark.parametrize(
    "where",
    [
        Filter(datasets=("wild",)),
        Filter(methods=("Deepfakes",), max_per_video=1),
        Filter(categories=("local",), regions=("eye",)),
    ],
)
def test_filters_let_pass_what_they_let_pass_of_indexed_samples(shards, server, where):
    local = Samples([shards / name for name in NAMES], where)
    far = RemoteSamples([f"{server.url}/{name}" for name in NAMES], where)
    assert far.key == local.key
    (one,) = Loader(local, InOrder(len(local), len(local)))
    (other,) = StreamLoader(far, len(far), shuffle=False)
    assert np.array_equal(one.images, other.images)
    assert np.array_equal(one.places, other.places)


def test_other_sizes_are_scaled_as_the_indexed_loader_does(shards, server):
    local = Samples([shards / "val"], size_px=96)
    far = RemoteSamples([f"{server.url}/val"], size_px=96)
    (one,) = Loader(local, InOrder(len(local), len(local)))
    (other,) = StreamLoader(far, len(far), shuffle=False)
    assert np.array_equal(one.images, other.images)


def test_local_paths_and_s3_go_through_fsspec(shards, monkeypatch):
    class Bucket(MemoryFileSystem):
        protocol = "s3"

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return "/" + path.removeprefix("s3://").lstrip("/")

    monkeypatch.setitem(_registry, "s3", Bucket)
    Bucket().put(str(shards / "val"), "s3://bucket/val", recursive=True)
    order = [
        places(list(StreamLoader(RemoteSamples([url]), 4)))
        for url in (shards / "val", f"file://{shards}/val", "s3://bucket/val")
    ]
    assert order[0] == order[1] == order[2]


def test_what_is_no_url_of_a_shard_folder_is_told(server, tmp_path):
    for url in (
        *("pipe:cat /etc/passwd", "simplecache::http://x/y", "ftp://x/y", "gs://x/y"),
        "pipe:echo x://",
    ):
        with pytest.raises(UserError, match="is not read; a url begins with"):
            RemoteSamples([url])
    with pytest.raises(UserError, match=r"nothing/shards\.json does not exist"):
        RemoteSamples([f"{server.url}/nothing"])
    with pytest.raises(UserError, match=r"shards\.json cannot be read: .*connect"):
        RemoteSamples(["http://127.0.0.1:9/train"])


def test_a_server_that_fails_for_a_moment_is_asked_again(server):
    server.failures = 2
    assert len(RemoteSamples([f"{server.url}/val"])) == 8
    server.failures = 9
    with pytest.raises(UserError, match=r"shards\.json cannot be read"):
        RemoteSamples([f"{server.url}/val"])
    server.failures = 0


@pytest.fixture
def copied(shards: Path, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    shutil.copytree(shards / "train", tmp_path / "train")
    with WebServer(tmp_path).running() as running:
        yield tmp_path / "train", f"{running.url}/train"


def test_a_tar_with_other_bytes_is_an_error_with_its_url(copied):
    folder, url = copied
    far = RemoteSamples([url])
    row = Shards(folder).index.slice(3, 1).to_pylist()[0]
    path = folder / row["tar"]
    whole = path.read_bytes()
    for damaged in (
        whole[: row["jpg_offset"] + 9] + b"\0" + whole[row["jpg_offset"] + 10 :],
        whole[:-1],
        whole + b"\0" * 10_000,
    ):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=f"{url}/{row['tar']} (is|has)"):
            list(StreamLoader(far, 4, shuffle=False))
    path.unlink()
    with pytest.raises(UserError, match="does not exist"):
        list(StreamLoader(far, 4, shuffle=False))


def hostile(tmp_path: Path, shards: Path, change) -> tuple[Path, str]:
    """A folder whose digests all fit, made by somebody who means ill."""
    draft = drafts.read(shards / "train")
    change(draft)
    draft.write(tmp_path / "train")
    return tmp_path / "train", str(tmp_path / "train")


def test_a_corrupt_sample_is_an_error_with_its_shard_and_key(shards, tmp_path):
    victim = {}

    def change(draft) -> None:
        sample = draft.samples[5]
        sample.members["jpg"] = sample.members["jpg"][:900]
        victim.update(key=sample.key, tar=sample.tar)

    _, url = hostile(tmp_path, shards, change)
    loader = StreamLoader(RemoteSamples([url]), 2, shuffle=False)
    with pytest.raises(UserError, match="cannot be decoded") as raised:
        list(loader)
    assert victim["key"] in str(raised.value)
    assert f"{url}/{victim['tar']}" in str(raised.value)
    assert loader.state()["number"] == 2  # the batches before it were delivered


def test_an_index_that_names_what_the_tar_does_not_hold_is_an_error(shards, tmp_path):
    def change(draft) -> None:
        def exchange(rows) -> None:
            rows[0]["key"], rows[1]["key"] = rows[1]["key"], rows[0]["key"]

        draft.change_rows = exchange

    _, url = hostile(tmp_path, shards, change)
    with pytest.raises(UserError, match="is not where the index says"):
        list(StreamLoader(RemoteSamples([url]), 2, shuffle=False))


@pytest.mark.parametrize("kind", ["gzip", "sparse", "link"])
def test_tars_that_are_no_plain_tars_are_not_parsed(shards, tmp_path, kind):
    """Compressed ones would unpack to any size, sparse ones too; links lead elsewhere."""
    import gzip
    import hashlib
    import io
    import tarfile

    folder = tmp_path / "train"
    shutil.copytree(shards / "train", folder)
    about = json.loads((folder / "shards.json").read_text())
    name = min(about["tars"])
    out = io.BytesIO()
    if kind == "gzip":
        out.write(gzip.compress((folder / name).read_bytes()))
    else:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as made:
            info = tarfile.TarInfo("a/b/c.jpg")
            info.type = tarfile.GNUTYPE_SPARSE if kind == "sparse" else tarfile.SYMTYPE
            info.linkname = "" if kind == "sparse" else "/etc/passwd"
            made.addfile(info)
    data = out.getvalue()
    (folder / name).write_bytes(data)
    about["tars"][name] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    about["digest"] = facts_module.digest(about)
    (folder / "shards.json").write_text(facts_module.text(about))
    with pytest.raises(UserError, match=f"{name} is damaged: .*byte 0"):
        list(StreamLoader(RemoteSamples([folder]), 2, shuffle=False))


def test_no_tar_is_asked_for_that_shards_json_does_not_list(copied):
    folder, url = copied
    about = json.loads((folder / "shards.json").read_text())
    about["tars"]["../../secret.tar"] = about["tars"].pop(min(about["tars"]))
    about["digest"] = facts_module.digest(about)
    (folder / "shards.json").write_text(facts_module.text(about))
    with pytest.raises(UserError, match=f"{url}.*is not the plain name of a tar"):
        RemoteSamples([url])
    del about["tars"]["../../secret.tar"]
    about["digest"] = facts_module.digest(about)
    (folder / "shards.json").write_text(facts_module.text(about))
    with pytest.raises(UserError, match="name other tars or samples"):
        RemoteSamples([url])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rank": 2, "n_ranks": 2}, "Rank 2 of 2"),
        ({"n_ranks": 9}, "too few for 9 workers"),
        ({"weights": (1, 1)}, "2 weights are given for 3 urls"),
        ({"weights": (0, 0, 0), "batches": 1}, "some of them above 0"),
        ({"weights": (1, 1, 1)}, "batches 1 or more"),
    ],
)
def test_what_cannot_be_streamed_is_told(samples, how, message):
    with pytest.raises(UserError, match=message):
        StreamLoader(samples, 6, **how)
