"""A copy of the project in a folder of its own, and commands run there as a user would."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]


def copy_project(folder: Path, git: bool = True) -> Path:
    """Copies what git tracks, or would track, into ``folder``; a new repository unless told not."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() or (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    if git:
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Environment in which a project in ``folder`` runs its own code with these packages."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        # DVC remembers hashes and locks per site: a private one keeps test runs apart.
        "DVC_SITE_CACHE_DIR": str(folder / ".site"),
        "DVC_NO_ANALYTICS": "1",
    }


def command(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a command of this environment in ``folder`` with the code that lies there."""
    done = subprocess.run(
        words, cwd=folder, env=environment(folder), text=True, capture_output=True
    )
    if check and done.returncode:
        raise AssertionError(f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def stages_run(output: str) -> list[str]:
    """Names of the stages that a ``dvc repro`` ran, from what it printed."""
    lines = output.splitlines()
    return [line.split("'")[1] for line in lines if line.startswith("Running stage")]


def rows_worked(stderr: str) -> dict[str, int]:
    """Rows that each stage worked, from what stages print where nobody watches."""
    words = [line.split() for line in stderr.splitlines() if " rows worked, " in line]
    return {stage.rstrip(":"): int(count) for stage, count, *_ in words}


def metrics(project: Path, stage: str) -> dict[str, int]:
    return json.loads((project / "metrics" / f"{stage}.json").read_text())


def table(project: Path, name: str) -> pa.Table:
    return pq.read_table(project / "manifests" / f"{name}.parquet")
