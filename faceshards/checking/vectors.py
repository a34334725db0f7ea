"""Whether shards.json has a sound label vector of each kind of samples in each graph."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from faceshards.checking.folder import edges_of
from faceshards.graphs import completes, legal_states
from faceshards.reading import Shards

_KIND = ("dataset", "method", "category")
_REAL = "real"


def vector_problems(shards: Shards) -> Iterator[str]:
    """What is wrong with ``graph`` and ``vectors``, where the graphs are well formed."""
    facts, index = shards.facts, shards.index
    graph, graphs, told = facts.get("graph"), facts["graphs"], facts.get("vectors")
    if not isinstance(graph, str) or graph not in graphs:
        yield f"shards.json: graph is {graph!r}, which is not among its graphs"
    if len(index) and index.column("graph").unique().to_pylist() != [graph]:
        yield f"shards.json: graph is {graph!r}, the samples say otherwise"
    if not isinstance(told, Mapping) or set(told) != set(graphs):
        yield f"shards.json: vectors are not of the graphs {', '.join(graphs)}"
        return
    kinds = {tuple(k.values()) for k in index.group_by(list(_KIND)).aggregate([]).to_pylist()}
    for name, by_dataset in told.items():
        try:
            found = _flat(by_dataset)
        except (AttributeError, TypeError):
            yield f"shards.json: vectors of {name} are not by dataset, method and category"
            continue
        for kind in sorted(kinds ^ set(found)):
            which = "no vector of" if kind in kinds else "a vector for no sample of"
            yield f"shards.json: vectors of {name} have {which} {'/'.join(kind)}"
        states = legal_states(len(graphs[name]["nodes"]), edges_of(graphs[name]))
        for kind, vector in found.items():
            if problem := _vector_problem(vector, kind[2], states):
                yield f"shards.json: vectors of {name}: {'/'.join(kind)}: {vector} {problem}"
        if name == graph:
            yield from _unlike_samples(index, found)


def _flat(by_dataset: Mapping[str, Any]) -> dict[tuple[str, str, str], Any]:
    return {
        (dataset, method, category): vector
        for dataset, by_method in by_dataset.items()
        for method, by_category in by_method.items()
        for category, vector in by_category.items()
    }


def _vector_problem(vector: Any, category: str, states: Any) -> str:
    nodes = states.shape[1]
    if not isinstance(vector, list) or len(vector) != nodes:
        return f"does not have {nodes} values"
    if any(type(value) is not int or value not in (-1, 0, 1) for value in vector):
        return "holds other values than 1, 0 and -1"
    if category == _REAL:
        return "is not all 0, but these are reals" if any(vector) else ""
    if vector[0] != 1:
        return "does not begin with 1, but these are fakes"
    return "" if completes(vector, states) else "agrees with no legal state of the graph"


def _unlike_samples(index: pa.Table, found: Mapping[tuple[str, str, str], Any]) -> Iterator[str]:
    """Kinds of which a sample of the index has another vector."""
    for kind, vector in sorted(found.items()):
        mine = index
        for column, value in zip(_KIND, kind, strict=True):
            mine = mine.filter(pc.equal(mine.column(column), value))
        vectors = mine.column("vector").combine_chunks()
        flat = np.asarray(vectors.flatten().to_numpy(zero_copy_only=False))
        alike = isinstance(vector, list) and len(flat) == len(vector) * len(vectors)
        if not alike or not np.array_equal(flat, np.tile(vector, len(vectors))):
            yield f"shards.json: samples of {'/'.join(kind)} have another vector than {vector}"
