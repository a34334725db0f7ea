"""WebDataset shards per split and dataset, each folder with its index and checksums."""

from pathlib import Path

from pipeline import config, semantics, tables
from pipeline.config import Params
from pipeline.engine.run import run
from pipeline.engine.stage import STORES, Stage, version, write_metrics
from pipeline.engine.survey import Store
from pipeline.entry import run_main
from pipeline.shards.folders import write_folders
from pipeline.shards.pack import PackTask, pack_plan

SHARDS = Path("data/shards")


def prepare(params: Params) -> Stage:
    """What the stage is to do."""
    names = ("videos", "faces", "samples", "landmarks", "expanded")
    videos, faces, samples, landmarks, expanded = (
        tables.read(Path(f"manifests/{name}.parquet"), name) for name in names
    )
    plan = pack_plan(
        videos,
        faces,
        samples,
        landmarks,
        expanded,
        semantics.load(switch=params.datasets.semantics),
        {name: entry.adapter for name, entry in config.load_datasets().items()},
        params.shard,
        (STORES / "faces").absolute(),
        (STORES / "expand").absolute(),
    )
    size = params.shard.samples_per_shard
    store = Store(STORES / "shard", "index_expanded", size, tars=SHARDS, isolate=False)
    return Stage("shard", PackTask(params.jpeg), plan, store)


def main() -> None:
    """Writes ``data/shards/{train,val,test,expanded}`` and the metrics."""
    params = config.load()
    stage = prepare(params)
    whole = run("shard", stage.task, stage.plan, stage.store, params.engine, version("shard"))
    graphs = [semantics.load().graph(params.shard.graph)]
    write_metrics("shard", write_folders(whole, SHARDS, graphs))


if __name__ == "__main__":
    raise SystemExit(run_main(main))
