"""Smoothed, mixed and weighted targets against plain formulas and torch's own losses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.training import losses, targets
from pipeline.training.targets import Mix

LOGITS = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 3)))
CLASSES = torch.tensor([0, 2, 1, 1, 0])


def _loss(*arguments):
    return losses.cross_entropy(LOGITS, targets.soft_targets(CLASSES, 3, *arguments).double())


def test_without_any_option_the_loss_is_that_of_the_classes():
    plain = losses.cross_entropy(LOGITS, CLASSES)
    assert _loss(0.0, Mix()).item() == pytest.approx(plain.item(), rel=1e-7)


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_smoothing_is_torchs(smoothing):
    torchs = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)(LOGITS, CLASSES)
    assert _loss(smoothing, Mix()).item() == pytest.approx(torchs.item(), rel=1e-6)


def test_weights_multiply_the_terms_of_the_mean():
    weights = targets.balanced_weights([6, 3, 1])
    assert weights == pytest.approx((10 / 18, 10 / 9, 10 / 3))
    # The mean over all faces is 1.
    assert np.average(weights, weights=[6, 3, 1]) == pytest.approx(1)
    each = torch.nn.CrossEntropyLoss(reduction="none")(LOGITS, CLASSES)
    by_hand = sum(weights[c] * e for c, e in zip(CLASSES.tolist(), each.tolist(), strict=True)) / 5
    assert _loss(0.0, Mix(), weights).item() == pytest.approx(by_hand, rel=1e-6)
    assert targets.balanced_weights([4, 0]) == (0.5, 0.0)


@pytest.mark.parametrize("box", [None, (1, 2, 4, 3)])
def test_neighbours_are_mixed_and_so_are_their_targets(box):
    images = torch.from_numpy(np.random.default_rng(1).normal(size=(5, 3, 8, 8)))
    mix = Mix(0.7, box)
    found = targets.mixed_images(images, mix)
    for place, other in enumerate([1, 0, 3, 2, 4]):
        expected = images[place] * 0.7 + images[other] * 0.3
        if box:
            expected = images[place].clone()
            expected[:, 1:5, 2:5] = images[other][:, 1:5, 2:5]
        torch.testing.assert_close(found[place], expected, rtol=1e-12, atol=1e-12)
    soft = targets.soft_targets(CLASSES, 3, 0.0, mix)
    by_hand = [[0.7, 0, 0.3], [0.3, 0, 0.7], [0, 1, 0], [0, 1, 0], [1, 0, 0]]
    torch.testing.assert_close(soft, torch.tensor(by_hand))
    assert losses.cross_entropy(LOGITS, soft.double()).item() == pytest.approx(
        np.mean(
            [
                0.7 * torch.nn.functional.cross_entropy(LOGITS[i], CLASSES[i]).item()
                + 0.3 * torch.nn.functional.cross_entropy(LOGITS[i], CLASSES[j]).item()
                for i, j in enumerate([1, 0, 3, 2, 4])
            ]
        ),
        rel=1e-6,
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)]))
def test_a_box_has_the_share_of_the_pixels_that_it_leaves(number, alphas):
    mix = targets.drawn_mix(*alphas, f"batch {number}", 64)
    assert 0 <= mix.share <= 1
    assert (mix.box is None) or alphas[1]
    if mix.box:
        zeros_and_ones = torch.zeros(2, 3, 64, 64)
        zeros_and_ones[1] = 1
        assert targets.mixed_images(zeros_and_ones, mix)[0].mean().item() == pytest.approx(
            1 - mix.share, abs=1e-6
        )
    assert mix == targets.drawn_mix(*alphas, f"batch {number}", 64)


def test_shares_follow_their_beta_distribution_and_both_kinds_come():
    shares = [targets.drawn_mix(0.8, 0.0, str(n), 64).share for n in range(2000)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * 0.8 + 1)), rel=0.1)  # of Beta(a, a)
    kinds = [targets.drawn_mix(0.8, 1.0, str(n), 64).box is None for n in range(1000)]
    assert 0.45 < np.mean(kinds) < 0.55
    assert targets.drawn_mix(0.0, 0.0, "0", 64) == Mix()
