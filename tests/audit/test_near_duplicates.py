import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audit.near_duplicates import KIND, NEAR_BITS, hashes, near_duplicates
from pipeline.config.params import BalanceParams
from pipeline.errors import UserError
from pipeline.selection.balance import balance

SPLITS = ("train", "val", "test")
BASE = 0x0F0F_1234_ABCD_5678


def world(*rows):
    """Tables of faces, one each of a video: (video_id, split, phash, leak_group)."""
    ids, splits, numbers, groups = zip(*rows, strict=True) if rows else ((), (), (), ())
    empty = [""] * len(ids)
    videos = {
        "video_id": ids,
        "dataset": [video.split("/")[0] for video in ids],
        "split": splits,
        "label": [int("/fake/" in video) for video in ids],
        "method": [video.split("/")[1] for video in ids],
        "leak_group": groups,
    } | dict.fromkeys(("identity", "target_id", "source_id", "pair_id"), empty)
    faces = {
        "face_id": [f"{video}/00000-0" for video in ids],
        "video_id": ids,
        "phash": [f"{number:016x}" for number in numbers],
        "sample": pa.array([0] * len(ids), pa.int32()),
        "rank": pa.array([0] * len(ids), pa.int16()),
    }
    schema = {name: pa.string() for name in videos} | {"label": pa.int8()}
    texts = {"face_id", "video_id", "phash"}
    return (
        pa.table({n: pa.array(v, schema[n]) for n, v in videos.items()}),
        pa.table({n: pa.array(v, pa.string()) if n in texts else v for n, v in faces.items()}),
    )


def found(*rows):
    return near_duplicates(*world(*rows))


def flipped(count):
    return BASE ^ ((1 << count) - 1)


def test_across_splits_it_is_an_error_and_test_stays():
    done = found(("a/real/1", "train", BASE, ""), ("b/real/1", "test", flipped(NEAR_BITS), ""))
    (finding,) = done.findings
    assert (finding.kind, finding.severity, finding.count) == (KIND, "error", 2)
    assert "train of a and test of b" in finding.what
    assert finding.ids == ("a/real/1/00000-0", "b/real/1/00000-0")
    assert done.superfluous.tolist() == [True, False]


def test_one_bit_more_is_another_face():
    done = found(("a/real/1", "train", BASE, ""), ("b/real/1", "test", flipped(NEAR_BITS + 1), ""))
    assert done.findings == []
    assert not done.superfluous.any()


def test_related_videos_may_look_alike_within_a_split_but_not_across():
    within = found(("a/real/1", "train", BASE, "x+y"), ("a/fake/1", "train", BASE, "y+z"))
    assert within.findings == []
    across = found(("a/real/1", "val", BASE, "x+y"), ("a/fake/1", "test", BASE, "y+z"))
    assert [f.severity for f in across.findings] == ["warning"]


def test_of_unrelated_videos_of_a_split_the_smallest_id_stays():
    done = found(
        ("a/real/2", "train", BASE, "x"),
        ("a/real/1", "train", BASE, "y"),
        ("a/real/3", "train", flipped(2), ""),
    )
    (finding,) = done.findings
    assert (finding.severity, finding.count) == ("warning", 3)
    assert done.superfluous.tolist() == [True, False, True]


def test_faces_of_one_video_are_not_compared():
    videos, faces = world(("a/real/1", "train", BASE, ""))
    twice = pa.concat_tables([faces, faces])
    assert near_duplicates(videos, twice).findings == []


def test_no_faces():
    assert found().findings == []


@pytest.mark.parametrize("wrong", ["", "123", "z" * 16])
def test_a_hash_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="hex"):
        hashes(pa.chunked_array([["0" * 16, wrong]]))


def _bits(one, other):
    return bin(one ^ other).count("1")


_ROW = st.tuples(
    st.sampled_from(["a", "b"]),
    st.sampled_from(SPLITS),
    st.lists(st.integers(0, 7), max_size=3),
    st.sampled_from(["", "x", "y", "x+y"]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(_ROW, max_size=12))
def test_what_is_superfluous_is_what_the_rule_says(drawn):
    rows = []
    for n, (dataset, split, bits, group) in enumerate(drawn):
        number = BASE
        for bit in bits:
            number ^= 1 << bit
        rows.append((f"{dataset}/real/{n}", split, number, group))

    def before(one, other):
        def key(row):
            return -SPLITS.index(row[1]), f"{row[0]}/00000-0"

        return key(one) < key(other)

    def kin(one, other):
        shared = set(filter(None, one[3].split("+"))) & set(filter(None, other[3].split("+")))
        return bool(shared) and one[1] == other[1]

    expected = [
        any(
            one is not other
            and before(other, one)
            and _bits(one[2], other[2]) <= NEAR_BITS
            and not kin(one, other)
            for other in rows
        )
        for one in rows
    ]
    assert found(*rows).superfluous.tolist() == expected


BALANCED = (
    ("a/real/1", "train", BASE, ""),
    ("a/fake/1", "train", 1, ""),
    ("b/real/1", "test", BASE, ""),
    ("b/fake/1", "test", 0xFFFF, ""),
)


def sampled(videos, faces, params):
    """Ids of the samples, and metrics."""
    found = balance(videos, faces, params, 0)
    (samples,) = found.samples([faces["face_id"]])
    return samples["face_id"].to_pylist(), found.metrics


def test_balance_leaves_them_out_only_where_it_is_told_to():
    rows = (*BALANCED, ("a/real/0", "train", ~BASE & (2**64 - 1), ""))
    samples, told = sampled(*world(*rows), BalanceParams(audit="drop"))
    assert "a/real/1/00000-0" not in samples
    assert told["left_out_near_duplicate"] == 1
    assert told["left_out"] == 1 + told["left_out_balance"]
    _, not_told = sampled(*world(*rows), BalanceParams())
    assert "left_out_near_duplicate" not in not_told


def test_balance_fails_where_it_is_told_to():
    with pytest.raises(UserError, match=r"balance.audit is `fail`.*train of a and test of b"):
        balance(*world(*BALANCED), BalanceParams(audit="fail"), 0)


def test_a_face_that_does_not_count_is_no_duplicate():
    videos, faces = world(*BALANCED)
    faces = faces.append_column("score", pa.array([0.9, 0.9, 0.1, 0.9], pa.float32()))
    samples, metrics = sampled(videos, faces, BalanceParams(audit="drop", min_score=0.5))
    assert metrics["left_out_near_duplicate"] == 0
    assert "a/real/1/00000-0" in samples
