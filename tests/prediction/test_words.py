"""Sentences about faces against their probabilities."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.labels import semantics
from pipeline.prediction.words import NAMED_FROM, UNSURE, Word, explanation, verdict

GRAPH = semantics.load(Path("manifests/semantics.yaml")).graph("ffpp")


def probabilities(**named: float) -> list[float]:
    return [named.get(node, 0.02) for node in GRAPH.nodes]


def test_the_papers_example_has_the_papers_words() -> None:
    found = explanation(
        "fake", GRAPH, probabilities(face=0.97, expression=0.91, lip=0.88, mouth=0.85)
    )
    assert found == (
        "The face image is fake (97 %) because the global face attribute of expression (91 %) is "
        "altered, through manipulation of the local lip (88 %) and mouth (85 %) regions."
    )


def test_the_most_probable_comes_first_and_one_region_is_singular() -> None:
    found = explanation(
        "fake", GRAPH, probabilities(face=0.999, identity=0.6, physical_inconsistency=0.8, nose=0.5)
    )
    assert "attributes of physical inconsistency (80 %) and identity (60 %) are altered" in found
    assert found.endswith("the local nose (50 %) region.")


def test_a_fake_of_which_nothing_stands_out_says_so() -> None:
    found = explanation("fake", GRAPH, probabilities(face=0.8, expression=0.4))
    assert found == "The face image is fake (80 %); no attribute and no region stands out."
    found = explanation("fake", GRAPH, probabilities(face=0.8, eye=0.7))
    assert "the local eye (70 %) region" in found
    assert "no single attribute" in found


@given(
    st.sampled_from(["fake", "real", "unsure"]),
    st.lists(st.floats(0, 1), min_size=len(GRAPH.nodes), max_size=len(GRAPH.nodes)),
)
def test_no_node_below_the_threshold_is_named_and_none_unless_fake(
    word: Word, numbers: list[float]
) -> None:
    said = explanation(word, GRAPH, numbers)
    words = said.replace(",", "").split()
    for node, number in list(zip(GRAPH.nodes, numbers, strict=True))[1:]:
        parts = node.split("_")
        named = any(words[at : at + len(parts)] == parts for at in range(len(words)))
        assert named == (word == "fake" and number >= NAMED_FROM)
    assert ("unsure" in said) == (word == "unsure")
    assert ("is real (" in said) == (word == "real")


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.99))
def test_a_verdict_agrees_with_both_numbers_or_is_unsure(
    probability: float, score: float, threshold: float
) -> None:
    found = verdict(probability, score, threshold)
    if found == "fake":
        assert score >= threshold
        assert probability >= UNSURE[1]
    elif found == "real":
        assert score < threshold
        assert probability < UNSURE[0]
    else:
        assert (probability < UNSURE[1]) != (score < threshold) or probability >= UNSURE[0]


def test_the_number_of_probabilities_is_checked() -> None:
    with pytest.raises(ValueError, match="for 10 nodes"):
        explanation("fake", GRAPH, [0.5])


def test_no_state_of_the_graph_reads_badly() -> None:
    """Every legal state, with all active nodes certain: one sentence without doubled words."""
    for state in GRAPH.legal_states():
        said = explanation("fake", GRAPH, [float(one) for one in state])
        words = said.split()
        assert said.endswith(".")
        assert not any(a == b for a, b in pairwise(words)), said
