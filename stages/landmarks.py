"""68 points on every face of the train samples, or on none."""

import pyarrow as pa

from pipeline import config
from pipeline.commands.entry import run_main
from pipeline.config.params import Params
from pipeline.engine.stage import STORES, Stage, inputs, run_stage, table_store
from pipeline.faces.landmarks import LandmarksTask
from pipeline.faces.plan import landmarks_plan
from pipeline.tables import schemas
from pipeline.tables.sources import Held

FACES_PER_PARTITION = 1000


def prepare(params: Params, videos: pa.Table | None = None) -> Stage:
    """What the stage is to do, with the table ``videos`` as it is or as it would be."""
    samples, faces = inputs(("samples", "faces"), videos)
    if params.landmarks.landmarker == "none":
        samples = Held(schemas.schema("samples").empty_table())
    plan = landmarks_plan(samples, faces, STORES / "faces")
    task = LandmarksTask(params.landmarks)
    return Stage(
        "landmarks", task, plan, table_store("landmarks", "landmarks", FACES_PER_PARTITION)
    )


def main() -> None:
    """Writes ``landmarks``, its rejects and its metrics."""
    params = config.load()
    run_stage(prepare(params), params.engine)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
