"""What training runs left behind that params.yaml names no more."""

import shutil
from collections.abc import Collection
from pathlib import Path

from pipeline.config import read_yaml

_OF_A_RUN = (
    "models/{}",
    "models/.{}.lock",
    "predictions/{}",
    "plots/{}.csv",
    "metrics/evaluate/{}.json",
)


def remove(root: Path, runs: Collection[str]) -> list[str]:
    """Deletes all of the finished runs that are named no more.

    DVC does not: it forgets a stage that is gone from dvc.yaml and lets its outputs lie. What it
    has in dvc.lock, it has in its cache too, where `dvc checkout` of an older commit finds it.

    Args:
        root: folder of the project.
        runs: the names in params.yaml.

    Returns:
        Runs named no more that were never finished, ascending. Their checkpoints are nowhere else
        and stay.
    """
    lock = root / "dvc.lock"
    stages = read_yaml(lock)["stages"] if lock.is_file() else {}
    finished = {name.removeprefix("train@") for name in stages if name.startswith("train@")}
    for name in finished - set(runs):
        for pattern in _OF_A_RUN:
            _delete(root / pattern.format(name))
    begun = {path.parent.name for path in (root / "models").glob("*/last.pt")}
    return sorted(begun - set(runs) - finished)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
