"""What cannot go well is told at once, before any work."""

import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import config
from pipeline.commands.contradictions import check, contradictions
from pipeline.config.run_params import DataParams
from pipeline.errors import UserError

SAMPLE = config.load(Path(__file__).parents[2] / "profiles/sample.yaml")
OWN = config.load(Path(__file__).parents[2] / "profiles/own-data.yaml")


def videos(*rows):
    """Columns of ``videos`` that count, from (dataset, split, method) rows."""
    datasets, splits, methods = (list(column) for column in zip(*rows, strict=True))
    labels = [int(method != "real") for method in methods]
    return pa.table(
        {
            "dataset": datasets,
            "split": splits,
            "label": pa.array(labels, pa.int8()),
            "method": methods,
            "identity": ["somebody"] * len(rows),
        }
    )


WHOLE = [("ffpp", split, method) for split in ("train", "val") for method in ("real", "Deepfakes")]


def test_data_that_fit_contradict_nothing():
    assert contradictions(SAMPLE, ["ffpp"], videos(*WHOLE)) == []
    mine = [("mine", split, method) for split in ("train", "val") for method in ("real", "x")]
    assert contradictions(OWN, ["mine"], videos(*mine)) == []


@pytest.mark.parametrize(
    ("params", "entries", "rows", "expected"),
    [
        (
            SAMPLE,
            ["mine"],
            [("mine", s, m) for s in ("train", "val") for m in ("real", "x")],
            ["expand.datasets names ffpp, which manifests/datasets.yaml does not have"],
        ),
        (
            SAMPLE,
            ["ffpp", "mine"],
            [("ffpp", "val", "real")]
            + [("mine", s, m) for s in ("train", "val") for m in ("real", "x")],
            ["expand.datasets names ffpp, which has no video in the split train"],
        ),
        (
            SAMPLE,
            ["ffpp"],
            [*WHOLE[2:], ("ffpp", "train", "real"), ("ffpp", "train", "Face2Face")],
            ["expand.source_methods: ffpp has no train videos of Deepfakes or FaceSwap"],
        ),
        (
            OWN,
            ["mine"],
            [("mine", "train", m) for m in ("real", "x")],
            ["the run metric-learning needs videos in the split val"],
        ),
        (
            OWN,
            ["mine"],
            [("mine", "train", "real"), ("mine", "val", "real"), ("mine", "val", "x")],
            [
                "balance.train is balanced, but dataset mine has real videos only in split train",
                "the run metric-learning needs both classes in the split train",
            ],
        ),
        (
            replace(OWN, runs={n: replace(run, also="expanded") for n, run in OWN.runs.items()}),
            ["mine"],
            [("mine", s, m) for s in ("train", "val") for m in ("real", "x")],
            ["the run metric-learning reads expanded shards"],
        ),
        (
            replace(OWN, faces=replace(OWN.faces, per_dataset={"b": {"margin": 0.1}})),
            ["mine"],
            [("mine", s, m) for s in ("train", "val") for m in ("real", "x")],
            ["faces.per_dataset names b, which manifests/datasets.yaml does not have (mine)"],
        ),
    ],
)
def test_each_contradiction_is_one_sentence(params, entries, rows, expected):
    found = contradictions(params, entries, videos(*rows))
    assert len(found) == len(expected)
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(start)
        assert problem.endswith(".")


def _reading(**data):
    return replace(
        OWN, runs={n: replace(run, data=DataParams(**data)) for n, run in OWN.runs.items()}
    )


TWO = [(d, s, m) for d in ("a", "b") for s in ("train", "val") for m in ("real", f"fake-{d}")]


@pytest.mark.parametrize(
    ("data", "rows", "expected"),
    [
        ({"datasets": ("a",)}, TWO, ""),
        ({"methods": ("fake-a",)}, TWO, ""),
        (
            {"datasets": ("aa",)},
            TWO,
            "runs.metric-learning.data.datasets names aa, which manifests/datasets.yaml does not "
            "have. Did you mean",
        ),
        (
            {"datasets": ("later",)},
            TWO,
            "the run metric-learning reads the dataset later, of which there are no videos. Give",
        ),
        (
            {"methods": ("fake_b",)},
            TWO,
            "runs.metric-learning.data.methods names fake_b, which no video has and "
            "the stage expand does not make. Did you mean fake",
        ),
        (
            {"datasets": ("a",), "methods": ("fake-b",)},
            TWO,
            "the run metric-learning needs both classes in the split train, and all of its videos "
            "are real",
        ),
        (
            {"datasets": ("a",)},
            [row for row in TWO if row[:2] != ("a", "val")],
            "the run metric-learning needs videos in the split val, and runs.metric-learning.data "
            "leaves none.",
        ),
    ],
)
def test_what_a_run_reads_must_be_there(data, rows, expected):
    found = contradictions(_reading(**data), ["a", "b", "later"], videos(*rows))
    assert len(found) == bool(expected)
    assert "".join(found).startswith(expected)


def test_reals_alone_can_be_blended_with_themselves_where_there_are_landmarks():
    blending = _reading(fakes="self_blended")
    own = replace(blending, balance=replace(OWN.balance, train="all"))
    reals = [row for row in TWO if row[1:] != ("train", f"fake-{row[0]}")]
    assert contradictions(own, ["a", "b"], videos(*reals)) == []
    fakes = [row for row in TWO if row[1:] != ("train", "real")]
    (found,) = contradictions(own, ["a", "b"], videos(*fakes))
    assert found.startswith("the run metric-learning blends real faces with themselves, and the")
    blind = replace(own, landmarks=replace(OWN.landmarks, landmarker="none"))
    (found,) = contradictions(blind, ["a", "b"], videos(*reals))
    assert "needs landmarks, but landmarks.landmarker is none" in found


def test_names_of_images_that_are_made_are_known_before_they_are():
    runs = {n: replace(r, also="expanded") for n, r in SAMPLE.runs.items()}
    expand = replace(SAMPLE.expand, generators=("swap", "xray"))
    both = replace(SAMPLE, expand=expand)
    for data in (
        {"methods": ("swap_eye",)},
        {"methods": ("Deepfakes", "swap_lip")},
        {"methods": ("xray_face",)},
        {"regions": ("face", "eye"), "generators": ("xray",)},
    ):
        reading = {n: replace(r, data=DataParams(**data)) for n, r in runs.items()}
        assert contradictions(replace(both, runs=reading), ["ffpp"], videos(*WHOLE)) == []


@pytest.mark.parametrize(
    ("generators", "also", "data", "expected"),
    [
        (("swap",), "expanded", {"methods": ("xray_face",)}, "data.methods names xray_face, which"),
        (("swap",), "expanded", {"generators": ("xray",)}, "data.generators names xray, which no"),
        (("xray",), "expanded", {"regions": ("lip",)}, "data.regions names lip, which no video"),
        (("swap", "xray"), "train", {"methods": ("Deepfakes", "xray_face")}, "only expanded"),
        (("swap",), "train", {"regions": ("lip",)}, "data.regions names lip, which only expanded"),
    ],
)
def test_names_of_images_that_are_not_made_or_not_read_are_told(generators, also, data, expected):
    runs = {"one": replace(SAMPLE.runs["sjedd"], also=also, data=DataParams(**data))}
    expand = replace(SAMPLE.expand, generators=generators)
    (told,) = contradictions(replace(SAMPLE, expand=expand, runs=runs), ["ffpp"], videos(*WHOLE))
    assert expected in told


def test_face_x_ray_needs_no_fakes_to_take_faces_of():
    """It blends reals; ``swap`` takes faces of the methods that are named."""
    reals = [("ffpp", split, "real") for split in ("train", "val")] + [("ffpp", "train", "other")]
    only = replace(SAMPLE, expand=replace(SAMPLE.expand, generators=("xray",)), runs={})
    assert contradictions(only, ["ffpp"], videos(*reals)) == []
    (told,) = contradictions(replace(SAMPLE, runs={}), ["ffpp"], videos(*reals))
    assert "of which swap takes faces" in told


def test_graphs_must_be_there():
    shard = replace(SAMPLE.shard, graph="ffp")
    found = contradictions(replace(SAMPLE, shard=shard), ["ffpp"], videos(*WHOLE), ["ffpp", "ffsc"])
    assert found == [
        "shard.graph names ffp, which manifests/semantics.yaml does not have. Did you mean ffpp?"
    ]
    assert contradictions(SAMPLE, ["ffpp"], videos(*WHOLE), ["ffsc"])[-1].startswith(
        "runs.sjedd.objective.graph names ffpp, which"
    )


def test_all_are_told_at_once_with_missing_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = replace(SAMPLE, landmarks=replace(SAMPLE.landmarks, landmarker="fan"))
    with pytest.raises(UserError) as raised:
        check(params, ["mine"], videos(("mine", "train", "x")))
    told = str(raised.value)
    assert re.match(r"\d things would stop a later stage:", told)
    for part in (
        "expand.datasets names ffpp",
        "balance.train",
        "the run sjedd needs videos in the split val",
        "landmarks.weights.path",
    ):
        assert part in told


def test_nothing_is_lacking_where_all_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check(SAMPLE, ["ffpp"], videos(*WHOLE)) == ""


def test_what_balance_names_and_the_data_do_not_have():
    balance = replace(OWN.balance, per_video={"mine": 2, "other": 1}, method_weights={"Y": 2.0})
    mine = [("mine", split, method) for split in ("train", "val") for method in ("real", "x")]
    found = contradictions(replace(OWN, balance=balance), ["mine"], videos(*mine))
    assert [problem.split(",")[0] for problem in found] == [
        "balance.per_video names other",
        "balance.method_weights names Y",
    ]


def test_nobody_is_known_in_a_dataset_that_is_to_be_expanded():
    table = videos(*WHOLE)
    unknown = table.set_column(4, "identity", pa.array([""] * table.num_rows))
    (problem,) = contradictions(SAMPLE, ["ffpp"], unknown)
    assert problem.startswith("expand.datasets names ffpp, whose real train videos do not say who")
    expand = replace(SAMPLE.expand, identity="assume_different")
    assert contradictions(replace(SAMPLE, expand=expand), ["ffpp"], unknown) == []
