"""New fakes by region swaps between faces of different people (SJEDD, section III)."""

import sys

import pyarrow as pa

from pipeline import config
from pipeline.commands.entry import run_main
from pipeline.config.params import Params, resolve
from pipeline.engine.stage import STORES, Stage, inputs, run_stage, table_store
from pipeline.expansion import notes
from pipeline.expansion.expand import SwapTask
from pipeline.expansion.plan import expansion_plan
from pipeline.faces.identity import DIFFERENT

SAMPLES_PER_PARTITION = 1000


def prepare(params: Params, videos: pa.Table | None = None) -> Stage:
    """What the stage is to do, with the table ``videos`` as it is or as it would be."""
    known, faces, samples, landmarks = inputs(("videos", "faces", "samples", "landmarks"), videos)
    datasets = params.expand.datasets
    upright = {d for d in datasets if resolve(params.faces, d, "train").align}
    names = {d: resolve(params.faces, d, "train").identity for d in datasets}
    found = expansion_plan(
        known,
        faces,
        samples,
        landmarks,
        params.expand,
        params.seed,
        params.faces.lossless,
        upright,
        (STORES / "faces").absolute(),
        {dataset: DIFFERENT[name] for dataset, name in names.items() if name != "none"},
    )
    store = table_store("expand", "expanded", SAMPLES_PER_PARTITION)
    for note in (*notes.off(params), *found.notes):
        print(f"expand: {note}", file=sys.stderr)
    return Stage("expand", SwapTask(params.expand), found.plan, store, found.counts)


def main() -> None:
    """Writes ``expanded``, its rejects and its metrics."""
    params = config.load()
    run_stage(prepare(params), params.engine)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
