"""Self-blended images, checked by what the paper and its code promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from pipeline.expansion.self_blending import SelfBlend, base_of, self_blend
from tests.expansion.faces import crops, points

FACE = crops()[0]


def many(n: int) -> list[SelfBlend]:
    return [self_blend(FACE, points(), seed) for seed in range(n)]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**64 - 1))
def test_the_same_seed_gives_the_same_picture_and_the_input_stays(seed: int) -> None:
    before = FACE.copy()
    one, other = self_blend(FACE, points(), seed), self_blend(FACE, points(), seed)
    assert np.array_equal(FACE, before)
    for mine, theirs in zip(one, other, strict=True):
        assert mine.dtype == np.uint8
        assert np.array_equal(mine, theirs)
    assert one.image.shape == one.base.shape == FACE.shape
    assert np.array_equal(base_of(FACE, seed), one.base)
    assert one.mask.shape == FACE.shape[:2]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**64 - 1))
def test_outside_the_mask_the_fake_is_its_real(seed: int) -> None:
    done = self_blend(FACE, points(), seed)
    assert np.array_equal(done.image[done.mask == 0], done.base[done.mask == 0])


def test_the_mask_lies_about_the_face() -> None:
    hull = points()[ConvexHull(points()).vertices]
    low, high = hull.min(axis=0), hull.max(axis=0)
    for done in many(30):
        rows, columns = np.nonzero(done.mask > done.mask.max() / 2)
        assert columns.min() > low[0] - 25
        assert columns.max() < high[0] + 25
        assert rows.max() < high[1] + 25
        # The forehead is in it most of the time, and no more than a forehead.
        assert rows.min() > low[1] - 75


def test_draws_follow_the_public_numbers() -> None:
    made = many(300)
    peaks = np.array([done.mask.max() / 255 for done in made])
    for share, wanted in ((0.25, 1 / 6), (0.5, 1 / 6), (0.75, 1 / 6), (1.0, 1 / 2)):
        found = float((np.abs(peaks - share) < 0.01).mean())
        assert found == pytest.approx(wanted, abs=0.09), share
    untouched = np.mean([np.array_equal(done.base, FACE) for done in made])
    assert untouched == pytest.approx(0.5, abs=0.1)
    foreheads = np.mean([np.nonzero(done.mask)[0].min() < 35 for done in made])
    assert 0.6 < foreheads < 0.95


def test_fakes_are_seen_and_are_near_to_their_reals() -> None:
    changes = []
    for done in many(100):
        apart = np.abs(done.image.astype(int) - done.base).mean(axis=2)
        changes.append(apart[done.mask > done.mask.max() / 2].mean())
    assert np.median(changes) > 1.5
    assert max(changes) < 60


def test_other_seeds_give_other_pictures() -> None:
    assert len({done.image.tobytes() for done in many(20)}) == 20


def test_a_face_of_another_shape_and_a_flat_one() -> None:
    tall = np.full((300, 200, 3), 128, np.uint8)
    done = self_blend(tall, points() * 0.8 + (10, 60), 5)
    assert done.mask.shape == (300, 200)
    assert done.mask.any()
    far = self_blend(tall, points() + 5000, 5)  # nothing of the face is in the picture
    assert not far.mask.any()
    assert np.array_equal(far.image, far.base)
