"""Pictures of what a run knows of its labels: how alike their texts are, and where it sees them.

After SJEDD's figures 4 and 6, as SVG that any browser shows.
"""

import functools
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.labels.levels import levels
from pipeline.labels.semantics import Graph
from pipeline.models import GraphClassifier, JointEmbedding

MAX_PANELS = 12
"""Kinds of faces whose label graph is drawn."""

_CELL, _SIDE, _GAP = 34, 118, 24
"""Of a heat map in px: a cell, the room for names, the room between two maps."""
_PANEL_WIDTH, _PANEL_HEIGHT, _COLUMNS = 420, 230, 2
_NODE_WIDTH, _NODE_HEIGHT = 62, 30
_LOW, _HIGH = (245, 247, 250), (178, 34, 52)
"""RGB of 0 and 1."""

Numbers = NDArray[np.float64]


def similarity_svg(nodes: Sequence[str], before: Numbers, after: Numbers) -> str:
    """Two heat maps of how alike the texts of labels are (SJEDD, figure 4).

    Args:
        nodes: N names.
        before: (N, N) cosines in [-1, 1] of the weights that training started from.
        after: likewise of the trained model.
    """
    side = _SIDE + _CELL * len(nodes)  # names stand beside a map, and turned below it
    parts = [
        _heat_map(nodes, cosines, title, number * (side + _GAP))
        for number, (title, cosines) in enumerate(
            (("before training", before), ("after training", after))
        )
    ]
    return _svg(2 * side + _GAP, side + 24, "Similarity of the labels' texts", parts)


def graphs_svg(graph: Graph, panels: Mapping[str, Numbers]) -> str:
    """Probabilities of all labels, drawn on their graph (SJEDD, figure 6).

    Args:
        graph: the label graph, N nodes.
        panels: (N,) probabilities by what they are of; at most :data:`MAX_PANELS` are drawn.
    """
    shown = dict(list(panels.items())[:MAX_PANELS])
    rows = -(-len(shown) // _COLUMNS)
    parts = []
    for number, (title, probabilities) in enumerate(shown.items()):
        left = number % _COLUMNS * _PANEL_WIDTH
        top = number // _COLUMNS * _PANEL_HEIGHT
        parts.append(_panel(graph, title, probabilities, left, top))
    width = _PANEL_WIDTH * _COLUMNS
    return _svg(width, max(1, rows) * _PANEL_HEIGHT, "Probability that a label is altered", parts)


def by_kind(faces: pa.Table) -> dict[str, Numbers]:
    """Mean probabilities of each kind of faces, reals first.

    Args:
        faces: table ``predictions_faces`` with probabilities of N nodes.

    Returns:
        (N,) by words for a kind, in the order of label, dataset and method.
    """
    nodes = np.stack(faces.column("node_probabilities").to_numpy())  # (n, N)
    found = {}
    kinds = faces.group_by(["label", "dataset", "method"]).aggregate([])
    for kind in kinds.sort_by([(name, "ascending") for name in kinds.column_names]).to_pylist():
        mine = [pc.equal(faces.column(name), value) for name, value in kind.items()]
        of_kind = functools.reduce(pc.and_, mine).to_numpy()  # (n,)
        words = f"{kind['dataset']}, {kind['method']} ({of_kind.sum():,} faces)"
        found[words] = nodes[of_kind].mean(axis=0)  # (N,)
    return found


def of_run(
    model: GraphClassifier, graph: Graph, before: Sequence[Sequence[float]], faces: pa.Table
) -> dict[str, bytes]:
    """The SVG files of a run, by their names.

    Args:
        model: the trained one.
        graph: the one that it scores.
        before: (N, N) cosines of its texts before training; none where it has no texts.
        faces: table ``predictions_faces`` of the split test.
    """
    files = {}
    if isinstance(model, JointEmbedding) and before:
        files["label_similarity.svg"] = similarity_svg(
            graph.nodes, np.array(before), model.label_similarity()
        )
    if len(faces):
        files["label_graph.svg"] = graphs_svg(graph, by_kind(faces))
    return {name: text.encode() for name, text in files.items()}


def _heat_map(nodes: Sequence[str], cosines: Numbers, title: str, left: int) -> str:
    parts = [_text(left + _SIDE, 16, title, "start", 13)]
    for row, name in enumerate(nodes):
        y = 24 + row * _CELL
        parts.append(_text(left + _SIDE - 6, y + _CELL / 2 + 4, _short(name), "end"))
        for column, value in enumerate(cosines[row]):
            x = left + _SIDE + column * _CELL
            parts.append(_box(x, y, _CELL - 1, _CELL - 1, max(0.0, float(value))))
            middle = (x + _CELL / 2, y + _CELL / 2 + 4)
            parts.append(_text(*middle, f"{value:.2f}", "middle", 10, value > 0.6))
    for column, name in enumerate(nodes):
        foot_x, foot_y = left + _SIDE + (column + 0.5) * _CELL + 4, 30 + _CELL * len(nodes)
        turned = f'<g transform="rotate(-60 {foot_x:g} {foot_y:g})">'
        parts.append(f"{turned}{_text(foot_x, foot_y, _short(name), 'end')}</g>")
    return "".join(parts)


def _panel(graph: Graph, title: str, probabilities: Numbers, left: int, top: int) -> str:
    of = levels(graph)
    places = {}
    for row, nodes in enumerate((of.root, of.global_attributes, of.local_regions)):
        step = _PANEL_WIDTH / len(nodes)
        for number, node in enumerate(nodes):
            places[node] = (left + (number + 0.5) * step, top + 52 + row * 68)
    parts = [_text(left + 10, top + 18, title, "start", 12)]
    for parent, child in graph.edges:
        (x1, y1), (x2, y2) = places[parent], places[child]
        strength = float(min(probabilities[parent], probabilities[child]))
        ends = f'x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"'
        parts.append(f'<line {ends} stroke="{_color(0.15 + 0.85 * strength)}"/>')
    for node, (x, y) in places.items():
        p = float(probabilities[node])
        parts.append(
            _box(x - _NODE_WIDTH / 2, y - _NODE_HEIGHT / 2, _NODE_WIDTH, _NODE_HEIGHT, p, 6)
        )
        parts.append(_text(x, y - 2, _short(graph.nodes[node]), "middle", 9, p > 0.6))
        parts.append(_text(x, y + 10, f"{p:.2f}", "middle", 10, p > 0.6))
    return "".join(parts)


def _short(name: str) -> str:
    return name.replace("physical_inconsistency", "phys. incons.").replace("_", " ")


def _color(share: float) -> str:
    red, green, blue = (
        round(low + (high - low) * share) for low, high in zip(_LOW, _HIGH, strict=True)
    )
    return f"rgb({red},{green},{blue})"


def _box(x: float, y: float, width: float, height: float, share: float, radius: int = 0) -> str:
    size = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}"'
    return f'<rect {size} fill="{_color(share)}" stroke="rgb(160,165,175)" stroke-width="0.5"/>'


def _text(
    x: float, y: float, words: str, anchor: str, size_px: int = 11, is_light: bool = False
) -> str:
    fill = "white" if is_light else "black"
    how = f'text-anchor="{anchor}" font-size="{size_px}" fill="{fill}"'
    return f'<text x="{x:g}" y="{y:g}" {how}>{escape(words)}</text>'


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    box = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif">'
        f"<title>{escape(title)}</title>"
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )
