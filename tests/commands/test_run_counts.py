"""What `faceshards plan` says of the data of runs."""

from dataclasses import replace
from pathlib import Path

from pipeline import config
from pipeline.commands import run_counts
from pipeline.config.run_params import DataParams
from tests.commands.test_contradictions import TWO, videos
from tests.shards import made

SAMPLE = config.load(Path(__file__).parents[2] / "profiles/sample.yaml")
RUNS = {"metric-learning": SAMPLE.runs["metric-learning"]}


def reading(**data):
    return {name: replace(run, data=DataParams(**data)) for name, run in RUNS.items()}


def test_before_there_are_shards_videos_are_counted(tmp_path):
    (line,) = run_counts.lines(reading(datasets=("a",)), videos(*TWO), tmp_path)
    assert line == (
        "run metric-learning will read faces of these videos: train 2 (1 real, 1 fake), "
        "val 2 (1 real, 1 fake)"
    )


def test_reals_that_are_blended_with_themselves_are_counted_alone(tmp_path):
    (line,) = run_counts.lines(reading(fakes="self_blended"), videos(*TWO), tmp_path)
    assert line.endswith(
        "train 2 real, blended with themselves where they have landmarks, val 4 (2 real, 2 fake)"
    )


def test_then_their_faces(tmp_path):
    made.shard(made.world(tmp_path / "stores"), tmp_path / "shards")
    (line,) = run_counts.lines(reading(datasets=("ffpp",)), videos(*TWO), tmp_path / "shards")
    assert line == (
        "run metric-learning reads these faces of the shards that are there: train 12 (6 real, 6 "
        "fake), val 4 (2 real, 2 fake)"
    )
    (line,) = run_counts.lines(reading(datasets=("gone",)), videos(*TWO), tmp_path / "shards")
    assert line.startswith("run metric-learning: runs.metric-learning.data: datasets names 'gone'")
