"""What a change in a finished sample makes run again, and what it leaves alone."""

import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.e2e.project import command, metrics, rows_worked, stages_run, table


def copied(project: Path, folder: Path) -> Path:
    shutil.copytree(project, folder, symlinks=True)
    return folder


def test_a_removed_video_costs_its_own_part_only(project, tmp_path):
    folder = copied(project, tmp_path / "project")
    wild = [v for v in table(project, "videos").to_pylist() if v["dataset"] == "wild"]
    gone = next(v for v in wild if v["split"] == "train" and v["label"] == 1)
    (folder / "data/raw/sample/wild" / gone["path"]).unlink()
    before = {p.name for p in (folder / "data/stores/faces").glob("*.tar")}
    done = command(folder, "dvc", "repro", "shard")
    worked = rows_worked(done.stderr)
    assert worked["frames"] == worked["faces"] == worked["expand"] == 0
    assert len(before - {p.name for p in (folder / "data/stores/faces").glob("*.tar")}) == 1
    rejected = table(folder, "rejected/scan").to_pylist()
    assert [(r["id"], r["reason"]) for r in rejected] == [(f"wild/{gone['path']}", "missing")]
    for name in ("videos", "faces", "samples", "landmarks"):
        ids = table(folder, name).column(0).to_pylist()
        assert ids
        assert not any(i == gone["video_id"] or i.startswith(f"{gone['video_id']}/") for i in ids)
    index = pq.read_table(folder / "data/shards/train/index.parquet")
    assert gone["video_id"] not in index["video_id"].to_pylist()


def test_a_split_with_one_class_is_refused(project, tmp_path):
    folder = copied(project, tmp_path / "project")
    listed = folder / "data/raw/sample/wild/wild.csv"
    lines = listed.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not (",fake," in line and ",train," in line)]
    assert len(kept) < len(lines)
    listed.write_text("".join(kept))
    told = command(folder, sys.executable, "-m", "stages.scan", check=False)
    for stage in ("frames", "faces"):
        command(folder, sys.executable, "-m", f"stages.{stage}")
    refused = command(folder, sys.executable, "-m", "stages.balance", check=False)
    for done in (told, refused):
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        for word in ("wild", "fake", "train", "balance.scope"):
            assert word in done.stderr


def test_a_change_in_a_test_set_reruns_no_training(project, tmp_path):
    folder = copied(project, tmp_path / "project")
    wild = [v for v in table(project, "videos").to_pylist() if v["dataset"] == "wild"]
    gone = next(v for v in wild if v["split"] == "test" and v["label"] == 1)
    (folder / "data/raw/sample/wild" / gone["path"]).unlink()
    ran = stages_run(command(folder, "dvc", "repro").stdout)
    assert [name for name in ran if name.startswith("train")] == []
    assert ran[-3:] == ["evaluate@metric-learning", "evaluate@sjedd", "report"]
    page = (folder / "report/index.html").read_text()
    assert gone["path"] in page  # its reject, with the reason


def test_a_change_in_expansion_reruns_only_the_run_that_reads_it(project, tmp_path):
    folder = copied(project, tmp_path / "project")
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("blur_sigma_px: 4.0", "blur_sigma_px: 5.0"))
    ran = stages_run(command(folder, "dvc", "repro").stdout)
    assert ran == ["scan", "expand", "shard", "train@sjedd", "evaluate@sjedd", "report"]


def test_a_removed_run_stays_until_it_is_cleaned(project, tmp_path):
    folder = copied(project, tmp_path / "project")
    model = (folder / "models/sjedd/best.pt").read_bytes()
    unfinished = folder / "models/unfinished/last.pt"
    unfinished.parent.mkdir()
    unfinished.write_bytes(b"days of work")
    assert "sjedd" in (folder / "report/index.html").read_text()
    text = (folder / "params.yaml").read_text()
    start = text.index("  sjedd:\n")
    end = text.index("\nevaluate:")
    (folder / "params.yaml").write_text(text[:start] + text[end:])
    done = command(folder, "dvc", "repro")
    assert stages_run(done.stdout) == ["scan", "report"]
    assert "sjedd" not in (folder / "report/index.html").read_text()
    assert (folder / "models/sjedd/best.pt").read_bytes() == model
    assert "sjedd, unfinished" in done.stdout + done.stderr
    listed = command(folder, "faceshards", "clean").stdout
    assert "models/sjedd: kept elsewhere" in listed
    assert "models/unfinished: stays" in listed
    command(folder, "faceshards", "clean", "--delete")
    assert unfinished.read_bytes() == b"days of work"
    outputs = ("models", "predictions")
    assert not [p for name in outputs for p in (folder / name).rglob("*") if "sjedd" in p.name]
    # Folders that the page is made from have changed; after it nothing is left to do.
    assert stages_run(command(folder, "dvc", "repro").stdout) == ["scan", "report"]
    assert stages_run(command(folder, "dvc", "repro").stdout) == ["scan"]
    # Named again, it is there again: DVC kept what it had made.
    (folder / "params.yaml").write_text(text)
    command(folder, "dvc", "checkout", "models/sjedd")
    assert (folder / "models/sjedd/best.pt").read_bytes() == model


def test_a_clone_without_raw_data_trains_from_pulled_shards(project, tmp_path):
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    copied(project, origin)
    command(origin, "dvc", "remote", "add", "-d", "store", str(tmp_path / "remote"))
    command(origin, "dvc", "push")
    command(origin, "git", "add", "-A")
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    command(origin, "git", *who, "commit", "-qm", "sample")
    command(tmp_path, "git", "clone", "-q", str(origin), str(clone))
    command(clone, "dvc", "pull", check=False)
    params = clone / "params.yaml"
    text = params.read_text()
    assert text.count("epochs: 2\n") == 2
    params.write_text(text.replace("epochs: 2\n", "epochs: 3\n"))
    ran = stages_run(command(clone, "dvc", "repro", "--downstream", "train@sjedd").stdout)
    assert ran[0] == "train@sjedd"
    assert not (clone / "data/raw").exists()
    assert (clone / "models/sjedd/best.pt").is_file()


def test_a_raised_version_runs_its_stage_and_no_other(project, tmp_path):
    folder = copied(project, tmp_path / "project")
    versions = folder / "pipeline/versions.yaml"
    text = versions.read_text()
    versions.write_text(text.replace("balance: ", "balance: 9"))
    done = command(folder, "dvc", "repro", "--force", "--single-item", "balance", check=False)
    assert done.returncode  # DVC would write down the old number
    assert "`python -m pipeline.versions`" in done.stderr
    assert "Traceback" not in done.stderr
    # The same bytes come out of it, so nothing behind it runs.
    assert stages_run(command(folder, "dvc", "repro").stdout) == ["scan", "balance"]
    assert stages_run(command(folder, "dvc", "repro").stdout) == ["scan"]


@pytest.mark.parametrize("links", ["hardlink", "symlink"])
def test_a_cache_of_links_keeps_its_bytes_when_shards_change(project, tmp_path, links):
    folder = copied(project, tmp_path / "project")
    command(folder, "dvc", "config", "cache.type", links)
    command(folder, "dvc", "checkout", "--relink", "data/shards/train")
    tars = list((folder / "data/shards/train").rglob("*.tar"))
    assert tars
    assert all(tar.is_symlink() or tar.stat().st_nlink > 1 for tar in tars)
    cached = {p: p.read_bytes() for p in (folder / ".dvc/cache").rglob("*") if p.is_file()}
    assert {tar.read_bytes() for tar in tars} <= set(cached.values())
    params = folder / "params.yaml"
    text = params.read_text()
    assert text.count("samples_per_shard: 200 ") == 1
    params.write_text(text.replace("samples_per_shard: 200 ", "samples_per_shard: 60 "))
    assert stages_run(command(folder, "dvc", "repro", "shard").stdout) == ["scan", "shard"]
    assert len(list((folder / "data/shards/train").rglob("*.tar"))) > len(tars)
    if links == "symlink":
        said = command(folder, "faceshards", "verify", "data/shards/train", check=False)
        assert said.returncode == 1
        assert "link" in said.stdout
        command(folder, "dvc", "unprotect", "data/shards/train")
    command(folder, "faceshards", "verify", "data/shards/train")
    assert all(path.read_bytes() == content for path, content in cached.items())


def figures(lines):
    """Rows to do, kept and dropped by stage, from the table that a plan begins with."""
    rows = [words for words in map(str.split, lines) if len(words) > 4]
    return {words[0]: words[1:4] for words in reversed(rows)}  # of a name the first counts


def test_plan_foresees_what_a_parameter_costs(project, tmp_path):
    folder = copied(project, tmp_path / "project")
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("margin: 0.3 ", "margin: 0.4 "))
    lines = command(folder, "faceshards", "plan").stdout.splitlines()
    said = figures(lines)
    videos = table(project, "videos").num_rows
    assert said["frames"] == ["0", str(videos), "0"]
    assert said["faces"] == [str(videos), "0", "0"]
    train = table(project, "landmarks").num_rows
    assert said["landmarks"] == [f"~{train}", "0", "0"]
    assert said["shard"] == [f"~{metrics(project, 'shard')['outputs']}", "0", "0"]
    # A video less changes nothing of that.
    next((folder / "data/raw/sample").rglob("*.mp4")).unlink()
    lines = command(folder, "faceshards", "plan").stdout.splitlines()
    less = figures(lines)
    assert less["frames"] == ["0", str(videos - 1), "1"]
    assert less["faces"] == [f"~{videos - 1}", "0", "1"]
    to_do, _, drop = (int(number.strip("~")) for number in less["landmarks"])
    assert to_do + drop == train
    assert {less[name][1] for name in ("landmarks", "expand", "shard")} == {"0"}
