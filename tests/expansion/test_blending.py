import cv2
import numpy as np
import pytest
import skimage.color
import skimage.transform
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.expansion import blending
from pipeline.expansion.regions import REGIONS, region_mask
from tests.expansion.faces import SIZE_PX, crops, points

COLORS = ("after", "before", "none")


def mask_of(region: str) -> NDArray[np.uint8]:
    return region_mask(points(), region, SIZE_PX, SIZE_PX, 4, 4.0)


def weighted_lab(image: NDArray[np.float64], alpha: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean and deviation of the region by scikit-image, (2, 3)."""
    lab = skimage.color.rgb2lab(image).reshape(-1, 3)
    mean = np.average(lab, axis=0, weights=alpha.ravel())
    return np.array([mean, np.sqrt(np.average((lab - mean) ** 2, axis=0, weights=alpha.ravel()))])


@given(
    scale=st.floats(0.3, 3),
    turn=st.floats(-3, 3),
    shift=st.tuples(st.floats(-200, 200), st.floats(-200, 200)),
)
def test_a_similarity_is_recovered(scale: float, turn: float, shift: tuple[float, float]) -> None:
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    found = blending.similarity(points(), points() @ matrix.T + shift)
    assert np.allclose(found, np.column_stack([matrix, shift]), atol=2e-6)


@given(seed=st.integers(0, 1000))
def test_least_squares_agree_with_scikit_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    there = points() * 0.9 + rng.normal(0, 8, (68, 2))
    theirs = skimage.transform.SimilarityTransform.from_estimate(points()[17:], there[17:])
    assert np.allclose(blending.similarity(points(), there), theirs.params[:2], atol=2e-6)


def test_the_jaw_is_ignored() -> None:
    turned = points()
    turned[:17] += 25
    assert np.array_equal(
        blending.similarity(turned, points()), blending.similarity(points(), points())
    )


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("color", COLORS)
def test_nothing_outside_the_mask_changes(region: str, color: blending.ColorOrder) -> None:
    target, source = crops()
    mask = mask_of(region)
    moved = points() * 0.8 + (20, 30)
    image = blending.swap_region(target, source, points(), moved, mask, color).image
    assert np.array_equal(image[mask == 0], target[mask == 0])
    inside = mask > 200
    assert np.abs(image[inside].astype(int) - target[inside]).mean() > 3


def test_without_correction_the_middle_is_the_aligned_source() -> None:
    target, source = crops()
    mask = mask_of("mouth")
    moved = points() + np.array([7, -5])  # by whole pixels: nothing is interpolated
    swap = blending.swap_region(target, source, points(), moved, mask, "none")
    assert np.allclose(swap.source_affine, [[1, 0, -7], [0, 1, 5]], atol=1e-6)
    shifted = np.roll(source, (5, -7), (0, 1))
    full = mask == 255
    assert full.sum() > 100
    assert np.array_equal(swap.image[full], shifted[full])
    half = mask.astype(float)[:, :, None] / 255
    assert np.abs(swap.image - (target * (1 - half) + shifted * half)).max() <= 0.51


@pytest.mark.parametrize("color", COLORS)
def test_a_face_swapped_into_itself_stays(color: blending.ColorOrder) -> None:
    target, _ = crops()
    mask = mask_of("eye")
    image = blending.swap_region(target, target, points(), points(), mask, color).image
    assert np.abs(image.astype(int) - target).max() <= (0 if color == "none" else 1)


def test_correction_gives_the_references_mean_and_deviation() -> None:
    rng = np.random.default_rng(5)
    alpha = mask_of("mouth").astype(np.float32)[:, :, None] / np.float32(255)
    reference = (crops()[0] / 255).astype(np.float32)
    # The same picture, darker, warmer and flatter; far from where clipping would set in.
    image = (reference * 0.7 * (1, 0.95, 0.9) + 0.1).astype(np.float32)
    image += rng.normal(0, 0.01, image.shape).astype(np.float32)
    before = weighted_lab(image, alpha) - weighted_lab(reference, alpha)
    after = weighted_lab(blending.correct(image, reference, alpha), alpha)
    after -= weighted_lab(reference, alpha)
    assert np.abs(before).max() > 5
    assert np.abs(after).max() < 0.3


def test_a_flat_image_gets_no_more_than_the_greatest_gain() -> None:
    alpha = np.ones((64, 64, 1), np.float32)
    reference = np.zeros((64, 64, 3), np.float32)
    reference[:, ::2] = 1
    flat = np.full((64, 64, 3), 0.5, np.float32)
    flat[:, ::2] += 0.01
    deviation = weighted_lab(flat, alpha)[1, 0]
    corrected = blending.correct(flat, reference, alpha)
    assert weighted_lab(corrected, alpha)[1, 0] == pytest.approx(
        deviation * blending.MAX_GAIN, rel=0.05
    )
    assert np.isfinite(blending.correct(np.full_like(flat, 0.5), reference, alpha)).all()


@pytest.mark.parametrize("color", ["after", "before"])
def test_correction_brings_the_region_nearer_to_the_target(color: blending.ColorOrder) -> None:
    target, source = crops()
    mask = mask_of("nose")
    alpha = mask / 255

    def distance(chosen: blending.ColorOrder) -> float:
        image = blending.swap_region(target, source, points(), points(), mask, chosen).image
        return float(
            np.abs(weighted_lab(image / 255, alpha) - weighted_lab(target / 255, alpha)).sum()
        )

    assert distance(color) < 0.5 * distance("none")


def test_the_box_of_a_mask() -> None:
    mask = np.zeros((10, 12), np.uint8)
    mask[3, 4] = mask[7, 9] = 1
    assert blending.support(mask) == (slice(3, 8), slice(4, 10))


def test_the_same_bytes_with_more_threads() -> None:
    target, source = crops()
    moved = points() * 0.9 + 3
    images = []
    usual = cv2.getNumThreads()
    for threads in (1, 4):
        cv2.setNumThreads(threads)
        images.append(
            blending.swap_region(target, source, points(), moved, mask_of("lip"), "after").image
        )
    cv2.setNumThreads(usual)
    assert np.array_equal(*images)
