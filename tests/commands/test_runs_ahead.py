"""Which runs would train again, and how long that took before."""

import time
from types import SimpleNamespace

import pytest

from pipeline.commands import runs_ahead
from pipeline.engine.progress import log, timed

RUNS = {
    "plain": SimpleNamespace(also="train", optimizer=SimpleNamespace(epochs=6)),
    "swaps": SimpleNamespace(also="expanded", optimizer=SimpleNamespace(epochs=3)),
}


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("changed", "working", "trained", "scored"),
    [
        (["scan"], [], [], []),
        (["scan"], ["expand", "shard"], ["swaps"], ["swaps"]),
        (["scan"], ["faces", "expand", "shard"], ["plain", "swaps"], ["plain", "swaps"]),
        (["scan"], ["shard"], ["plain", "swaps"], ["plain", "swaps"]),
        (["scan", "balance"], [], ["plain", "swaps"], ["plain", "swaps"]),
        (["scan", "train@plain"], [], ["plain"], ["plain"]),
        (["scan", "evaluate@swaps"], [], [], ["swaps"]),
    ],
)
def test_what_runs_read_decides(changed, working, trained, scored):
    steps = [one.step for one in runs_ahead.ahead(RUNS, changed, working)]
    assert {s for s in steps if "train@" in s} == {f"train@{name}" for name in trained}
    assert {s for s in steps if "evaluate@" in s} == {f"evaluate@{name}" for name in scored}
    assert ("report" in steps) == bool(trained or scored)


def test_times_are_those_of_the_log():
    log("train@plain", {"worked": 2, "seconds": 10.0})
    log("evaluate@plain", {"worked": 1, "seconds": 4.0})
    found = runs_ahead.ahead(RUNS, ["train@plain"], [])
    assert [(one.step, one.seconds) for one in found] == [
        ("train@plain", 30.0),
        ("evaluate@plain", 4.0),
        ("report", 0.0),
    ]
    assert "train@plain (30 s)" in runs_ahead.text(found)


def test_a_timed_block_that_works_nothing_is_not_logged(tmp_path):
    with timed("train@plain") as count:
        count(0)
    assert not (tmp_path / "logs").exists()
    with timed("train@plain") as count:
        time.sleep(0.01)
        count(2)
    assert (tmp_path / "logs/train@plain.jsonl").is_file()
