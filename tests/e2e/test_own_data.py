"""The guide's recipe for one's own videos goes through in one go."""

import csv
import shutil

from pipeline.tables import read
from tests.e2e.project import command, copy_project, stages_run


def test_own_videos_with_their_profile_go_through_without_a_stop(tmp_path, sample_data):
    project = copy_project(tmp_path / "project")
    mine = project / "data/raw/mine"
    rows = []
    videos = {
        "real": "original_sequences/youtube/c23/videos",
        "fake": "manipulated_sequences/Deepfakes/c23/videos",
    }
    for label, folder in videos.items():
        (mine / label).mkdir(parents=True)
        found = sorted((sample_data / "ffpp" / folder).glob("*.mp4"))[:6]
        for path, split in zip(
            found, ("train", "train", "train", "val", "val", "test"), strict=True
        ):
            shutil.copy(path, mine / label)
            rows.append((f"{label}/{path.name}", label, split))
    with (mine / "mine.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    (project / "manifests/datasets.yaml").write_text(
        "mine: {adapter: csv, root: data/raw/mine, manifest: mine.csv}\n"
    )
    command(project, "faceshards", "profile", "own-data")
    done = command(project, "dvc", "repro")
    assert stages_run(done.stdout)[-3:] == [
        "train@metric-learning",
        "evaluate@metric-learning",
        "report",
    ]
    assert (project / "report/index.html").is_file()
    assert read(project / "manifests/samples.parquet", "samples").num_rows
    said = command(project, "faceshards", "summary").stdout
    assert "data/shards/train" in said
