import fcntl
import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from pipeline.commands import cleaning
from pipeline.training.run_folder import ABOUT

SMALL = ("plots/{}.csv", "metrics/evaluate/{}.json")


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def cached(root: Path, text: str, ending: str = "") -> str:
    name = md5(text) + ending
    put(root / "cache/files/md5" / name[:2] / name[2:], text)
    return name


def run(root: Path, name: str, locked: bool = True) -> None:
    """A finished run, with its files in the cache where it is locked."""
    files = {f"models/{name}/{file}": f"{file} of {name}" for file in ("last.pt", ABOUT)}
    files |= {path.format(name): name for path in SMALL}
    for file, text in files.items():
        put(root / file, text)
    put(root / f"models/.{name}.lock", "")
    if locked:
        listed = [
            {"md5": cached(root, text), "relpath": Path(file).name}
            for file, text in files.items()
            if file.startswith("models")
        ]
        digest = cached(root, json.dumps(listed), ".dir")
        with (root / "dvc.lock").open("a") as lock:
            if not lock.tell():
                lock.write("schema: '2.0'\nstages:\n")
            lock.write(f"  'train@{name}':\n    cmd: x\n    outs:\n")
            lock.write(f"    - {{path: models/{name}, md5: {digest}}}\n")


def files(root: Path) -> set[str]:
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}


def clean(root: Path, runs: set[str], force: bool = False) -> list[str]:
    found = cleaning.leftovers(root, runs, root / "cache")
    return [one.path.as_posix() for one in cleaning.delete(root, found, force)]


def test_what_the_cache_has_goes_and_nothing_else(tmp_path):
    run(tmp_path, "old")
    run(tmp_path, "new")
    run(tmp_path, "older", locked=False)
    put(tmp_path / "models/weights/some.pth", "no run")
    assert cleaning.removed_runs(tmp_path, {"new"}) == ["old", "older"]
    before = files(tmp_path)
    assert clean(tmp_path, {"new"}) == ["models/old"]
    gone = before - files(tmp_path)
    assert gone == {"models/old/last.pt", f"models/old/{ABOUT}", "models/.old.lock"}
    assert set(clean(tmp_path, {"new"}, force=True)) == {
        *(path.format("old") for path in SMALL),
        *(path.format("older") for path in ("models/{}", *SMALL)),
    }
    assert (tmp_path / "models/weights/some.pth").is_file()
    assert (tmp_path / "models/new/last.pt").is_file()


@pytest.mark.parametrize("damage", ["gone", "changed", "list gone", "list damaged"])
def test_what_the_cache_has_no_more_stays(tmp_path, damage):
    run(tmp_path, "old")
    content = cached(tmp_path, "last.pt of old")
    path = tmp_path / "cache/files/md5" / content[:2] / content[2:]
    if damage.startswith("list"):
        (path,) = (tmp_path / "cache").rglob("*.dir")
    path.write_text("[{}]") if damage in ("changed", "list damaged") else path.unlink()
    (first, *_) = cleaning.leftovers(tmp_path, set(), tmp_path / "cache")
    assert first.why_kept
    assert clean(tmp_path, set()) == []
    assert (tmp_path / "models/old/last.pt").is_file()


def test_a_model_that_is_trained_anew_stays(tmp_path):
    run(tmp_path, "old")
    (tmp_path / "models/old/last.pt").write_text("days of work")
    assert clean(tmp_path, set()) == []


def test_what_is_being_trained_stays_even_by_force(tmp_path):
    run(tmp_path, "old")
    with (tmp_path / "models/.old.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert clean(tmp_path, set(), force=True) == []
    assert clean(tmp_path, set()) == ["models/old"]


def test_what_git_has_can_go(tmp_path):
    run(tmp_path, "old")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "plots"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    assert clean(tmp_path, set()) == ["models/old", "plots/old.csv"]


@pytest.mark.parametrize("name", ["..", "../precious", "", ".", "a/b", "/srv"])
def test_what_is_no_name_deletes_nothing(tmp_path, name):
    root = tmp_path / "project"
    run(root, "a")
    put(tmp_path / "precious/file", "x")
    with (root / "dvc.lock").open("a") as lock:
        lock.write(f"  'train@{name}': {{cmd: x}}\n")
    before = files(tmp_path)
    assert clean(root, {"a"}, force=True) == []
    assert files(tmp_path) == before


@pytest.mark.parametrize("text", ["", "stages:\n", "schema: '2.0'\n", "stages: {}\n"])
def test_a_lock_file_without_stages(tmp_path, text):
    (tmp_path / "dvc.lock").write_text(text)
    assert cleaning.leftovers(tmp_path, ["a"], tmp_path) == []


def test_a_model_on_another_disk_loses_its_link_only(tmp_path):
    run(tmp_path, "old")
    (tmp_path / "models/old").rename(tmp_path / "big")
    (tmp_path / "models/old").symlink_to(tmp_path / "big")
    assert clean(tmp_path, set()) == ["models/old"]
    assert not (tmp_path / "models/old").is_symlink()
    assert (tmp_path / "big/last.pt").is_file()
