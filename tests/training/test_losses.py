import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from pipeline.labels.semantics import Graph
from pipeline.training import losses
from tests.models.made import FFPP, SEMANTICS

probability = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


@st.composite
def _predictions(draw):
    b, n = draw(st.integers(1, 4)), draw(st.integers(0, 6))
    p = draw(hnp.arrays(np.float64, (b, n), elements=probability))
    g = draw(hnp.arrays(np.int8, (b, n), elements=st.sampled_from([-1, 0, 1])))
    return p, g


@settings(max_examples=100, deadline=None)
@given(_predictions())
def test_fidelity_averages_the_formula_over_observed_nodes_then_over_the_batch(prediction):
    p, g = prediction
    per_sample = []
    for ps, gs in zip(p.tolist(), g.tolist(), strict=True):
        terms = [
            1 - (math.sqrt(a * b + 1e-8) + math.sqrt((1 - a) * (1 - b) + 1e-8))
            for a, b in zip(ps, gs, strict=True)
            if b != -1
        ]
        per_sample.append(sum(terms) / len(terms) if terms else 0.0)
    given_ = torch.tensor(p, requires_grad=True)
    found = losses.fidelity(given_, torch.tensor(g))
    assert found.item() == pytest.approx(sum(per_sample) / len(per_sample), abs=1e-12)
    found.backward()
    assert given_.grad is not None
    assert given_.grad.isfinite().all()
    assert not given_.grad[torch.tensor(g) == -1].any()


@settings(max_examples=50, deadline=None)
@given(_predictions(), st.randoms(use_true_random=False))
def test_unobserved_probabilities_change_nothing(prediction, random):
    p, g = prediction
    other = np.where(g == -1, random.random(), p)
    labels = torch.tensor(g)
    one = losses.fidelity(torch.tensor(p), labels)
    assert one.item() == losses.fidelity(torch.tensor(other), labels).item()


@pytest.mark.parametrize("p", [0.0, 1.0])
@pytest.mark.parametrize("g", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_fidelity_at_certainty_is_finite_and_pulls_the_right_way(p, g, dtype):
    x = torch.full((1, 1), p, dtype=dtype, requires_grad=True)
    loss = losses.fidelity(x, torch.tensor([[g]]))
    assert loss.item() == pytest.approx(0 if p == g else 1, abs=3e-4)
    loss.backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    if p != g:
        assert (x.grad < 0).item() == (g == 1)


def test_levels_of_both_papers_graphs():
    ffpp = losses.levels(FFPP)
    assert ffpp == losses.Levels((0,), (1, 2, 3), (4, 5, 6, 7, 8, 9))
    ffsc = losses.levels(SEMANTICS.graph("ffsc"))
    assert ffsc == losses.Levels((0,), (1, 2, 3, 4, 5), (6, 7, 8, 9, 10, 11))


def test_levels_of_a_graph_that_is_deeper_than_the_papers():
    names = ("face", "age", "identity", "eye", "iris")
    graph = Graph("deep", names, ((0, 1), (0, 2), (2, 3), (3, 4)), names)
    assert losses.levels(graph) == losses.Levels((0,), (1, 2), (3, 4))


def test_each_level_is_the_fidelity_of_its_own_nodes():
    random = np.random.Generator(np.random.Philox(5))
    p = torch.from_numpy(random.uniform(size=(4, 10)))
    # A real, a Deepfakes, an eye swap of SJEDD's Table I, and a fake of which nothing is known.
    g = torch.tensor(
        [
            [0] * 10,
            [1, -1, 1, 1, 1, 1, 1, 1, 1, 1],
            [1, -1, 0, 1, 1, 0, 0, 0, 0, 0],
            [1, -1, -1, -1, -1, -1, -1, -1, -1, -1],
        ],
        dtype=torch.int8,
    )
    found = losses.fidelity_by_level(p, g, losses.levels(FFPP)).tolist()

    def one(i: int, node: int) -> float:
        a, b = p[i, node].item(), g[i, node].item()
        return 1 - math.sqrt(a * b + 1e-8) - math.sqrt((1 - a) * (1 - b) + 1e-8)

    root = sum(one(i, 0) for i in range(4)) / 4
    first = sum(one(0, n) for n in (1, 2, 3)) / 3
    middle = sum((one(i, 2) + one(i, 3)) / 2 for i in (1, 2))
    local = sum(one(i, n) for i in range(3) for n in range(4, 10)) / 6
    assert found == pytest.approx([root, (first + middle) / 4, local / 4], abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(np.float64, (5, 2), elements=st.floats(-30, 30)),
    st.lists(st.integers(0, 1), min_size=5, max_size=5),
)
def test_cross_entropy_is_the_mean_of_minus_the_log_of_the_right_classes_share(logits, labels):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    expected = -np.log(shares[np.arange(5), labels]).mean()
    found = losses.cross_entropy(torch.tensor(logits), torch.tensor(labels, dtype=torch.int8))
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_cross_entropy_of_half_precision_logits_is_taken_in_float32():
    found = losses.cross_entropy(torch.tensor([[0.0, 8.0]], dtype=torch.float16), torch.tensor([0]))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(8 + math.log1p(math.exp(-8)), rel=1e-6)
