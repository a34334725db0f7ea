"""Which pictures to look at: headers are read, times are planned, nothing is decoded."""

from pathlib import Path

from pipeline import config, tables
from pipeline.datasets.locate import files
from pipeline.engine.run import run_stage
from pipeline.entry import run_main
from pipeline.video.plan import FramesTask, frames_plan

VIDEOS_PER_PARTITION = 2000


def main() -> None:
    """Writes ``frames``, its rejects and its metrics."""
    params = config.load()
    videos = tables.read(Path("manifests/videos.parquet"), "videos")
    plan = frames_plan(videos, files(config.load_datasets(), videos))
    task = FramesTask(params.frames)
    run_stage("frames", task, plan, "frames", VIDEOS_PER_PARTITION, params.engine)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
