"""What training runs left behind that params.yaml names no more."""

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pipeline.config import read_yaml
from pipeline.config.values import NAME
from pipeline.training import run_folder

_OF_A_RUN = (
    "models/{}",
    "models/.{}.lock",
    "predictions/{}",
    "plots/{}.csv",
    "metrics/evaluate/{}.json",
)


@dataclass(frozen=True)
class Leftovers:
    """Runs that are named no more, by name, ascending."""

    removed: list[str]
    kept: list[str]
    """Those that were never finished, or are trained anew: their checkpoints are nowhere else."""


def remove(root: Path, runs: Collection[str]) -> Leftovers:
    """Deletes all of the finished runs that are named no more.

    DVC does not: it forgets a stage that is gone from dvc.yaml and lets its outputs lie. A finished
    run that it has in dvc.lock it has in its cache too, from where `dvc checkout` brings it back.

    Args:
        root: folder of the project.
        runs: the names in params.yaml.
    """
    there = {path.parent.name for path in (root / "models").glob(f"*/{run_folder.LAST}")}
    finished = {name for name in there if (root / "models" / name / run_folder.ABOUT).is_file()}
    gone = _locked(root / "dvc.lock") - set(runs)
    # A name that is none would be a path to somewhere else.
    removed = {name for name in gone if NAME.holds(name) and name not in there - finished}
    left = {name: paths for name in sorted(removed) if (paths := _outputs(root, name))}
    for path in chain.from_iterable(left.values()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return Leftovers(list(left), sorted(there - set(runs) - removed))


def _outputs(root: Path, name: str) -> list[Path]:
    paths = [root / pattern.format(name) for pattern in _OF_A_RUN]
    return [path for path in paths if path.exists() or path.is_symlink()]


def _locked(lock: Path) -> set[str]:
    """Runs that DVC has trained."""
    content = read_yaml(lock) if lock.is_file() else None
    stages = (content or {}).get("stages") or {}
    return {name.removeprefix("train@") for name in stages if name.startswith("train@")}
