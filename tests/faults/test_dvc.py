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
def finished(fresh, tmp_path_factory) -> Path:
    """The project when ``faces`` has run, undisturbed."""
    folder = copied(fresh, tmp_path_factory.mktemp("undisturbed") / "project")
    command(folder, "dvc", "repro", "faces")
    return folder


@pytest.fixture(scope="module")
def undisturbed(finished) -> dict[str, str]:
    return outputs(finished)


MOMENTS = {
    "dvc in faces": ("data/stores/faces", 1, "dvc"),
    "the stage frames": ("data/stores/.frames.lock", 1, "stages.frames"),
    "the stage faces": ("data/stores/faces", 2, "stages.faces"),
    "a child": ("data/stores/faces", 1, "pipeline.engine.child"),
    "all children": ("data/stores/faces", 1, "pipeline.engine.child"),
}
"""What is killed, and when: as soon as so many partitions are committed, and a little later."""


@pytest.mark.parametrize("point", MOMENTS)
def test_a_killed_repro_goes_on_to_the_same_bytes(fresh, undisturbed, tmp_path, point):
    draw = random.Random(point)  # noqa: S311 - a test's choice of moments
    folder = copied(fresh, tmp_path / "project")
    place, committed, words = MOMENTS[point]
    running = subprocess.Popen(
        ["dvc", "repro", "faces"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while partitions(folder / place) < committed:
        assert running.poll() is None, f"over before there was anything to kill in {place}"
        time.sleep(0.02)
    time.sleep(draw.uniform(0, 0.2))
    victims = [running.pid] if words == "dvc" else stage_processes(folder, words)
    assert running.poll() is None
    for victim in victims if point == "all children" else [draw.choice(victims)]:
        os.kill(victim, signal.SIGKILL)
    running.wait()
    command(folder, "dvc", "repro", "faces")
    assert outputs(folder) == undisturbed


@pytest.mark.parametrize(
    ("words", "wait_s"),
    [("stages.frames", 0.1), ("stages.faces", 0.1), ("engine.child", 0.1), ("engine.child", 1.5)],
)
def test_ctrl_c_under_dvc_is_one_line_and_leaves_no_process(
    fresh, undisturbed, tmp_path, words, wait_s
):
    """A terminal sends it to dvc, the stage and all children: while they import, and at work."""
    folder = copied(fresh, tmp_path / "project")
    running = subprocess.Popen(
        ["dvc", "repro", "faces"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    # Children of `faces`, which works long enough; `frames` may be over after a second.
    awaited = [words, "stages.faces"] if words == "engine.child" else [words]
    while not all(stage_processes(folder, word) for word in awaited):
        assert running.poll() is None
        time.sleep(0.01)
    while not imports_libraries(stage_processes(folder, words)):
        assert running.poll() is None
        time.sleep(0.01)
    time.sleep(wait_s)
    os.killpg(running.pid, signal.SIGINT)
    said = running.communicate(timeout=60)[0]
    assert running.returncode
    assert stage_processes(folder, "") == []
    assert "Traceback" not in said
    ours = [line for line in said.splitlines() if line.startswith("faceshards: ")]
    if words == "engine.child":
        assert ours == ["faceshards: interrupted."]
    command(folder, "dvc", "repro", "faces")
    assert outputs(folder) == undisturbed


@pytest.mark.parametrize(
    ("harm", "reason", "again"),
    [("half copied", "changed", ["faces"]), ("away", "missing", ["-f", "-s", "faces"])],
)
def test_a_file_that_was_away_for_a_moment_heals(
    fresh, undisturbed, tmp_path, assets, harm, reason, again
):
    """Behind ``scan``, and back as it was: no table that DVC looks at has changed."""
    folder, clips = copied(fresh, tmp_path / "project"), tmp_path / "clips"
    shutil.copytree(assets / "videos", clips)
    listed = folder / "manifests/datasets.yaml"
    listed.write_text(listed.read_text().replace(str(assets / "videos"), str(clips)))
    command(folder, "dvc", "repro", "frames")
    victim = clips / "real/asl_eat.mkv"
    whole, facts = victim.read_bytes(), victim.stat()
    if harm == "away":
        victim.unlink()
    else:
        victim.write_bytes(whole[: len(whole) // 2])
    command(folder, "dvc", "repro", "-s", "faces")
    table = folder / "manifests/rejected/faces.parquet"
    lost = [row for row in pq.read_table(table).to_pylist() if "asl_eat" in row["id"]]
    assert {row["reason"] for row in lost} == {reason}
    assert outputs(folder) != undisturbed
    victim.write_bytes(whole)
    os.utime(victim, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    done = command(folder, "dvc", "repro", *again)
    assert f"faces: 1 rows worked, {len(CLIPS) - 1} kept" in done.stderr
    assert outputs(folder) == undisturbed
    assert "didn't change" in command(folder, "dvc", "repro", "faces").stdout


def test_a_flipped_bit_in_a_tar_heals(finished, undisturbed, tmp_path):
    """Even where the time of its content was set back, which DVC cannot see."""
    folder = copied(finished, tmp_path / "project")
    command(folder, "dvc", "repro", "-f", "-s", "faces")  # notes the times of the copied tars
    victim = sorted((folder / "data/stores/faces").glob("*.tar"))[0]
    before = victim.stat()
    data = bytearray(victim.read_bytes())
    data[600] ^= 1  # in the first picture
    victim.write_bytes(data)
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    done = command(folder, "dvc", "repro", "faces")
    assert f"{victim.name} is damaged: 1 of its" in done.stderr
    assert f"faces: 1 rows worked, {len(CLIPS) - 1} kept" in done.stderr
    assert outputs(folder) == undisturbed
    assert "didn't change" in command(folder, "dvc", "repro", "faces").stdout


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_a_stage_dies_with_dvc_even_while_it_starts(fresh, tmp_path, shell):
    """Whatever shell dvc starts it with: some stay between the two."""
    folder = copied(fresh, tmp_path / "project")
    running = subprocess.Popen(
        ["dvc", "repro", "faces"],
        cwd=folder,
        env=environment(folder) | {"SHELL": shell},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not imports_libraries(stage_processes(folder, "stages.frames")):
        assert running.poll() is None
    for pid in stage_processes(folder, "stages.frames"):
        os.kill(pid, signal.SIGSTOP)  # it would be over soon by itself
    running.kill()
    running.wait()
    give_up = time.monotonic() + 20
    while left := stage_processes(folder, "stages.frames"):
        if time.monotonic() > give_up:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            pytest.fail("the stage outlived dvc")
        time.sleep(0.05)


def imports_libraries(processes: list[int]) -> bool:
    """Whether one of them is past its own first lines."""
    maps = (Path(f"/proc/{pid}/maps") for pid in processes)
    return any("pyarrow" in path.read_text() for path in maps if path.exists())


def partitions(place: Path) -> int:
    """Committed partitions in a store; 1 for a lock that is there."""
    return len(list(place.glob("[!.]*.parquet"))) if place.is_dir() else place.is_file()


def stage_processes(folder: Path, words: str) -> list[int]:
    """Processes with these words in their command that work in the project's folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command_line = (path / "cmdline").read_bytes()
            if (path / "cwd").readlink() == folder and words.encode() in command_line:
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
    fake = next(row for row in rows if ",fake," in row)
    (folder / "other.csv").write_text(rows[0] + rows[1] + fake)
    text = (folder / "manifests/datasets.yaml").read_text()
    other = text.replace("clips:", "other:").replace("clips.csv", "other.csv")
    (folder / "manifests/datasets.yaml").write_text(text + other)
    command(folder, "dvc", "repro", "faces")
    assert outputs(folder) != undisturbed
    (folder / "manifests/datasets.yaml").write_text(text)
    plan = " ".join(command(folder, "faceshards", "plan").stdout.split())
    assert f"frames 0 {len(CLIPS)} 2" in plan
    assert f"faces ~0 {len(CLIPS)} 2" in plan
    command(folder, "dvc", "repro", "faces")
    assert outputs(folder) == undisturbed


def test_a_label_fix_and_renamed_files_decode_nothing(fresh, finished, assets, tmp_path):
    """And give what a run from scratch gives. A label is part of an id, so both rename rows."""
    clips = tmp_path / "clips"
    shutil.copytree(assets / "videos", clips)
    (clips / "real/asl_book.mkv").rename(clips / "real/another name.mkv")
    (clips / "odd/lp_d20_truncated.mp4").rename(clips / "odd/short.mp4")
    folders = [copied(finished, tmp_path / "kept"), copied(fresh, tmp_path / "scratch")]
    for folder in folders:
        listed = folder / "clips.csv"
        text = listed.read_text().replace("asl_book", "another name")
        text = text.replace("lp_d20_truncated", "short")
        assert text.count("ghost_orig.webm,real,train,,") == 1
        listed.write_text(
            text.replace("ghost_orig.webm,real,train,,", "ghost_orig.webm,fake,train,GHOST,")
        )
        datasets = folder / "manifests/datasets.yaml"
        datasets.write_text(datasets.read_text().replace(str(assets / "videos"), str(clips)))
    kept, scratch = (command(folder, "dvc", "repro", "faces") for folder in folders)
    for stage in ("frames", "faces"):
        assert f"{stage}: 0 rows worked, {len(CLIPS)} kept" in kept.stderr
        assert f"{stage}: {len(CLIPS)} rows worked, 0 kept" in scratch.stderr
    assert outputs(folders[0]) == outputs(folders[1])
    ids = pq.read_table(folders[0] / "manifests/faces.parquet").column("video_id").to_pylist()
    assert {"clips/GHOST/real/ghost_orig", "clips/real/real/another name"} <= set(ids)
    assert not any("asl_book" in name or name.endswith("real/real/ghost_orig") for name in ids)


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
