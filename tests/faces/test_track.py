import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.faces.track import MAX_MISSED, MIN_OVERLAP, link, overlap


def box(x, y, side=10.0):
    return (x, y, x + side, y + side)


grid_boxes = st.builds(
    lambda x, y, w, h: (x, y, x + w, y + h),
    *[st.integers(0, 20)] * 2,
    *[st.integers(1, 12)] * 2,
)


@given(grid_boxes, grid_boxes)
def test_overlap_is_that_of_the_pixels(a, b):
    pixels = []
    for x1, y1, x2, y2 in (a, b):
        mask = np.zeros((40, 40), bool)
        mask[y1:y2, x1:x2] = True
        pixels.append(mask)
    expected = (pixels[0] & pixels[1]).sum() / (pixels[0] | pixels[1]).sum()
    assert overlap(a, b) == pytest.approx(expected)
    assert overlap(a, b) == overlap(b, a)


def test_two_people_keep_their_numbers_when_their_order_changes():
    pictures = [
        [box(0, 0, 12), box(50, 0, 10)],
        [box(51, 1, 13), box(1, 0, 12)],
        [box(2, 1, 12), box(52, 0, 11)],
    ]
    assert link(pictures) == [[0, 1], [1, 0], [0, 1]]


def test_numbers_follow_the_order_of_appearance():
    assert link([[], [box(0, 0)], [box(100, 0), box(0, 1)], [box(200, 0)]]) == [
        [],
        [0],
        [1, 0],
        [2],
    ]


def test_the_best_overlap_is_linked_first():
    # The first box of the second picture also overlaps, but the second one does so better.
    assert link([[box(0, 0)], [box(4, 0), box(1, 0)]]) == [[0], [1, 0]]


def test_equal_overlaps_go_to_the_older_track_and_the_larger_face():
    assert link([[box(0, 0), box(4, 0)], [box(2, 0)]]) == [[0, 1], [0]]
    assert link([[box(2, 0)], [box(0, 0), box(4, 0)]]) == [[0], [0, 1]]


@pytest.mark.parametrize(("missed", "track"), [(0, 0), (MAX_MISSED, 0), (MAX_MISSED + 1, 1)])
def test_a_track_survives_few_missed_pictures(missed, track):
    assert link([[box(0, 0)], *[[]] * missed, [box(0, 0)]])[-1] == [track]


def test_a_jump_opens_a_track():
    assert overlap(box(0, 0), box(6, 0)) < MIN_OVERLAP < overlap(box(0, 0), box(5, 0))
    assert link([[box(0, 0)], [box(6, 0)]]) == [[0], [1]]
    assert link([[box(0, 0)], [box(5, 0)]]) == [[0], [0]]


@given(st.lists(st.lists(grid_boxes, max_size=4), max_size=6))
def test_every_box_has_one_track_and_no_picture_has_one_twice(pictures):
    tracks = link(pictures)
    assert [len(p) for p in pictures] == [len(t) for t in tracks]
    assert all(len(set(t)) == len(t) for t in tracks)
    flat = [t for row in tracks for t in row]
    assert list(dict.fromkeys(flat)) == list(range(len(set(flat))))
