"""A user's mistake is one clear sentence and exit code 2, before any work, never a traceback."""

import sys

import pytest

from tests.e2e.project import command, copy_project
from tests.video.clips import write_clip


@pytest.fixture
def project(tmp_path):
    return copy_project(tmp_path, git=False)


def refuse(project, stage, *words):
    """Runs a stage that must refuse; returns what it said."""
    done = command(project, sys.executable, "-m", f"stages.{stage}", check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("faceshards: ")]
    assert len(said) == 1, done.stderr
    for word in words:
        assert word in said[0], said[0]


def edit(project, name, old, new):
    path = project / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_an_unknown_key_is_named_with_the_nearest(project):
    edit(project, "params.yaml", "score_threshold:", "score_treshold:")
    refuse(project, "scan", "params.yaml", "faces.score_treshold", "score_threshold")


def test_an_impossible_value_is_named_with_what_is_allowed(project):
    edit(project, "params.yaml", "fps: 1.0", "fps: -1.0")
    refuse(project, "scan", "frames.fps", "-1.0", "0")


def test_a_missing_root_says_what_was_expected_there(project):
    refuse(project, "scan", "ffpp", "data/raw/sample/ffpp", "original_sequences")


def test_an_empty_dataset(project):
    folder = project / "data/raw/sample/wild"
    folder.mkdir(parents=True)
    (folder / "wild.csv").write_text("path,label\n")
    text = "wild: {adapter: csv, root: data/raw/sample/wild, manifest: wild.csv}\n"
    (project / "manifests/datasets.yaml").write_text(text)
    refuse(project, "scan", "wild", "no video")


def test_a_table_that_is_not_there_names_the_command(project):
    refuse(project, "frames", "manifests/videos.parquet", "dvc repro")


SMALL = [
    ("a", "real", "train"),
    ("b", "fake", "train"),
    ("c", "real", "val"),
    ("d", "fake", "val"),
]
"""Name, label and split of the fewest videos that a run can do with."""


def listed(project, write):
    """A dataset of few videos as the only one, which goes through all stages that read videos."""
    folder = project / "data/raw/sample/wild"
    folder.mkdir(parents=True)
    rows = [f"{name}.mp4,{label},{split}" for name, label, split in SMALL]
    (folder / "wild.csv").write_text("\n".join(["path,label,split", *rows]))
    for name, _, _ in SMALL:
        write(folder / f"{name}.mp4")
    text = "wild: {adapter: csv, root: data/raw/sample/wild, manifest: wild.csv}\n"
    (project / "manifests/datasets.yaml").write_text(text)
    edit(project, "params.yaml", "datasets: [ffpp]", "datasets: []")
    edit(project, "params.yaml", "also: expanded", "also: train")


def test_missing_weights_name_file_checksum_place_and_profile(project):
    listed(project, lambda path: write_clip(path, range(8)))
    for stage in ("scan", "frames"):
        command(project, sys.executable, "-m", f"stages.{stage}")
    digest = "ab" * 32
    edit(project, "params.yaml", "detector: dlib", "detector: scrfd")
    edit(
        project,
        "params.yaml",
        'weights: {path: "", sha256: ""}',
        f"weights: {{path: data/weights/det.onnx, sha256: {digest}}}",
    )
    refuse(project, "faces", "data/weights/det.onnx", digest, "sample")


def test_what_stops_a_later_stage_stops_scan_and_its_tables_are_there(project):
    folder = project / "data/raw/sample/wild"
    folder.mkdir(parents=True)
    (folder / "wild.csv").write_text("path,label\na.mp4,real\nb.mp4,fake\n")
    for name in "ab":
        (folder / f"{name}.mp4").write_text(name)
    text = "wild: {adapter: csv, root: data/raw/sample/wild, manifest: wild.csv}\n"
    (project / "manifests/datasets.yaml").write_text(text)
    for words in ((sys.executable, "-m", "stages.scan"), ("faceshards", "plan")):
        done = command(project, *words, check=False)
        assert done.returncode == 2
        assert "expand.datasets names ffpp" in done.stderr
        assert "the run metric-learning needs videos in the split train" in done.stderr
        assert "the run sjedd needs videos in the split val" in done.stderr
        assert "Traceback" not in done.stderr
    for words in (("audit",), ("datasets",), ("summary",)):
        command(project, "faceshards", *words)


def test_scan_and_plan_tell_all_missing_weights_and_scan_writes_the_same_bytes(project):
    """Before any work, in one go: nobody waits for hours to hear what the training run lacks."""
    listed(project, lambda path: path.write_text(path.name))  # scan looks into no video
    command(project, sys.executable, "-m", "stages.scan")
    outputs = ("manifests/videos.parquet", "manifests/rejected/scan.parquet", "metrics/scan.json")
    before = {name: (project / name).read_bytes() for name in outputs}
    for name in outputs:
        (project / name).unlink()
    edit(project, "params.yaml", "landmarker: dlib", "landmarker: fan")
    edit(project, "params.yaml", "size: tiny ", "size: vit-b16 ")
    for words in ((sys.executable, "-m", "stages.scan"), ("faceshards", "plan")):
        done = command(project, *words, check=False)
        assert done.returncode == 2, done.stderr
        said = done.stderr[done.stderr.index("faceshards: ") :]
        assert said.startswith("faceshards: 2 weights are missing or wrong.")
        assert "landmarks.weights.path" in said
        assert "runs.metric-learning.model.weights.path" in said
        assert "Traceback" not in done.stderr
    assert {name: (project / name).read_bytes() for name in outputs} == before
