"""The rule of label hierarchies: which states are legal, and which graphs are well formed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_NODES = 16
"""States are enumerated (2 to the power of the number of nodes), so graphs stay small."""

Edges = tuple[tuple[int, int], ...]
"""(parent, child) as places among the nodes."""


def legal_states(nodes: int, edges: Edges, root_needs_child: bool = False) -> NDArray[np.uint8]:
    """All label states the hierarchy allows (SJEDD, equation 1), in binary counting order.

    An active node needs an active parent; an active node that is neither the root nor a leaf needs
    an active child. The authors' code leaves the root out of the second rule; ``root_needs_child``
    puts it in, as the paper's wording has it.

    Args:
        nodes: how many, at most :data:`MAX_NODES`.
        edges: which of them belong together.
        root_needs_child: the second rule holds for node 0, the root, too.

    Returns:
        uint8 (states, nodes) of 0 and 1; column 0 is the root.
    """
    places = np.arange(nodes - 1, -1, -1)
    states = (np.arange(2**nodes)[:, None] >> places & 1).astype(np.uint8)  # (2**nodes, nodes)
    legal = np.ones(2**nodes, bool)
    for node in range(nodes):
        active = states[:, node] == 1
        parents = [p for p, c in edges if c == node]
        children = [c for p, c in edges if p == node]
        if parents:
            legal &= ~active | states[:, parents].any(axis=1)
        if children and (node > 0 or root_needs_child):
            legal &= ~active | states[:, children].any(axis=1)
    return states[legal]


def completes(vector: Sequence[int], states: NDArray[np.uint8]) -> bool:
    """True where some state agrees with all that a vector (1, 0, -1 unobserved) has observed."""
    labels = np.array(vector, np.int8)
    observed = labels >= 0
    return bool((states[:, observed] == labels[observed]).all(axis=1).any())


def hierarchy_problem(nodes: Sequence[str], edges: Sequence[tuple[int, int]]) -> str:
    """What keeps a graph from being a hierarchy below its first node; "" for nothing."""
    below: set[int] = set()
    while True:
        free = {
            node
            for node in set(range(len(nodes))) - below
            if all(child in below for parent, child in edges if parent == node)
        }
        if not free:
            break
        below |= free
    circle = [nodes[node] for node in range(len(nodes)) if node not in below]
    if circle:
        return f"its edges run in a circle through {', '.join(circle)}"
    orphans = [nodes[n] for n in range(1, len(nodes)) if all(child != n for _, child in edges)]
    if orphans:
        return (
            f"{orphans[0]} has no parent, so it could never be active; only the first node, "
            f"{nodes[0]}, is the root"
        )
    return ""
