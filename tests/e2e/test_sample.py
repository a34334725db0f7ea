"""What `make sample` makes: the whole DAG on the embedded sample."""

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
from tests.e2e.project import (
    ROOT,
    command,
    copy_project,
    metrics,
    rows_worked,
    stages_run,
    table,
)

STAGES = ["scan", "frames", "faces", "balance", "landmarks", "expand", "shard"]
RUNS = ["metric-learning", "sjedd"]
TRAINED = [*(f"train@{run}" for run in RUNS), *(f"evaluate@{run}" for run in RUNS), "report"]
FOLDERS = ["train", "val", "test", "expanded"]


def outputs(project: Path) -> dict[str, str]:
    """SHA-256 of every table and every file of the shard folders."""
    files = [*project.glob("manifests/**/*.parquet"), *project.glob("data/shards/*/*")]
    return {
        path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def test_every_stage_runs_in_order(project):
    assert stages_run((project / "printed").read_text()) == STAGES + TRAINED


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


def test_workers_do_not_change_a_byte(project, tmp_path):
    folder = shutil.copytree(project, tmp_path / "inline", symlinks=True)
    params = folder / "params.yaml"
    text = params.read_text()
    assert "workers: auto" in text
    params.write_text(text.replace("workers: auto", "workers: 0"))
    for path in (folder / "manifests").rglob("*.parquet"):
        path.unlink()
    for name in ("data/stores", "data/kept", "data/shards"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for stage in STAGES:
        done = command(folder, sys.executable, "-m", f"stages.{stage}")
        if stage not in ("scan", "balance"):
            assert rows_worked(done.stderr)[stage] > 0
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


def test_dvc_shows_metrics_plots_and_graph(project):
    shown = command(project, "dvc", "metrics", "show").stdout
    for word in ("video_auc", "inputs", "metrics/evaluate/sjedd.json"):
        assert word in shown
    plots = json.loads(command(project, "dvc", "plots", "show", "--json").stdout)
    assert any("val_auc" in json.dumps(content) for content in plots.values())
    graph = command(project, "dvc", "dag").stdout
    for stage in (*STAGES, *TRAINED):
        assert stage in graph
