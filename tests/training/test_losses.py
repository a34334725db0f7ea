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


def _triplet_by_hand(embeddings: np.ndarray, labels: list[int], margin: float) -> float:
    """The batch-all loss as three loops over the batch."""
    total, active = 0.0, 0
    for i in range(len(labels)):
        for j in range(len(labels)):
            for k in range(len(labels)):
                if i == j or labels[j] != labels[i] or labels[k] == labels[i]:
                    continue
                positive = math.dist(embeddings[i], embeddings[j])
                negative = math.dist(embeddings[i], embeddings[k])
                term = positive - negative + margin
                if term > 0:
                    total += term
                    active += 1
    return total / active if active else 0.0


@st.composite
def _batches(draw):
    n = draw(st.integers(0, 8))
    # Steps of 1/4 make equal embeddings and zero distances likely.
    values = st.integers(-8, 8).map(lambda v: v / 4)
    embeddings = draw(hnp.arrays(np.float64, (n, 3), elements=values))
    labels = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    return embeddings, labels, draw(st.sampled_from([0.0, 0.3, 1.0, 5.0]))


@settings(max_examples=100, deadline=None)
@given(_batches())
def test_batch_all_is_the_mean_over_the_active_triplets_of_three_loops(batch):
    embeddings, labels, margin = batch
    given_ = torch.tensor(embeddings, requires_grad=True)
    found = losses.triplet_batch_all(given_, torch.tensor(labels, dtype=torch.int8), margin)
    # A term of exactly 0 may round to either side in the loops: it then moves the count.
    expected = _triplet_by_hand(embeddings, labels, margin)
    nudged = _triplet_by_hand(embeddings, labels, margin - 1e-9)
    assert found.item() == pytest.approx(expected, abs=1e-9) or found.item() == pytest.approx(
        nudged, abs=1e-6
    )
    found.backward()
    assert given_.grad is not None
    assert given_.grad.isfinite().all()


def test_a_batch_of_two_triplets_by_hand():
    # Anchors 0 and 1 at 0 and 3, negative at -1, margin 0.5: 3 - 1 + .5 is active, 3 - 4 + .5 not.
    x = torch.tensor([[0.0], [3.0], [-1.0]], requires_grad=True)
    loss = losses.triplet_batch_all(x, torch.tensor([0, 0, 1]), 0.5)
    assert loss.item() == pytest.approx(2.5)
    loss.backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == pytest.approx([-2, 1, 1])


@pytest.mark.parametrize(
    ("embeddings", "labels"),
    [
        ([[0.0, 1], [1, 0], [2, 2]], [1, 1, 1]),  # one class only
        ([[0.0, 1], [1, 0]], [0, 1]),  # no positive
        ([[0.0, 0], [0, 0], [9, 9], [9, 9]], [0, 0, 1, 1]),  # easy triplets only
        ([[0.0, 1]], [0]),
        (np.zeros((0, 2)), []),
    ],
)
def test_without_an_active_triplet_the_loss_is_a_zero_with_zero_gradients(embeddings, labels):
    x = torch.tensor(np.array(embeddings), dtype=torch.float32, requires_grad=True)
    loss = losses.triplet_batch_all(x, torch.tensor(labels, dtype=torch.int64), 1.0)
    assert loss.item() == 0
    loss.backward()
    assert x.grad is not None
    assert not x.grad.any()


def test_equal_embeddings_of_both_classes_give_finite_gradients():
    x = torch.ones(6, 4, requires_grad=True)
    loss = losses.triplet_batch_all(x, torch.tensor([0, 0, 0, 1, 1, 1]), 0.7)
    assert loss.item() == pytest.approx(0.7)
    loss.backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_triplet_gradients_are_those_of_finite_differences():
    random = np.random.Generator(np.random.Philox(4))
    x = torch.from_numpy(random.normal(size=(6, 3))).requires_grad_()
    labels = torch.tensor([0, 1, 0, 1, 1, 0])
    assert torch.autograd.gradcheck(lambda e: losses.triplet_batch_all(e, labels, 1.0), (x,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_distances_of_half_precision_embeddings_are_taken_in_float32(dtype):
    # The square of 300 does not fit into float16.
    x = torch.tensor([[0.0], [300.0], [1.0]], dtype=dtype)
    loss = losses.triplet_batch_all(x, torch.tensor([0, 0, 1]), 1.0)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx((300 - 1 + 1 + 300 - 299 + 1) / 2)


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


def test_the_same_bytes_come_out_every_time():
    random = np.random.Generator(np.random.Philox(6))
    embeddings = torch.from_numpy(random.normal(size=(64, 64)).astype(np.float32))
    labels = torch.from_numpy(random.integers(0, 2, 64))
    grads = []
    for _ in range(3):
        x = embeddings.clone().requires_grad_()
        losses.triplet_batch_all(x, labels, 1.0).backward()
        assert x.grad is not None
        grads.append(x.grad)
    assert torch.equal(grads[0], grads[1])
    assert torch.equal(grads[0], grads[2])
