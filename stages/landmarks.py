"""68 points on every face of the train samples."""

from pathlib import Path

from pipeline import config, tables
from pipeline.engine.run import run_stage
from pipeline.entry import run_main
from pipeline.faces.landmarks import LandmarksTask
from pipeline.faces.plan import landmarks_plan

FACES_PER_PARTITION = 1000


def main() -> None:
    """Writes ``landmarks``, its rejects and its metrics."""
    params = config.load()
    samples = tables.read(Path("manifests/samples.parquet"), "samples")
    faces = tables.read(Path("manifests/faces.parquet"), "faces")
    plan = landmarks_plan(samples, faces, Path("data/stores/faces"))
    task = LandmarksTask(params.landmarks, params.faces.detector)
    run_stage("landmarks", task, plan, "landmarks", FACES_PER_PARTITION, params.engine)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
