"""New fakes by region swaps between faces of different people (SJEDD, section III)."""

from pathlib import Path

from pipeline import config, tables
from pipeline.config import Params
from pipeline.engine.stage import STORES, Stage, run_stage, table_store
from pipeline.entry import run_main
from pipeline.expansion.expand import SwapTask
from pipeline.expansion.plan import expansion_plan

SAMPLES_PER_PARTITION = 1000


def prepare(params: Params) -> Stage:
    """What the stage is to do."""
    names = ("videos", "faces", "samples", "landmarks")
    videos, faces, samples, landmarks = (
        tables.read(Path(f"manifests/{name}.parquet"), name) for name in names
    )
    plan, refused = expansion_plan(
        videos,
        faces,
        samples,
        landmarks,
        params.expand,
        params.seed,
        params.faces.lossless,
        (STORES / "faces").absolute(),
    )
    store = table_store("expand", "expanded", SAMPLES_PER_PARTITION)
    return Stage("expand", SwapTask(params.expand), plan, store, refused)


def main() -> None:
    """Writes ``expanded``, its rejects and its metrics."""
    params = config.load()
    run_stage(prepare(params), params.engine)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
