"""What training runs left behind that params.yaml names no more."""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import read_yaml
from pipeline.config.values import NAME
from pipeline.errors import UserError
from pipeline.training import run_folder

_OF_A_RUN = ("models/{}", "predictions/{}", "plots/{}.csv", "metrics/evaluate/{}.json")
_LOCK = "models/.{}.lock"
_STAGES = ("train@", "evaluate@")


@dataclass(frozen=True)
class Leftover:
    """One output of a run that is named no more."""

    run: str
    path: Path
    """Relative to the project."""
    why_kept: str
    """Why only ``--force`` deletes it; "" where its content is in DVC's cache or in git."""


def removed_runs(root: Path, runs: Collection[str]) -> list[str]:
    """Names of runs that have outputs below ``root`` and are not among ``runs``, ascending.

    A folder in ``models`` is a run's where it holds a run's files or DVC has trained it: weights
    that lie there are nobody's leftovers.
    """
    files = (run_folder.LAST, run_folder.ABOUT)
    known = {path.parent.name for name in files for path in (root / "models").glob(f"*/{name}")}
    known |= {stage.partition("@")[2] for stage in _locked(root) if stage.startswith(_STAGES)}
    # A name that is none would be a path to somewhere else.
    return sorted(
        name for name in known - set(runs) if NAME.holds(name) and list(_paths(root, name))
    )


def leftovers(root: Path, runs: Collection[str], cache: Path) -> list[Leftover]:
    """All outputs of removed runs, and which of them are kept somewhere else as they are.

    Args:
        root: folder of the project.
        runs: the names in params.yaml.
        cache: DVC's cache, as `dvc cache dir` says it.
    """
    outputs = {
        out["path"]: out
        for stage in _locked(root).values()
        for out in (stage.get("outs") or [])
        if isinstance(out, Mapping) and "path" in out
    }
    found = []
    for name in removed_runs(root, runs):
        busy = _is_locked(root / _LOCK.format(name))
        for path in _paths(root, name):
            relative = path.relative_to(root)
            why = "it is being trained" if busy else ""
            why = why or _why_kept(path, root, outputs.get(relative.as_posix(), {}), cache)
            found.append(Leftover(name, relative, why))
    return found


def delete(root: Path, found: Collection[Leftover], force: bool) -> list[Leftover]:
    """Deletes leftovers whose content is elsewhere, or all with ``force``; returns those deleted.

    What is being trained stays in any case. Of a link, the link alone goes.
    """
    busy = {one.run for one in found if _is_locked(root / _LOCK.format(one.run))}
    gone = [one for one in found if one.run not in busy and (force or not one.why_kept)]
    for one in gone:
        path = root / one.path
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name in {one.run for one in gone}:
        if not (root / "models" / name).exists():
            (root / _LOCK.format(name)).unlink(missing_ok=True)
    return gone


def cache_folder(root: Path) -> Path:
    """Where DVC keeps its cache. Raises UserError where DVC does not say."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    if done.returncode:
        raise UserError(
            f"DVC does not say where its cache is ({done.stderr.strip()}). Run this in the "
            "project's folder."
        )
    return Path(done.stdout.strip())


def _paths(root: Path, name: str) -> Iterator[Path]:
    for pattern in _OF_A_RUN:
        path = root / pattern.format(name)
        if path.exists() or path.is_symlink():
            yield path


def _locked(root: Path) -> Mapping[str, Mapping[str, Any]]:
    """Stages of dvc.lock by name."""
    path = root / "dvc.lock"
    content = read_yaml(path) if path.is_file() else None
    stages = content.get("stages") if isinstance(content, Mapping) else None
    return {n: s for n, s in (stages or {}).items() if isinstance(s, Mapping)}


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _why_kept(path: Path, root: Path, out: Mapping[str, Any], cache: Path) -> str:
    wanted = str(out.get("md5", ""))
    if wanted and _is_cached(cache, wanted):
        return _difference(path, wanted, cache)
    if path.is_file() and _is_in_git(path, root):
        return ""
    return "its content is neither in DVC's cache nor in git"


def _difference(path: Path, wanted: str, cache: Path) -> str:
    """What of an output is not in the cache as it is on disk; "" where all of it is."""
    if not wanted.endswith(".dir"):
        same = path.is_file() and _md5(path) == wanted
        return "" if same else "it is not what dvc.lock says, or not in DVC's cache"
    try:
        entries = json.loads(_object(cache, wanted).read_bytes())
        listed = {entry["relpath"]: entry["md5"] for entry in entries}
    except (OSError, ValueError, KeyError, TypeError):
        return "its list in DVC's cache is damaged"
    there = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    for name, file in sorted(there.items()):
        if listed.get(name) != _md5(file):
            return f"{name} in it is not the one that dvc.lock knows"
        if not _is_cached(cache, listed[name]):
            return f"{name} in it is not in DVC's cache"
    return ""


def _object(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _is_cached(cache: Path, md5: str) -> bool:
    """Whether the cache has the content of this digest, and has it undamaged."""
    path = _object(cache, md5)
    return path.is_file() and _md5(path) == md5.removesuffix(".dir")


def _md5(path: Path) -> str:
    """As DVC tells contents apart; not for safety."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _is_in_git(path: Path, root: Path) -> bool:
    """Whether the last commit has the file as it is."""
    git = shutil.which("git")
    if git is None:
        return False
    name = f"HEAD:./{path.relative_to(root).as_posix()}"
    done = subprocess.run([git, "show", name], cwd=root, capture_output=True, check=False)  # noqa: S603 - a file's name
    return done.returncode == 0 and done.stdout == path.read_bytes()
