import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.expansion import geometry
from pipeline.expansion.alignment import similarity
from pipeline.expansion.regions import INNER_FACE
from tests.expansion.faces import SIZE_PX, points


def turned(face, degrees=0.0, scale=1.0, shift=(0.0, 0.0)):
    angle = np.radians(degrees)
    matrix = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (face - 112) @ matrix + 112 + np.array(shift)


def reasons(*faces):
    return [
        geometry.FACE_REASONS[code] if code >= 0 else ""
        for code in geometry.bad_faces(np.stack(faces)).tolist()
    ]


@given(st.floats(-180, 180), st.floats(0.2, 2), st.floats(-300, 300))
def test_a_face_is_one_however_it_lies(degrees, scale, shift):
    assert reasons(turned(points(), degrees, scale, (shift, -shift))) == [""]


def test_a_turned_head_is_a_face():
    narrow = points()
    narrow[:, 0] = 112 + (narrow[:, 0] - 112) * 0.4  # about 65 degrees
    assert reasons(narrow) == [""]


def test_what_is_no_face():
    mirrored, flat, closed, shuffled = (points() for _ in range(4))
    mirrored[:, 1] = 223 - mirrored[:, 1]  # eyes below the mouth, left and right as they were
    flat[:, 1] = 100 + (flat[:, 1] - 100) / 10
    closed[61:64] = closed[67:64:-1]  # lips that touch
    shuffled[36:48] = points()[48:60]
    assert reasons(mirrored, flat, closed, shuffled, np.full((68, 2), 3.0)) == [
        "implausible_landmarks",
        "implausible_landmarks",
        "",
        "implausible_landmarks",
        "coinciding_landmarks",
    ]


@pytest.mark.parametrize(
    ("region", "shift", "leaves"),
    [("mouth", 47, False), ("mouth", 48, True), ("eye", 48, False), ("eye", 128, True)],
)
def test_a_region_lies_in_the_crop_or_leaves_it(region, shift, leaves):
    low = turned(points(), shift=(0, shift))
    found = geometry.leaves_crop(np.stack([low, low]), region, np.array([SIZE_PX, 400]))
    assert found.tolist() == [leaves, False]


def test_a_mouth_is_measured_by_the_face_it_is_in():
    wide = points()
    wide[[65, 66, 67], 1] += 12
    faces = np.stack([points(), wide, turned(wide, 25, 0.5, (30, 9))])
    nearest = np.array([[0, 1, 2, -1], [0, 1, 2, -1]])
    found = geometry.mouths_differ("lip", faces[:2], faces, nearest)
    assert found.tolist() == [[False, True, True, False], [True, False, False, False]]
    assert not geometry.mouths_differ("mouth", faces[:2], faces, nearest).any()
    nobody = np.full((2, 1), -1)
    assert not geometry.mouths_differ("lip", faces[:2], faces[:0], nobody).any()


def pair(source):
    (code,) = geometry.unlike(points()[None], source[None]).tolist()
    return geometry.PAIR_REASONS[code] if code >= 0 else ""


def test_what_is_too_unlike():
    assert pair(points()) == pair(turned(points(), 29, 1.49, (500, 3))) == ""
    assert pair(turned(points(), 0, 1.51)) == pair(turned(points(), 0, 1 / 1.51)) == "size_differs"
    assert pair(turned(points(), 31)) == pair(turned(points(), -31)) == "turn_differs"
    aside = points()
    aside[27:36, 0] += 60  # a nose that points elsewhere
    aside[:, 0] = 112 + (aside[:, 0] - 112) * 0.5
    assert pair(aside) == "pose_differs"


@given(st.integers(0, 99))
def test_the_similarity_is_that_of_the_alignment(seed):
    rng = np.random.default_rng(seed)
    source = turned(points(), rng.uniform(-20, 20), rng.uniform(0.8, 1.2)) + rng.normal(
        0, 20, (68, 2)
    )
    matrix = similarity(source, points())
    moved = source @ matrix[:, :2].T + matrix[:, 2]
    inner = points()[INNER_FACE]
    left = np.sqrt(np.square(moved[INNER_FACE] - inner).sum(axis=1).mean())
    misfit = left / np.sqrt(np.square(inner - inner.mean(axis=0)).sum(axis=1).mean())
    scale = np.hypot(matrix[0, 0], matrix[1, 0])
    turn = abs(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
    expected = ""
    for wrong, reason in zip(
        (not 1 / 1.5 <= scale <= 1.5, turn > 30, misfit > 0.3), geometry.PAIR_REASONS, strict=True
    ):
        expected = expected or (reason if wrong else "")
    assert pair(source) == expected
