"""What a run is trained on: its part of the shards, in its own label graph."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.config.run_params import DataParams
from pipeline.errors import UserError
from pipeline.labels import semantics
from pipeline.training import inputs
from tests.shards import made as packed
from tests.training import made

KNOWN = semantics.load(packed.SEMANTICS)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets, and expanded samples of the first one's."""
    root = tmp_path_factory.mktemp("packed")
    packed.shard(packed.world(root / "stores"), root / "shards")
    return root / "shards"


def read(shards, params, graph="", **data):
    wanted = replace(params, data=DataParams(**data))
    if graph:
        wanted = replace(wanted, objective=replace(wanted.objective, graph=graph))
    run = replace(made.run(wanted), graph=KNOWN.graphs.get(wanted.objective.graph))
    return inputs.read(run, shards, made.SIDE_PX)


def test_only_what_is_named_is_read(shards):
    whole = read(shards, made.metric_learning())
    some = read(shards, made.metric_learning(), datasets=("ffpp",))
    assert whole.counts == {"train": 24, "val": 8}
    assert some.counts == {"train": 12, "val": 4}
    assert (len(some.train), len(some.val)) == (12, 4)
    expanded = read(shards, made.sjedd(also="expanded"), regions=("eye",))
    assert expanded.counts == {"train": 24, "expanded": 4, "val": 8}


def test_two_graphs_of_the_same_shards(shards):
    for graph in ("ffpp", "ffsc"):
        data = read(shards, made.sjedd(also="expanded"), graph, datasets=("ffpp",))
        swap = KNOWN.vector(graph, "ffpp", "faceforensics", "Deepfakes", 1, "FS")
        eye = KNOWN.vector(graph, "ffpp", "faceforensics", "swap_eye", 1, "local")
        nose = KNOWN.vector(graph, "ffpp", "faceforensics", "swap_nose", 1, "local")
        real = (0,) * len(swap)
        assert set(map(tuple, data.train.vectors.tolist())) == {real, swap, eye, nose}
        assert set(map(tuple, data.val.vectors.tolist())) == {real, swap}
        (batch,) = data.train.batches(data.train.in_order(1000))
        assert len(batch.images) == data.counts["train"] + data.counts["expanded"]
        # Each picture still stands beside its own row, whatever was left out before it.
        assert torch.equal(batch.labels, (batch.vectors[:, 0] == 1).long())


def test_the_face_alone_may_be_learnt(shards):
    data = read(shards, made.sjedd(), "ffpp", labels="face_only")
    assert (data.train.vectors[:, 0] == data.train.labels).all()
    assert (data.train.vectors[:, 1:] == -1).all()


def test_what_a_run_does_not_read_is_none_of_its_business(shards, tmp_path):
    other = tmp_path / "shards"
    packed.shard(packed.world(tmp_path / "stores", second="more"), other)
    before = read(shards, made.sjedd(), datasets=("ffpp",))
    assert before.digest == read(other, made.sjedd(), "ffpp", datasets=("ffpp",)).digest
    in_ffsc = read(shards, made.sjedd(), "ffsc", datasets=("ffpp",))
    assert in_ffsc.digest != before.digest
    assert read(shards, made.sjedd(), "ffpp").digest != read(other, made.sjedd(), "ffpp").digest


def test_classes_are_those_of_what_is_read(shards):
    by_dataset = made.metric_learning(attribution="dataset")
    assert read(shards, by_dataset).classes == ("real", "ffpp", "wild")
    assert read(shards, by_dataset, datasets=("wild",)).classes == ("real", "wild")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"datasets": ("fpp",)}, r"runs\.toy\.data: datasets names 'fpp'.*ffpp"),
        ({"methods": ("swap_eye",)}, "needs some|real faces only"),
    ],
)
def test_data_that_lack_something_are_one_sentence(shards, data, message):
    params = made.metric_learning()
    if "methods" in data:
        params = replace(params, also="expanded")
        data |= {"regions": ("nose",)}
    with pytest.raises(UserError, match=message):
        read(shards, params, **data)


def test_a_run_of_one_class_is_one_sentence(shards, tmp_path):
    made.shards(tmp_path, "train", made.planted_kinds(0, 16))
    made.shards(tmp_path, "val", made.planted_kinds(100, 16))
    with pytest.raises(UserError, match=r"runs\.toy\.data leaves fake faces only.*learn nothing"):
        read(tmp_path, made.metric_learning(), datasets=("other",))
