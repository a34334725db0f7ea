import cv2
import numpy as np
import pytest
import skimage.color
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.expansion import blending
from pipeline.expansion.alignment import Align, aligned, source_affine
from pipeline.expansion.regions import OUTLINES, region_mask
from tests.expansion.faces import SIZE_PX, crops, points

COLORS: tuple[blending.ColorOrder, ...] = ("after", "before", "none")
NO_LIMIT = 0.0


def mask_of(region: str) -> NDArray[np.uint8]:
    return region_mask(points(), region, SIZE_PX, SIZE_PX, 4, 4.0)


def swapped(
    source: NDArray[np.uint8],
    moved: NDArray[np.float64],
    mask: NDArray[np.uint8],
    color: blending.ColorOrder,
    max_gain: float = 2.0,
    align: Align = "similarity",
    target: NDArray[np.uint8] | None = None,
) -> blending.Blend:
    target = crops()[0] if target is None else target
    box = blending.support(mask)
    affine = source_affine(moved, points(), align)
    near = aligned(source, moved, points(), affine, align == "piecewise", box)
    return blending.blend(target, near, mask, box, color, max_gain)


def weighted_lab(image: NDArray[np.float64], alpha: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean and deviation of the region by scikit-image, (2, 3)."""
    lab = skimage.color.rgb2lab(image).reshape(-1, 3)
    mean = np.average(lab, axis=0, weights=alpha.ravel())
    return np.array([mean, np.sqrt(np.average((lab - mean) ** 2, axis=0, weights=alpha.ravel()))])


def plain_reinhard(
    image: NDArray[np.float64], reference: NDArray[np.float64], alpha: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The formula of Reinhard et al. in float64 with scikit-image's Lab, without a limit."""
    (mean, deviation), (wanted_mean, wanted) = (
        weighted_lab(one, alpha) for one in (image, reference)
    )
    lab = (skimage.color.rgb2lab(image) - mean) / deviation * wanted + wanted_mean
    return np.clip(skimage.color.lab2rgb(lab), 0, 1)


@pytest.mark.parametrize("region", OUTLINES)
@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("align", ["similarity", "none", "piecewise"])
def test_nothing_outside_the_mask_changes(
    region: str, color: blending.ColorOrder, align: Align
) -> None:
    target, source = crops()
    mask = mask_of(region)
    image = swapped(source, points() * 0.8 + (20, 30), mask, color, align=align).image
    assert np.array_equal(image[mask == 0], target[mask == 0])
    inside = mask > 200
    assert np.abs(image[inside].astype(int) - target[inside]).mean() > 3


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), color=st.sampled_from(COLORS), gain=st.sampled_from([0, 2]))
def test_nothing_outside_any_mask_changes(seed: int, color, gain: float) -> None:
    rng = np.random.default_rng(seed)
    target, source = rng.integers(0, 256, (2, 40, 50, 3), np.uint8)
    mask = rng.integers(0, 256, (40, 50), np.uint8) * (rng.random((40, 50)) < 0.3)
    box = blending.support(mask)
    image = blending.blend(target, source[box], mask, box, color, gain).image
    assert np.array_equal(image[mask == 0], target[mask == 0])


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    color=st.sampled_from(COLORS),
    gain=st.sampled_from([0, 1, 2]),
    levels=st.sampled_from([1, 2, 40, 256]),
)
def test_a_picture_put_into_itself_stays(seed: int, color, gain: float, levels: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, levels, (64, 64, 3), np.uint8)
    mask = rng.integers(0, 256, (64, 64), np.uint8)
    box = blending.support(mask)
    done = blending.blend(picture, picture[box], mask, box, color, gain)
    assert np.array_equal(done.image, picture)
    assert (done.change, done.color_gap, done.sharpness_gap) == (0, 1, 1)


@pytest.mark.parametrize("region", OUTLINES)
@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("align", ["similarity", "none", "piecewise"])
def test_a_face_swapped_into_itself_stays(region: str, color, align: Align) -> None:
    for face in crops():
        done = swapped(face, points(), mask_of(region), color, align=align, target=face)
        assert np.array_equal(done.image, face)


def test_without_correction_the_middle_is_the_aligned_source() -> None:
    target, source = crops()
    mask = mask_of("mouth")
    moved = points() + np.array([7, -5])  # by whole pixels: nothing is interpolated
    image = swapped(source, moved, mask, "none").image
    shifted = np.roll(source, (5, -7), (0, 1))
    full = mask == 255
    assert full.sum() > 100
    assert np.array_equal(image[full], shifted[full])
    half = mask.astype(float)[:, :, None] / 255
    assert np.abs(image - (target * (1 - half) + shifted * half)).max() <= 0.51


@pytest.mark.parametrize("region", ["eye", "lip", "nose", "skin"])
@pytest.mark.parametrize("color", ["after", "before"])
def test_correction_is_reinhards_formula(region: str, color: blending.ColorOrder) -> None:
    target, source = (crop / 255 for crop in crops())
    mask = mask_of(region)
    alpha = mask / 255
    soft = alpha[:, :, None]
    if color == "before":
        over = plain_reinhard(source, target, alpha)
        wanted = target + soft * (over - target)
    else:
        mixed = target + soft * (source - target)
        wanted = mixed + soft * (plain_reinhard(mixed, target, alpha) - mixed)
    image = swapped(crops()[1], points(), mask, color, NO_LIMIT).image
    apart = np.abs(image - wanted * 255)
    assert apart.max() < 2.5
    assert apart[mask > 0].mean() < 0.4


def test_correction_gives_the_references_mean_and_deviation() -> None:
    rng = np.random.default_rng(5)
    alpha = mask_of("mouth") / 255
    weight = (alpha / alpha.sum()).ravel().astype(np.float32)
    reference = (crops()[0] / 255).astype(np.float32)
    # The same picture, darker, warmer and flatter; far from where clipping would set in.
    image = (reference * 0.7 * (1, 0.95, 0.9) + 0.1).astype(np.float32)
    image += rng.normal(0, 0.01, image.shape).astype(np.float32)
    lab, wanted = (cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab) for rgb in (image, reference))
    found = [blending.moments(one, weight) for one in (lab, wanted)]
    assert np.allclose(found[1], weighted_lab(reference, alpha), atol=0.1)
    before = weighted_lab(image, alpha) - weighted_lab(reference, alpha)
    after = weighted_lab(blending.correct(image, lab, *found, 2.0), alpha)
    after -= weighted_lab(reference, alpha)
    assert np.abs(before).max() > 5
    assert np.abs(after).max() < 0.3


def _stripes(low: float, high: float) -> NDArray[np.float32]:
    picture = np.full((64, 64, 3), low, np.float32)
    picture[:, ::2] = high
    return picture


@pytest.mark.parametrize("gain", [2.0, 5.0])
def test_a_flat_image_gets_no_more_than_the_greatest_gain(gain: float) -> None:
    alpha = np.ones((64, 64))
    weight = np.full(64 * 64, 1 / 64**2, np.float32)
    flat, reference = _stripes(0.5, 0.51), _stripes(0, 1)
    lab, wanted = (cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab) for rgb in (flat, reference))
    moments = [blending.moments(one, weight) for one in (lab, wanted)]
    deviation = weighted_lab(flat, alpha)[1, 0]
    limited = weighted_lab(blending.correct(flat, lab, *moments, gain), alpha)[1, 0]
    assert limited == pytest.approx(deviation * gain, rel=0.05)
    plain = weighted_lab(blending.correct(flat, lab, *moments, NO_LIMIT), alpha)[1, 0]
    assert plain == pytest.approx(weighted_lab(reference, alpha)[1, 0], rel=0.05)
    even = np.full_like(flat, 0.5)
    lab = cv2.cvtColor(even, cv2.COLOR_RGB2Lab)
    same = blending.correct(even, lab, blending.moments(lab, weight), moments[1], gain)
    assert np.isfinite(same).all()


@pytest.mark.parametrize("color", ["after", "before"])
def test_correction_brings_the_region_nearer_to_the_target(color: blending.ColorOrder) -> None:
    target, source = crops()
    mask = mask_of("nose")
    alpha = mask / 255

    def distance(chosen: blending.ColorOrder) -> float:
        image = swapped(source, points(), mask, chosen).image
        return float(
            np.abs(weighted_lab(image / 255, alpha) - weighted_lab(target / 255, alpha)).sum()
        )

    assert distance(color) < 0.5 * distance("none")


def test_change_is_the_mean_difference_over_the_mask() -> None:
    target, source = crops()
    mask = mask_of("nose")
    done = swapped(source, points() + 3, mask, "after")
    apart = np.abs(done.image.astype(float) - target).mean(axis=2)
    assert done.change == pytest.approx(np.average(apart, weights=mask), abs=0.001)


def test_grey_is_far_from_colorful_and_soft_from_sharp() -> None:
    target, _ = crops()
    mask = mask_of("mouth")
    grey = np.repeat(cv2.cvtColor(target, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    soft = np.asarray(cv2.GaussianBlur(target, (0, 0), 4), np.uint8)
    noisy = np.random.default_rng(0).normal(0, 3, target.shape)
    like = np.asarray(np.clip(target + noisy, 0, 255), np.uint8)
    gaps = {
        name: swapped(one, points(), mask, "after")
        for name, one in (("grey", grey), ("soft", soft), ("like", like))
    }
    assert gaps["grey"].color_gap > 3 > 1.5 > gaps["like"].color_gap
    assert gaps["soft"].sharpness_gap > 3 > gaps["grey"].sharpness_gap
    # Either way round.
    back = blending.blend(soft, target[box := blending.support(mask)], mask, box, "after", 2.0)
    assert back.sharpness_gap == pytest.approx(gaps["soft"].sharpness_gap, abs=0.001)


def test_the_box_of_a_mask() -> None:
    mask = np.zeros((10, 12), np.uint8)
    mask[3, 4] = mask[7, 9] = 1
    assert blending.support(mask) == (slice(3, 8), slice(4, 10))


def test_the_same_bytes_with_more_threads() -> None:
    images = []
    usual = cv2.getNumThreads()
    for threads in (1, 4):
        cv2.setNumThreads(threads)
        images.append(swapped(crops()[1], points() * 0.9 + 3, mask_of("skin"), "after").image)
    cv2.setNumThreads(usual)
    assert np.array_equal(*images)
