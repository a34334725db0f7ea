import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.params import FacesParams
from pipeline.config.values import Weights
from pipeline.errors import UserError
from pipeline.faces.detect import (
    Candidates,
    Detection,
    choose,
    detector_settings,
    lowest_score,
    make_detector,
    merge,
    non_maximum_suppression,
    pad_to,
    resize_longer_side,
)
from tests.faces.real_images import overlap

WIDTH_PX, HEIGHT_PX = 200, 100


def _candidates(*rows: tuple[tuple[float, float, float, float], float]) -> Candidates:
    boxes = np.array([box for box, _ in rows], np.float64).reshape(-1, 4)
    return Candidates(boxes, np.array([s for _, s in rows], np.float64), np.zeros((len(rows), 0)))


def _choose(found: Candidates, threshold: float = 0.5, min_face_px: int = 0) -> list[Detection]:
    return choose(found, WIDTH_PX, HEIGHT_PX, threshold, min_face_px)


_side = st.integers(1, 60)
_box = st.tuples(st.integers(-20, 180), st.integers(-20, 80), _side, _side).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)
_rows = st.lists(st.tuples(_box, st.sampled_from([0.5, 0.6, 0.6, 0.9])), max_size=12)


@given(_rows, st.sampled_from([0.1, 0.4, 0.7]))
def test_of_overlapping_boxes_the_better_one_stays(rows, iou):
    found = _candidates(*rows)
    kept = non_maximum_suppression(found.boxes, found.scores, iou)
    boxes = [row[0] for row in rows]
    for n, i in enumerate(kept):
        assert all(overlap(boxes[i], boxes[j]) <= iou + 1e-12 for j in kept[:n])
    for i in set(range(len(rows))) - set(kept):
        beaten_by = [j for j in kept if overlap(boxes[i], boxes[j]) > iou - 1e-12]
        assert any(rows[j][1] >= rows[i][1] for j in beaten_by)


@given(_rows, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_decides_nothing(rows, random):
    shuffled = random.sample(rows, len(rows))
    assert _choose(_candidates(*rows)) == _choose(_candidates(*shuffled))


@given(_rows)
def test_faces_are_sorted_largest_first_and_lie_in_the_image(rows):
    faces = _choose(_candidates(*rows))
    areas = [(f.box[2] - f.box[0]) * (f.box[3] - f.box[1]) for f in faces]
    assert areas == sorted(areas, reverse=True)
    for f in faces:
        assert overlap(f.box, (0, 0, WIDTH_PX, HEIGHT_PX)) > 0


def test_numbers_are_rounded_before_they_decide():
    box = (10.03, 10.0, 50.0, 50.0)
    (face,) = _choose(_candidates((box, 0.499951)))
    assert face == Detection((10.0, 10.0, 50.0, 50.0), 0.5, ())
    assert _choose(_candidates((box, 0.499949))) == []
    # The nearest sixteenth of 39.97 px is 40 px, that of 39.96 px is 39 15/16 px.
    assert _choose(_candidates(((0.0, 0.0, 39.97, 20.0), 0.9)), min_face_px=40) == [
        Detection((0.0, 0.0, 40.0, 20.0), 0.9, ())
    ]
    assert _choose(_candidates(((0.0, 0.0, 39.96, 20.0), 0.9)), min_face_px=40) == []


def test_noise_below_the_rounding_changes_nothing():
    random = np.random.Generator(np.random.Philox(7))
    corner = random.integers(0, 80, (30, 2))
    boxes = np.concatenate([corner, corner + random.integers(10, 40, (30, 2))], axis=1)
    scores = random.integers(5000, 9999, 30) / 1e4
    exact = Candidates(boxes.astype(np.float64), scores, np.zeros((30, 0)))
    noisy = Candidates(
        boxes + random.uniform(-0.03, 0.03, (30, 4)),
        scores + random.uniform(-4e-5, 4e-5, 30),
        np.zeros((30, 0)),
    )
    assert _choose(exact) == _choose(noisy)


@pytest.mark.parametrize(
    "box",
    [(10, 10, 10, 50), (50, 10, 10, 50), (200, 10, 240, 50), (-40, 10, 0, 50), (10, 100, 50, 140)],
)
def test_boxes_without_area_or_outside_the_image_are_no_faces(box):
    assert _choose(_candidates((box, 0.9))) == []


def test_a_face_cut_by_the_border_keeps_its_whole_box():
    assert _choose(_candidates(((-20, -5, 40, 60), 0.9)))[0].box == (-20, -5, 40, 60)


@given(st.floats(1e-4, 1), st.floats(-2e-4, 2e-4))
def test_detectors_are_asked_for_every_score_that_rounds_to_the_threshold(threshold, distance):
    asked, score = lowest_score(threshold), threshold + distance
    assert 0 < asked < 1
    assert asked > threshold - 1e-4
    if round(score, 4) >= threshold:
        assert score >= asked - 1e-12


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_resizing_brings_the_longer_side_to_the_size_and_tells_the_scale(width, height, side):
    image = np.zeros((height, width, 3), np.uint8)
    resized, scale_x, scale_y = resize_longer_side(image, side)
    assert max(resized.shape[:2]) == side
    assert resized.shape[1] == pytest.approx(width * scale_x)
    assert resized.shape[0] == pytest.approx(height * scale_y)


def test_padding_keeps_the_image_in_the_top_left_corner():
    image = np.full((2, 3, 3), 9, np.uint8)
    padded = pad_to(image, 5, 4)
    assert padded.shape == (4, 5, 3)
    assert (padded[:2, :3] == 9).all()
    assert padded.sum() == image.sum()


def test_candidates_of_several_sizes_are_brought_to_one():
    small = Candidates(np.array([[1.0, 2, 3, 4]]), np.array([0.5]), np.array([[1.0, 2] * 5]))
    large = Candidates(np.array([[8.0, 8, 16, 16]]), np.array([0.6]), np.array([[8.0, 4] * 5]))
    merged = merge([small.scaled(2, 4), large.scaled(0.5, 0.25)])
    assert merged.boxes.tolist() == [[2, 8, 6, 16], [4, 2, 8, 4]]
    assert merged.landmarks.tolist() == [[2, 8] * 5, [4, 1] * 5]
    assert merged.scores.tolist() == [0.5, 0.6]


def test_settings_hold_everything_that_decides_but_no_path(tmp_path):
    digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    (tmp_path / "foo.pth").write_bytes(b"foo")
    params = FacesParams(
        detector="retinaface",
        backbone="resnet50",
        weights=Weights(str(tmp_path / "foo.pth"), digest),
        score_threshold=0.8,
    )
    settings = detector_settings(params)
    assert digest in json.dumps(settings)
    assert str(tmp_path) not in json.dumps(settings)
    elsewhere = tmp_path / "elsewhere" / "bar.pth"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(b"foo")
    moved = FacesParams(**{**vars(params), "weights": Weights(str(elsewhere), digest)})
    assert detector_settings(moved) == settings


@pytest.mark.parametrize("detector", ["scrfd", "retinaface"])
def test_missing_weights_are_noticed_without_loading_anything(detector, tmp_path):
    params = FacesParams(
        detector=detector,
        backbone="resnet50" if detector == "retinaface" else "",
        weights=Weights(str(tmp_path / "absent.onnx"), "ab" * 32),
    )
    for ask in (detector_settings, make_detector):
        with pytest.raises(UserError, match=f"The detector {detector} needs .*absent.onnx"):
            ask(params)


def test_importing_the_module_loads_no_detector():
    script = (
        "import sys, pipeline.faces.detect;"
        "print([m for m in ('torch', 'onnxruntime', 'insightface', 'dlib') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert result.stdout.decode().strip() == "[]"
