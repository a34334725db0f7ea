"""How well a joint embedding tells which attribute or region was altered, node by node."""

import numpy as np
import pyarrow as pa

from pipeline.evaluation import ranking
from pipeline.evaluation.aggregate import rows_of
from pipeline.evaluation.facts import node_column, per_row
from pipeline.labels.semantics import Graph


def table(faces: pa.Table, videos: pa.Table, graph: Graph) -> dict[str, dict[str, float]]:
    """Of each node: ``video_auc`` of its mean probability over the faces of a video, not rounded.

    Videos count in which the node's label is observed. ``videos_altered`` and ``videos_unaltered``
    say how many there are; without both, there is no AUC. Empty for runs without a graph.

    Args:
        faces: table ``predictions_faces``.
        videos: of :func:`pipeline.evaluation.facts.known`, with the nodes of the graph.
        graph: that of the run.
    """
    if not faces.num_rows or node_column(graph.nodes[0]) not in videos.schema.names:
        return {}
    nodes = faces.column("node_probabilities").combine_chunks()
    if not len(nodes.flatten()):
        return {}
    probabilities = nodes.flatten().to_numpy().reshape(len(nodes), len(graph.nodes))
    row = rows_of(faces, videos)
    found: dict[str, dict[str, float]] = {}
    for place, node in enumerate(graph.nodes):
        means = per_row(np.mean, probabilities[:, place], row, videos.num_rows)
        labels = videos.column(node_column(node)).to_numpy()
        counts = (labels >= 0) & (means >= 0)
        altered, unaltered = (int((labels[counts] == one).sum()) for one in (1, 0))
        found[node] = {"videos_altered": altered, "videos_unaltered": unaltered}
        if altered and unaltered:
            found[node] |= {"video_auc": ranking.auc(labels[counts], means[counts])}
    return found
