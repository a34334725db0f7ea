"""What a joint embedding saw, as a sentence (SJEDD, section V-D: from the text templates).

The paper's example: "The face image is fake because the global face attribute of expression is
altered, through manipulation of the local lip and mouth regions."
"""

from collections.abc import Sequence
from typing import Literal

from pipeline.labels.semantics import Graph

Word = Literal["fake", "real", "unsure"]

NAMED_FROM = 0.5
"""An attribute or region is named where its probability is at least this."""
UNSURE = (0.4, 0.6)
"""Probabilities of a fake, from the first to below the second, that are called neither."""


def verdict(probability: float, score: float, threshold: float) -> Word:
    """What a video is called.

    Args:
        probability: that it is fake, calibrated where the run allows it.
        score: the mean of its faces' scores, which decides as in ``evaluate``.
        threshold: a score at or above it is fake.

    Returns:
        ``unsure`` where the probability is about a half (:data:`UNSURE`), or where it and the score
        are on two sides; else ``fake`` or ``real``.
    """
    fake = score >= threshold
    if UNSURE[0] <= probability < UNSURE[1] or fake != (probability >= UNSURE[1]):
        return "unsure"
    return "fake" if fake else "real"


def explanation(word: Word, graph: Graph, probabilities: Sequence[float]) -> str:
    """One sentence about a face or a video.

    Args:
        word: what it is called.
        graph: label graph; its first node is the face as a whole.
        probabilities: that each node is altered, in the order of the graph's nodes (SJEDD,
            equation 3); the first is that of a fake.

    Returns:
        What is altered through which regions, with probabilities. A region or attribute below
        :data:`NAMED_FROM` is never named, and nothing is named unless the word is ``fake``.
    """
    if len(probabilities) != len(graph.nodes):
        raise ValueError(f"{len(probabilities)} probabilities for {len(graph.nodes)} nodes")
    fake = probabilities[0]
    if word == "unsure":
        said = "The model is unsure whether the face image is real or fake"
        return f"{said} ({_percent(fake)} fake)."
    if word == "real":
        return f"The face image is real ({_percent(1 - fake)})."
    parents = {parent for parent, _ in graph.edges}
    named = [n for n in range(1, len(graph.nodes)) if probabilities[n] >= NAMED_FROM]
    attributes = [n for n in named if n in parents]
    regions = [n for n in named if n not in parents]
    said = f"The face image is fake ({_percent(fake)})"
    if not named:
        return f"{said}; no attribute and no region stands out."

    def listed(nodes: Sequence[int]) -> str:
        ordered = sorted(nodes, key=lambda n: (-probabilities[n], n))
        return _listed([f"{_name(graph, n)} ({_percent(probabilities[n])})" for n in ordered])

    if attributes:
        what = "attribute of {} is" if len(attributes) == 1 else "attributes of {} are"
        said += f" because the global face {what.format(listed(attributes))} altered"
    if regions:
        kind = "region" if len(regions) == 1 else "regions"
        said += f", through manipulation of the local {listed(regions)} {kind}"
    if not attributes:
        said += "; no single attribute stands out"
    return f"{said}."


def _name(graph: Graph, node: int) -> str:
    return graph.nodes[node].replace("_", " ")


def _percent(probability: float) -> str:
    """For people: whole percents, and never 100 for what is not certain."""
    if probability > 0.99:
        return "over 99 %"
    return f"{100 * probability:.0f} %" if probability >= 0.01 else "under 1 %"


def _listed(words: Sequence[str]) -> str:
    if len(words) == 1:
        return words[0]
    return ", ".join(words[:-1]) + f" and {words[-1]}"
