"""What lies in a shard folder, and what shards.json says of it."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from faceshards import facts as facts_file
from faceshards import fields, graphs
from faceshards.reading import Shards
from faceshards.wording import counted

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TAR_NUMBER = re.compile(r"(.+)-([0-9]{5,})\.tar")
BESIDE_TARS = ("shards.json", "index.parquet")


def place_problems(shards: Shards) -> Iterator[str]:
    """Files that are links, are no files, or that nothing names; a folder under another's name."""
    folder, named = shards.folder, {*BESIDE_TARS, *shards.tars}
    if folder.name in fields.FOLDERS and folder.name != shards.name:
        yield f"the folder is called {folder.name}, but shards.json is of {shards.name}"
    for path in sorted(folder.iterdir()):
        if path.name not in named:
            yield f"{path.name}: not named by shards.json"
        elif path.is_symlink():
            yield f"{path.name}: a link; what it points to may change without a trace. Copy it here"
    for name in sorted(named):
        if not (folder / name).is_file():
            yield f"{name}: missing"


def facts_problems(shards: Shards) -> Iterator[str]:
    """Whether shards.json is whole, in its one form, and adds up."""
    facts, tars = shards.facts, shards.tars
    if set(facts) != set(facts_file.KEYS):
        odd = ", ".join(sorted(set(facts) ^ set(facts_file.KEYS)))
        yield f"shards.json: keys missing or unknown: {odd}"
        return
    if type(facts["format"]) is not int:
        yield f"shards.json: format is {facts['format']!r}, which is not a number"
    written = (shards.folder / "shards.json").read_bytes()
    if written != facts_file.text(facts).encode("utf-8", "surrogatepass"):
        yield "shards.json: not written in the way of this format"
    if facts["digest"] != facts_file.digest(facts):
        yield "shards.json: damaged: its digest is not that of its text"
    yield from _tar_facts_problems(tars)
    totals = {
        "samples": sum(t["samples"] for t in tars.values()),
        "bytes": sum(t["bytes"] for t in tars.values()),
        "labels": {label: sum(t["labels"][label] for t in tars.values()) for label in _LABELS},
        "members": list(fields.members(shards.name)),
    }
    for name, total in totals.items():
        if repr(facts[name]) != repr(_like(facts[name], total)):
            yield f"shards.json: {name} is {facts[name]}, but the tars have {total}"


_LABELS = ("fake", "real")


def _like(told: Any, total: Any) -> Any:
    """The total with keys in the order of what was told, so that True and 1 are told apart."""
    if isinstance(told, dict) and set(told) == set(total):
        return {key: total[key] for key in told}
    return total


def _tar_facts_problems(tars: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    numbers: dict[str, list[int]] = {}
    for name, about in tars.items():
        if set(about) != {"samples", "bytes", "sha256", "labels"}:
            yield f"shards.json: {name} has other facts than samples, bytes, sha256, labels"
        if not _SHA256.fullmatch(about["sha256"]):
            yield f"shards.json: sha256 of {name} is {about['sha256']!r}, which is none"
        counts = [about["samples"], about["bytes"], *about["labels"].values()]
        if min(counts) < 0 or about["samples"] != sum(about["labels"].values()):
            yield f"shards.json: the counts of {name} do not add up"
        elif not about["samples"]:
            yield f"shards.json: {name} has no samples"
        found = _TAR_NUMBER.fullmatch(name)
        if not found:
            yield f"{name}: not called <dataset>-<number>.tar"
        else:
            numbers.setdefault(found[1], []).append(int(found[2]))
    for dataset, have in numbers.items():
        if sorted(have) != list(range(len(have))):
            yield f"shards.json: the tars of {dataset} are not numbered from 0 without a gap"


def graph_problems(
    told: Mapping[str, Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Graphs that are not well formed, or not those that are ``known`` under the same name."""
    if not told:
        yield "shards.json: no graph"
    for name, graph in told.items():
        problem = _form_problem(graph)
        if problem:
            yield f"shards.json: graph {name}: {problem}"
        elif known and name not in known:
            yield f"shards.json: graph {name} is not among those known: {', '.join(known)}"
        elif known and dict(known[name]) != dict(graph):
            yield f"shards.json: graph {name} is not the one known by this name"


def edges_of(graph: Mapping[str, Any]) -> graphs.Edges:
    """Edges of a well-formed graph of shards.json as places among its nodes."""
    return tuple((graph["nodes"].index(p), graph["nodes"].index(c)) for p, c in graph["edges"])


def _form_problem(graph: Mapping[str, Any]) -> str:
    if set(graph) != {"nodes", "edges", "prompts"}:
        return "it has other keys than nodes, edges, prompts"
    nodes, edges, prompts = graph["nodes"], graph["edges"], graph["prompts"]
    if not 2 <= len(nodes) <= graphs.MAX_NODES or not _texts(nodes) or len(set(nodes)) < len(nodes):
        return f"its nodes are not 2 to {graphs.MAX_NODES} different names"
    if not _texts(prompts) or len(prompts) != len(nodes):
        return "its prompts are not one text per node"
    if len(set(prompts)) < len(prompts):
        return "two of its prompts are the same"
    if not isinstance(edges, list) or not all(_texts(edge) and len(edge) == 2 for edge in edges):
        return "its edges are not pairs of nodes"
    if not {node for edge in edges for node in edge} <= set(nodes):
        return "an edge names what is no node"
    places = edges_of(graph)
    if any(first >= second for first, second in pairwise(places)):
        return "its edges are not in order, or one is there twice"
    return graphs.hierarchy_problem(nodes, places)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) and v.strip() for v in value)


def index_problems(shards: Shards) -> Iterator[str]:
    """What can be said of the index without looking into tars."""
    wanted = [column.name for column in fields.index_columns(shards.name)]
    if pq.read_schema(shards.folder / "index.parquet").names != wanted:
        yield "index.parquet: its columns are not those of this format, or in another order"
    index, samples = shards.index, sum(t["samples"] for t in shards.tars.values())
    if len(shards) != samples:
        yield f"index.parquet: {counted(len(shards), 'sample')}, shards.json has {samples}"
    for name in ("key", "sample_id"):
        values = index.column(name)
        if pc.count_distinct(values).as_py() != len(values):
            yield f"index.parquet: a {name} is there twice"
    tars, offsets = (index.column(name).to_pylist() for name in ("tar", "offset"))
    if any(first > second for first, second in pairwise(zip(tars, offsets, strict=True))):
        yield "index.parquet: its rows are not in the order of tars and offsets"


def file_problems(path: Path, told: Any) -> Iterator[str]:
    """Whether a file has the bytes and sha256 that shards.json says."""
    if not isinstance(told, Mapping) or not {"bytes", "sha256"} <= set(told):
        yield f"shards.json: says no bytes and sha256 of {path.name}"
        return
    size = path.stat().st_size
    if told["bytes"] != size:
        yield f"{path.name}: {size} bytes, shards.json says {told['bytes']}"
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != told["sha256"]:
            yield f"{path.name}: its sha256 is not the one in shards.json"
