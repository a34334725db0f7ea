import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.audit.shortcuts import Answer, Shortcut
from pipeline.config.objectives import MetricLearningParams
from pipeline.config.run_params import DataParams, ModelParams, OptimizerParams, RunParams
from pipeline.config.values import Weights
from pipeline.errors import UserError
from pipeline.report import runs
from pipeline.shards.run_data import counts
from tests.report import project


def facts(root: Path, name: str = "first", params: RunParams = project.RUN) -> runs.RunFacts:
    return runs.run_facts(name, params, root / "plots", root / "predictions")


def test_scores_are_those_of_the_file(root: Path) -> None:
    (table,) = facts(root).scores
    rows = {row[:2]: row[2:] for row in table.rows}
    counts = ("", "76.9%", 4, 6)
    areas = ("0.844 [0.50, 0.90]", "0.719 [0.50, 0.90]")
    assert rows["ffpp", "Deepfakes"] == (areas[0], "0.625", "0.594", *counts)
    assert rows["ffpp", "all fakes"] == (areas[1], "0.625", "0.594", *counts)
    assert rows["wild", "unheard-of"] == (*["one class"] * 3, "", "76.9%", 0, 6)
    assert next(iter(rows)) == ("all datasets", "all fakes")
    assert facts(root).one_class == ("val wild", "val wild unheard-of")
    assert facts(root).unscored == 3


def test_what_can_be_told_without_the_face_stands_beside_it(root: Path) -> None:
    found = [
        Shortcut("ffpp", folder, 9, 9, Answer(auc))
        for folder, auc in (("val", 0.8125), ("test", 0.5))
    ]
    read = runs.run_facts(
        "first", project.RUN, root / "plots", root / "predictions", shortcuts=found
    )
    rows = {row[:2]: row[5] for row in read.scores[0].rows}
    assert rows["ffpp", "all fakes"] == "0.812"
    assert set(rows.values()) == {"", "0.812"}


def test_a_run_without_files_has_none(root: Path) -> None:
    found = facts(root, "second")
    assert (found.charts, found.scores, found.one_class) == ((), (), ())
    assert found.meaningless
    table = runs.run_table([facts(root), found])
    assert [row[1:5] for row in table.rows] == [
        ("0.719", "0.625", "none", "none"),
        ("none",) * 4,
    ]


def test_only_tiny_models_mean_nothing(tmp_path: Path) -> None:
    model = ModelParams("vit", "vit-b16", Weights("/secret/place/start.pt", "0" * 64))
    big = replace(project.RUN, model=model)
    assert not facts(tmp_path, params=big).meaningless
    assert dict(facts(tmp_path, params=big).settings)["starts from"] == "start.pt"
    assert runs.run_table([facts(tmp_path, params=big)]).rows[0][-1] == ""
    path = tmp_path / "predictions/first/metrics.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(project.scores(meaningless=1)))
    assert facts(tmp_path, params=big).meaningless


def test_what_a_run_reads_is_counted(root: Path) -> None:
    data = DataParams(datasets=("ffpp",), max_per_video=3, labels="face_only")
    params = replace(project.RUN, data=data)
    reads = counts("first", params, root / "data/shards")
    nowhere = Path("nowhere")
    words = dict(runs.run_facts("first", params, nowhere, nowhere, reads).settings)
    assert words["data"] == "datasets: ffpp; max_per_video: 3; labels: face_only"
    assert words["train faces"] == "12 (6 real, 6 fake)"
    assert words["val faces"] == "4 (2 real, 2 fake)"
    assert dict(facts(nowhere).settings)["data"] == "all of it"


def test_the_page_counts_what_every_run_reads(html: str) -> None:
    assert html.count("24 (12 real, 12 fake)") == len(project.RUNS)


def test_settings_in_words() -> None:
    triplet = MetricLearningParams("metric_learning", triplet="batch_all", triplet_weight=0.5)
    words = dict(facts(Path("nowhere"), params=replace(project.RUN, objective=triplet)).settings)
    assert words["loss"] == "cross-entropy + 0.5 x triplet (batch all), margin 1"
    apart = MetricLearningParams("metric_learning", attribution="dataset")
    words = dict(facts(Path("nowhere"), params=replace(project.RUN, objective=apart)).settings)
    assert words["loss"] == "cross-entropy over real and each dataset of fakes"
    assert (words["model"], words["starts from"]) == ("ViT, tiny", "random numbers")
    assert words["learning rate"] == "0.0001"
    slow = OptimizerParams(1e-3, base_rate="blr", batch_size=64, layer_decay=0.75)
    words = dict(facts(Path("nowhere"), params=replace(project.RUN, optimizer=slow)).settings)
    assert words["learning rate"] == "0.00025, times 0.75 from a layer to the one before it"


def test_train_and_val_share_a_chart(root: Path) -> None:
    charts = {chart.title: chart for chart in runs.charts(root / "plots/first.csv")}
    assert list(charts) == ["loss", "learning rate"]  # no finite val_auc
    assert charts["loss"].words == "train 0.7 to 0.14; val 0.8 to 0.16"
    assert [tick.text for tick in charts["loss"].x_ticks] == ["1", "2", "3", "4", "5"]


def test_an_epoch_is_a_point_and_none_is_no_chart(tmp_path: Path) -> None:
    project.history(tmp_path / "one.csv", epochs=1)
    assert runs.charts(tmp_path / "one.csv")[0].words == "train 0.7; val 0.8"
    project.history(tmp_path / "none.csv", epochs=0)
    assert runs.charts(tmp_path / "none.csv") == ()


def test_an_auc_of_one_class_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "one_class.csv"
    path.write_text("epoch,train_loss,val_loss,val_auc\n1,0.7,0.8,\n2,0.6,0.7,\n")
    assert [chart.title for chart in runs.charts(path)] == ["loss"]
    path.write_text("epoch,val_auc\n1,\n2,0.75\n")
    (chart,) = runs.charts(path)
    assert chart.words == "val 0.75"


@pytest.mark.parametrize(
    "text",
    [
        "epoch,loss\n,1\n",
        "",
        "loss\n1\n",
        "epoch,loss\n1,low\n",
        "epoch,loss\n1,2,3\n",
        "epoch,loss\n1\n",
    ],
)
def test_damaged_histories_are_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"bad\.csv is not a training history"):
        runs.charts(path)


@pytest.mark.parametrize("overall", ["1", "{}", "[]", '{"videos_missing": "many"}'])
def test_damaged_scores_are_told(tmp_path: Path, overall: str) -> None:
    path = tmp_path / "predictions/first/metrics.json"
    path.parent.mkdir(parents=True)
    path.write_text(f'{{"val": {{"overall": {overall}, "datasets": {{}}}}}}')
    with pytest.raises(UserError, match=r"metrics\.json is not of this version"):
        facts(tmp_path)
