"""What lies beside the tars of a shard folder: the index of samples, and what explains them."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from faceshards import fields
from faceshards.facts import digest as facts_digest
from faceshards.facts import text as facts_text
from faceshards.replace import replacing
from pipeline import tables
from pipeline.labels.semantics import Graph
from pipeline.tables import schemas

Kind = tuple[str, str, int, str]
"""Dataset, method, label and category of a sample, which its label vector follows from."""
_KIND = ["dataset", "method", "label", "category"]


@dataclass(frozen=True)
class TarFacts:
    """What shards.json says of one tar."""

    samples: int
    bytes: int
    sha256: str
    labels: Mapping[str, int]
    """Samples by label: ``{"fake": 5, "real": 5}``."""


@dataclass(frozen=True)
class LabelFacts:
    """What shards.json says of label vectors."""

    graph: str
    """Name of the graph that the samples' own vectors follow."""
    graphs: Sequence[Graph]
    """All graphs that somebody may train with, that one among them."""
    vector: Callable[[str, str, str, int, str], Sequence[int]]
    """Vector of a graph's name, dataset, method, label and category."""


def tar_facts(labels: Sequence[int], n_bytes: int, sha256: str) -> TarFacts:
    """Facts of one tar from the labels of its samples, its size and its digest."""
    return TarFacts(len(labels), n_bytes, sha256, count_labels(labels))


def count_labels(labels: Sequence[int]) -> dict[str, int]:
    """Number of real and fake samples."""
    count = Counter(labels)
    return {"fake": count[1], "real": count[0]}


def write_folder_index(
    folder: Path,
    name: str,
    indexes: Iterable[pa.Table],
    tars: Mapping[str, TarFacts],
    labels: LabelFacts,
) -> None:
    """Writes ``index.parquet`` and ``shards.json``, then deletes tars that they do not name.

    Args:
        folder: the shard folder; made where it is absent.
        name: a split, or ``expanded``.
        indexes: rows of the samples of each tar, in order of the tars' names; columns that the
            folder's table lacks are left out.
        tars: facts by file name, for every tar.
        labels: the label graphs, and the vectors of all kinds of samples in each of them.

    Raises:
        ValueError: the tars of ``indexes`` are not those of ``tars``.
    """
    table = schemas.index_table(name)
    index = folder / "index.parquet"
    kinds: set[Kind] = set()
    tables.write(index, table, _one_per_tar(folder, table, indexes, tars, kinds))
    about: dict[str, Any] = {
        "format": fields.FORMAT,
        "name": name,
        "members": list(fields.members(name)),
        "samples": sum(facts.samples for facts in tars.values()),
        "bytes": sum(facts.bytes for facts in tars.values()),
        "labels": {
            label: sum(facts.labels[label] for facts in tars.values()) for label in ("fake", "real")
        },
        "tars": {tar_name: asdict(facts) for tar_name, facts in tars.items()},
        "graph": labels.graph,
        "graphs": {graph.name: graph_json(graph) for graph in labels.graphs},
        "vectors": {graph.name: _vectors(graph.name, kinds, labels) for graph in labels.graphs},
        "index": {"bytes": index.stat().st_size, "sha256": _sha256(index)},
    }
    about["digest"] = facts_digest(about)
    with replacing(folder / "shards.json") as temporary:
        temporary.write_text(facts_text(about), encoding="utf-8")
    for path in folder.glob("*.tar"):
        if path.name not in tars:
            path.unlink()


def _vectors(graph: str, kinds: Iterable[Kind], labels: LabelFacts) -> dict[str, Any]:
    """Vectors of a graph by dataset, method and category."""
    found: dict[str, dict[str, dict[str, list[int]]]] = {}
    for dataset, method, label, category in sorted(kinds):
        vector = list(labels.vector(graph, dataset, method, label, category))
        found.setdefault(dataset, {}).setdefault(method, {})[category] = vector
    return found


def _one_per_tar(
    folder: Path,
    table: str,
    indexes: Iterable[pa.Table],
    tars: Mapping[str, TarFacts],
    kinds: set[Kind],
) -> Iterator[pa.Table]:
    """Rows of the index, a tar at a time, in the order in which samples lie there.

    Adds the kinds of samples that there are to ``kinds``.
    """
    counted: Counter[str] = Counter()
    for part in indexes:
        rows = part.select(schemas.schema(table).names).cast(schemas.schema(table))
        counted.update(rows.column("tar").to_pylist())
        here = rows.group_by(_KIND).aggregate([]).to_pylist()
        kinds.update(tuple(kind[name] for name in _KIND) for kind in here)
        yield rows.sort_by("offset")
    if list(counted.items()) != [(name, tars[name].samples) for name in sorted(tars)]:
        raise ValueError(
            f"{folder}: index and facts disagree about the tars: {dict(counted)}, {tars}"
        )


def graph_json(graph: Graph) -> dict[str, Any]:
    """A graph as shards.json holds it."""
    edges = [[graph.nodes[parent], graph.nodes[child]] for parent, child in graph.edges]
    return {"nodes": list(graph.nodes), "edges": edges, "prompts": list(graph.prompts)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
