"""Every face at every planned time: decoded, detected, cropped, stored. One pass per video."""

from pathlib import Path

from pipeline import config, tables
from pipeline.datasets.locate import files
from pipeline.engine.run import run_stage
from pipeline.entry import run_main
from pipeline.faces.extract import FacesTask
from pipeline.faces.plan import faces_plan

VIDEOS_PER_PARTITION = 32


def main() -> None:
    """Writes ``faces``, its rejects and its metrics."""
    params = config.load()
    videos = tables.read(Path("manifests/videos.parquet"), "videos")
    frames = tables.read(Path("manifests/frames.parquet"), "frames")
    located = files(config.load_datasets(), videos)
    plan = faces_plan(videos, frames, located, params.faces, params.jpeg)
    task = FacesTask(params.faces, params.frames.max_side_px)
    run_stage("faces", task, plan, "faces", VIDEOS_PER_PARTITION, params.engine)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
