import cv2
import numpy as np
import pytest
import skimage.transform
from hypothesis import given
from hypothesis import strategies as st

from pipeline.expansion.alignment import Align, similarity, source_affine
from pipeline.expansion.alignment import aligned as aligned_by
from tests.expansion.faces import SIZE_PX, crops, points

WHOLE = (slice(0, SIZE_PX), slice(0, SIZE_PX))


def aligned(source, source_points, target_points, align: Align, box):
    affine = source_affine(source_points, target_points, align)
    return aligned_by(source, source_points, target_points, affine, align == "piecewise", box)


MODES: tuple[Align, ...] = ("similarity", "none", "piecewise")


@given(
    scale=st.floats(0.3, 3),
    turn=st.floats(-3, 3),
    shift=st.tuples(st.floats(-200, 200), st.floats(-200, 200)),
)
def test_a_similarity_is_recovered(scale: float, turn: float, shift: tuple[float, float]) -> None:
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    found = similarity(points(), points() @ matrix.T + shift)
    assert np.allclose(found, np.column_stack([matrix, shift]), atol=2e-6)


@given(seed=st.integers(0, 1000))
def test_least_squares_agree_with_scikit_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    there = points() * 0.9 + rng.normal(0, 8, (68, 2))
    theirs = skimage.transform.SimilarityTransform.from_estimate(points()[17:], there[17:])
    assert np.allclose(similarity(points(), there), theirs.params[:2], atol=2e-6)


def test_the_jaw_is_ignored() -> None:
    turned = points()
    turned[:17] += 25
    assert np.array_equal(similarity(turned, points()), similarity(points(), points()))


@pytest.mark.parametrize("align", MODES)
def test_equal_points_leave_every_pixel_alone(align: Align) -> None:
    picture, _ = crops()
    assert np.array_equal(aligned(picture, points(), points(), align, WHOLE), picture)
    box = (slice(31, 97), slice(40, 180))
    assert np.array_equal(aligned(picture, points(), points(), align, box), picture[box])


@pytest.mark.parametrize("align", ["similarity", "piecewise"])
@given(dx=st.integers(-9, 9), dy=st.integers(-9, 9))
def test_a_shift_by_whole_pixels_is_exact(align: Align, dx: int, dy: int) -> None:
    picture, _ = crops()
    box = (slice(20, 190), slice(30, 200))
    moved = aligned(picture, points() + np.array([dx, dy]), points(), align, box)
    assert np.array_equal(moved, picture[20 + dy : 190 + dy, 30 + dx : 200 + dx])


def test_without_alignment_pixels_stay_where_they_are() -> None:
    _, picture = crops()
    assert np.array_equal(aligned(picture, points() * 0.8, points(), "none", WHOLE), picture)
    assert source_affine(points() * 0.8, points(), "none").tolist() == [[1, 0, 0], [0, 1, 0]]


def test_the_box_shows_what_the_whole_picture_has_there() -> None:
    picture, _ = crops()
    box = (slice(60, 130), slice(50, 170))
    source = points() * 0.9 + 7
    for align in MODES:
        part = aligned(picture, source, points(), align, box).astype(int)
        whole = aligned(picture, source, points(), align, WHOLE)[box]
        # OpenCV rounds positions to 1/32 px, from the corner of what it fills.
        assert np.abs(part - whole).mean() < 0.5


def test_a_similarity_is_the_one_of_scikit_image() -> None:
    picture, _ = crops()
    source = points() * 0.9 + 7
    matrix = np.vstack([similarity(source, points()), [0, 0, 1]])
    theirs = skimage.transform.warp(picture, np.linalg.inv(matrix), order=1, mode="edge") * 255
    ours = aligned(picture, source, points(), "similarity", WHOLE)
    assert np.abs(ours - theirs)[4:-4, 4:-4].mean() < 1


def test_piecewise_brings_every_point_to_its_place() -> None:
    rng = np.random.default_rng(3)
    source = points() + rng.normal(0, 4, (68, 2))
    spots = np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)
    chosen = [0, 8, 16, 19, 24, 30, 36, 45, 48, 54]
    for place in chosen:
        at = np.rint(source[place]).astype(int)
        cv2.circle(spots, at.tolist(), 3, (255, 255, 255), -1)
    moved = aligned(spots, source, points(), "piecewise", WHOLE)[..., 0]
    for place in chosen:
        x, y = np.rint(points()[place]).astype(int)
        assert moved[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].max() > 200, place


def test_piecewise_agrees_with_scikit_image() -> None:
    picture, _ = crops()
    rng = np.random.default_rng(4)
    source = points() + rng.normal(0, 2, (68, 2))
    transform = skimage.transform.PiecewiseAffineTransform.from_estimate(points(), source)
    theirs = skimage.transform.warp(picture, transform, order=1) * 255
    ours = aligned(picture, source, points(), "piecewise", WHOLE)
    inside = theirs.any(axis=2)
    assert inside.sum() > 15_000
    assert np.median(np.abs(ours - theirs)[inside]) < 1
