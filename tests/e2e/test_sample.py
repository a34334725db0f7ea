"""The whole DAG on the embedded sample, as `make sample` runs it."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline.commands.predict import predict
from pipeline.engine.machine import platform_string
from tests.e2e import ablations, golden
from tests.e2e.project import ROOT, command, copy_project, stages_run

STAGES = ["scan", "frames", "faces", "balance", "landmarks", "expand", "shard"]
RUNS = ["metric-learning", "sjedd"]
TRAINED = [*(f"train@{run}" for run in RUNS), *(f"evaluate@{run}" for run in RUNS), "report"]
FOLDERS = ["train", "val", "test", "expanded"]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("sample"))
    command(folder, "faceshards", "sample-data", "data/raw/sample")
    done = command(folder, "dvc", "repro")
    assert stages_run(done.stdout) == STAGES + TRAINED
    return folder


def metrics(project: Path, stage: str) -> dict[str, int]:
    return json.loads((project / "metrics" / f"{stage}.json").read_text())


def outputs(project: Path) -> dict[str, str]:
    """SHA-256 of every table and every file of the shard folders."""
    files = [*project.glob("manifests/**/*.parquet"), *project.glob("data/shards/*/*")]
    return {
        path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def table(project: Path, name: str):
    return pq.read_table(project / "manifests" / f"{name}.parquet")


def test_every_stage_accounts_for_all_its_units(project):
    for stage in STAGES:
        m = metrics(project, stage)
        assert m["inputs"] == m["outputs"] + m["rejects"] + m["left_out"], stage
        assert m["outputs"] > 0, stage


def test_every_table_has_the_rows_that_the_metrics_say(project):
    assert table(project, "videos").num_rows == metrics(project, "scan")["outputs"]
    frames = table(project, "frames")
    assert pc.count_distinct(frames["video_id"]).as_py() == metrics(project, "frames")["outputs"]
    m = metrics(project, "faces")
    faces = table(project, "faces")
    pictures = {
        (f["video_id"], f["sample"]) for f in faces.select(["video_id", "sample"]).to_pylist()
    }
    assert len(pictures) == m["outputs"]
    assert m["inputs"] == frames.num_rows
    assert table(project, "rejected/faces").num_rows == m["rejects"]
    assert table(project, "samples").num_rows == metrics(project, "balance")["outputs"]
    assert table(project, "expanded").num_rows == metrics(project, "expand")["outputs"]


def test_files_are_judged_as_evaluate_scores_them(project, tmp_path, monkeypatch):
    """Videos of the sample as files of nobody's dataset: the same pictures, faces and scores."""
    monkeypatch.chdir(project)
    text, code = predict(project / "data/raw/sample/wild/videos", RUNS[1], tmp_path, True, False)
    assert code == 0, text
    known = pq.read_table(project / "predictions" / RUNS[1] / "videos.parquet").to_pylist()
    scores = {row["video_id"]: row for row in known if row["dataset"] == "wild"}
    lines = (tmp_path / "predictions.jsonl").read_text().splitlines()
    judged = {Path(one["file"]).stem: one for one in map(json.loads, lines)}
    same = [(judged[name.rpartition("/")[2]], row) for name, row in scores.items()]
    assert len(same) >= 4
    for one, row in same:
        assert one["faces"] == row["faces"]
        assert abs(one["score"] - row["score"]) < 1e-6


def test_a_second_repro_runs_only_scan(project):
    assert stages_run(command(project, "dvc", "repro").stdout) == ["scan"]


def test_shards_hold_every_sample_once_and_no_identity_is_in_two_splits(project):
    keys: list[str] = []
    people: dict[str, set[str]] = {}
    for folder in FOLDERS:
        for path in sorted((project / "data/shards" / folder).glob("*.tar")):
            with tarfile.open(path) as shard:
                for member in shard:
                    if member.name.endswith(".json"):
                        about = json.load(shard.extractfile(member))
                        keys.append(member.name)
                        who = {about["identity"], about["target_id"], about["source_id"]} - {""}
                        people.setdefault(about["split"], set()).update(who)
    samples = metrics(project, "balance")["outputs"] + metrics(project, "expand")["outputs"]
    assert len(keys) == len(set(keys)) == samples
    assert people["train"]
    assert people["val"]
    assert not people["train"] & people["val"]
    assert not people["train"] & people["test"]
    assert not people["val"] & people["test"]


def test_train_is_balanced_and_every_video_is_in_it(project):
    samples, faces = table(project, "samples"), table(project, "faces")
    videos = {v["video_id"]: v for v in table(project, "videos").to_pylist()}
    video_of = dict(zip(faces["face_id"].to_pylist(), faces["video_id"].to_pylist(), strict=True))
    for dataset in ("ffpp", "wild"):
        chosen = [
            s
            for s in samples.to_pylist()
            if s["split"] == "train" and videos[video_of[s["face_id"]]]["dataset"] == dataset
        ]
        fake = sum(s["label"] for s in chosen)
        assert abs(2 * fake - len(chosen)) <= 0.1 * len(chosen), dataset
        seen = {video_of[s["face_id"]] for s in chosen}
        wanted = {i for i, v in videos.items() if v["split"] == "train" and v["dataset"] == dataset}
        assert seen == wanted & set(video_of.values())


def test_swaps_come_from_other_people_of_the_train_split(project):
    faces = {f["face_id"]: f["video_id"] for f in table(project, "faces").to_pylist()}
    videos = {v["video_id"]: v for v in table(project, "videos").to_pylist()}
    expanded = table(project, "expanded").to_pylist()
    assert {e["region"] for e in expanded} == {"eye", "lip", "mouth", "nose"}
    for e in expanded:
        target, source = videos[faces[e["target_face_id"]]], videos[faces[e["source_face_id"]]]
        assert target["split"] == source["split"] == "train"
        assert target["label"] == 0
        assert source["method"] in {"Deepfakes", "FaceSwap"}
        who = [{v["identity"], v["target_id"], v["source_id"]} - {""} for v in (target, source)]
        assert not who[0] & who[1]


def test_shards_verify(project):
    folders = [f"data/shards/{name}" for name in FOLDERS]
    assert command(project, "faceshards", "verify", *folders).returncode == 0
    broken = project / "data/broken"
    shutil.copytree(project / "data/shards/train", broken)
    path = sorted(broken.glob("*.tar"))[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = command(project, "faceshards", "verify", "data/broken", check=False)
    shutil.rmtree(broken)
    assert done.returncode == 1
    assert path.name in done.stdout + done.stderr


def test_plain_webdataset_reads_them(project):
    """No line of this project: raw bytes by webdataset, pixels by PIL."""
    import webdataset
    from PIL import Image

    tars = [str(p) for p in sorted((project / "data/shards/train").glob("*.tar"))]
    labels = []
    for sample in webdataset.WebDataset(tars, shardshuffle=False, empty_check=False):
        assert Image.open(io.BytesIO(sample["jpg"])).size == (224, 224)
        labels.append(json.loads(sample["json"])["label"])
    train = table(project, "samples").filter(pc.field("split") == "train")
    assert len(labels) == train.num_rows
    assert sum(labels) == pc.sum(train["label"]).as_py()


@pytest.mark.parametrize("folder", FOLDERS)
def test_hugging_face_datasets_reads_them(project, folder, tmp_path):
    import datasets

    tars = [str(p) for p in sorted((project / "data/shards" / folder).glob("*.tar"))]
    read = datasets.load_dataset(
        "webdataset", data_files={"any": tars}, split="any", cache_dir=str(tmp_path)
    )
    index = pq.read_table(project / "data/shards" / folder / "index.parquet")
    assert read.num_rows == index.num_rows
    assert sorted(read["__key__"]) == sorted(index["key"].to_pylist())
    assert read[0]["jpg"].size == (224, 224)
    assert ("mask.png" in read.column_names) == (folder == "expanded")


def test_workers_do_not_change_a_byte(project, tmp_path_factory):
    folder = copy_project(tmp_path_factory.mktemp("inline"))
    (folder / "data").mkdir()
    (folder / "data/raw").symlink_to(project / "data/raw")
    params = folder / "params.yaml"
    text = params.read_text()
    assert "workers: auto" in text
    params.write_text(text.replace("workers: auto", "workers: 0"))
    for stage in STAGES:
        command(folder, sys.executable, "-m", f"stages.{stage}")
    assert outputs(folder) == outputs(project)


def test_golden_bytes_change_only_with_the_version(project):
    platform = platform_string()
    found = golden.measure(project)
    if os.environ.get("WRITE_GOLDEN"):
        golden.write(platform, found)
    stored = golden.read(platform)
    if not stored:
        pytest.skip(f"no digests are stored for this platform ({platform})")
    assert golden.first_change(stored, found) == ""


def test_golden_tells_a_change_from_a_new_version():
    old = {"inputs": {"version": 0, "digest": "a"}, "scan": {"version": 1, "digest": "b"}}
    assert golden.first_change(old, old) == ""
    changed = old | {"scan": {"version": 1, "digest": "c"}}
    assert "raise its number" in golden.first_change(old, changed)
    raised = old | {"scan": {"version": 2, "digest": "c"}}
    assert "new version" in golden.first_change(old, raised)


def test_every_ablation_of_sjedd_starts_and_ends(project, tmp_path):
    for name, params in ablations.runs():
        about = ablations.train_two_steps(name, params, project / "data/shards", tmp_path)
        assert about["best_epoch"] == 1, name
        assert about["meaningless"], name


def test_changing_the_workers_reruns_nothing(project):
    params = project / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("workers: auto", "workers: 1"))
    try:
        assert stages_run(command(project, "dvc", "repro").stdout) == ["scan"]
    finally:
        params.write_text(text)


def test_a_removed_video_costs_its_own_part_only(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("removed") / "project"
    shutil.copytree(project, folder, symlinks=True)
    wild = [v for v in table(project, "videos").to_pylist() if v["dataset"] == "wild"]
    gone = next(v for v in wild if v["split"] == "train" and v["label"] == 1)
    (folder / "data/raw/sample/wild" / gone["path"]).unlink()
    before = {p.name for p in (folder / "data/stores/faces").glob("*.tar")}
    done = command(folder, "dvc", "repro", "shard")
    worked = {
        line.split(":")[0]: int(line.split()[1])
        for line in done.stderr.splitlines()
        if " rows worked, " in line
    }
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


def test_outside_git(tmp_path):
    """The sentence of the README: DVC refuses, one command mends it."""
    folder = copy_project(tmp_path / "plain", git=False)
    assert not any((parent / ".git").exists() for parent in [folder, *folder.parents])
    assert command(folder, "dvc", "status", check=False).returncode
    command(folder, "dvc", "config", "--local", "core.no_scm", "true")
    assert "scan" in command(folder, "dvc", "dag").stdout


def test_the_readme_spells_out_what_make_runs():
    readme = (ROOT / "README.md").read_text()
    recipe = subprocess.run(
        ["make", "--dry-run", "--always-make", "sample", "test"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for words in (
        "pip install",
        "--constraint constraints.txt --editable '.[dev]'",
        "faceshards sample-data data/raw/sample",
        "dvc repro",
        "faceshards summary",
        "dvc config --local core.no_scm true",
        "python -m pytest",
    ):
        assert words in recipe, words
        assert words in readme, words


def test_a_split_with_one_class_is_refused(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one_class") / "project"
    shutil.copytree(project, folder, symlinks=True)
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


def copied(project: Path, folder: Path) -> Path:
    shutil.copytree(project, folder, symlinks=True)
    return folder


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


def test_dvc_shows_metrics_plots_and_graph(project):
    shown = command(project, "dvc", "metrics", "show").stdout
    for word in ("video_auc", "inputs", "metrics/evaluate/sjedd.json"):
        assert word in shown
    plots = json.loads(command(project, "dvc", "plots", "show", "--json").stdout)
    assert any("val_auc" in json.dumps(content) for content in plots.values())
    graph = command(project, "dvc", "dag").stdout
    for stage in (*STAGES, *TRAINED):
        assert stage in graph


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
    assert text.count("epochs: 6") == 2
    params.write_text(text.replace("epochs: 6", "epochs: 2"))
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


def test_plan_foresees_what_a_parameter_costs(project, tmp_path):
    folder = copied(project, tmp_path / "project")
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("margin: 0.3 ", "margin: 0.4 "))
    lines = command(folder, "faceshards", "plan").stdout.splitlines()
    said = {words[0]: words[1:4] for words in map(str.split, lines) if len(words) > 4}
    videos = table(project, "videos").num_rows
    assert said["frames"] == ["0", str(videos), "0"]
    assert said["faces"] == [str(videos), "0", "0"]
    train = table(project, "landmarks").num_rows
    assert said["landmarks"] == [f"~{train}", "0", "0"]
    assert said["shard"] == [f"~{metrics(project, 'shard')['outputs']}", "0", "0"]
    # A video less changes nothing of that.
    next((folder / "data/raw/sample").rglob("*.mp4")).unlink()
    lines = command(folder, "faceshards", "plan").stdout.splitlines()
    less = {words[0]: words[1:4] for words in map(str.split, lines) if len(words) > 4}
    assert less["frames"] == ["0", str(videos - 1), "1"]
    assert less["faces"] == [f"~{videos - 1}", "0", "1"]
    to_do, _, drop = (int(number.strip("~")) for number in less["landmarks"])
    assert to_do + drop == train
    assert {less[name][1] for name in ("landmarks", "expand", "shard")} == {"0"}
