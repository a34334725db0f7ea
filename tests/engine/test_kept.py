"""Going back to an earlier plan works no row, within the bound on disk."""

from pathlib import Path

import pytest

from pipeline.config.params import EngineParams
from pipeline.engine import run, stage
from pipeline.engine.survey import Store, survey
from tests.engine import toy
from tests.engine.test_run import digest, worked


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def store(folder: Path) -> Store:
    return Store(folder / "store", "faces", 4, kept=folder / "kept")


def make(
    folder: Path, texts: dict[str, str], keep_gb: float = 1.0, copies: int = 2, version: int = 1
) -> None:
    engine = EngineParams(workers=0, keep_gb=keep_gb)
    whole = run.run("toy", toy.ToyTask(copies), toy.plan(texts), store(folder), engine, version)
    stage.write_table(whole, folder / "faces.parquet", "faces")


def outputs(folder: Path) -> dict[str, str]:
    return {n: sha for n, sha in digest(folder).items() if not n.startswith(("kept/", "logs/"))}


def test_going_back_works_nothing(tmp_path, monkeypatch):
    one, other = toy.texts(20), toy.texts(20) | {"toy/real/new": "new"}
    make(tmp_path, one)
    first = outputs(tmp_path)
    seen = worked(monkeypatch)
    make(tmp_path, one, copies=3)  # as on another branch: every row is another
    assert len(seen) == 20
    make(tmp_path, other, copies=3)
    seen.clear()
    where = store(tmp_path)
    found = survey(toy.ToyTask(2), toy.plan(one), where, 1, where.sound())
    assert (found.rows_to_do, len(found.todo)) == (0, 0)
    make(tmp_path, one)
    assert seen == []
    assert outputs(tmp_path) == first
    make(tmp_path, other, copies=3)
    assert seen == []


def test_a_version_that_gives_the_same_bytes_leaves_its_tars(tmp_path, monkeypatch):
    make(tmp_path, toy.texts(20))
    tars = {name for name in outputs(tmp_path) if name.endswith(".tar")}
    assert tars
    seen = worked(monkeypatch)
    make(tmp_path, toy.texts(20), version=2)
    assert len(seen) == 20
    assert {name for name in outputs(tmp_path) if name.endswith(".tar")} == tars
    seen.clear()
    make(tmp_path, toy.texts(20), version=2)
    assert seen == []


def test_what_is_kept_has_a_bound_and_the_oldest_goes(tmp_path, monkeypatch):
    def size() -> int:
        return sum(p.stat().st_size for p in (tmp_path / "kept").rglob("*") if p.is_file())

    texts = toy.texts(20)
    make(tmp_path, texts)
    make(tmp_path, texts, copies=3)
    one_plan = size()
    assert one_plan > 0
    most = 1.1 * one_plan / 1e9
    make(tmp_path, texts, keep_gb=most, copies=2)
    make(tmp_path, texts, keep_gb=most, copies=4)
    assert 0 < size() <= most * 1e9
    seen = worked(monkeypatch)
    make(tmp_path, texts, keep_gb=most, copies=2)  # the newest is there
    assert seen == []
    make(tmp_path, texts, keep_gb=0, copies=3)
    assert len(seen) == 20
    assert size() == 0


@pytest.mark.parametrize("harm", ["tar", "parquet", "cut"])
def test_damaged_ones_are_worked_anew(tmp_path, harm):
    texts = toy.texts(20)
    make(tmp_path, texts)
    first = outputs(tmp_path)
    make(tmp_path, texts, copies=3)
    kept = sorted((tmp_path / "kept").rglob("*.parquet"))
    victim = kept[0] if harm != "tar" else sorted((tmp_path / "kept").rglob("*.tar"))[0]
    data = bytearray(victim.read_bytes())
    if harm == "parquet":
        data[len(data) // 2] ^= 1
    victim.write_bytes(data if harm == "parquet" else data[: len(data) // 2])
    make(tmp_path, texts)
    assert outputs(tmp_path) == first
