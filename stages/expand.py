"""New fakes by region swaps between faces of different people (SJEDD, section III)."""

from pathlib import Path

from pipeline import config, tables
from pipeline.engine.run import run_stage
from pipeline.entry import run_main
from pipeline.expansion.expand import SwapTask
from pipeline.expansion.plan import expansion_plan

SAMPLES_PER_PARTITION = 1000


def main() -> None:
    """Writes ``expanded``, its rejects and its metrics."""
    params = config.load()
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
        Path("data/stores/faces").absolute(),
    )
    task = SwapTask(params.expand)
    run_stage("expand", task, plan, "expanded", SAMPLES_PER_PARTITION, params.engine, refused)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
