import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.faces import track
from pipeline.faces.track import MAX_MISSED, MIN_OVERLAP, Likeness, link, looks, overlap


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
    frames = [
        [box(0, 0, 12), box(50, 0, 10)],
        [box(51, 1, 13), box(1, 0, 12)],
        [box(2, 1, 12), box(52, 0, 11)],
    ]
    assert link(frames) == [[0, 1], [1, 0], [0, 1]]


def test_numbers_follow_the_order_of_appearance():
    assert link([[], [box(0, 0)], [box(100, 0), box(0, 1)], [box(200, 0)]]) == [
        [],
        [0],
        [1, 0],
        [2],
    ]


def test_the_best_overlap_is_linked_first():
    # The first box of the second frame also overlaps, but the second one does so better.
    assert link([[box(0, 0)], [box(4, 0), box(1, 0)]]) == [[0], [1, 0]]


def test_equal_overlaps_go_to_the_older_track_and_the_larger_face():
    assert link([[box(0, 0), box(4, 0)], [box(2, 0)]]) == [[0, 1], [0]]
    assert link([[box(2, 0)], [box(0, 0), box(4, 0)]]) == [[0], [0, 1]]


@pytest.mark.parametrize(("missed", "track"), [(0, 0), (MAX_MISSED, 0), (MAX_MISSED + 1, 1)])
def test_a_track_survives_few_missed_frames(missed, track):
    assert link([[box(0, 0)], *[[]] * missed, [box(0, 0)]])[-1] == [track]


def test_a_jump_opens_a_track():
    assert overlap(box(0, 0), box(6, 0)) < MIN_OVERLAP < overlap(box(0, 0), box(5, 0))
    assert link([[box(0, 0)], [box(6, 0)]]) == [[0], [1]]
    assert link([[box(0, 0)], [box(5, 0)]]) == [[0], [0]]


@given(st.lists(st.lists(grid_boxes, max_size=4), max_size=6))
def test_every_box_has_one_track_and_no_frame_has_one_twice(frames):
    tracks = link(frames)
    assert [len(p) for p in frames] == [len(t) for t in tracks]
    assert all(len(set(t)) == len(t) for t in tracks)
    flat = [t for row in tracks for t in row]
    assert list(dict.fromkeys(flat)) == list(range(len(set(flat))))


# With embeddings

PEOPLE = np.eye(4, dtype=np.float32)
"""Four people, as unlike as can be."""


def likeness(people, same=0.6, different=0.4):
    """Who is in each frame's boxes, by row of PEOPLE."""
    rows = [PEOPLE[np.array(row, int)] for row in people]
    return Likeness(rows, same, different)


def test_another_person_in_the_same_place_opens_a_track_and_the_first_comes_back_to_theirs():
    frames = [[box(0, 0)]] * 5
    assert link(frames) == [[0]] * 5
    assert link(frames, likeness([[0], [1], [1], [0], [2]])) == [[0], [1], [1], [0], [2]]


def test_a_person_is_found_again_elsewhere_and_long_after():
    frames = [[box(0, 0)], *[[]] * 9, [box(300, 0), box(500, 0)], [box(500, 0), box(9, 99)]]
    assert link(frames)[-2:] == [[1, 2], [2, 3]]
    assert link(frames, likeness([[0], *[[]] * 9, [1, 0], [0, 1]]))[-2:] == [[1, 0], [0, 1]]


def test_two_people_who_change_places():
    frames = [[box(0, 0), box(50, 0)]] * 2
    assert link(frames) == [[0, 1], [0, 1]]
    assert link(frames, likeness([[0, 1], [1, 0]])) == [[0, 1], [1, 0]]


def at(*degrees):
    """Unit vectors in a plane."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_between_the_thresholds_place_decides():
    here, there = [[box(0, 0)], [box(0, 0)]], [[box(0, 0)], [box(99, 0)]]
    open_case = Likeness([at(0), at(60)], same=0.51, different=0.5)  # cos 60° = 0.5
    assert link(here, open_case) == [[0], [0]]
    assert link(there, open_case) == [[0], [1]]
    assert link(there, Likeness([at(0), at(60)], same=0.5, different=0.5)) == [[0], [0]]
    assert link(here, Likeness([at(0), at(60)], same=0.51, different=0.501)) == [[0], [1]]


def test_similarities_are_rounded_before_anything_is_decided():
    # cos 25° = 0.90631, cos 25.05° = 0.90594: both are 0.906.
    frames = [[box(0, 0)], [box(99, 0), box(300, 0)]]
    for degrees in ((25, 25.05), (25.05, 25)):
        looks = Likeness([at(0), at(*degrees)], same=0.906, different=0.9)
        assert link(frames, looks) == [[0], [0, 1]], "a tie, which the first box wins"
        strict = Likeness([at(0), at(*degrees)], same=0.907, different=0.9)
        assert link(frames, strict) == [[0], [1, 2]]


def test_equal_similarities_go_to_the_older_track():
    frames = [[box(0, 0), box(99, 0)], [box(300, 0)]]
    looks = Likeness([at(30, -30), at(0)], same=0.8, different=0.1)
    assert link(frames, looks) == [[0, 1], [0]]


def test_a_face_is_compared_with_the_mean_of_a_track():
    # The mean of 0° and 40° is at 20°: 50° away from 70°, 70° from -50°.
    frames = [[box(0, 0)], [box(0, 0)], [box(99, 0)]]
    for degrees, number in ((70, 0), (-50, 1)):
        looks = Likeness([at(0), at(40), at(degrees)], same=0.6, different=0.5)
        assert link(frames, looks)[2] == [number]


def plainly(frames, looks=None):
    """The rule again, one link at a time and by plain sums."""
    tracks: list[list[tuple[int, int]]] = []  # (frame, box) of each
    rows = []
    for now, boxes in enumerate(frames):
        row = {}

        def alike(t, i, now=now):
            total = sum(looks.embeddings[p][j].astype(float) for p, j in tracks[t])
            dot = sum(
                float(a) * float(b) for a, b in zip(total, looks.embeddings[now][i], strict=True)
            )
            return round(dot / float(sum(x * x for x in total)) ** 0.5, 3)

        def near(t, i, now=now):
            seen, j = tracks[t][-1]
            shared = overlap(frames[seen][j], frames[now][i])
            late = now - seen > MAX_MISSED + 1
            other = looks is not None and alike(t, i) < looks.different
            return 0.0 if late or shared < MIN_OVERLAP or other else shared

        def same(t, i):
            likely = alike(t, i)
            return likely if likely >= looks.same else 0.0

        for strength in [near] + [same] * (looks is not None):
            while free := [
                (strength(t, i), -t, -i)
                for t in range(len(tracks))
                for i in range(len(boxes))
                if i not in row and t not in row.values() and strength(t, i) > 0
            ]:
                _, t, i = max(free)
                row[-i] = -t
        for i in range(len(boxes)):
            if i not in row:
                row[i] = len(tracks)
                tracks.append([])
            tracks[row[i]].append((now, i))
        rows.append([row[i] for i in range(len(boxes))])
    return rows


looks_of_faces = st.lists(st.integers(-4, 4), min_size=3, max_size=3).filter(any)


@st.composite
def videos(draw):
    """Frames of up to four boxes, and who they look like: few and close vectors, so that ties,
    doubts and returns are common."""
    frames = draw(st.lists(st.lists(grid_boxes, max_size=4), max_size=6))
    rows = []
    for boxes in frames:
        drawn = [draw(looks_of_faces) for _ in boxes]
        vectors = np.array(drawn, np.float64).reshape(-1, 3)
        rows.append((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))
    different = draw(st.sampled_from([0.1, 0.5, 0.9]))
    return frames, Likeness(rows, draw(st.sampled_from([different, 0.95])), different)


@given(videos())
def test_links_are_those_of_the_rule_told_plainly(video):
    frames, looks = video
    assert link(frames) == plainly(frames)
    assert link(frames, looks) == plainly(frames, looks)


@given(videos())
def test_with_embeddings_too_no_frame_has_a_track_twice(video):
    frames, looks = video
    tracks = link(frames, looks)
    assert [len(p) for p in frames] == [len(t) for t in tracks]
    assert all(len(set(t)) == len(t) for t in tracks)
    flat = [t for row in tracks for t in row]
    assert list(dict.fromkeys(flat)) == list(range(len(set(flat))))
    assert link(frames, looks) == tracks


@given(videos())
def test_embeddings_that_never_decide_change_nothing(video):
    frames, looks = video
    assert link(frames, Likeness(looks.embeddings, 2.0, -2.0)) == link(frames)


@given(
    st.lists(st.permutations([0, 1, 2, 3]), min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_the_order_of_a_frames_boxes_names_nobody(orders, seed, shown):
    # Random numbers, rounded finely, so that nothing is a tie but overlaps of 0.
    rng = np.random.default_rng(seed)
    boxes = [[box(*rng.uniform(0, 40, 2), rng.uniform(15, 30)) for _ in range(4)] for _ in orders]
    vectors = rng.normal(size=(len(orders), 4, 8))
    rows = (vectors / np.linalg.norm(vectors, axis=2, keepdims=True)).astype(np.float32)
    looks = Likeness(list(rows), 0.3, 0.0) if shown else None
    moved = [[row[i] for i in order] for row, order in zip(boxes, orders, strict=True)]
    turned = Likeness([row[order] for row, order in zip(rows, orders, strict=True)], 0.3, 0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(track, "SIMILARITY_DECIMALS", 12)
        plain, other = link(boxes, looks), link(moved, turned if shown else None)
    names = {}
    for row, again, order in zip(plain, other, orders, strict=True):
        for place, i in enumerate(order):
            assert names.setdefault(row[i], again[place]) == again[place]
    assert len(set(names.values())) == len(names)


def test_a_track_looks_like_the_mean_of_its_faces():
    faces = [np.array([[1, 0], [0, 1]], np.float32), np.zeros((0, 2), np.float32)]
    seen = Likeness([*faces, np.array([[0.6, 0.8]], np.float32)], 0.6, 0.4)
    found = looks([[0, 1], [], [0]], seen)
    assert found == [pytest.approx([0.894, 0.447], abs=1e-3), [0.0, 1.0]]
    assert looks([[0, 1], [], [0]], None) == [[], []]
    assert looks([[], []], None) == []
