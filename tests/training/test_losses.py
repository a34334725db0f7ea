import decimal
import math
from functools import partial

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from pipeline.labels.levels import Levels, levels
from pipeline.training import losses
from tests.models.made import FFPP

probability = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


@st.composite
def _predictions(draw):
    b, n = draw(st.integers(1, 4)), draw(st.integers(0, 6))
    p = draw(hnp.arrays(np.float64, (b, n), elements=probability))
    g = draw(hnp.arrays(np.int8, (b, n), elements=st.sampled_from([-1, 0, 1])))
    return p, g


def _one_level(p, g, unobserved="mask", reduction="mean"):
    """Fidelity loss of labels that are all of one level."""
    of = Levels(tuple(range(p.shape[1])), (), ())
    return losses.by_level(partial(losses.fidelity, p), g, of, unobserved, reduction)[0]


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
    found = _one_level(given_, torch.tensor(g))
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
    one = _one_level(torch.tensor(p), labels)
    assert one.item() == _one_level(torch.tensor(other), labels).item()


@pytest.mark.parametrize("p", [0.0, 1.0])
@pytest.mark.parametrize("g", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_fidelity_at_certainty_is_finite_and_pulls_the_right_way(p, g, dtype):
    x = torch.full((1, 1), p, dtype=dtype, requires_grad=True)
    loss = losses.fidelity(x, torch.tensor([[g]])).sum()
    assert loss.item() == pytest.approx(0 if p == g else 1, abs=3e-4)
    loss.backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    if p != g:
        assert (x.grad < 0).item() == (g == 1)


@pytest.mark.parametrize("g", [0, 1])
@pytest.mark.parametrize("p", [0.0, 1e-12, 0.5, 1.0])
def test_fidelity_and_its_slope_are_those_of_the_formula_in_fifty_digits(p, g):
    with decimal.localcontext(prec=50):
        exact, eps = decimal.Decimal(p), decimal.Decimal("1e-8")
        yes, no = (exact * g + eps).sqrt(), ((1 - exact) * (1 - g) + eps).sqrt()
        loss, slope = float(1 - yes - no), float(-g / (2 * yes) + (1 - g) / (2 * no))
    x = torch.tensor([[p]], dtype=torch.float64, requires_grad=True)
    found = losses.fidelity(x, torch.tensor([[g]])).sum()
    found.backward()
    assert found.item() == pytest.approx(loss, rel=1e-15, abs=2.3e-16)
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(slope, rel=1e-14)


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
    fidelity = partial(losses.fidelity, p)
    found = losses.by_level(fidelity, g, levels(FFPP), reduction="mean").tolist()

    def one(i: int, node: int) -> float:
        a, b = p[i, node].item(), g[i, node].item()
        return 1 - math.sqrt(a * b + 1e-8) - math.sqrt((1 - a) * (1 - b) + 1e-8)

    root = sum(one(i, 0) for i in range(4)) / 4
    first = sum(one(0, n) for n in (1, 2, 3)) / 3
    middle = sum((one(i, 2) + one(i, 3)) / 2 for i in (1, 2))
    local = sum(one(i, n) for i in range(3) for n in range(4, 10)) / 6
    assert found == pytest.approx([root, (first + middle) / 4, local / 4], abs=1e-12)
    # As equation 5 has it: the sum over the observed labels.
    first = sum(one(0, n) for n in (1, 2, 3))
    middle = sum(one(i, 2) + one(i, 3) for i in (1, 2))
    summed = losses.by_level(fidelity, g, levels(FFPP)).tolist()
    assert summed == pytest.approx([root, (first + middle) / 4, 6 * local / 4], abs=1e-12)


def test_an_unobserved_label_counts_as_0_where_the_public_code_is_followed():
    p = torch.tensor([[0.9, 0.2, 0.4]], dtype=torch.float64)
    g, zeros = torch.tensor([[1, -1, 1]]), torch.tensor([[1, 0, 1]])
    found = _one_level(p, g, unobserved="zero")
    assert found.item() == _one_level(p, zeros).item() != _one_level(p, g).item()


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.float64, (2, 3), elements=st.floats(-30, 30)),
    hnp.arrays(np.int8, (2, 3), elements=st.sampled_from([0, 1])),
)
def test_cross_entropy_of_labels_is_minus_the_log_of_the_right_ones_probability(odds, g):
    p = 1 / (1 + np.exp(-odds * (2 * g - 1.0)))
    found = losses.binary_cross_entropy(torch.tensor(odds), torch.tensor(g))
    assert found.tolist() == pytest.approx(-np.log(p), rel=1e-9, abs=1e-12)


def test_cross_entropy_has_no_upper_bound_where_the_fidelity_has():
    odds = torch.tensor([[-800.0]], dtype=torch.float64)
    label = torch.tensor([[1]])
    assert losses.binary_cross_entropy(odds, label).item() == pytest.approx(800)
    assert losses.fidelity(odds.sigmoid(), label).item() < 1


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


def test_gradients_of_all_losses_are_those_of_finite_differences():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=random, dtype=torch.float64, requires_grad=True)
    classes = torch.tensor([0, 2, 1, 1, 0])
    soft = torch.rand(5, 3, generator=random, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: losses.cross_entropy(x, classes), logits)
    assert torch.autograd.gradcheck(lambda x: losses.cross_entropy(x, soft), logits)
    labels = torch.tensor([[1, 0, 0], [0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 0]])
    assert torch.autograd.gradcheck(lambda x: losses.fidelity(x.sigmoid(), labels), logits)
    assert torch.autograd.gradcheck(lambda x: losses.binary_cross_entropy(x, labels), logits)
