import numpy as np
import pytest
import scipy.ndimage
import skimage.draw
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from pipeline.expansion.regions import REGIONS, region_mask
from tests.expansion.faces import SIZE_PX, points


def hard(region: str, dilate_px: int = 0) -> NDArray[np.bool_]:
    return region_mask(points(), region, SIZE_PX, SIZE_PX, dilate_px, 0) > 0


def hull(chosen: slice) -> NDArray[np.bool_]:
    """Filled convex hull by other libraries."""
    corners = points()[chosen]
    corners = corners[ConvexHull(corners).vertices]
    filled = skimage.draw.polygon(corners[:, 1], corners[:, 0], (SIZE_PX, SIZE_PX))
    mask = np.zeros((SIZE_PX, SIZE_PX), bool)
    mask[filled] = True
    return mask


def assert_same_but_for_the_edge(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> None:
    assert (ours & ~scipy.ndimage.binary_dilation(theirs, iterations=2)).sum() == 0
    assert (~ours & scipy.ndimage.binary_erosion(theirs, iterations=2)).sum() == 0


def test_hulls_cover_the_named_points() -> None:
    assert_same_but_for_the_edge(hard("eye"), hull(slice(36, 42)) | hull(slice(42, 48)))
    assert_same_but_for_the_edge(hard("nose"), hull(slice(27, 36)))
    assert_same_but_for_the_edge(hard("mouth"), hull(slice(48, 60)))
    assert_same_but_for_the_edge(hard("lip"), hull(slice(48, 60)) & ~hull(slice(60, 68)))


def test_lip_is_the_mouth_without_its_opening() -> None:
    lip, mouth = hard("lip", dilate_px=4), hard("mouth", dilate_px=4)
    assert not (lip & ~mouth).any()
    # The opening keeps its size however much the lips grow.
    assert_same_but_for_the_edge(mouth & ~lip, hull(slice(60, 68)))
    assert not lip[162, 112]
    assert mouth[162, 112]


@pytest.mark.parametrize("region", ["eye", "mouth", "nose"])
def test_dilation_grows_by_its_radius(region: str) -> None:
    away = scipy.ndimage.distance_transform_edt(~hard(region))
    grown = hard(region, dilate_px=5)
    assert grown[away <= 4].all()
    assert not grown[away > 6].any()


@pytest.mark.parametrize("region", REGIONS)
def test_blur_is_gaussian(region: str) -> None:
    soft = region_mask(points(), region, SIZE_PX, SIZE_PX, 2, 3.0)
    sharp = region_mask(points(), region, SIZE_PX, SIZE_PX, 2, 0).astype(float)
    assert np.abs(soft - scipy.ndimage.gaussian_filter(sharp, 3.0)).max() < 3


def test_a_region_outside_the_crop_is_empty() -> None:
    assert not region_mask(points() + 500, "mouth", SIZE_PX, SIZE_PX, 4, 4).any()


def test_width_and_height_are_not_mixed_up() -> None:
    assert region_mask(points(), "nose", 200, 300, 4, 4).shape == (300, 200)


@given(dx=st.integers(-30, 30), dy=st.integers(-30, 30), region=st.sampled_from(REGIONS))
def test_moving_the_face_moves_the_mask(dx: int, dy: int, region: str) -> None:
    size = SIZE_PX + 200
    here = region_mask(points() + 100, region, size, size, 4, 4)
    there = region_mask(points() + 100 + (dx, dy), region, size, size, 4, 4)
    assert np.array_equal(np.roll(here, (dy, dx), (0, 1)), there)
