"""Runs side by side: who runs where, and what is said of those that fail."""

import sys

import pytest

from pipeline.commands import side_by_side
from pipeline.commands.main import main
from pipeline.errors import UserError

RUN = "{model: {architecture: vit, size: tiny}, objective: {kind: metric_learning}, also: train}"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _child(code):
    return lambda run: [sys.executable, "-c", code, run]


def test_every_run_has_a_gpu_of_its_own_and_no_more_run_than_there_are(place, capsys):
    code = (
        "import os, pathlib, sys, time\n"
        "gpu = os.environ['CUDA_VISIBLE_DEVICES']\n"
        "busy = pathlib.Path(f'busy-{gpu}')\n"
        "busy.open('x').close()\n"  # nobody else is on this GPU
        "time.sleep(0.1)\n"
        "busy.unlink()\n"
        "print('gpu', gpu, sys.argv[1])"
    )
    assert side_by_side.train_all(["a", "b", "c", "d"], ["0", "MIG-7"], _child(code)) == []
    logs = {path.name: path.read_text().split() for path in (place / "logs").iterdir()}
    assert sorted(logs) == [f"train@{run}.txt" for run in "abcd"]
    assert {words[1] for words in logs.values()} == {"0", "MIG-7"}
    assert capsys.readouterr().out.count("done.") == 4


def test_a_run_that_fails_stops_no_other_and_its_last_words_are_told(capsys):
    code = "import sys; sys.exit('no shards' if sys.argv[1] == 'a' else 0)"
    assert side_by_side.train_all(["a", "b"], ["0"], _child(code)) == ["a"]
    said = capsys.readouterr().out
    assert "train a: failed: no shards." in said
    assert "train b: done." in said


def test_when_this_process_ends_so_do_the_trainings(place, monkeypatch):
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"

    def stop(_seconds):
        if (place / "pid").exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(side_by_side.time, "sleep", stop)
    ended = []
    real = side_by_side.subprocess.Popen.terminate
    monkeypatch.setattr(
        side_by_side.subprocess.Popen, "terminate", lambda self: (ended.append(self), real(self))
    )
    with pytest.raises(KeyboardInterrupt):
        side_by_side.train_all(["a"], ["0"], _child(code))
    assert [process.poll() for process in ended] == [-15]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runs", "a,zzz"], "no run 'zzz'"),
        (["--runs", ","], "--runs names none"),
        (["--runs", "a,a"], "--runs names a twice"),
        (["--runs", "a", "--gpus", "0,0"], "--gpus names 0 twice"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_runs(place, capsys, arguments, message):
    (place / "params.yaml").write_text(f"runs: {{a: {RUN}}}\n")
    assert main(["train", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (place / "logs").exists()


def test_several_gpus_for_a_run_and_several_runs_are_too_much(place):
    (place / "params.yaml").write_text(f"engine: {{gpus: 2}}\nruns: {{a: {RUN}}}\n")
    with pytest.raises(UserError, match=r"engine\.gpus is 2, but here every run has one GPU"):
        side_by_side.train_named("a", "0,1")
