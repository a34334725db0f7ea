"""Rejects taken back: exactly their rows are worked again, and the table says so to DVC."""

from pathlib import Path

import pytest

from pipeline import tables
from pipeline.engine import stage
from pipeline.engine.retry import retry
from pipeline.errors import UserError
from tests.engine import toy
from tests.engine.test_run import HERE, digest, toy_stage, worked

TABLE = Path("manifests/rejected/faces.parquet")


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def texts() -> dict[str, str]:
    """Every row has a unit without a face; two rows are no media at all."""
    texts = toy.texts(9) | {"toy/real/b1": "reject 1", "toy/real/b2": "reject 2"}
    stage.run_stage(toy_stage(texts), HERE)
    return texts


def reasons() -> list[str]:
    return sorted(tables.read(TABLE, "rejected").column("reason").to_pylist())


def test_rows_with_the_reason_are_worked_again_and_no_others(texts, tmp_path, monkeypatch):
    before = digest(tmp_path / "manifests"), digest(tmp_path / "data")
    seen = worked(monkeypatch)
    assert retry("faces", "not_media") == 2 * 3
    assert reasons() == ["no_face"] * 9
    stage.run_stage(toy_stage(texts), HERE)
    assert sorted(seen) == ["reject 1", "reject 2"]
    assert (digest(tmp_path / "manifests"), digest(tmp_path / "data")) == before
    stage.run_stage(toy_stage(texts), HERE)
    assert len(seen) == 2


def test_without_a_reason_all_rejects_are_taken_back(texts, monkeypatch):
    seen = worked(monkeypatch)
    assert retry("faces") == 9 + 2 * 3
    assert reasons() == []
    stage.run_stage(toy_stage(texts), HERE)
    assert sorted(seen) == sorted(texts.values())
    assert len(reasons()) == 9 + 2 * 3


def test_a_mended_row_leaves_the_table(texts, monkeypatch):
    retry("faces", "not_media")
    work = toy.ToyTask.work
    mended = lambda self, inputs: work(self, {"text": inputs["text"].replace("reject", "mended")})  # noqa: E731
    monkeypatch.setattr(toy.ToyTask, "work", mended)
    stage.run_stage(toy_stage(texts), HERE)
    assert reasons() == ["no_face"] * 11


@pytest.mark.parametrize(
    ("name", "reason", "said"),
    [
        ("frames", "", "there is no store data/stores/frames"),
        ("faces", "dull", "'dull' is no reason of rejection"),
    ],
)
def test_what_cannot_be_taken_back_is_one_sentence(texts, name, reason, said):
    with pytest.raises(UserError, match=said):
        retry(name, reason)
    assert len(reasons()) == 9 + 2 * 3


def test_while_a_run_is_active_nothing_is_taken_back(texts, monkeypatch):
    monkeypatch.setattr(stage.partition, "forget_rows", lambda *_: pytest.fail("written"))
    monkeypatch.setattr("pipeline.engine.store.LOCK_WAIT_S", 0.2)
    from pipeline.engine import store

    with store.locked(stage.STORES / "faces"), pytest.raises(UserError, match="another run"):
        retry("faces")
