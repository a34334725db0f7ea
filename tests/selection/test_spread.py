import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.selection.quotas import equal_quotas
from pipeline.selection.spread import choose_faces, reverse_bits

some_counts = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def test_picks_are_spread_over_the_video():
    picks = [p for _, p in sorted((int(reverse_bits(np.array([p]))[0]), p) for p in range(16))]
    assert picks[:8] == [0, 8, 4, 12, 2, 10, 6, 14]
    # The largest gap between neighbours is at most about twice that of even spacing.
    for n in (17, 60, 300):
        order = np.argsort(reverse_bits(np.arange(n)))
        for k in range(2, n):
            gaps = np.diff(np.r_[np.sort(order[:k]), n])
            assert gaps.max() <= 2 * np.ceil(n / k) + 1


def test_faces_of_a_video_are_counted_by_sample_and_rank():
    # Two faces per picture, rows in reverse: places 0, 16, 8, 4 of 18 are samples 0, 8, 4, 2.
    faces = [(sample, rank) for sample in range(9) for rank in range(2)][::-1]
    sample, rank = (np.array(column) for column in zip(*faces, strict=True))
    video, every = np.zeros(18, np.int64), np.ones(18, bool)
    chosen = choose_faces(video, sample, rank, every, np.array([4]))
    assert {faces[i] for i in np.flatnonzero(chosen)} == {(0, 0), (8, 0), (4, 0), (2, 0)}
    # Of the second faces alone, places 0, 8, 4 of 9.
    chosen = choose_faces(video, sample, rank, rank == 1, np.array([3]))
    assert {faces[i] for i in np.flatnonzero(chosen)} == {(0, 1), (8, 1), (4, 1)}


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_reversed_bits(numbers):
    expected = [int(f"{n:032b}"[::-1], 2) for n in numbers]
    assert reverse_bits(np.array(numbers, np.int64)).tolist() == expected


@given(some_counts, st.data())
def test_a_larger_total_keeps_every_face(available, data):
    small, large = sorted(
        data.draw(st.lists(st.integers(1, sum(available)), min_size=2, max_size=2))
    )
    video = np.repeat(np.arange(len(available)), available)
    sample = np.concatenate([np.arange(n) for n in available]).astype(np.int32)
    rank, usable = np.zeros(len(video), np.int16), np.ones(len(video), bool)
    few, many = (
        choose_faces(video, sample, rank, usable, equal_quotas(np.array(available), total, 1))
        for total in (small, large)
    )
    assert not (few & ~many).any()
