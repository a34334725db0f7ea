import itertools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from pipeline.labels.semantics import Graph
from pipeline.models import hierarchy
from tests.models.made import FFPP, SEMANTICS

# The hierarchy of SJEDD's section III-B, written down here once more: face; expression, identity,
# physical inconsistency; eye, eyebrow, lip, mouth, nose, skin.
PARENTS = {1: {0}, 2: {0}, 3: {0}, 4: {2, 3}, 5: {2}, 6: {1, 2, 3}, 7: {1, 2, 3}, 8: {2, 3}, 9: {2}}
CHILDREN = {1: {6, 7}, 2: {4, 5, 6, 7, 8, 9}, 3: {4, 6, 7, 8}}


def _brute_force(
    logits: list[float], parents=PARENTS, children=CHILDREN
) -> tuple[int, list[float]]:
    """Number of legal states, and marginals, by the product over all states of equation 1."""
    nodes = len(logits)
    total = 0.0
    marginals = [0.0] * nodes
    legal = 0
    top = max(0.0, sum(s for s in logits if s > 0))
    for state in itertools.product((0, 1), repeat=nodes):
        active = {i for i in range(nodes) if state[i]}
        allowed = all(not parents[i].isdisjoint(active) for i in active if i in parents)
        allowed &= all(not children[i].isdisjoint(active) for i in active if i in children)
        if not allowed:
            continue
        legal += 1
        weight = math.exp(math.fsum(logits[i] for i in active) - top)
        total += weight
        for i in active:
            marginals[i] += weight
    return legal, [m / total for m in marginals]


def _of(graph: Graph, root_needs_child: bool):
    """Parents and children by node, as sets."""
    parents, children = {}, {}
    for parent, child in graph.edges:
        parents.setdefault(child, set()).add(parent)
        children.setdefault(parent, set()).add(child)
    if not root_needs_child:
        children.pop(0)
    return parents, children


@st.composite
def _graphs(draw):
    """A hierarchy of up to seven nodes: every node but the root has parents before it."""
    n = draw(st.integers(2, 7))
    edges = set()
    for child in range(1, n):
        some = draw(st.sets(st.integers(0, child - 1), min_size=1, max_size=3))
        edges |= {(parent, child) for parent in some}
    names = tuple(f"node{i}" for i in range(n))
    return Graph("made", names, tuple(sorted(edges)), names)


@settings(max_examples=40, deadline=None)
@given(_graphs(), st.booleans(), st.data())
def test_any_graph_agrees_with_enumeration_under_both_rules(graph, root_needs_child, data):
    n = len(graph.nodes)
    logits = data.draw(st.lists(st.floats(-20, 20), min_size=n, max_size=n))
    states = hierarchy.legal_states(graph, root_needs_child)
    legal, expected = _brute_force(logits, *_of(graph, root_needs_child))
    assert len(states) == legal
    scores = torch.tensor([logits], dtype=torch.float64)
    found = hierarchy.marginals(scores, states)[0]
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    odds = hierarchy.log_odds(scores, states)[0]
    assert odds.sigmoid().tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "root_needs_child", "count"),
    [("ffpp", True, 250), ("ffpp", False, 251), ("ffsc", True, 1543), ("ffsc", False, 1544)],
)
def test_the_papers_graphs_agree_with_enumeration(name, root_needs_child, count):
    graph = SEMANTICS.graph(name)
    logits = np.random.default_rng(5).uniform(-6, 6, len(graph.nodes)).tolist()
    legal, expected = _brute_force(logits, *_of(graph, root_needs_child))
    states = hierarchy.legal_states(graph, root_needs_child)
    assert len(states) == legal == count
    found = hierarchy.marginals(torch.tensor([logits], dtype=torch.float64), states)[0]
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_log_odds_tell_faces_apart_where_probabilities_do_not():
    states = hierarchy.legal_states(FFPP)
    logits = torch.full((2, 10), 40.0, dtype=torch.float64)
    logits[1] = 50.0
    odds = hierarchy.log_odds(logits, states)
    assert hierarchy.marginals(logits, states)[0, 0] == 1.0
    assert (odds[1] > odds[0]).all()
    assert odds[:, 0].tolist() == hierarchy.root_log_odds(logits, states).tolist()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-20, 20), min_size=10, max_size=10))
def test_marginals_are_those_of_the_product_over_all_states(logits):
    states = hierarchy.legal_states(FFPP, root_needs_child=False)
    legal, expected = _brute_force(logits)
    assert len(states) == legal == 251
    found = hierarchy.marginals(torch.tensor([logits], dtype=torch.float64), states)[0]
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_joint_probabilities_add_up_and_favour_the_states_that_hold_a_high_score():
    states = hierarchy.legal_states(FFPP, root_needs_child=False)
    logits = torch.zeros(2, 10)
    logits[1, 8] = 5  # the nose
    joint = hierarchy.joint(logits, states)
    assert joint.dtype == torch.float64
    assert joint.sum(dim=1).tolist() == pytest.approx([1, 1], abs=1e-12)
    assert joint[0].tolist() == pytest.approx([1 / 251] * 251, rel=1e-12)
    with_nose = states[:, 8] == 1
    ratio = joint[1, with_nose][0] / joint[1, ~with_nose][0]
    assert ratio.item() == pytest.approx(math.exp(5), rel=1e-9)


def test_a_node_drags_its_only_parent_along():
    states = hierarchy.legal_states(FFPP)
    logits = torch.zeros(1, 10)
    logits[0, 9] = 50  # the skin, below identity alone
    probabilities = hierarchy.marginals(logits, states)[0]
    assert probabilities[[0, 2, 9]].tolist() == pytest.approx([1, 1, 1], abs=1e-12)
    assert 0.4 < probabilities[4].item() < 0.6  # the eye is not said to be altered


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1.0, 1e2, 1e4, 6e4, 1e30])
def test_probabilities_and_gradients_stay_finite_for_extreme_scores(dtype, size):
    if size > torch.finfo(dtype).max:
        size = torch.finfo(dtype).max
    signs = torch.from_numpy(np.random.Generator(np.random.Philox(2)).choice([-1.0, 1.0], (8, 10)))
    signs[0], signs[1] = 1, -1
    logits = (signs * size).to(dtype).requires_grad_()
    probabilities = hierarchy.marginals(logits, hierarchy.legal_states(FFPP))
    assert probabilities.isfinite().all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    (probabilities * torch.arange(10)).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_gradients_are_those_of_finite_differences():
    logits = torch.linspace(-2, 2, 20, dtype=torch.float64).reshape(2, 10).requires_grad_()
    states = hierarchy.legal_states(FFPP)
    assert torch.autograd.gradcheck(lambda s: hierarchy.marginals(s, states), (logits,))


def test_a_graph_of_ones_own():
    graph = Graph("two", ("face", "hat"), ((0, 1),), ("a fake face", "a fake hat"))
    assert hierarchy.legal_states(graph).tolist() == [[0, 0], [1, 1]]
    states = hierarchy.legal_states(graph, root_needs_child=False)
    assert states.tolist() == [[0, 0], [1, 0], [1, 1]]
    a, b = math.exp(0.3), math.exp(0.3 - 1.1)
    found = hierarchy.marginals(torch.tensor([[0.3, -1.1]], dtype=torch.float64), states)
    expected = [(a + b) / (1 + a + b), b / (1 + a + b)]
    assert found[0].tolist() == pytest.approx(expected, rel=1e-12)
