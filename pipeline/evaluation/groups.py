"""Which videos are measured together besides those of a dataset or method."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.evaluation.facts import node_column
from pipeline.evaluation.measures import Rules, measure
from pipeline.labels.semantics import Graph

FACE_SIZES_PX = (64, 128, 256)
"""Where the groups of ``face_size`` end: median of the longer side of a video's boxes."""
THIRDS = ("low", "middle", "high")


@dataclass(frozen=True)
class Group:
    """Some videos of a split."""

    kind: str
    """Such as ``compression``."""
    name: str
    """Such as ``c23``."""
    members: NDArray[np.bool_]
    """(videos,)."""


def groups(videos: pa.Table, graph: Graph | None = None) -> Iterator[Group]:
    """Every group of a split's videos.

    ``category`` and, where labels are observed, ``attribute`` and ``region`` are fakes of that kind
    against all reals of the split. ``compression``, ``face_size``, ``sharpness`` and ``brightness``
    are all videos of that kind, real and fake. The last two are thirds of the split's videos.

    Args:
        videos: one split of :func:`pipeline.evaluation.facts.known`.
        graph: the label graph of its columns; None where there is none.
    """
    real = videos.column("label").to_numpy() == 0
    for name, members in _by_value(videos, "category").items():
        if (members & ~real).any():
            yield Group("category", name, real | (members & ~real))
    for kind, nodes in _levels(graph).items() if graph else ():
        for node in nodes:
            if node_column(node) in videos.schema.names:
                altered = videos.column(node_column(node)).to_numpy() == 1
                if altered.any():
                    yield Group(kind, node, real | altered)
    for name, members in _by_value(videos, "compression").items():
        if name:
            yield Group("compression", name, members)
    if "face_px" in videos.schema.names:
        yield from _by_size(videos.column("face_px").to_numpy())
        for kind in ("sharpness", "brightness"):
            yield from _by_third(kind, videos.column(kind).to_numpy())


def joined(videos: pa.Table, kind: str, value_of: Mapping[str, str]) -> Iterator[Group]:
    """Groups by a column of a table of the user's: video id to value; "" is in no group."""
    values = [value_of.get(name, "") for name in videos.column("video_id").to_pylist()]
    for name in sorted(set(values) - {""}):
        yield Group(kind, name, np.array([value == name for value in values]))


def measured(
    found: Iterator[Group], faces: pa.Table, videos: pa.Table, rules: Rules, least: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Numbers of :func:`pipeline.evaluation.measures.measure` by kind and name of group.

    A group of fewer than ``least`` scored reals or fakes has only its counts and ``too_few`` 1.
    """
    whole: dict[str, dict[str, dict[str, float]]] = {}
    for group in found:
        part = videos.filter(pa.array(group.members))
        inside = pc.is_in(faces.column("video_id"), part.column("video_id").combine_chunks())
        numbers = measure(faces.filter(inside), part, rules)
        if min(numbers["videos_real"], numbers["videos_fake"]) < least:
            counts = ("videos_real", "videos_fake", "coverage")
            numbers = {name: numbers[name] for name in counts} | {"too_few": 1}
        whole.setdefault(group.kind, {})[group.name] = numbers
    return whole


def _by_value(videos: pa.Table, column: str) -> dict[str, NDArray[np.bool_]]:
    values = np.array(videos.column(column).to_pylist(), object)
    return {name: values == name for name in sorted(set(values.tolist()))}


def _levels(graph: Graph) -> dict[str, list[str]]:
    """Nodes below the root, and those below these (SJEDD, figure 1)."""
    below_root = sorted(child for parent, child in graph.edges if parent == 0)
    others = [n for place, n in enumerate(graph.nodes) if place and place not in below_root]
    return {"attribute": [graph.nodes[place] for place in below_root], "region": others}


def _by_size(face_px: NDArray[np.float64]) -> Iterator[Group]:
    names = [f"under_{FACE_SIZES_PX[0]}_px"]
    names += [f"from_{edge}_px" for edge in FACE_SIZES_PX]
    place = np.digitize(face_px, FACE_SIZES_PX)
    for number, name in enumerate(names):
        members = (place == number) & (face_px >= 0)
        if members.any():
            yield Group("face_size", name, members)


def _by_third(kind: str, values: NDArray[np.float64]) -> Iterator[Group]:
    known = values >= 0
    if not known.any():
        return
    edges = np.quantile(values[known], [1 / 3, 2 / 3])
    place = np.digitize(values, edges)
    for number, name in enumerate(THIRDS):
        members = known & (place == number)
        if members.any():
            yield Group(kind, name, members)
