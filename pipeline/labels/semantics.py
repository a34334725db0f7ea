"""What a manipulation alters: label graphs, vectors and prompts of manifests/semantics.yaml.

Labels are 1 altered, 0 not altered, -1 unobserved ("NA" in the file), in the order of the nodes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceshards.fields import CATEGORIES
from faceshards.graphs import MAX_NODES, completes, hierarchy_problem, legal_states
from faceshards.wording import counted, suggestion
from pipeline.config import read_yaml
from pipeline.config.strict import show
from pipeline.errors import UserError

REAL = "real"
UNKNOWN = "unknown"
LOCAL = "local"
"""Category of images whose single region was altered by the expand stage."""
ANY = "any"
"""Section of methods that are looked up last, for every dataset; ``any FS`` in another section is
for its methods of that category that have no line."""

OWN = frozenset({"csv", "imagefolder", "parquet", "tar"})
"""Adapters of datasets that nobody has a section for: methods that others know are known there."""
NAMELESS = frozenset(
    {"dfdc_unknown", "method_a", "method_b", "ffiw_unknown", "polyglotfake_unknown"}
    | {"av_deepfake1m_unknown"}
)
"""Lines for methods whose makers do not name them: the words mean nothing in another dataset."""

DEFAULT = "default"
"""The templates as they are, with no switch."""

FAKE_CATEGORIES = (*(c for c in CATEGORIES if c != REAL), LOCAL)
ORIGINS = ("paper", "extension")

_VALUES = {1: 1, 0: 0, "NA": -1}


@dataclass(frozen=True)
class Graph:
    """A label hierarchy; its nodes in the order of every label vector and score."""

    name: str
    nodes: tuple[str, ...]
    """The first one is the root: the face as a whole."""
    edges: tuple[tuple[int, int], ...]
    """(parent, child) as places in ``nodes``, sorted."""
    prompts: tuple[str, ...]
    """One sentence per node, in the same order."""

    def legal_states(self, root_needs_child: bool = False) -> NDArray[np.uint8]:
        """All label states the hierarchy allows (SJEDD, equation 1), in binary counting order.

        An active node needs an active parent; an active node that is neither the root nor a leaf
        needs an active child. The authors' code leaves the root out of the second rule;
        ``root_needs_child`` puts it in, as the paper's wording has it.

        Returns:
            uint8 (states, nodes) of 0 and 1; column 0 is the root.
        """
        return legal_states(len(self.nodes), self.edges, root_needs_child)

    def unobserved_fake(self) -> tuple[int, ...]:
        """Vector of a fake about which nothing else is known: the root 1, all else -1."""
        return (1, *[-1] * (len(self.nodes) - 1))


@dataclass(frozen=True)
class Manipulation:
    """What the file says about one method."""

    category: str
    """``real``, ``FS``, ``RE``, ``EFS``, ``FE``, ``local`` or ``unknown``."""
    subtype: str = ""
    vectors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Label vector (1, 0, -1) by graph name; a graph may be absent."""
    also: tuple[str, ...] = ()
    """Other categories that an adapter may give the method by one of its switches."""


@dataclass(frozen=True)
class Semantics:
    """The whole of manifests/semantics.yaml, checked."""

    graphs: Mapping[str, Graph]
    methods: Mapping[str, Mapping[str, Manipulation]]
    """By section (a dataset's name, an adapter's name or ``any``), then by method."""

    def graph(self, name: str) -> Graph:
        """The named graph. Raises UserError naming the graphs there are."""
        if name not in self.graphs:
            have = ", ".join(self.graphs)
            raise UserError(f"There is no label graph {name!r} in semantics.yaml; it has {have}.")
        return self.graphs[name]

    def manipulation(self, dataset: str, adapter: str, method: str) -> Manipulation:
        """What the file says about a method: under the dataset, else its adapter, else ``any``.

        ``real`` gives category ``real``; a method with no line gives category ``unknown`` and no
        vectors. For the adapters :data:`OWN`, such a method is looked up in all other sections
        first, in any case of letters; where they disagree about something, that is left open.
        """
        if method == REAL:
            return Manipulation(REAL)
        for section in (dataset, adapter, ANY):
            if method in self.methods.get(section, {}):
                return self.methods[section][method]
        if adapter in OWN and not method.startswith(f"{ANY} "):
            return self._known_elsewhere(method)
        return Manipulation(UNKNOWN)

    def _known_elsewhere(self, method: str) -> Manipulation:
        """What all sections that know a method agree on."""
        name = method.casefold()
        found = [
            entry
            for section, entries in self.methods.items()
            for known, entry in entries.items()
            if section != ANY and known.casefold() == name and name not in NAMELESS
        ]
        if not found or any(one.category != found[0].category for one in found):
            return Manipulation(UNKNOWN)
        subtypes = {one.subtype for one in found}
        same = all(one.vectors == found[0].vectors for one in found)
        return Manipulation(
            found[0].category,
            found[0].subtype if len(subtypes) == 1 else "",
            found[0].vectors if same else {},
        )

    def _has_line(self, dataset: str, adapter: str, method: str) -> bool:
        """Whether the file has a line for a method of this very dataset."""
        return any(method in self.methods.get(name, {}) for name in (dataset, adapter, ANY))

    def vector(
        self, graph: str, dataset: str, adapter: str, method: str, label: int, category: str
    ) -> tuple[int, ...]:
        """Label vector of a sample (SJEDD, Table I), in the order of the graph's nodes.

        A real (``label`` 0) is all 0. A fake without a line for its method or, in its section, for
        ``any`` of its category, or whose line has no vector for this graph, has the root 1 and all
        else -1.

        Args:
            graph: name of the graph.
            dataset: name of the dataset in datasets.yaml.
            adapter: name of the dataset's adapter.
            method: manipulation, as in the ``method`` column.
            label: 0 real, 1 fake.
            category: the sample's category, which must not contradict the method's line.

        Raises:
            UserError: no such graph, or the category differs from the one of the method's line.
        """
        nodes = self.graph(graph)
        if label == 0:
            return (0,) * len(nodes.nodes)
        known = self.manipulation(dataset, adapter, method)
        if not known.vectors:
            known = self.manipulation(dataset, adapter, f"{ANY} {category}")
        if not known.vectors:
            return nodes.unobserved_fake()
        if category not in (known.category, *known.also):
            if not self._has_line(dataset, adapter, method):
                return nodes.unobserved_fake()  # its owner names a category, and knows it
            raise UserError(
                f"Dataset {dataset} says that {method} is of category {category}, semantics.yaml "
                f"says {known.category}. Correct one of them, or add a line for {method} under "
                f"methods: {dataset}."
            )
        return known.vectors.get(graph, nodes.unobserved_fake())


def load(path: Path = Path("manifests/semantics.yaml"), switch: str = DEFAULT) -> Semantics:
    """Reads and checks the file.

    Args:
        path: the file.
        switch: ``default``, or a name under ``switches``.

    Raises:
        UserError: naming file and entry, for an unknown or missing key, a duplicate node, an edge
            to no node or in a circle, a node without parent, a vector of the wrong length, with a
            value other than 1, 0, NA, whose first value is not 1, or that no legal state completes,
            a template or switch that is not there.
    """
    where = f"{path}"
    optional = ("templates", "switches")
    top = _section(read_yaml(path), where, required=("graphs", "methods"), optional=optional)
    graphs = {
        name: _graph(name, data, f"{where}: graphs.{name}")
        for name, data in _section(top["graphs"], f"{where}: graphs").items()
    }
    legal = {name: graph.legal_states() for name, graph in graphs.items()}
    templates = {
        name: _manipulation(data, graphs, legal, f"{where}: templates.{name}")
        for name, data in _section(top.get("templates", {}), f"{where}: templates").items()
    }
    templates = _switched(templates, top.get("switches", {}), switch, where)

    def entry(data: object, at: str) -> Manipulation:
        if not isinstance(data, str):
            return _manipulation(data, graphs, legal, at)
        if data not in templates:
            raise UserError(
                f"{at} names the template {data}, which is not there. {suggestion(data, templates)}"
            )
        return templates[data]

    methods = {
        section: {
            method: entry(data, f"{where}: methods.{section}.{method}")
            for method, data in _section(entries, f"{where}: methods.{section}").items()
        }
        for section, entries in _section(top["methods"], f"{where}: methods").items()
    }
    for section, entries in methods.items():
        if REAL in entries:
            raise UserError(
                f"{where}: methods.{section}.{REAL}: reals are all 0 and need no line; remove it."
            )
    return Semantics(graphs, methods)


def _switched(
    templates: Mapping[str, Manipulation], data: object, switch: str, where: str
) -> dict[str, Manipulation]:
    """The templates with a switch on: some have the vectors of others then."""
    switches = {
        name: _section(pairs, f"{where}: switches.{name}", known=tuple(templates))
        for name, pairs in _section(data, f"{where}: switches").items()
    }
    for name, pairs in switches.items():
        for one, other in pairs.items():
            _one_of(other, templates, f"{where}: switches.{name}.{one}")
    if switch != DEFAULT and switch not in switches:
        known = ", ".join((DEFAULT, *switches))
        raise UserError(f"There is no switch {switch!r} in {where}; it has {known}.")
    chosen = switches.get(switch, {})
    return {
        name: replace(entry, vectors=templates[chosen[name]].vectors) if name in chosen else entry
        for name, entry in templates.items()
    }


def _graph(name: str, data: object, where: str) -> Graph:
    entry = _section(data, where, required=("nodes", "edges", "prompts"))
    nodes = _texts(entry["nodes"], f"{where}.nodes")
    if not 2 <= len(nodes) <= MAX_NODES:
        have = counted(len(nodes), "node")
        raise UserError(f"{where}.nodes has {have}; 2 to {MAX_NODES} are possible.")
    place = {node: i for i, node in enumerate(nodes)}
    edges: list[tuple[int, int]] = []
    # Keys of `edges` and `prompts` must be nodes; a prompt is needed for every one.
    parents = _section(entry["edges"], f"{where}.edges", known=nodes)
    for parent, children in parents.items():
        for child in _texts(children, f"{where}.edges.{parent}"):
            if child not in place:
                near = suggestion(child, nodes)
                raise UserError(
                    f"{where}.edges.{parent} names {child}, which is not a node. {near}"
                )
            edges.append((place[parent], place[child]))
    _check_hierarchy(nodes, edges, f"{where}.edges")
    prompts = _section(entry["prompts"], f"{where}.prompts", required=nodes)
    sentences = tuple(_text(prompts[node], f"{where}.prompts.{node}") for node in nodes)
    return Graph(name, nodes, tuple(sorted(edges)), sentences)


def _check_hierarchy(nodes: tuple[str, ...], edges: list[tuple[int, int]], where: str) -> None:
    """Raises UserError for a circle, a root that is not the first node, or a second root."""
    problem = hierarchy_problem(nodes, edges)
    if problem:
        raise UserError(f"{where}: {problem}.")


def _manipulation(
    data: object,
    graphs: Mapping[str, Graph],
    legal: Mapping[str, NDArray[np.uint8]],
    where: str,
) -> Manipulation:
    required = ("category", "vectors", "origin", "why")
    entry = _section(data, where, required=required, optional=("subtype", "also"))
    category = _one_of(entry["category"], FAKE_CATEGORIES, f"{where}.category")
    _one_of(entry["origin"], ORIGINS, f"{where}.origin")
    _text(entry["why"], f"{where}.why")
    subtype = _text(entry["subtype"], f"{where}.subtype") if "subtype" in entry else ""
    also = _texts(entry.get("also", []), f"{where}.also")
    for other in also:
        _one_of(other, FAKE_CATEGORIES, f"{where}.also")
    vectors = {
        name: _vector(values, graphs[name], legal[name], f"{where}.vectors.{name}")
        for name, values in _section(
            entry["vectors"], f"{where}.vectors", known=tuple(graphs)
        ).items()
    }
    if not vectors:
        raise UserError(
            f"{where}.vectors is empty; give one per graph, such as {next(iter(graphs))}."
        )
    return Manipulation(category, subtype, vectors, also)


def _vector(data: object, graph: Graph, legal: NDArray[np.uint8], where: str) -> tuple[int, ...]:
    n = len(graph.nodes)
    if not isinstance(data, list) or len(data) != n:
        have = counted(len(data), "value") if isinstance(data, list) else show(data)
        raise UserError(f"{where} is {have}; it must be a list of {n}: {', '.join(graph.nodes)}.")
    for node, value in zip(graph.nodes, data, strict=True):
        # True == 1 in Python, but `yes` or `true` is not a label.
        if type(value) not in (int, str) or value not in _VALUES:
            raise UserError(f"{where}: {node} is {show(value)}; a label is 1, 0 or NA.")
    vector = np.array([_VALUES[value] for value in data], np.int8)
    if vector[0] != 1:
        raise UserError(f"{where}: {graph.nodes[0]} must be 1, since the method makes fakes.")
    if not completes(vector.tolist(), legal):
        raise UserError(
            f"{where}: no state of graph {graph.name} agrees with it, whatever the NA are: an "
            "active node needs an active parent, and one between root and leaves an active child."
        )
    return tuple(int(value) for value in vector)


def _section(
    data: object,
    where: str,
    required: Collection[str] = (),
    optional: Collection[str] = (),
    known: Collection[str] = (),
) -> Mapping[str, Any]:
    """A mapping with text keys: all ``required`` ones and, where any are given, no unknown ones."""
    if not isinstance(data, Mapping):
        raise UserError(f"{where} is {show(data)}, but must be a section of keys and values.")
    allowed = (*required, *optional, *known)
    for key in data:
        if not isinstance(key, str):
            raise UserError(f"{where}: the name {show(key)} is not text; put it in quotes.")
        if allowed and key not in allowed:
            raise UserError(f"{where}: {key} is not known here. {suggestion(key, allowed)}")
    for key in required:
        if key not in data:
            raise UserError(f"{where}: {key} is missing.")
    return data


def _texts(data: object, where: str) -> tuple[str, ...]:
    if not isinstance(data, list):
        raise UserError(f"{where} is {show(data)}, but must be a list of names.")
    texts = tuple(_text(item, where) for item in data)
    for place, text in enumerate(texts):
        if text in texts[:place]:
            raise UserError(f"{where} names {text} twice.")
    return texts


def _text(data: object, where: str) -> str:
    if not isinstance(data, str) or not data.strip():
        raise UserError(f"{where} is {show(data)}, but must be text.")
    return data


def _one_of(data: object, among: Collection[str], where: str) -> str:
    if data not in among:
        raise UserError(f"{where} is {show(data)}, but must be one of {', '.join(among)}.")
    return str(data)
