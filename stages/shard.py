"""WebDataset shards per split and dataset, each folder with its index and checksums."""

from pathlib import Path

import pyarrow as pa

from pipeline import config
from pipeline.commands.entry import run_main
from pipeline.config.params import Params
from pipeline.engine.run import brought_up_to_date
from pipeline.engine.stage import STORES, Stage, inputs, write_metrics
from pipeline.engine.survey import Store
from pipeline.labels import semantics
from pipeline.shards.folder_index import LabelFacts
from pipeline.shards.folders import write_folders
from pipeline.shards.pack import PackTask, pack_plan
from pipeline.versions import version

SHARDS = Path("data/shards")


def prepare(params: Params, videos: pa.Table | None = None) -> Stage:
    """What the stage is to do, with the table ``videos`` as it is or as it would be."""
    names = ("videos", "faces", "samples", "landmarks", "expanded")
    known, faces, samples, landmarks, expanded = inputs(names, videos)
    plan = pack_plan(
        known,
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


def label_facts(params: Params) -> LabelFacts:
    """All label graphs, and the vectors of any kind of samples in each of them."""
    known = semantics.load(switch=params.datasets.semantics)
    entries = config.load_datasets()

    def vector(graph: str, dataset: str, method: str, label: int, category: str) -> tuple[int, ...]:
        return known.vector(graph, dataset, entries[dataset].adapter, method, label, category)

    return LabelFacts(params.shard.graph, list(known.graphs.values()), vector)


def main() -> None:
    """Writes ``data/shards/{train,val,test,expanded}`` and the metrics."""
    params = config.load()
    stage = prepare(params)
    labels = label_facts(params)
    with brought_up_to_date(
        stage.name, stage.task, stage.plan, stage.store, params.engine, version(stage.name)
    ) as whole:
        write_metrics(stage.name, write_folders(whole, SHARDS, labels))


if __name__ == "__main__":
    raise SystemExit(run_main(main))
