import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.faces.crop import (
    Window,
    boxes_in_crop,
    clip_window,
    crop,
    crop_window,
    frame_to_crop,
    invert,
    map_points,
    resize,
    whole,
    window_inside,
)

SHAPES = ("square", "per_axis", "per_side")

sixteenths = st.integers(-80 * 16, 400 * 16).map(lambda k: k / 16)
sides = st.integers(1, 300 * 16).map(lambda k: k / 16)
boxes = st.tuples(sixteenths, sixteenths, sides, sides).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
windows = st.builds(
    Window, st.integers(-200, 500), st.integers(-200, 500), st.integers(1, 600), st.integers(1, 600)
)


def ramp(height, width):
    """Every pixel says where it is: red = column, green = row, blue = both."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x, y, (x + y) // 2], axis=-1).astype(np.uint8)


@given(boxes, st.sampled_from(SHAPES), st.sampled_from([0.0, 0.3, 1.0]))
def test_window_has_the_stated_size_and_the_nearest_centre(box, shape, margin):
    w, h = box[2] - box[0], box[3] - box[1]
    if shape == "square":
        wanted = [max(w, h) * (1 + margin)] * 2
    elif shape == "per_axis":
        wanted = [w * (1 + margin), h * (1 + margin)]
    else:
        wanted = [w + margin * w + margin * w, h + margin * h + margin * h]
    window = crop_window(box, margin=margin, shape=shape)
    for side, want in zip((window.width, window.height), wanted, strict=True):
        assert side == 1 or abs(side - want) <= 0.5 + 1e-9
    centre = (window.left + (window.width - 1) / 2, window.top + (window.height - 1) / 2)
    assert abs(centre[0] - (box[0] + box[2]) / 2) <= 0.5
    assert abs(centre[1] - (box[1] + box[3]) / 2) <= 0.5


def test_window_by_hand():
    box = (10.0, 20.0, 30.0, 60.0)  # 20 x 40 about (20, 40)
    # 52 pixels from -5: -5 … 46, centred at 20.5; the lower of the two nearest is centred at 19.5.
    assert crop_window(box, margin=0.3, shape="square") == Window(-6, 14, 52, 52)
    assert crop_window(box, margin=0.3, shape="per_axis") == Window(7, 14, 26, 52)
    assert crop_window(box, margin=0.3, shape="per_side") == Window(4, 8, 32, 64)


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 9), (5, 5, 4, 9), (0, 0, math.nan, 1), (0, 0, math.inf, 1)]
)
def test_boxes_without_area_are_refused(box):
    with pytest.raises(ValueError, match="no area"):
        crop_window(box, margin=0.3, shape="square")


@given(windows, st.integers(1, 300), st.integers(1, 300))
def test_clipping_and_counting_agree_with_a_mask(window, width, height):
    frame = np.zeros((height, width), bool)
    left, top = max(0, window.left), max(0, window.top)
    frame[top : max(0, window.top + window.height), left : max(0, window.left + window.width)] = (
        True
    )
    assert window_inside(window, width, height) == frame.sum()
    clipped = clip_window(window, width, height)
    if frame.any():
        rows, columns = np.nonzero(frame)
        assert clipped.left == columns.min()
        assert clipped.top == rows.min()
        assert clipped.left + clipped.width - 1 == columns.max()
        assert clipped.top + clipped.height - 1 == rows.max()
    else:
        assert window_inside(clipped, width, height) == clipped.width * clipped.height > 0


@given(
    windows,
    st.integers(1, 512),
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=5),
)
def test_points_go_there_and_back(window, size_px, points):
    affine = frame_to_crop(window, size_px)
    there = map_points(affine, points)
    assert there.shape == (len(points), 2)
    np.testing.assert_allclose(map_points(invert(affine), there), points, atol=1e-6)


@given(windows, st.integers(1, 512))
def test_window_borders_fall_on_crop_borders(window, size_px):
    corners = [
        (window.left - 0.5, window.top - 0.5),
        (window.left + window.width - 0.5, window.top + window.height - 0.5),
    ]
    there = map_points(frame_to_crop(window, size_px), corners)
    np.testing.assert_allclose(there, [(-0.5, -0.5), (size_px - 0.5, size_px - 0.5)], atol=1e-9)


def test_an_affine_without_area_cannot_be_inverted():
    with pytest.raises(ValueError, match="cannot be inverted"):
        invert((1.0, 2.0, 0.0, 2.0, 4.0, 0.0))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(16, 120), st.integers(16, 120), st.integers(8, 120), st.sampled_from([64, 96, 224])
)
def test_crop_content_is_where_the_affine_says(left, top, side, size_px):
    """A crop pixel of a linear image has the value of the frame point that the affine names."""
    frame = ramp(255, 255)
    box = (left, top, left + side, top + side)
    made = crop(frame, box, size_px=size_px, margin=0.0)
    assert made.padded == 0.0
    y, x = np.mgrid[0:size_px, 0:size_px]
    where = map_points(invert(made.affine), np.stack([x, y], axis=-1))  # (size, size, 2)
    # Bilinear repeats the outermost half pixel; nowhere else may it differ from the straight line.
    window = crop_window(box, margin=0.0, shape="square")
    where[..., 0] = where[..., 0].clip(window.left, window.left + window.width - 1)
    where[..., 1] = where[..., 1].clip(window.top, window.top + window.height - 1)
    assert np.abs(made.image[..., :2] - where).max() <= 0.51 + 1e-6


def test_crop_is_what_warp_affine_shows():
    """The stored affine means the same to OpenCV (independent resampling code, enlarging)."""
    frame = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8), (0, 0), 3
    )
    made = crop(frame, (100.3, 60.7, 150.9, 130.2), size_px=224)
    matrix = np.array(made.affine).reshape(2, 3)
    warped = cv2.warpAffine(frame, matrix, (224, 224), flags=cv2.INTER_LINEAR)
    difference = np.abs(made.image.astype(int) - warped)[4:-4, 4:-4]
    assert difference.max() <= 2
    shifted = matrix + np.array([[0, 0, 1.5], [0, 0, 0]])
    wrong = cv2.warpAffine(frame, shifted, (224, 224), flags=cv2.INTER_LINEAR)
    assert np.abs(made.image.astype(int) - wrong)[4:-4, 4:-4].max() > 4


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_shrinking_by_a_whole_factor_is_the_mean(factor):
    image = np.random.default_rng(factor).integers(0, 256, (32 * factor, 32 * factor, 3), np.uint8)
    means = image.reshape(32, factor, 32, factor, 3).mean(axis=(1, 3))
    assert np.abs(resize(image, 32) - means).max() <= 0.5 + 1e-6


def test_each_side_has_its_own_filter():
    """A side that shrinks is averaged even where the other one grows."""
    stripes = np.zeros((16, 128, 3), np.uint8)
    stripes[:, ::2] = 255  # averages to grey over any two columns
    out = resize(stripes, 64)
    assert out.shape == (64, 64, 3)
    assert np.abs(out.astype(int) - 127.5).max() <= 0.5


def test_same_size_is_untouched():
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    assert (resize(image, 64) == image).all()


def test_padding_repeats_the_edge():
    frame = np.random.default_rng(2).integers(0, 256, (40, 50, 3), np.uint8)
    made = crop(frame, (-10.0, -6.0, 22.0, 26.0), size_px=32, margin=0.0)
    by_numpy = np.pad(frame, ((6, 0), (10, 0), (0, 0)), mode="edge")[:32, :32]
    assert (made.image == by_numpy).all()
    assert made.padded == pytest.approx(1 - (22 * 26) / (32 * 32))
    np.testing.assert_allclose(map_points(made.affine, (0, 0)), (10, 6), atol=1e-12)


@settings(deadline=None)
@given(boxes, st.sampled_from(SHAPES), st.sampled_from(["pad", "clip"]))
def test_any_box_gives_a_crop_of_frame_pixels(box, shape, border):
    frame = np.random.default_rng(3).integers(40, 200, (60, 90, 3), np.uint8)
    made = crop(frame, box, size_px=24, shape=shape, border=border)
    assert made.image.shape == (24, 24, 3)
    assert made.image.dtype == np.uint8
    assert made.image.min() >= 40
    assert made.image.max() < 200
    assert 0 <= made.padded <= 1
    if border == "clip":
        assert made.padded == 0


def test_clipping_keeps_only_the_frame():
    frame = ramp(100, 100)
    made = crop(frame, (-20.0, 10.0, 40.0, 70.0), size_px=60, margin=0.0, border="clip")
    # 40 columns become 60; 60 rows stay.
    assert made.affine[0] == pytest.approx(1.5)
    assert made.affine[4] == pytest.approx(1.0)
    assert made.image[0, 0].tolist() == [0, 10, 5]
    assert made.image[-1, -1, :2].tolist() == [39, 69]


def test_the_frame_is_left_alone():
    frame = ramp(100, 100)
    made = crop(frame, (10.0, 10.0, 42.0, 42.0), size_px=32, margin=0.0)
    made.image[:] = 0
    assert (frame == ramp(100, 100)).all()


affines = st.tuples(
    *[st.floats(0.05, 8)], st.just(0.0), st.floats(-999, 999),
    st.just(0.0), st.floats(0.05, 8), st.floats(-999, 999),
)  # fmt: skip


@given(
    st.lists(st.tuples(arrays(np.float64, 4, elements=st.floats(-999, 999)), affines), max_size=4)
)
def test_boxes_go_where_their_corners_go(rows):
    boxes, maps = [b for b, _ in rows], [a for _, a in rows]
    made = boxes_in_crop(np.reshape(boxes, (-1, 4)), np.reshape(maps, (-1, 6)))
    assert made.shape == (len(rows), 4)
    for one, box, affine in zip(made, boxes, maps, strict=True):
        corners = map_points(affine, box.reshape(2, 2)).ravel()
        assert np.abs(one - corners).max() <= 1 / 32 + 1e-9
        assert (one * 16 == np.round(one * 16)).all()


def test_a_detection_fills_the_same_part_of_every_crop():
    frame = np.zeros((400, 400, 3), np.uint8)
    for side in (40.0, 130.0):
        box = (100.0, 120.0, 100.0 + side, 120.0 + side)
        made = boxes_in_crop(box, crop(frame, box, size_px=224).affine)[0]
        # 224 / 1.3 = 172.3, about the middle; whole-pixel windows move it by less than two pixels.
        assert made[2] - made[0] == pytest.approx(224 / 1.3, abs=2)
        assert (made[0] + made[2]) / 2 == pytest.approx(111.5, abs=224 / side / 1.3 / 2 + 0.1)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(16, 64))
def test_a_whole_image_fills_its_crop(width, height, size_px):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    cut = whole(image, size_px=size_px)
    assert cut.image.shape == (size_px, size_px, 3)
    assert (cut.image == resize(image, size_px)).all()
    assert cut.padded == 0
    border = map_points(cut.affine, [(-0.5, -0.5), (width - 0.5, height - 0.5)])
    np.testing.assert_allclose(border, [[-0.5, -0.5], [size_px - 0.5] * 2], atol=1e-9)


def test_a_box_in_a_turned_crop_keeps_its_centre_and_sides():
    # Half the size, turned by 90 degrees: x' = -y / 2 + 100, y' = x / 2.
    affine = (0.0, -0.5, 100.0, 0.5, 0.0, 0.0)
    assert boxes_in_crop((20, 40, 60, 100), affine)[0].tolist() == [55, 5, 75, 35]
