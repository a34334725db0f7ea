"""Faces of a test video: evenly from the first found to the last."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.params import BalanceParams
from pipeline.selection.balance import balance
from pipeline.selection.face_choice import even_with_ends
from tests.selection.test_balance import faces_table, videos_table


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=5),
    st.integers(1, 40),
    st.randoms(use_true_random=False),
)
def test_they_are_those_of_linspace(sizes, count, random):
    faces = [(video, sample) for video, size in enumerate(sizes) for sample in range(size)]
    random.shuffle(faces)
    video, sample = np.array(faces).T
    kept = even_with_ends(video, sample.astype(np.int32), np.zeros(len(faces), np.int16), count)
    for one, size in enumerate(sizes):
        # NumPy's own points lie a bit below a whole number at times: those of whole numbers do not.
        wanted = {int(i * (size - 1) // max(count - 1, 1)) for i in range(count)}
        exact = set(np.round(np.linspace(0, size - 1, count), 9).astype(int).tolist())
        assert (
            set(sample[kept & (video == one)].tolist()) == wanted == (exact if count > 1 else {0})
        )


@pytest.mark.parametrize(("count", "kept"), [(2, [0, 9]), (4, [0, 3, 6, 9]), (40, range(10))])
def test_both_ends_are_there_and_a_short_video_keeps_all(count, kept):
    zeros = np.zeros(10, np.int64)
    found = even_with_ends(zeros, np.arange(10, dtype=np.int32), zeros.astype(np.int16), count)
    assert np.flatnonzero(found).tolist() == list(kept)


def test_only_the_split_that_asks_and_behind_the_choice():
    ids = [("a/real/0", "a", "train", 0), ("a/real/1", "a", "test", 0)]
    faces = faces_table({"a/real/0": 9, "a/real/1": 9}, ranks=2)
    params = BalanceParams(train="all", choose="largest", per_split={"test": {"even_ends": 3}})
    found = balance(videos_table(ids), faces, params, 0)
    chosen = np.array(faces.column("face_id").to_pylist(), object)[found.chosen].tolist()
    assert [one for one in chosen if one.startswith("a/real/1")] == [
        f"a/real/1/{sample:05d}-0" for sample in (0, 4, 8)
    ]
    assert sum(one.startswith("a/real/0") for one in chosen) == 9
    assert found.metrics["left_out_even_ends"] == 6
    assert found.metrics["left_out_choose"] == 18
