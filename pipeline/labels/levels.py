"""The levels of a label graph: the root, what lies directly below it, and everything else."""

from dataclasses import dataclass

from pipeline.labels.semantics import Graph


@dataclass(frozen=True)
class Levels:
    """Nodes of a graph by their level in the hierarchy, as indices into its ``nodes``.

    SJEDD shares one loss weight per level (section IV-C), and one text template (IV-B1).
    """

    root: tuple[int, ...]
    global_attributes: tuple[int, ...]
    local_regions: tuple[int, ...]


def levels(graph: Graph) -> Levels:
    """The root, its children (global attributes), and everything below them (local regions).

    A node that is both a child of the root and of another node is global.
    """
    below_root = {child for parent, child in graph.edges if parent == 0}
    rest = set(range(1, len(graph.nodes))) - below_root
    return Levels((0,), tuple(sorted(below_root)), tuple(sorted(rest)))
