"""From the partitions of the engine to the four shard folders that explain themselves."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from faceshards import fields
from pipeline.engine import partition
from pipeline.engine.run import Whole
from pipeline.shards.folder_index import LabelFacts, TarFacts, tar_facts, write_folder_index


def write_folders(whole: Sequence[Whole], root: Path, labels: LabelFacts) -> dict[str, int]:
    """Writes the index of every shard folder below ``root`` and returns the stage's metrics.

    A tar lies at ``<root>/<folder>/<dataset>-<number>.tar``. Folders without samples get an empty
    index, so that their readers find what they expect.
    """
    metrics = {"inputs": 0, "outputs": 0, "rejects": 0, "left_out": 0}
    for folder in fields.FOLDERS:
        parts = [part for part in whole if part.facts.tar.startswith(f"{folder}/")]
        parts.sort(key=lambda part: part.facts.tar)  # not the order of groups: "a-b" and "a-b-c"
        facts: dict[str, TarFacts] = {}
        for part in parts:
            name = part.facts.tar.removeprefix(f"{folder}/")
            real_or_fake = _index(part).column("label").to_pylist()
            facts[name] = tar_facts(real_or_fake, part.facts.tar_bytes, part.facts.tar_sha256)
        (root / folder).mkdir(parents=True, exist_ok=True)
        write_folder_index(root / folder, folder, map(_index, parts), facts, labels)
        samples = sum(one.samples for one in facts.values())
        metrics["outputs"] += samples
        metrics[f"samples_{folder}"] = samples
        metrics[f"tars_{folder}"] = len(facts)
    metrics["inputs"] = metrics["outputs"]
    return metrics


def _index(part: Whole) -> pa.Table:
    """The samples of one tar."""
    return partition.outputs(part.path, "index_expanded")
