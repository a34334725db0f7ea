"""What runs read of shard folders, against the json of every sample."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from faceshards.reading import Shards
from pipeline.config.objectives import MetricLearningParams
from pipeline.config.run_params import DataParams, ModelParams, RunParams
from pipeline.errors import UserError
from pipeline.labels import semantics
from pipeline.shards import run_data
from tests.shards import made

RUN = RunParams(
    ModelParams("vit", "tiny"), MetricLearningParams("metric_learning"), also="expanded"
)

CASES = [
    ({}, lambda a: True),
    ({"datasets": ("ffpp",)}, lambda a: a["dataset"] == "ffpp"),
    ({"methods": ("Deepfakes",)}, lambda a: a["label"] == 0 or a["method"] == "Deepfakes"),
    ({"categories": ("local",)}, lambda a: a["label"] == 0 or a["category"] == "local"),
    ({"regions": ("eye",)}, lambda a: a["region"] in ("", "eye")),
    ({"generators": ("swap",)}, lambda a: a["generator"] in ("", "swap")),
    (
        {"datasets": ("wild",), "methods": ("unheard-of",)},
        lambda a: a["dataset"] == "wild" and (a["label"] == 0 or a["method"] == "unheard-of"),
    ),
]


@pytest.mark.parametrize(("data", "passes"), CASES)
def test_counts_are_those_of_the_jsons(shards: Path, data, passes) -> None:
    found = run_data.counts("a", replace(RUN, data=DataParams(**data)), shards)
    assert [one.folder for one in found] == ["train", "expanded", "val"]
    for one in found:
        read = [s.about for s in Shards(shards / one.folder).samples() if passes(s.about)]
        labels = Counter(about["label"] for about in read)
        assert (one.real, one.fake) == (labels[0], labels[1])
        assert str(one) == (f"{one.folder} {len(read)} ({labels[0]} real, {labels[1]} fake)")


def test_most_of_a_video_are_those_of_the_filter(shards: Path) -> None:
    index = Shards(shards / "train").index
    (rows,) = run_data.chosen("a", DataParams(max_per_video=1), [index])
    videos = Counter(index["video_id"].to_pylist())
    assert max(videos.values()) == 2
    assert Counter(rows["video_id"].to_pylist()) == dict.fromkeys(videos, 1)


def test_rows_stay_in_the_order_of_their_folders(shards: Path) -> None:
    names = ("train", "expanded", "val")
    indexes = [Shards(shards / name).index for name in names]
    rows = run_data.chosen("a", DataParams(datasets=("ffpp",)), indexes)
    for some, index in zip(rows, indexes, strict=True):
        wanted = [i for i, d in enumerate(index["dataset"].to_pylist()) if d == "ffpp"]
        assert some.equals(index.take(pa.array(wanted, pa.int64())))
    assert all(
        a is b for a, b in zip(run_data.chosen("a", DataParams(), indexes), indexes, strict=True)
    )


def test_a_name_that_one_folder_alone_has_is_known(shards: Path) -> None:
    data = DataParams(methods=("swap_eye",))
    train, expanded, val = run_data.counts("a", replace(RUN, data=data), shards)
    assert (train.fake, val.fake) == (0, 0)
    assert expanded.fake > 0


def test_a_name_that_nobody_has_is_one_sentence(shards: Path) -> None:
    data = DataParams(methods=("Deepfake",))
    with pytest.raises(UserError, match=r"runs\.a\.data: methods names 'Deepfake', .*Deepfakes"):
        run_data.counts("a", replace(RUN, data=data), shards)


@pytest.mark.parametrize("graph", ["ffpp", "ffsc"])
def test_vectors_of_any_graph(shards: Path, graph: str) -> None:
    known = semantics.load(made.SEMANTICS)
    adapters = {"ffpp": "faceforensics", "wild": "csv"}
    for name in ("train", "expanded"):
        opened = Shards(shards / name)
        vectors = run_data.vectors(opened, graph, opened.index)
        rows = run_data.relabelled(opened.index, vectors, face_only=False)
        assert rows.schema.equals(opened.index.schema, check_metadata=False)
        for row in rows.to_pylist():
            kind = (row["dataset"], adapters[row["dataset"]], row["method"])
            assert tuple(row["vector"]) == known.vector(graph, *kind, row["label"], row["category"])
        if graph == "ffpp":
            assert rows["vector"].to_pylist() == opened.index["vector"].to_pylist()


def test_face_only_leaves_the_first_node(shards: Path) -> None:
    opened = Shards(shards / "train")
    vectors = run_data.vectors(opened, "ffpp", opened.index)
    rows = run_data.relabelled(opened.index, vectors, face_only=True)
    table = np.array(rows["vector"].to_pylist())
    assert table[:, 0].tolist() == rows["label"].to_pylist()
    assert (table[:, 1:] == -1).all()


def test_shards_without_a_vector_are_to_be_made_anew(shards: Path) -> None:
    opened = Shards(shards / "val")
    for broken in ({}, {"ffsc": []}, {"ffsc": {"ffpp": {}}}):
        opened.facts["vectors"] = broken
        with pytest.raises(UserError, match=r"no label vector of .* graph ffsc.*dvc repro shard"):
            run_data.vectors(opened, "ffsc", opened.index)
