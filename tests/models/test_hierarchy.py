import itertools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from pipeline.labels.semantics import Graph
from pipeline.models import hierarchy
from tests.models.made import FFPP

# The hierarchy of SJEDD's section III-B, written down here once more: face; expression, identity,
# physical inconsistency; eye, eyebrow, lip, mouth, nose, skin.
PARENTS = {1: {0}, 2: {0}, 3: {0}, 4: {2, 3}, 5: {2}, 6: {1, 2, 3}, 7: {1, 2, 3}, 8: {2, 3}, 9: {2}}
CHILDREN = {1: {6, 7}, 2: {4, 5, 6, 7, 8, 9}, 3: {4, 6, 7, 8}}


def _brute_force(logits: list[float]) -> tuple[int, list[float]]:
    """Number of legal states, and marginals, by the product over all 1024 states of equation 1."""
    total = 0.0
    marginals = [0.0] * 10
    legal = 0
    top = max(0.0, sum(s for s in logits if s > 0))
    for state in itertools.product((0, 1), repeat=10):
        active = {i for i in range(10) if state[i]}
        allowed = all(not PARENTS[i].isdisjoint(active) for i in active if i in PARENTS)
        allowed &= all(not CHILDREN[i].isdisjoint(active) for i in active if i in CHILDREN)
        if not allowed:
            continue
        legal += 1
        weight = math.exp(math.fsum(logits[i] for i in active) - top)
        total += weight
        for i in active:
            marginals[i] += weight
    return legal, [m / total for m in marginals]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-20, 20), min_size=10, max_size=10))
def test_marginals_are_those_of_the_product_over_all_states(logits):
    states = hierarchy.legal_states(FFPP)
    legal, expected = _brute_force(logits)
    assert len(states) == legal == 251
    found = hierarchy.marginals(torch.tensor([logits], dtype=torch.float64), states)[0]
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_joint_probabilities_add_up_and_favour_the_states_that_hold_a_high_score():
    states = hierarchy.legal_states(FFPP)
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
    states = hierarchy.legal_states(graph)
    assert states.tolist() == [[0, 0], [1, 0], [1, 1]]
    a, b = math.exp(0.3), math.exp(0.3 - 1.1)
    found = hierarchy.marginals(torch.tensor([[0.3, -1.1]], dtype=torch.float64), states)
    expected = [(a + b) / (1 + a + b), b / (1 + a + b)]
    assert found[0].tolist() == pytest.approx(expected, rel=1e-12)
