"""Which pictures to look at: headers are read, times are planned, nothing is decoded."""

from functools import partial

import pyarrow as pa

from pipeline import config
from pipeline.commands.entry import run_main
from pipeline.config.params import Params
from pipeline.datasets.locate import files
from pipeline.engine.stage import Stage, inputs, run_stage, table_store
from pipeline.video.plan import FramesTask, frames_plan
from pipeline.video.watched import WatchedTask

VIDEOS_PER_PARTITION = 2000


def prepare(params: Params, videos: pa.Table | None = None) -> Stage:
    """What the stage is to do, with the table ``videos`` as it is or as it would be."""
    (known,) = inputs(("videos",), videos)
    entries = config.load_datasets()
    config.check_datasets(params, entries)
    plan = frames_plan(known, partial(files, entries), params.frames)
    task = WatchedTask(FramesTask(params.frames), params.datasets.fingerprint)
    return Stage("frames", task, plan, table_store("frames", "frames", VIDEOS_PER_PARTITION))


def main() -> None:
    """Writes ``frames``, its rejects and its metrics."""
    params = config.load()
    run_stage(prepare(params), params.engine)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
