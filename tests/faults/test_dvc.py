"""`dvc repro` of real stages killed at any moment, and what DVC promises beside it."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.e2e.project import command, environment
from tests.e2e.test_real_clips import make_project
from tests.faults.kill import digest

CLIPS = [
    *("real/asl_eat.mkv", "real/asl_again.mkv", "real/asl_brother_vfr.mkv", "real/asl_book.mkv"),
    *("real/ghost_orig.webm", "real/lp_d0_greenscreen.mp4", "real/head_pose_female.gif"),
    *("fake/ghost_elon.webm", "fake/ghost_mark.webm", "odd/lp_d20_truncated.mp4"),
]
OUTPUTS = ("manifests/frames.parquet", "manifests/faces.parquet", "data/stores")


@pytest.fixture(scope="module")
def fresh(assets, tmp_path_factory) -> Path:
    """A project with ten clips that has been scanned; its faces partitions are small."""
    folder = tmp_path_factory.mktemp("fresh")
    settings = {"detector": "scrfd", "weights": "det_2.5g.onnx", "input_size_px": 320}
    make_project(folder, assets, CLIPS, **settings)
    stage = folder / "stages/faces.py"
    stage.write_text(
        stage.read_text().replace("VIDEOS_PER_PARTITION = 32", "VIDEOS_PER_PARTITION = 2")
    )
    command(folder, "dvc", "config", "--local", "core.no_scm", "true")
    command(folder, "dvc", "repro", "scan")
    return folder


def copied(fresh: Path, folder: Path) -> Path:
    """The project in another folder, with its own manifest of clips."""
    shutil.copytree(fresh, folder)
    datasets = folder / "manifests/datasets.yaml"
    datasets.write_text(datasets.read_text().replace(str(fresh), str(folder)))
    return folder


def outputs(folder: Path) -> dict[str, str]:
    return {name: sha for name, sha in digest(folder).items() if name.startswith(OUTPUTS)}


@pytest.fixture(scope="module")
def undisturbed(fresh, tmp_path_factory) -> dict[str, str]:
    folder = copied(fresh, tmp_path_factory.mktemp("undisturbed") / "project")
    command(folder, "dvc", "repro", "faces")
    return outputs(folder)


@pytest.mark.parametrize("point", range(5))
def test_a_killed_repro_goes_on_to_the_same_bytes(fresh, undisturbed, tmp_path, point):
    draw = random.Random(point)  # noqa: S311 - a test's choice of moments
    folder = copied(fresh, tmp_path / "project")
    running = subprocess.Popen(
        ["dvc", "repro", "faces"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(draw.uniform(1.5, 10))
    victims = [running.pid, *stage_processes(folder)]
    os.kill(draw.choice(victims), signal.SIGKILL)
    running.wait()
    command(folder, "dvc", "repro", "faces")
    assert outputs(folder) == undisturbed


def stage_processes(folder: Path) -> list[int]:
    """Processes that work in the project's folder: stage, Dask's workers, their children."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cwd").readlink() == folder and b"python" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def test_a_failed_stage_keeps_the_last_good_table(fresh, tmp_path):
    folder = copied(fresh, tmp_path / "project")
    before = (folder / "manifests/videos.parquet").read_bytes()
    datasets = folder / "manifests/datasets.yaml"
    datasets.write_text(datasets.read_text().replace("root: /", "root: /absent/"))
    assert command(folder, "dvc", "repro", "scan", check=False).returncode
    assert (folder / "manifests/videos.parquet").read_bytes() == before


@pytest.mark.parametrize("links", ["hardlink", "symlink"])
def test_the_cache_is_never_written_through_a_link(fresh, tmp_path, links):
    """Tables are replaced by rename, so an object that a link leads to keeps its bytes."""
    folder = copied(fresh, tmp_path / "project")
    command(folder, "dvc", "config", "cache.type", links)
    command(folder, "dvc", "checkout", "--relink", "manifests/videos.parquet")
    table = folder / "manifests/videos.parquet"
    cached = {p: p.read_bytes() for p in (folder / ".dvc/cache").rglob("*") if p.is_file()}
    assert table.read_bytes() in cached.values()
    listed = folder / "clips.csv"
    lines = listed.read_text().splitlines(keepends=True)
    listed.write_text("".join(lines[:-1]))
    command(folder, sys.executable, "-m", "stages.scan")
    assert pq.read_table(table).num_rows == len(CLIPS) - 1
    assert all(path.read_bytes() == content for path, content in cached.items())


def test_a_removed_dataset_leaves_nothing_behind(fresh, undisturbed, tmp_path, assets):
    folder = copied(fresh, tmp_path / "project")
    with (folder / "clips.csv").open() as file:
        rows = file.readlines()
    (folder / "other.csv").write_text(rows[0] + rows[1])
    text = (folder / "manifests/datasets.yaml").read_text()
    other = text.replace("clips:", "other:").replace("clips.csv", "other.csv")
    (folder / "manifests/datasets.yaml").write_text(text + other)
    command(folder, "dvc", "repro", "faces")
    assert outputs(folder) != undisturbed
    (folder / "manifests/datasets.yaml").write_text(text)
    command(folder, "dvc", "repro", "faces")
    assert outputs(folder) == undisturbed


def test_retry_and_plan(fresh, tmp_path):
    """What is taken back is worked again; what a run would do is known before it."""
    folder = copied(fresh, tmp_path / "project")
    plan = command(folder, "faceshards", "plan").stdout
    assert f"frames {len(CLIPS)}" in " ".join(plan.split())
    command(folder, "dvc", "repro", "faces")
    plan = " ".join(command(folder, "faceshards", "plan").stdout.split())
    assert f"frames 0 {len(CLIPS)} 0" in plan
    assert f"faces 0 {len(CLIPS)} 0" in plan
    before = outputs(folder)
    rejected = pq.read_table(folder / "manifests/rejected/faces.parquet").num_rows
    assert rejected
    said = command(folder, "faceshards", "retry", "faces", "--reason", "truncated").stdout
    assert said.startswith(f"{rejected} reject{'s' if rejected > 1 else ''} taken back")
    done = command(folder, "dvc", "repro", "faces")
    worked = [line for line in done.stderr.splitlines() if line.startswith("faces: ")]
    assert worked[-1].startswith("faces: 1 rows worked")
    assert outputs(folder) == before
    wrong = command(folder, "faceshards", "retry", "faces", "--reason", "dull", check=False)
    assert wrong.returncode == 2
    assert "dull" in wrong.stderr
