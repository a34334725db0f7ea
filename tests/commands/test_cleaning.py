from pathlib import Path

import pytest

from pipeline.commands import cleaning
from pipeline.commands.cleaning import Leftovers
from pipeline.training.run_folder import ABOUT

OUTPUTS = ("predictions/{}/faces.parquet", "plots/{}.csv", "metrics/evaluate/{}.json")


def run(root: Path, name: str, finished: bool = True) -> None:
    files = [f"models/{name}/last.pt", f"models/.{name}.lock", *(f.format(name) for f in OUTPUTS)]
    for file in files + [f"models/{name}/{ABOUT}"] * finished:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(name)


def locked(root: Path, *names: str) -> None:
    stages = "".join(f"  'train@{name}': {{cmd: x}}\n" for name in names)
    (root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  scan: {{cmd: x}}\n{stages}")


def files(root: Path) -> set[str]:
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}


def test_all_of_a_finished_run_goes_and_nothing_else(tmp_path):
    for name in ("old", "older", "new"):
        run(tmp_path, name)
    locked(tmp_path, "old", "new")
    before = files(tmp_path)
    assert cleaning.remove(tmp_path, {"new"}) == Leftovers(["old"], ["older"])
    gone = before - files(tmp_path)
    assert len(gone) == 6
    assert all("old" in name and "older" not in name for name in gone)
    assert cleaning.remove(tmp_path, {"new"}) == Leftovers([], ["older"])


def test_a_checkpoint_that_is_nowhere_else_stays(tmp_path):
    """Of a run that was never finished, or that was and is trained anew: DVC has the old one."""
    run(tmp_path, "begun", finished=False)
    run(tmp_path, "again", finished=False)
    locked(tmp_path, "again")
    before = files(tmp_path)
    assert cleaning.remove(tmp_path, []) == Leftovers([], ["again", "begun"])
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["..", "../precious", "", ".", "a/b", "/srv"])
def test_what_is_no_name_deletes_nothing(tmp_path, name):
    root = tmp_path / "project"
    run(root, "a")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("x")
    locked(root, name)
    before = files(tmp_path)
    cleaning.remove(root, ["a"])
    assert files(tmp_path) == before


@pytest.mark.parametrize("text", ["", "stages:\n", "schema: '2.0'\n", "stages: {}\n"])
def test_a_lock_file_without_stages(tmp_path, text):
    (tmp_path / "dvc.lock").write_text(text)
    assert cleaning.remove(tmp_path, ["a"]) == Leftovers([], [])


def test_a_model_on_another_disk_loses_its_link_only(tmp_path):
    run(tmp_path / "big", "old")
    (tmp_path / "models").mkdir()
    (tmp_path / "models/old").symlink_to(tmp_path / "big/models/old")
    locked(tmp_path, "old")
    assert cleaning.remove(tmp_path, []) == Leftovers(["old"], [])
    assert not (tmp_path / "models/old").is_symlink()
    assert (tmp_path / "big/models/old/last.pt").is_file()
