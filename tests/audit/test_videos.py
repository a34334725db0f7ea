import itertools
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import tables
from pipeline.audit.drop import apply
from pipeline.audit.findings import SHOWN
from pipeline.audit.relations import related, ties
from pipeline.audit.videos import UNEVEN, audit
from pipeline.config.params import AuditParams
from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_ffpp, rejects, rows, run
from tests.tables.made import PLAIN_VIDEO

SPLITS = ("train", "val", "test")
NO_REJECTS = tables.from_rows("rejected", [])

_TEXTS = ("subtype", "compression", "identity", "target_id", "source_id", "pair_id", "leak_group")
_PLAIN = {"media": "video", "audio_fake": -1, "segments_s": [], "bytes": 1}
_PLAIN |= PLAIN_VIDEO | dict.fromkeys(_TEXTS, "")
_number = itertools.count()


def video(dataset="ds", split="train", label=1, **columns):
    """A row of ``videos``; the name is unique where none is given."""
    n = columns.pop("n", f"{next(_number):05d}")
    method = columns.pop("method", "m" if label else "real")
    given = {"dataset": dataset, "split": split, "label": label, "method": method}
    given |= {"video_id": f"{dataset}/{method}/{n}", "path": f"{n}.mp4", "fingerprint": n}
    return _PLAIN | given | {"category": "FS" if label else "real"} | columns


def table(*videos):
    return tables.from_rows("videos", videos)


def of_kind(findings, kind):
    return [finding for finding in findings if finding.kind == kind]


def found(kind, *videos, rejected=NO_REJECTS):
    return of_kind(audit(table(*videos), rejected), kind)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"identity": "x:1"}, {"identity": "x:1"}),
        ({"pair_id": "x:1"}, {"pair_id": "x:1"}),
        ({"target_id": "x:1"}, {"identity": "x:1"}),
        ({"leak_group": "a+x:1"}, {"leak_group": "b+x:1+y"}),
        ({"leak_group": "a+x:1"}, {"identity": "x:1", "source_id": "x:1"}),
    ],
)
@pytest.mark.parametrize("dataset", ["ds", "other"])
def test_what_is_shared_by_two_splits_is_a_leak(one, other, dataset):
    (finding,) = found("leak", video(n="a", **one), video(dataset, "test", n="b", **other))
    assert (finding.severity, finding.count) == ("error", 2)
    assert finding.what.endswith(f"train of ds and test of {dataset}: x:1")
    assert set(finding.ids) == {"ds/m/a", f"{dataset}/m/b"}


@pytest.mark.parametrize("others", [("train", "val"), ("val", "test")])
def test_a_leak_into_val_is_a_warning(others):
    leaks = found("leak", *(video(split=split, identity="x") for split in others))
    assert [finding.severity for finding in leaks] == ["warning"]


def test_the_same_split_and_empty_names_are_no_leak():
    assert not found("leak", video(identity="x"), video("other", identity="x"))
    assert not found("leak", video(), video(split="test"))
    assert not found("leak", video(leak_group="a+b"), video(split="test", leak_group="a b+ab"))


def test_a_lent_face_is_a_note_that_nothing_acts_upon():
    videos = video(source_id="x"), video(split="test", identity="x")
    (note,) = found("leak", *videos)
    assert note.severity == "note"
    for verdict in ("drop", "fail"):
        assert apply(table(*videos), NO_REJECTS, AuditParams(leak=verdict)).videos.num_rows == 2


def test_a_name_is_told_once_as_a_leak_and_not_again_as_lent():
    leaks = found(
        "leak", video(identity="x"), video(split="test", identity="x"), video(source_id="x")
    )
    assert [finding.severity for finding in leaks] == ["error"]


def test_many_leaks_are_one_finding_with_few_ids():
    people = [f"p{n}" for n in range(50)]
    videos = [video(split=split, identity=p) for p in people for split in ("train", "test")]
    (finding,) = found("leak", *videos)
    assert finding.count == 100
    assert finding.what.startswith("50 people")
    assert len(finding.ids) == SHOWN
    assert len(finding.what) < 200


def test_same_bytes_within_and_across():
    same = {"fingerprint": "f"}
    findings = found(
        "duplicate",
        *(video(**same), video(**same), video("other", "test", **same), video(fingerprint="g")),
    )
    assert Counter((f.severity, f.count) for f in findings) == {("error", 3): 1, ("warning", 2): 1}
    assert "train of ds and test of other" in findings[0].what
    assert "more than once in train of ds" in findings[1].what


def test_same_bytes_with_two_labels_are_a_conflict_and_no_duplicate():
    videos = video(n="a", label=0, fingerprint="f"), video("other", n="b", fingerprint="f")
    findings = audit(table(*videos), NO_REJECTS)
    (conflict,) = of_kind(findings, "conflict")
    assert (conflict.severity, conflict.count) == ("error", 2)
    assert conflict.ids == ("ds/real/a", "other/m/b")
    assert not of_kind(findings, "duplicate")


def test_a_split_of_one_class_is_a_warning_of_one_dataset_a_note():
    findings = found("balance", video(label=0), video(label=1), video(split="val", label=1))
    assert {f.severity: f.what for f in findings} == {
        "warning": "val has fake videos but no real ones",
        "note": "val of ds has fake videos but no real ones",
    }


@pytest.mark.parametrize(("common", "uneven"), [(UNEVEN, False), (UNEVEN + 1, True)])
def test_uneven_methods_are_a_note(common, uneven):
    videos = [video(label=0), video(method="rare"), *(video() for _ in range(common))]
    notes = found("balance", *videos)
    assert [f.severity for f in notes] == ["note"] * uneven
    assert all("rare" in f.what for f in notes)


def test_rejects_that_are_conflicts_or_damage_are_findings():
    reasons = ["inconsistent", "empty", "missing", "excluded", "inconsistent", "audit_leak"]
    rejected = [{"id": f"ds/a/{n}", "reason": r, "detail": ""} for n, r in enumerate(reasons)]
    findings = audit(table(video(label=0), video()), tables.from_rows("rejected", rejected))
    assert [(f.kind, f.severity, f.count) for f in findings] == [
        ("conflict", "warning", 2),
        ("conflict", "warning", 1),
        ("leak", "note", 1),
        ("missing", "note", 1),
    ]
    said = [f.what for f in findings]
    assert said[0].startswith("2 files of ds were rejected as inconsistent: ")
    assert said[1] == "1 file of ds was rejected as empty: the file has no bytes"
    assert said[3] == "1 file of ds is listed, but not on disk"


@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        (
            {"identity": "x"},
            {"identity": "x", "split": "test"},
            "1 person, clip or group is in both train of ds and test of ds: x",
        ),
        (
            {"source_id": "x"},
            {"identity": "x", "split": "test"},
            "1 person, clip or group lends a face or motion to both train of ds and test of ds: x",
        ),
        (
            {"fingerprint": "f"},
            {"fingerprint": "f"},
            "1 file is more than once in train of ds, byte for byte",
        ),
        (
            {"fingerprint": "f"},
            {"fingerprint": "f", "label": 0},
            "1 file is there as real and as fake, byte for byte",
        ),
    ],
)
def test_a_single_one_is_told_in_the_singular(one, other, what):
    findings = audit(table(video(n="a", **one), video(n="b", **other)), NO_REJECTS)
    assert what in [f.what for f in findings]


def test_nothing_is_found_in_nothing():
    assert audit(table(), NO_REJECTS) == []


# What is done about it


def kept(params, *videos):
    done = apply(table(*videos), NO_REJECTS, AuditParams(**params))
    reasons = {row["id"]: (row["reason"], row["detail"]) for row in done.rejected.to_pylist()}
    assert done.videos.num_rows + len(reasons) == len(videos)
    return done.videos["path"].to_pylist(), reasons


def test_test_stays_then_val_then_the_smallest_id():
    same = {"fingerprint": "f"}
    order = [("b", "train"), ("a", "train"), ("d", "val"), ("c", "val"), ("e", "test")]
    videos = [video(n=n, split=split, **same) for n, split in order]
    for count, stays in ((2, "a.mp4"), (4, "c.mp4"), (5, "e.mp4")):
        paths, reasons = kept({"duplicate": "drop"}, *videos[:count])
        assert paths == [stays]
        assert set(reasons.values()) == {
            ("audit_duplicate", f"the same bytes as ds/m/{stays.removesuffix('.mp4')}")
        }


def test_of_a_conflict_nothing_stays():
    videos = [video(n=n, label=label, fingerprint="f") for n, label in (("a", 0), ("b", 1))]
    paths, reasons = kept({"conflict": "drop", "duplicate": "drop"}, *videos, video(n="c"))
    assert paths == ["c.mp4"]
    assert {reason for reason, _ in reasons.values()} == {"audit_conflict"}


def test_a_dropped_val_video_takes_no_train_video_with_it():
    videos = [
        video(n="a", leak_group="x"),
        video(n="b", split="val", leak_group="x+y"),
        video(n="c", split="test", leak_group="y"),
    ]
    paths, reasons = kept({"leak": "drop"}, *videos)
    assert paths == ["a.mp4", "c.mp4"]
    assert reasons == {"ds/b.mp4": ("audit_leak", "shares y with ds/m/c (test)")}


_NAMES = st.sampled_from(["", "x", "y", "z", "x+y", "y+z"])
_ROWS = st.lists(
    st.tuples(st.sampled_from(SPLITS), _NAMES, st.sampled_from("fgh"), st.integers(0, 1)),
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(drawn=_ROWS, turn=st.randoms(use_true_random=False))
def test_after_dropping_nothing_is_left_to_find(drawn, turn):
    videos = [
        video(n=f"{n:02d}", split=split, leak_group=group, fingerprint=bytes_, label=label)
        for n, (split, group, bytes_, label) in enumerate(drawn)
    ]
    params = AuditParams(leak="drop", duplicate="drop", conflict="drop")
    done = apply(table(*videos), NO_REJECTS, params)
    again = audit(done.videos, NO_REJECTS)
    assert not [f for f in again if f.kind != "balance"]
    turn.shuffle(videos)
    other = apply(table(*videos), NO_REJECTS, params)
    assert set(other.videos["path"].to_pylist()) == set(done.videos["path"].to_pylist())


@given(drawn=_ROWS)
def test_related_is_sharing_a_part(drawn):
    videos = table(*(video(split=split, leak_group=group) for split, group, _, _ in drawn))
    parts = [set(filter(None, group.split("+"))) for _, group, _, _ in drawn]
    pairs = list(itertools.product(range(len(parts)), repeat=2))
    one, other = (pa.array([pair[n] for pair in pairs], pa.int64()).to_numpy() for n in (0, 1))
    expected = [bool(parts[a] & parts[b]) for a, b in pairs]
    assert related(ties(videos), one, other).tolist() == expected


@pytest.mark.parametrize(
    ("kind", "videos", "words"),
    [
        ("leak", ({"identity": "x"}, {"split": "test", "identity": "x"}), "train of ds and test"),
        ("duplicate", ({"fingerprint": "f"}, {"fingerprint": "f"}), "more than once"),
        ("conflict", ({"fingerprint": "f"}, {"fingerprint": "f", "label": 0}), "real and as fake"),
        ("balance", ({},), "no real"),
    ],
)
def test_fail_names_the_parameter_and_the_videos(kind, videos, words):
    rows = table(*(video(n=f"v{n}", **columns) for n, columns in enumerate(videos)))
    with pytest.raises(UserError, match=rf"datasets\.audit\.{kind} is `fail`.*{words}.*ds/"):
        apply(rows, NO_REJECTS, AuditParams(**{kind: "fail"}))


# With scan


def test_faceforensics_and_a_dataset_made_of_it_leak(tmp_path):
    """A CSV dataset trains on a test clip of FaceForensics++ under its shared name."""
    root = tmp_path / "own"
    put(root / "a.mp4", b"own real")
    put(root / "own.csv", b"path,label,split,identity\na.mp4,real,train,ffpp-id:002\n")
    entries = entry("faceforensics", put_ffpp(tmp_path / "ffpp"), name="ffpp")
    entries |= entry("csv", root, name="own", manifest="own.csv")
    reported = run(entries, tmp_path / "cache")
    (leak,) = of_kind(reported.findings, "leak")
    assert leak.severity == "error"
    assert "train of own and test of ffpp: ffpp-id:002" in leak.what
    assert rejects(reported) == {}

    dropped = run(entries, tmp_path / "cache", audit=AuditParams(leak="drop"))
    assert "own/real/a" not in rows(dropped)
    assert rejects(dropped) == {"own/a.mp4": "audit_leak"}
    assert dropped.metrics["rejects_audit_leak"] == 1
    assert dropped.metrics["inputs"] == dropped.metrics["outputs"] + 1


def test_official_splits_of_faceforensics_are_disjoint(tmp_path):
    assert run(entry("faceforensics", put_ffpp(tmp_path)), tmp_path / "cache").findings == []


def test_the_same_folder_under_two_names_is_there_twice(tmp_path):
    root = put_ffpp(tmp_path / "ffpp")
    entries = entry("faceforensics", root, name="one") | entry("faceforensics", root, name="two")
    found = of_kind(run(entries, tmp_path / "cache").findings, "duplicate")
    assert sum(f.count for f in found) == 72
    dropped = run(entries, tmp_path / "cache", audit=AuditParams(duplicate="drop"))
    assert set(dropped.videos["dataset"].to_pylist()) == {"one"}
