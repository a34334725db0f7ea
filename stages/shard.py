"""WebDataset shards per split and dataset, each folder with its index and checksums."""

from pathlib import Path

from pipeline import config, semantics, tables
from pipeline.engine import run
from pipeline.entry import run_main
from pipeline.shards.folders import write_folders
from pipeline.shards.pack import PackTask, pack_plan


def main() -> None:
    """Writes ``data/shards/{train,val,test,expanded}`` and the metrics."""
    params = config.load()
    names = ("videos", "faces", "samples", "landmarks", "expanded")
    videos, faces, samples, landmarks, expanded = (
        tables.read(Path(f"manifests/{name}.parquet"), name) for name in names
    )
    labels = semantics.load()
    plan = pack_plan(
        videos,
        faces,
        samples,
        landmarks,
        expanded,
        labels,
        {name: entry.adapter for name, entry in config.load_datasets().items()},
        params.shard,
        Path("data/stores/faces").absolute(),
        Path("data/stores/expand").absolute(),
    )
    where = run.Store(
        Path("data/stores/shard"),
        "index_expanded",
        params.shard.samples_per_shard,
        tars=Path("data/shards"),
        isolate=False,
    )
    task = PackTask(params.jpeg)
    whole = run.run("shard", task, plan, where, params.engine, run.version("shard"))
    graphs = [labels.graph(params.shard.graph)]
    run.write_metrics("shard", write_folders(whole, Path("data/shards"), graphs))


if __name__ == "__main__":
    raise SystemExit(run_main(main))
