"""Scores of faces become scores of videos, by the unique id."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.evaluation.aggregate import NO_FACE, per_video
from tests.evaluation import made

REAL, FAKE, SWAP = "ffpp/real/000", "ffpp/Deepfakes/000_003", "ffpp/FaceSwap/000_003"


def test_same_name_under_two_methods_stays_two_videos():
    videos = made.videos([(FAKE, "test", 1), (SWAP, "test", 1), (REAL, "test", 0)])
    scored = [(FAKE, 1, 0.9), (SWAP, 1, 0.1), (FAKE, 1, 0.7), (REAL, 0, 0.25)]
    faces = made.faces([(video, "test", label, score) for video, label, score in scored])
    found = {row["video_id"]: row for row in per_video(faces, videos).to_pylist()}
    assert {name: (row["faces"], row["score"]) for name, row in found.items()} == {
        FAKE: (2, 0.8),
        SWAP: (1, 0.1),
        REAL: (1, 0.25),
    }
    assert found[FAKE] == {
        "video_id": FAKE,
        "split": "test",
        "dataset": "ffpp",
        "method": "Deepfakes",
        "category": "FS",
        "label": 1,
        "status": "ok",
        "reason": "",
        "faces": 2,
        "score": 0.8,
        "log_odds": pytest.approx((np.log(0.9 / 0.1) + np.log(0.7 / 0.3)) / 2, abs=1e-12),
    }


def test_a_video_without_a_face_is_listed_and_train_is_not():
    videos = made.videos([(FAKE, "test", 1), (SWAP, "train", 1), (REAL, "val", 0)])
    rows = per_video(made.faces([(FAKE, "test", 1, 1.0)]), videos).to_pylist()
    assert [(row["video_id"], row["faces"], row["score"]) for row in rows] == [
        (REAL, 0, -1.0),
        (FAKE, 1, 1.0),
    ]
    told = [(row["status"], row["reason"]) for row in rows]
    assert told == [("missing", NO_FACE), ("ok", "")]


def test_no_face_at_all():
    rows = per_video(made.faces([]), made.videos([(REAL, "val", 0)])).to_pylist()
    assert [(row["faces"], row["score"]) for row in rows] == [(0, -1.0)]


def test_no_video_at_all():
    assert per_video(made.faces([]), made.videos([])).num_rows == 0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from((REAL, FAKE, SWAP)), st.integers(0, 10**6)),
        min_size=1,
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
def test_the_mean_is_exact_and_the_order_of_faces_does_not_matter(scored, random):
    labels = {REAL: 0, FAKE: 1, SWAP: 1}
    videos = made.videos([(video, "test", label) for video, label in labels.items()])
    rows = [(video, "test", labels[video], score / 10**6) for video, score in scored]
    faces = made.faces(rows)
    table = per_video(faces, videos)
    shuffled = list(range(len(rows)))
    random.shuffle(shuffled)
    assert per_video(faces.take(shuffled), videos).equals(table)
    for row in table.to_pylist():
        own = [score for video, score in scored if video == row["video_id"]]
        assert row["faces"] == len(own)
        if own:
            exact = sum((Fraction(score / 10**6) for score in own), Fraction(0)) / len(own)
            assert abs(Fraction(row["score"]) - exact) <= Fraction(2**-52)
            assert np.isfinite(row["log_odds"])


def test_a_face_of_an_unknown_video_is_refused():
    with pytest.raises(UserError, match=r"face ffpp/Deepfakes/000_003/00000-0.*dvc repro shard"):
        per_video(made.faces([(FAKE, "test", 1, 0.5)]), made.videos([(REAL, "test", 0)]))


def test_a_face_of_another_split_is_refused():
    with pytest.raises(UserError, match=r"scored in test.*another split"):
        per_video(made.faces([(FAKE, "test", 1, 0.5)]), made.videos([(FAKE, "val", 1)]))
