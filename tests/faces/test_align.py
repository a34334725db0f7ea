import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.faces.align import TEMPLATE, align, shown_px, similarity, template
from pipeline.faces.crop import boxes_in_crop, crop, invert, map_points
from pipeline.faces.detect import make_detector
from tests.faces import real_images

POINTS = (100.0, 120.0, 150.0, 118.0, 127.0, 150.0, 106.0, 178.0, 147.0, 176.0)


def as_pairs(points):
    return np.array([[z.real, z.imag] for z in points])


@given(st.floats(-np.pi, np.pi), st.floats(0.05, 20), st.floats(-500, 8000), st.floats(-500, 8000))
def test_a_moved_template_is_brought_back(turn, scale, x, y):
    wanted = template(224, 0.3)
    moved = [z * scale * np.exp(1j * turn) + complex(x, y) for z in wanted]
    affine = similarity(as_pairs(moved).ravel().tolist(), wanted)
    np.testing.assert_allclose(map_points(affine, as_pairs(moved)), as_pairs(wanted), atol=0.01)
    back = map_points(invert(affine), map_points(affine, as_pairs(moved)))
    np.testing.assert_allclose(back, as_pairs(moved), atol=0.01)


@given(st.lists(st.floats(0, 1000), min_size=10, max_size=10))
def test_no_similarity_fits_better(numbers):
    points = np.reshape(numbers, (5, 2))
    if np.ptp(points, axis=0).min() < 1:
        return
    wanted = as_pairs(template(224, 0.3))
    # Least squares over x' = a x - b y + c, y' = b x + a y + d.
    x, y = points.T
    one, none = np.ones(5), np.zeros(5)
    rows = np.concatenate(
        [np.stack([x, -y, one, none], axis=1), np.stack([y, x, none, one], axis=1)]
    )
    solution = np.linalg.lstsq(rows, wanted.T.ravel(), rcond=None)[0]
    affine = similarity(points.ravel().tolist(), template(224, 0.3))
    np.testing.assert_allclose((affine[0], affine[3]), solution[:2], atol=1e-6)
    np.testing.assert_allclose((affine[2], affine[5]), solution[2:], atol=1e-3)


def test_the_template_without_margin_is_arcfaces():
    np.testing.assert_allclose(template(112, 0.0), TEMPLATE)
    # At twice the size a point's distance to the image's border doubles.
    assert template(224, 0.0)[0] == pytest.approx((TEMPLATE[0] + 0.5 + 0.5j) * 2 - 0.5 - 0.5j)
    eyes = [points[1] - points[0] for points in (template(224, 0.0), template(224, 0.3))]
    assert abs(eyes[0]) / abs(eyes[1]) == pytest.approx(1.3)


@given(st.floats(-np.pi, np.pi), st.floats(0.05, 20), st.floats(0, 1))
def test_what_is_shown_grows_with_face_and_margin(turn, scale, margin):
    moved = [z * scale * np.exp(1j * turn) for z in TEMPLATE]
    shown = shown_px(as_pairs(moved).ravel().tolist(), margin=margin)
    assert shown == pytest.approx(112 * scale * (1 + margin), rel=1e-6)


def test_points_in_one_place_or_of_no_sense_show_no_end():
    assert shown_px([3.0, 4.0] * 5, margin=0.3) == np.inf
    mirrored = [(-z).conjugate() for z in TEMPLATE]  # no turn brings left to right
    assert shown_px(as_pairs(mirrored).ravel().tolist(), margin=0.3) > 3 * 112 * 1.3


def test_points_that_are_one_have_no_similarity():
    with pytest.raises(ValueError, match="one and the same"):
        similarity([3.0, 4.0] * 5, template(224, 0.3))


def test_pixels_lie_where_the_affine_says():
    random = np.random.Generator(np.random.Philox(3))
    frame = cv2.resize(random.integers(0, 256, (12, 12, 3), np.uint8), (300, 300))
    cut = align(frame, POINTS, size_px=224, margin=0.3)
    grid = np.stack(np.meshgrid(np.arange(224), np.arange(224)), axis=-1)
    there = map_points(invert(cut.affine), grid).astype(np.float32)
    expected = cv2.remap(frame, there, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(cut.image.astype(int) - expected).max() <= 3
    assert cut.image.shape == (224, 224, 3)


def test_what_shrinks_is_averaged():
    random = np.random.Generator(np.random.Philox(4))
    noise = random.integers(0, 256, (1800, 1800, 3), np.uint8)
    large = [8 * p for p in POINTS]
    cut = align(noise, large, size_px=112, margin=0.3)
    assert 1 / np.hypot(cut.affine[0], cut.affine[3]) > 8
    # The mean of 64 and more pixels has less than an eighth of their deviation of about 74.
    inside = cut.image[40:80, 40:80].astype(float)
    assert inside.std() < 74 / 8
    assert abs(inside.mean() - 127.5) < 2
    # Averaging keeps the place: a bright half stays on its side of a straight edge.
    noise[:], noise[:, 1000:] = 0, 255
    column = map_points(align(noise, large, size_px=112, margin=0.3).affine, [(999.5, 1150.0)])[0]
    image = align(noise, large, size_px=112, margin=0.3).image
    row = image[int(column[1]), :, 0].astype(int)
    crossing = np.interp(127.5, row, np.arange(112))
    assert abs(crossing - column[0]) < 0.6


def test_padding_is_the_share_outside_the_frame():
    frame = np.zeros((300, 300, 3), np.uint8)
    assert align(frame, POINTS, size_px=64, margin=0.3).padded == 0
    left = np.array(POINTS) - np.tile([125.0, 0.0], 5)  # the nose at the border
    cut = align(frame, left.tolist(), size_px=64, margin=0.3)
    assert 0.35 < cut.padded < 0.6
    away = np.array(POINTS) + 5000
    assert align(frame, away.tolist(), size_px=64, margin=0.3).padded == 1


def test_a_turned_face_is_brought_upright(assets):
    detector = make_detector(real_images.scrfd(assets))
    image = real_images.images(assets, "images/biden.jpg", 1)[0]
    height, width = image.shape[:2]
    found, upright = {}, {}
    for turn in (0, 25):
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1)
        turned = cv2.warpAffine(image, matrix, (width, height))
        face = detector.detect(turned)[0]
        cut = align(turned, face.landmarks5, size_px=224, margin=0.3)
        points = map_points(cut.affine, np.reshape(face.landmarks5, (5, 2)))
        np.testing.assert_allclose(points, as_pairs(template(224, 0.3)), atol=12)
        found[turn] = cut.image.astype(int)
        upright[turn] = crop(turned, face.box, size_px=224).image.astype(int)
        box = boxes_in_crop(face.box, cut.affine)[0]
        assert (box[:2] > -30).all()
        assert (box[2:] < 254).all()
    centre = np.s_[56:168, 56:168]
    apart, usual = (np.abs(one[0] - one[25])[centre].mean() for one in (found, upright))
    assert apart < 0.75 * usual
