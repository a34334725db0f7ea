"""The stage as DVC calls it: killed for real, called wrongly, with input that does not fit."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.commands.entry import EXIT_USER_ERROR, run_main
from pipeline.config import read_yaml
from pipeline.errors import UserError
from pipeline.training import checkpoint
from stages import train
from tests.e2e.project import command, stages_run
from tests.training import made

EPOCHS = 12
PARAMS = f"""
runs:
  joint:
    model: {{architecture: joint_embedding, size: tiny}}
    objective: {{kind: sjedd, graph: ffpp}}
    also: expanded
    optimizer: {{epochs: {EPOCHS}, batch_size: 16, warmup_epochs: 1, learning_rate: 1e-3}}
  plain:
    model: {{architecture: vit, size: tiny}}
    objective: {{kind: metric_learning, triplet: batch_all}}
    also: train
    optimizer: {{epochs: 2, batch_size: 16, warmup_epochs: 1}}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with parameters and shards; it is the working directory."""
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "manifests").mkdir()
    shutil.copy(made.ROOT / "manifests/semantics.yaml", tmp_path / "manifests")
    shards = tmp_path / "data/shards"
    made.shards(shards, "train", made.planted(0, 100))
    made.shards(shards, "expanded", [s for s in made.planted(2000, 20) if s.label])
    made.shards(shards, "val", made.planted(1000, 30))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    return run_main(train.main)


def _outputs(project, run):
    files = [*(project / "models" / run).iterdir(), project / f"plots/{run}.csv"]
    return {path.name: path.read_bytes() for path in files}


def _epochs(path):
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def _kill_after(project, run, epochs):
    """Starts the stage and kills it with SIGKILL once that many epochs are in its history."""
    environment = os.environ | {"PYTHONPATH": str(made.ROOT)}
    command = [sys.executable, "-m", "stages.train", run]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        give_up = time.monotonic() + 120
        while _epochs(project / f"plots/{run}.csv") < epochs:
            assert process.poll() is None, "ended before it could be killed"
            assert time.monotonic() < give_up
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_and_resumed_gives_the_same_bytes(project, monkeypatch, capsys):
    assert _call(monkeypatch, "joint") == 0
    whole = _outputs(project, "joint")
    for folder in ("models", "plots"):
        shutil.rmtree(folder)
    _kill_after(project, "joint", 3)
    done = _epochs(Path("plots/joint.csv"))
    assert 3 <= done < EPOCHS
    capsys.readouterr()
    assert _call(monkeypatch, "joint") == 0
    said = capsys.readouterr().err
    assert "epochs are done already" in said
    assert f"epoch {done} of" not in said.split("done already")[1]
    assert _outputs(project, "joint") == whole
    assert set(whole) == {"best.pt", "last.pt", "run.json", "joint.csv"}


def test_it_writes_what_dvc_expects_and_plots(project, monkeypatch):
    assert _call(monkeypatch, "plain") == 0
    assert {path.name for path in Path("models/plain").iterdir()} == {
        "best.pt",
        "last.pt",
        "run.json",
    }
    with Path("plots/plain.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]


@pytest.mark.slow
def test_several_processes_by_a_parameter_are_those_of_torchrun(project, monkeypatch):
    one, two = project / "one", project / "two"
    monkeypatch.setenv("PYTHONPATH", str(made.ROOT))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for folder in (one, two):
        shutil.copytree(project / "data", folder / "data")
        shutil.copytree(project / "manifests", folder / "manifests")
    (one / "params.yaml").write_text(f"engine: {{gpus: 2}}\n{PARAMS}")
    (two / "params.yaml").write_text(PARAMS)
    monkeypatch.chdir(one)
    assert _call(monkeypatch, "plain") == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    stage = ["--nproc-per-node", "2", "-m", "stages.train", "plain"]
    subprocess.run([*launcher, *stage], cwd=two, check=True, capture_output=True, timeout=120)
    assert _outputs(one, "plain") == _outputs(two, "plain")
    assert list((one / "logs").iterdir()) == [one / "logs/train@plain.jsonl"]


def _edit(old, new):
    text = Path("params.yaml").read_text()
    assert old in text
    Path("params.yaml").write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("spoil", "arguments", "message"),
    [
        (lambda: None, [], "Name one run of params.yaml. There are: joint, plain."),
        (lambda: None, ["plane"], "no run 'plane' under runs. Did you mean plain"),
        (lambda: None, ["plain", "joint"], "Name one run of params.yaml."),
        (
            lambda: _edit("graph: ffpp", "graph: ffsc"),
            ["joint"],
            "do not follow the graph ffsc of the run joint",
        ),
        (
            lambda: (
                _edit("runs:", "shard: {graph: mine}\nruns:") or _edit("graph: ffpp", "graph: mine")
            ),
            ["joint"],
            "There is no label graph 'mine' in semantics.yaml",
        ),
        (
            lambda: shutil.rmtree("data/shards/expanded"),
            ["joint"],
            "The folder data/shards/expanded does not exist",
        ),
        (
            lambda: _edit("vit, size: tiny", "vit, size: vit-b16, weights: {path: no.pth}"),
            ["plain"],
            "no.pth",
        ),
        (
            lambda: _edit("kind: sjedd, graph: ffpp", "kind: metric_learning"),
            ["joint"],
            "joint_embedding is trained with sjedd",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    project, monkeypatch, capsys, spoil, arguments, message
):
    spoil()
    assert _call(monkeypatch, *arguments) == EXIT_USER_ERROR
    said = capsys.readouterr().err
    assert said.startswith("faceshards: ")
    assert message in said
    assert said.count("\n") == 1
    assert not Path("plots").exists()


@pytest.mark.slow
def test_the_command_that_a_refused_model_names_trains_it_where_dvc_sees_no_change(tmp_path):
    for name in ("stages", "pipeline", "faceshards"):
        (tmp_path / name).symlink_to(made.ROOT / name)
    stages = {"train": read_yaml(made.ROOT / "dvc.yaml")["stages"]["train"]}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    (tmp_path / "params.yaml").write_text("seed: 0\n" + PARAMS)
    (tmp_path / "manifests").mkdir()
    shutil.copy(made.ROOT / "manifests/semantics.yaml", tmp_path / "manifests")
    shutil.copy(made.ROOT / "pipeline/versions.yaml", tmp_path / "manifests")
    for name, count in (("train", 32), ("val", 8)):
        made.shards(tmp_path / "data/shards", name, made.planted(0, count))
    command(tmp_path, "dvc", "init", "--no-scm", "-q")
    command(tmp_path, "dvc", "repro", "train@plain")
    folder = tmp_path / "models/plain"
    wanted = checkpoint.load(folder / "best.pt")["run_digest"]
    for name in ("best.pt", "last.pt"):
        old = checkpoint.load(folder / name)
        checkpoint.save(folder / name, old | {"run_digest": "of an older version"})
    command(tmp_path, "dvc", "commit", "-f", "train@plain")
    assert stages_run(command(tmp_path, "dvc", "repro", "train@plain").stdout) == []
    with pytest.raises(UserError, match="was trained with other parameters") as refused:
        checkpoint.load_best(folder, "plain", wanted)
    named = re.search(r"`(dvc repro --force [^`]+)`", str(refused.value))
    assert named
    ran = command(tmp_path, *named[1].split())
    assert stages_run(ran.stdout) == ["train@plain"]
    assert checkpoint.load_best(folder, "plain", wanted)["epoch"] in (1, 2)
