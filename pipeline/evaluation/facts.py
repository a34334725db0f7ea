"""What is known of scored videos besides scores: scene, compression, faces, what was altered."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceshards.reading import Shards
from pipeline.evaluation.aggregate import rows_of
from pipeline.labels.semantics import Graph

FACE_COLUMNS = ("face_px", "sharpness", "brightness")
"""Of the index of shards; of a video the median over its scored faces, -1 where it has none."""


def scenes(video_ids: pa.Array, videos: pa.Table) -> NDArray[np.int64]:
    """A number for what each video hangs together with, (n,): bootstrap samples draw it whole.

    That is its leak group; where it has none, its identity; else it is alone.

    Args:
        video_ids: (n,), all of them in ``videos``.
        videos: table ``videos``.
    """
    at = pc.index_in(video_ids, videos.column("video_id").combine_chunks())
    groups, people = (videos.column(c).take(at).to_pylist() for c in ("leak_group", "identity"))
    own = [
        f"group {group}" if group else f"person {person}" if person else f"video {name}"
        for group, person, name in zip(groups, people, video_ids.to_pylist(), strict=True)
    ]
    return np.unique(np.array(own, object).astype(str), return_inverse=True)[1].astype(np.int64)


def known(
    scored: pa.Table,
    videos: pa.Table,
    faces: pa.Table,
    shards: Sequence[Shards] = (),
    graph: Graph | None = None,
) -> pa.Table:
    """A table of predictions with what is known of its videos.

    Args:
        scored: table ``predictions_videos``.
        videos: table ``videos``, which has all of them.
        faces: table ``predictions_faces`` of the same run.
        shards: of val and test; () where there are none.
        graph: whose labels are wanted; None for none.

    Returns:
        ``scored``, and the columns ``scene`` and ``compression``; with shards those of
        :data:`FACE_COLUMNS` and, with a graph, one per node, :func:`node_column`: 1 altered, 0 not,
        -1 unobserved or unknown.
    """
    ids = scored.column("video_id").combine_chunks()
    at = pc.index_in(ids, videos.column("video_id").combine_chunks())
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "scene": pa.array(scenes(ids, videos)),
        "compression": videos.column("compression").take(at),
    }
    if shards:
        of_faces = pa.concat_tables([s.index.select(["face_id", *FACE_COLUMNS]) for s in shards])
        place = pc.index_in(faces.column("face_id"), of_faces.column("face_id").combine_chunks())
        of_video = rows_of(faces, scored)
        for name in FACE_COLUMNS:
            values = of_faces.column(name).take(place).to_numpy().astype(np.float64)
            columns[name] = pa.array(per_row(np.median, values, of_video, scored.num_rows))
        if graph:
            columns |= _nodes(scored, shards, graph)
    return pa.table({name: scored.column(name) for name in scored.schema.names} | columns)


def per_row(
    function: Callable[[NDArray[np.float64]], float],
    values: NDArray[np.float64],
    row: NDArray[np.int64],
    rows: int,
    absent: float = -1.0,
) -> NDArray[np.float64]:
    """A function of the values (faces,) of each row (rows,); ``absent`` where it has none."""
    if not rows:
        return np.empty(0)
    order = np.lexsort((values, row))
    parts = np.split(values[order], np.cumsum(np.bincount(row, minlength=rows))[:-1])
    return np.array([function(part) if len(part) else absent for part in parts], np.float64)


def _nodes(scored: pa.Table, shards: Sequence[Shards], graph: Graph) -> Mapping[str, pa.Array]:
    """Each node's label of each video, as shards.json has it for its dataset, method, category."""
    vectors: dict[tuple[str, str, str], Sequence[int]] = {}
    for one in shards:
        for dataset, methods in one.facts["vectors"].get(graph.name, {}).items():
            for method, categories in methods.items():
                vectors |= {(dataset, method, name): v for name, v in categories.items()}
    unknown = [-1] * len(graph.nodes)
    kinds = (scored.column(name).to_pylist() for name in ("dataset", "method", "category"))
    found = [vectors.get(kind, unknown) for kind in zip(*kinds, strict=True)]
    table = np.array(found, np.int8).reshape(-1, len(graph.nodes))  # (videos, nodes)
    return {node_column(node): pa.array(table[:, i]) for i, node in enumerate(graph.nodes)}


def node_column(node: str) -> str:
    """Name of the column of :func:`known` that says whether a node is altered."""
    return f"altered {node}"
