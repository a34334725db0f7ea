"""Triplet losses against loops over all triplets in float64, and their gradients."""

import math
from typing import get_args

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis.extra import numpy as hnp

from pipeline.config.objectives import MetricLearningParams
from pipeline.training import triplets
from pipeline.training.triplets import TRIPLETS

MINED = ["hard_positive_hard_negative", "easy_positive_hard_negative"]


def _distances(embeddings, labels, anchor, of_its_class):
    """Distances of an anchor to the others of its class, or to those of other classes."""
    return [
        math.dist(embeddings[anchor], embeddings[other])
        for other in range(len(labels))
        if other != anchor and (labels[other] == labels[anchor]) == of_its_class
    ]


def _by_hand(kind, embeddings, labels, margin):
    """A triplet loss as loops over the batch, from the paper's text."""
    terms = []
    for anchor in range(len(labels)):
        positives = _distances(embeddings, labels, anchor, of_its_class=True)
        negatives = _distances(embeddings, labels, anchor, of_its_class=False)
        if kind == "batch_all":
            terms += [p - n + margin for p in positives for n in negatives if p - n + margin > 0]
        elif positives and negatives:
            positive = max(positives) if kind.startswith("hard") else min(positives)
            terms.append(max(positive - min(negatives) + margin, 0.0))
    count = len(terms) if kind == "batch_all" else len(labels)
    return math.fsum(terms) / count if count else 0.0


def _near_zero(embeddings, labels, margin, width):
    """How many triplets have a term within a width of 0, and how many one above 0."""
    terms = [
        p - n + margin
        for anchor in range(len(labels))
        for p in _distances(embeddings, labels, anchor, of_its_class=True)
        for n in _distances(embeddings, labels, anchor, of_its_class=False)
    ]
    return sum(abs(term) <= width for term in terms), sum(term > 0 for term in terms)


@st.composite
def _batches(draw):
    n = draw(st.integers(0, 8))
    # Steps of 1/4 make equal embeddings, equal distances and zero distances likely.
    values = st.integers(-8, 8).map(lambda v: v / 4)
    embeddings = draw(hnp.arrays(np.float64, (n, 3), elements=values))
    labels = draw(st.lists(st.integers(0, draw(st.integers(0, 3))), min_size=n, max_size=n))
    return embeddings, labels, draw(st.sampled_from([0.0, 0.3, 1.0, 5.0]))


@pytest.mark.parametrize("kind", TRIPLETS)
@settings(max_examples=100, deadline=None)
@given(batch=_batches())
def test_a_triplet_loss_is_that_of_loops_over_all_triplets(kind, batch):
    embeddings, labels, margin = batch
    x = torch.tensor(embeddings, requires_grad=True)
    found = TRIPLETS[kind](x, torch.tensor(labels, dtype=torch.int8), margin)
    assert found.dtype == torch.float64
    # A term of exactly 0 may round to either side in the loops: batch all then counts one more.
    expected = _by_hand(kind, embeddings, labels, margin)
    nudged = _by_hand(kind, embeddings, labels, margin - 1e-9)
    assert found.item() == pytest.approx(expected, abs=1e-9) or (
        kind == "batch_all" and found.item() == pytest.approx(nudged, abs=1e-6)
    )
    found.backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", TRIPLETS)
@settings(max_examples=20, deadline=None)
@example(5228, 2)  # one of some 60,000 terms is 0 in float32
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_a_whole_batch_of_several_classes_is_that_of_the_loops(kind, seed, classes):
    random = np.random.Generator(np.random.Philox(seed))
    embeddings = random.normal(size=(64, 16))
    labels = random.integers(0, classes, 64)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        found = TRIPLETS[kind](torch.tensor(embeddings, dtype=dtype), torch.tensor(labels), 1.0)
        expected = _by_hand(kind, embeddings, labels.tolist(), 1.0)
        if kind == "batch_all":
            # Rounding decides whether a term next to 0 counts as one of those averaged.
            doubtful, active = _near_zero(embeddings, labels.tolist(), 1.0, 10 * tolerance)
            tolerance += doubtful / active
        assert found.item() == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(
    ("kind", "expected", "gradient"),
    [
        # Anchors at 0 and 3, a negative at -1, margin 0.5. Of batch all's two triplets,
        # 3 - 1 + .5 is active and 3 - 4 + .5 is not.
        ("batch_all", 2.5, [-2, 1, 1]),
        # Each anchor has one positive and one negative, the negative no positive: three share it.
        ("hard_positive_hard_negative", 2.5 / 3, [-2 / 3, 1 / 3, 1 / 3]),
        ("easy_positive_hard_negative", 2.5 / 3, [-2 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_a_batch_of_two_triplets_by_hand(kind, expected, gradient):
    x = torch.tensor([[0.0], [3.0], [-1.0]], requires_grad=True)
    loss = TRIPLETS[kind](x, torch.tensor([0, 0, 1]), 0.5)
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == pytest.approx(gradient)


def test_hard_and_easy_positives_are_the_farthest_and_the_nearest():
    x = torch.tensor([[0.0], [1.0], [5.0], [2.0]])  # three of one class, one of another
    labels = torch.tensor([0, 0, 0, 1])
    # To positives: 1 and 5, 1 and 4, 5 and 4. To the negative: 2, 1, 3. That has no positive.
    hard = triplets.hard_positive_hard_negative(x, labels, 0.0)
    assert hard.item() == pytest.approx(((5 - 2) + (4 - 1) + (5 - 3)) / 4)
    easy = triplets.easy_positive_hard_negative(x, labels, 0.0)
    assert easy.item() == pytest.approx((0 + (1 - 1) + (4 - 3)) / 4)


@pytest.mark.parametrize("kind", TRIPLETS)
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
def test_without_an_active_triplet_the_loss_is_a_zero_with_zero_gradients(kind, embeddings, labels):
    x = torch.tensor(np.array(embeddings), dtype=torch.float32, requires_grad=True)
    loss = TRIPLETS[kind](x, torch.tensor(labels, dtype=torch.int64), 1.0)
    assert loss.item() == 0
    loss.backward()
    assert x.grad is not None
    assert not x.grad.any()


@pytest.mark.parametrize("kind", TRIPLETS)
def test_equal_embeddings_of_both_classes_give_finite_gradients(kind):
    x = torch.ones(6, 4, requires_grad=True)
    loss = TRIPLETS[kind](x, torch.tensor([0, 0, 0, 1, 1, 1]), 0.7)
    assert loss.item() == pytest.approx(0.7)
    loss.backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("kind", TRIPLETS)
@pytest.mark.parametrize("labels", [[0, 1, 0, 1, 1, 0], [0, 1, 2, 0, 1, 3]])
def test_gradients_are_those_of_finite_differences(kind, labels):
    random = np.random.Generator(np.random.Philox(4))
    x = torch.from_numpy(random.normal(size=(6, 3))).requires_grad_()
    given_labels = torch.tensor(labels)
    assert torch.autograd.gradcheck(lambda e: TRIPLETS[kind](e, given_labels, 1.0), (x,))


@pytest.mark.parametrize("kind", TRIPLETS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("autocast", [False, True])
def test_distances_of_half_precision_embeddings_are_taken_in_float32(kind, dtype, autocast):
    # The square of 300 does not fit into float16, and 299 not into bfloat16.
    x = torch.tensor([[0.0], [300.0], [1.0]], dtype=dtype, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = TRIPLETS[kind](x, torch.tensor([0, 0, 1]), 1.0)
    assert loss.dtype == torch.float32
    sum_of_terms = (300 - 1 + 1) + (300 - 299 + 1)
    assert loss.item() == pytest.approx(sum_of_terms / (2 if kind == "batch_all" else 3))
    loss.backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_the_order_of_a_batch_does_not_matter():
    random = np.random.Generator(np.random.Philox(5))
    x, labels = torch.from_numpy(random.normal(size=(20, 8))), torch.tensor([0, 1, 2, 1, 1] * 4)
    order = torch.from_numpy(random.permutation(20))
    for loss in TRIPLETS.values():
        again = loss(x[order], labels[order], 1.0).item()
        assert loss(x, labels, 1.0).item() == pytest.approx(again, rel=1e-12)


@pytest.mark.parametrize("kind", TRIPLETS)
def test_the_same_bytes_come_out_every_time(kind):
    random = np.random.Generator(np.random.Philox(6))
    embeddings = torch.from_numpy(random.normal(size=(64, 64)).astype(np.float32))
    labels = torch.from_numpy(random.integers(0, 2, 64))
    grads = []
    for _ in range(3):
        x = embeddings.clone().requires_grad_()
        TRIPLETS[kind](x, labels, 1.0).backward()
        assert x.grad is not None
        grads.append(x.grad)
    assert torch.equal(grads[0], grads[1])
    assert torch.equal(grads[0], grads[2])


def test_params_can_name_all_of_them_and_none():
    hint = MetricLearningParams.__annotations__["triplet"]
    assert get_args(hint) == ("none", *TRIPLETS)
