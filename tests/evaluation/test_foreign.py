"""Another detector's file, read strictly and with its gaps."""

import math

import pyarrow as pa
import pytest

from pipeline.errors import UserError
from pipeline.evaluation import facts, foreign, metrics
from pipeline.evaluation.measures import Rules
from tests.evaluation import made

VIDEOS = [(f"a/real/{i}", "test", 0) for i in range(4)]
VIDEOS += [(f"a/DF/{i}", "test", 1) for i in range(4)]
VIDEOS += [("a/real/t", "train", 0), ("a/DF/v", "val", 1)]
GAPS = """video_id,score,status,reason
a/real/0,0.2,,
a/real/1,0.4,ok,
a/real/2,,missing,
a/DF/0,0.9,,
a/DF/1,0.3,,
a/DF/2,,error,the decoder failed
a/real/t,0.5,,
"""


def read(text, index=None):
    return foreign.read("theirs.csv", text.encode(), made.videos(VIDEOS), index)


def test_a_file_with_gaps_has_every_video_of_the_list():
    found = read(GAPS)
    rows = {row["video_id"]: row for row in found.videos.to_pylist()}
    assert set(rows) == {name for name, split, _ in VIDEOS if split != "train"}
    told = {name: (row["status"], row["reason"], row["score"]) for name, row in rows.items()}
    assert told == {
        "a/DF/v": ("missing", "not in the file", -1.0),
        "a/DF/0": ("ok", "", 0.9),
        "a/DF/1": ("ok", "", 0.3),
        "a/DF/2": ("error", "the decoder failed", -1.0),
        "a/DF/3": ("missing", "not in the file", -1.0),
        "a/real/0": ("ok", "", 0.2),
        "a/real/1": ("ok", "", 0.4),
        "a/real/2": ("missing", "the file has no number for it", -1.0),
        "a/real/3": ("missing", "not in the file", -1.0),
    }
    assert rows["a/DF/0"]["log_odds"] == pytest.approx(math.log(9))
    assert (rows["a/DF/0"]["faces"], rows["a/DF/2"]["faces"]) == (-1, 0)
    assert (found.of_train, found.faces.num_rows) == (1, 0)
    words = foreign.text(found, "theirs")
    assert "theirs, test: 4 of 8 videos have a score, 50.0% (3 missing, 1 error)" in words
    assert "1 row of train left out" in words


def test_its_numbers_stand_beside_their_coverage():
    found = read(GAPS)
    known = facts.known(found.videos, made.videos(VIDEOS), found.faces)
    overall = metrics.evaluate(found.faces, known, Rules(resamples=20))["test"]["overall"]
    assert (overall["video_auc"], overall["coverage"]) == (0.75, 0.5)
    assert (overall["videos_missing"], overall["videos_error"]) == (3, 1)
    assert "frame_auc" not in overall
    by_policy = metrics.evaluate(found.faces, known, Rules(missing="as_real", resamples=20))
    # Fakes .9 .3 0 0, reals .2 .4 0 0: of 16 pairs 4 + 3 are won, and 4 are ties.
    assert by_policy["test"]["overall"]["video_auc"] == pytest.approx(9 / 16)


def test_log_odds_keep_what_a_probability_loses():
    found = read("video_id,log_odds\na/real/0,-40.5\na/DF/0,-40\na/DF/1,800\n")
    rows = {row["video_id"]: row for row in found.videos.to_pylist()}
    assert rows["a/real/0"]["log_odds"] == -40.5
    assert (rows["a/DF/1"]["score"], rows["a/DF/1"]["log_odds"]) == (1.0, 800.0)
    sure = read("video_id,score\na/real/0,0\na/DF/0,1\n").videos.to_pylist()
    assert all(math.isfinite(row["log_odds"]) for row in sure)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_id,score\na/real/0,nan\n", r"line 2: score is nan; leave it empty"),
        ("video_id,score\na/real/0,inf\n", r"score is inf"),
        ("video_id,score\na/real/0,high\n", r"'high', which is no number"),
        ("video_id,score\na/real/0,1.5\n", r"probability from 0 to 1.*log_odds"),
        ("video_id,score\na/real/0,0.1\na/real/0,0.1\n", r"line 3: a/real/0 is there twice"),
        ("video_id,score\na/real/O,0.1\n", r"'a/real/O' is no video_id of ours"),
        ("video_id,score\nb/real/0,0.1\n", r"Did you mean a/real/0\?"),
        ("video_id,Score\na/real/0,0.1\n", r"unknown column Score. Did you mean score"),
        ("video_id\na/real/0\n", r"must name score or log_odds"),
        ("score\n0.5\n", r"must name one of video_id and face_id"),
        ("video_id,face_id,score\na/real/0,x,0.5\n", r"one of video_id and face_id"),
        ("video_id,score,status\na/real/0,,ok\n", r"status ok needs a score"),
        ("video_id,score,status\na/real/0,0.5,missing\n", r"status missing must have none"),
        ("video_id,score,status\na/real/0,,error\n", r"status error needs a reason"),
        ("video_id,score,status\na/real/0,0.1,fine\n", r"status is 'fine'"),
        ("video_id,score,reason\na/real/0,0.1,blur\n", r"a row with a score has no reason"),
        ("video_id,score,log_odds\na/real/0,0.1,3\n", r"contradict each other"),
        ("video_id,score\n", r"no rows"),
        ("video_id,score\na/real/t,0.5\n", r"no score of any video of val or test"),
        ("face_id,score\na/real/0/00000-0,0.5\n", r"needs the shards"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        read(text)


def test_scores_of_faces_are_averaged_and_say_what_they_lack():
    rows = [("a/real/0", "test", 0, 0.1)] * 2 + [
        ("a/DF/0", "test", 1, 0.1),
        ("a/DF/1", "test", 1, 0.1),
    ]
    ours = made.faces(rows)
    index = ours.select(["face_id", "video_id", "split", "dataset", "method", "category", "label"])
    first, second, third, fourth = ours.column("face_id").to_pylist()
    text = f"face_id,score,status,reason\n{first},0.25,,\n{second},0.75,,\n{third},0.875,,\n"
    found = read(f"{text}{fourth},,error,too dark\n", index)
    told = {
        r["video_id"]: (r["score"], r["faces"], r["status"], r["reason"])
        for r in found.videos.to_pylist()
    }
    assert told["a/real/0"] == (0.5, 2, "ok", "")
    assert told["a/DF/0"] == (0.875, 1, "ok", "")
    assert told["a/DF/1"] == (-1.0, 0, "error", "too dark")
    assert told["a/DF/2"] == (-1.0, 0, "missing", "the file has no score of any of its faces")
    assert found.faces.num_rows == 3
    with pytest.raises(UserError, match=r"'a/nobody/0' is no face_id of ours"):
        read("face_id,score\na/nobody/0,0.5\n", index)
    assert isinstance(found.faces, pa.Table)
