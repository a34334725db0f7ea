import numpy as np
import pytest
import scipy.ndimage
import skimage.draw
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from pipeline.config.params import ExpandParams, Region
from pipeline.expansion import regions
from pipeline.expansion.regions import OUTLINES, REGIONS, face_scale, region_mask, scaled
from tests.expansion.faces import SIZE_PX, points

EYES = (slice(36, 42), slice(42, 48))
BROWS = (slice(17, 22), slice(22, 27))
NOSE, OUTER_LIP, INNER_LIP = slice(27, 36), slice(48, 60), slice(60, 68)


def hard(region: str, dilate_px: int = 0) -> NDArray[np.bool_]:
    return region_mask(points(), region, SIZE_PX, SIZE_PX, dilate_px, 0) > 0


def hull(*chosen: slice) -> NDArray[np.bool_]:
    """Filled convex hulls by other libraries."""
    mask = np.zeros((SIZE_PX, SIZE_PX), bool)
    for one in chosen:
        corners = points()[one]
        if np.ptp(corners[:, 1]) == 0:  # a straight line
            mask[int(corners[0, 1]), int(corners[:, 0].min()) : int(corners[:, 0].max()) + 1] = True
            continue
        corners = corners[ConvexHull(corners).vertices]
        mask[skimage.draw.polygon(corners[:, 1], corners[:, 0], (SIZE_PX, SIZE_PX))] = True
    return mask


def assert_same_but_for_the_edge(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> None:
    assert (ours & ~scipy.ndimage.binary_dilation(theirs, iterations=2)).sum() == 0
    assert (~ours & scipy.ndimage.binary_erosion(theirs, iterations=2)).sum() == 0


def test_parameters_name_the_regions_there_are() -> None:
    assert set(Region.__args__) == set(REGIONS)
    assert set(ExpandParams().regions) <= set(REGIONS)


def test_hulls_cover_the_named_points() -> None:
    assert_same_but_for_the_edge(hard("eye"), hull(*EYES))
    assert_same_but_for_the_edge(hard("left_eye"), hull(EYES[0]))
    assert_same_but_for_the_edge(hard("right_eye"), hull(EYES[1]))
    assert_same_but_for_the_edge(hard("eyebrow"), hull(*BROWS))
    assert_same_but_for_the_edge(hard("nose"), hull(NOSE))
    assert_same_but_for_the_edge(hard("mouth"), hull(OUTER_LIP))
    assert_same_but_for_the_edge(hard("lip"), hull(OUTER_LIP) & ~hull(INNER_LIP))
    others = hull(*EYES, *BROWS, NOSE, OUTER_LIP)
    assert_same_but_for_the_edge(hard("skin"), hull(slice(0, 27)) & ~others)
    assert_same_but_for_the_edge(hard("face"), hull(slice(0, 68)))


def test_both_eyes_are_the_left_one_and_the_right_one() -> None:
    left, right = hard("left_eye", 4), hard("right_eye", 4)
    assert not (left & right).any()
    assert np.array_equal(left | right, hard("eye", 4))
    assert np.flatnonzero(left.any(axis=0)).max() < np.flatnonzero(right.any(axis=0)).min()


def test_eyebrows_leave_the_eyes_alone() -> None:
    assert hard("eyebrow", 4)[70, 60:90].all()
    assert not (hard("eyebrow", 4) & hull(*EYES)).any()


def test_skin_leaves_every_other_region_alone_and_stays_in_the_face() -> None:
    skin = hard("skin", 4)
    for region in ("eye", "eyebrow", "nose", "mouth", "lip"):
        assert not (skin & hard(region, 3)).any()
    assert not (skin & ~hard("face")).any()
    assert skin.sum() > 10_000


def test_lip_is_the_mouth_without_its_opening() -> None:
    lip, mouth = hard("lip", dilate_px=4), hard("mouth", dilate_px=4)
    assert not (lip & ~mouth).any()
    # The opening keeps its size however much the lips grow.
    assert_same_but_for_the_edge(mouth & ~lip, hull(INNER_LIP))
    assert not lip[162, 112]
    assert mouth[162, 112]


@pytest.mark.parametrize("region", ["eye", "eyebrow", "mouth", "nose"])
def test_dilation_grows_by_its_radius(region: str) -> None:
    away = scipy.ndimage.distance_transform_edt(~hard(region))
    grown = hard(region, dilate_px=5)
    assert grown[away <= 4].all()
    assert not grown[away > 6].any()


@pytest.mark.parametrize("region", OUTLINES)
def test_blur_is_gaussian_stretched_to_the_whole_range(region: str) -> None:
    soft = region_mask(points(), region, SIZE_PX, SIZE_PX, 2, 3.0)
    sharp = region_mask(points(), region, SIZE_PX, SIZE_PX, 2, 0).astype(float)
    blurred = scipy.ndimage.gaussian_filter(sharp, 3.0, mode="mirror")
    assert np.abs(soft - blurred * 255 / blurred.max()).max() < 1.5


@pytest.mark.parametrize("region", OUTLINES)
@given(dilate_px=st.integers(0, 6), sigma=st.floats(0.5, 8))
def test_the_peak_is_255(region: str, dilate_px: int, sigma: float) -> None:
    assert region_mask(points(), region, SIZE_PX, SIZE_PX, dilate_px, sigma).max() == 255


def test_a_region_outside_the_crop_is_empty() -> None:
    for away in (500, -500):
        assert not region_mask(points() + away, "mouth", SIZE_PX, SIZE_PX, 4, 4).any()


def test_width_and_height_are_not_mixed_up() -> None:
    assert region_mask(points(), "nose", 200, 300, 4, 4).shape == (300, 200)


@given(dx=st.integers(-30, 30), dy=st.integers(-30, 30), region=st.sampled_from(REGIONS))
def test_moving_the_face_moves_the_mask(dx: int, dy: int, region: str) -> None:
    size = SIZE_PX + 200
    here = region_mask(points() + 100, region, size, size, 4, 4)
    there = region_mask(points() + 100 + (dx, dy), region, size, size, 4, 4)
    assert np.array_equal(np.roll(here, (dy, dx), (0, 1)), there)


@given(
    factor=st.floats(0.3, 4),
    turn=st.floats(-3, 3),
    dilate_px=st.integers(0, 20),
    sigma=st.floats(0, 20),
)
def test_lengths_grow_with_the_face_and_not_with_its_turn(
    factor: float, turn: float, dilate_px: int, sigma: float
) -> None:
    matrix = factor * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    other = points() @ matrix.T + 50
    size = factor * face_scale(points())
    assert face_scale(other) == pytest.approx(size, abs=0.02 * factor + 0.01)
    grown_px, blur_px = scaled(other, dilate_px, sigma)
    assert grown_px == pytest.approx(dilate_px * size, abs=0.51 + 0.02 * dilate_px * (1 + factor))
    assert blur_px == pytest.approx(sigma * size, abs=0.02 + 0.02 * sigma * (1 + factor))
    assert np.float32(blur_px) == blur_px  # what is stored is what was used


def test_a_usual_face_has_lengths_as_stated() -> None:
    inner = points()[17:] - points()[17:].mean(axis=0)
    usual = inner / np.sqrt((inner**2).sum(axis=1).mean()) * regions.USUAL_FACE_PX
    assert scaled(np.vstack([points()[:17], usual]), 4, 4.0) == (4, 4.0)
