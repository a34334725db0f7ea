"""Every face at every planned time: decoded, detected, cropped, stored. One pass per video."""

from functools import partial

import pyarrow as pa

from pipeline import config
from pipeline.commands.entry import run_main
from pipeline.config.params import Params
from pipeline.datasets.locate import files
from pipeline.engine.stage import Stage, inputs, run_stage, table_store
from pipeline.faces.extract import FacesTask
from pipeline.faces.plan import faces_plan
from pipeline.video.watched import WatchedTask

VIDEOS_PER_PARTITION = 32


def prepare(params: Params, videos: pa.Table | None = None) -> Stage:
    """What the stage is to do, with the table ``videos`` as it is or as it would be."""
    known, frames = inputs(("videos", "frames"), videos)
    entries = config.load_datasets()
    config.check_datasets(params, entries)
    plan, rules = faces_plan(known, frames, partial(files, entries), params)
    task = WatchedTask(FacesTask(rules, params.frames.max_side_px), params.datasets.fingerprint)
    return Stage("faces", task, plan, table_store("faces", "faces", VIDEOS_PER_PARTITION))


def main() -> None:
    """Writes ``faces``, its rejects and its metrics."""
    params = config.load()
    run_stage(prepare(params), params.engine)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
