import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline import tables
from pipeline.config.params import FacesParams, FramesParams, JpegParams, Params
from pipeline.config.values import Weights
from pipeline.errors import UserError
from pipeline.faces.plan import faces_plan, landmarks_plan, rules_text
from pipeline.tables.sources import Held

DATASETS = {"a/real/1": "a", "a/real/2": "a", "b/real/1": "b"}
SPLITS = ("train", "test", "test")


@pytest.fixture
def made(tmp_path):
    """Plan of three videos, the second of which has no planned times."""
    videos = pa.table(
        {
            "video_id": list(DATASETS),
            "dataset": list(DATASETS.values()),
            "split": SPLITS,
            "media": ["video", "video", "frames"],
            "fingerprint": ["f1", "f2", "f3"],
            "path": ["videos/1.mp4", "videos/2.mp4", "videos/3.mp4"],
            "label": pa.array([1, 0, 1], pa.int8()),
            "mask_path": ["masks/1.mp4", "", ""],
            "mask_fingerprint": ["m1", "", ""],
            "pair_path": ["", "", "pairs/3.mp4"],
            "pair_fingerprint": ["", "", "p3"],
        }
    )
    frames = pa.table(
        {"video_id": ["a/real/1", "a/real/1", "b/real/1"], "time_s": [0.0, 1.0, 0.0]},
    )

    def files(rows):
        return [str(tmp_path / path) for path in rows["path"].to_pylist()]

    def plan(**params):
        return faces_plan(Held(videos), Held(frames), files, Params(**params))

    return plan


def test_one_row_per_video_with_planned_times(made):
    plan, _ = made(faces=FacesParams(lossless=("b",)), jpeg=JpegParams(90, "4:2:0"))
    rows = plan.table.to_pylist()
    assert [row["video_id"] for row in rows] == ["a/real/1", "b/real/1"]
    assert [row["times_s"] for row in rows] == [[0.0, 1.0], [0.0]]
    assert [row["encoding"] for row in rows] == ["jpg/90/4:2:0", "png"]
    assert [row["media"] for row in rows] == ["video", "frames"]
    assert {"fingerprint", "media", "rules", "min_frames", "shipped"} < set(plan.content)
    assert plan.location == ("file", "reference")
    assert plan.table["altered"].to_pylist() == plan.table["reference"].to_pylist() == ["", ""]


def test_what_fakes_are_held_against(made, tmp_path):
    def held(**altered):
        plan, _ = made(faces=FacesParams(**altered))
        assert "altered" in plan.content
        return [(row["altered"], row["reference"]) for row in plan.table.to_pylist()]

    mask, pair = (str(tmp_path / path) for path in ("masks/1.mp4", "pairs/3.mp4"))
    assert held(altered="mask") == [("mask:m1", mask), ("mask:", "")]
    assert held(altered="pair") == [("pair:", ""), ("pair:p3", pair)]
    both = {"altered": "mask", "per_dataset": {"b": {"altered": "pair"}}}
    assert held(**both) == [("mask:m1", mask), ("pair:p3", pair)]
    assert held(altered="none") == [("", ""), ("", "")]


@pytest.mark.parametrize("rows", [1, 2, 5000])
def test_batches_have_one_schema_however_few_rows_there_are(made, monkeypatch, rows):
    plan, _ = made()
    whole = plan.table
    monkeypatch.setattr("pipeline.tables.sources.BATCH_ROWS", rows)
    batches = list(plan.batches())
    assert {batch.schema for batch in batches} == {whole.schema}
    assert rows > 1 or 0 in [batch.num_rows for batch in batches]
    assert plan.table.equals(whole)


def test_no_videos_at_all_have_the_same_schema(made):
    nobody = tables.from_rows("videos", [])
    nothing = pa.table({"video_id": pa.array([], pa.string()), "time_s": pa.array([], "float64")})
    plan, _ = faces_plan(Held(nobody), Held(nothing), lambda rows: [""] * len(rows), Params())
    assert all(batch.schema == made()[0].table.schema for batch in plan.batches())


def test_rows_name_the_rules_of_their_dataset_and_split(made):
    params = FacesParams(per_dataset={"b": {"margin": 0.5}}, per_split={"test": {"detect": False}})
    frames = FramesParams(min_frames=2, per_dataset={"b": {"min_frames": 5}})
    plan, rules = made(faces=params, frames=frames)
    first, second = plan.table["rules"].to_pylist()
    assert set(rules) == {first, second}
    assert (rules[first].margin, rules[first].detect) == (0.3, True)
    assert (rules[second].margin, rules[second].detect) == (0.5, False)
    assert plan.table["min_frames"].to_pylist() == [2, 5]


def test_weights_that_no_row_needs_may_be_missing(made):
    absent = FacesParams(
        detector="retinaface", backbone="resnet50", weights=Weights("gone.pth", "ab" * 32)
    )
    with pytest.raises(UserError, match=r"gone\.pth"):
        made(faces=absent)
    others = {name: {"detector": "dlib", "backbone": ""} for name in ("a", "b")}
    plan, _ = made(faces=replace(absent, per_dataset=others))
    assert plan.table.num_rows == 2
    made(faces=replace(absent, per_dataset={name: {"detect": False} for name in "ab"}))


def test_what_a_dataset_ships_is_part_of_its_rows(made, tmp_path):
    params = FacesParams(per_dataset={"a": {"detector": "precomputed"}})
    before = made(faces=params)[0].table["shipped"].to_pylist()
    (tmp_path / "landmarks").mkdir()
    (tmp_path / "landmarks/1.csv").write_text("time_s,x1,y1,x2,y2\n0,1,2,3,4\n")
    (tmp_path / "landmarks/3.csv").write_text("time_s,x1,y1,x2,y2\n0,1,2,3,4\n")
    after = made(faces=params)[0].table["shipped"].to_pylist()
    assert before == ["", ""]
    assert len(after[0]) == 32
    assert after[1] == "", "only the dataset that is asked for them"


def test_rules_hold_what_decides_and_nothing_else(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).write_bytes(b"foo")
    digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    plain = FacesParams(
        detector="retinaface", backbone="resnet50", weights=Weights(str(tmp_path / "here"), digest)
    )
    text = rules_text(plain)
    assert json.dumps(json.loads(text), sort_keys=True) == text
    there = Weights(str(tmp_path / "there"), digest)
    assert rules_text(replace(plain, weights=there, lossless=("a",))) == text
    assert digest in text
    assert str(tmp_path) not in text
    changes = {"margin": 0.2, "crop": "per_axis", "border": "clip", "align": True, "size_px": 256}
    changes |= {"min_face_px": 10, "score_threshold": 0.9, "input_size_px": 640, "detect": False}
    changes |= {"backbone": "mobilenet0.25", "provider": "cuda"}
    texts = {rules_text(replace(plain, **{key: value})) for key, value in changes.items()}
    assert len(texts | {text}) == len(changes) + 1
    # Of images that are taken whole, only their size matters.
    whole = replace(plain, detect=False)
    assert rules_text(replace(whole, margin=0.9, detector="dlib")) == rules_text(whole)
    assert rules_text(replace(whole, size_px=64)) != rules_text(whole)


def test_rules_without_identity_are_what_they_were():
    plain = {"align": False, "backbone": "", "border": "pad", "crop": "square", "detect": True}
    plain |= {"detector": "dlib", "input_size_px": "auto", "margin": 0.3, "min_face_px": 0}
    plain |= {"provider": "cpu", "score_threshold": 0.5, "size_px": 224, "weights": ""}
    assert json.loads(rules_text(FacesParams())) == plain


def test_rules_hold_who_tells_people_apart(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"foo")
    digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    given = Weights(str(tmp_path / "a.onnx"), digest)
    plain = FacesParams(detector="precomputed")
    dlib = replace(plain, identity="dlib")
    arcface = replace(plain, identity="arcface", identity_weights=given)
    texts = [rules_text(params) for params in (plain, dlib, arcface)]
    assert len(set(texts)) == 3
    assert json.loads(texts[2])["identity_weights"] == [digest]
    added = json.loads(texts[1])
    assert added.pop("identity") == "dlib"
    assert [len(digest) for digest in added.pop("identity_weights")] == [64, 64]
    assert added == json.loads(texts[0])
    whole = replace(plain, detect=False)
    assert rules_text(replace(whole, identity="dlib")) == rules_text(whole)
    with pytest.raises(UserError, match=r"faces\.identity_weights\.sha256"):
        rules_text(replace(arcface, identity_weights=Weights(given.path, "0" * 64)))


def test_landmarks_know_whose_boxes_they_get(tmp_path):
    faces = pa.table(
        {
            "face_id": ["1", "2"],
            "video_id": ["v", "v"],
            "detector": ["scrfd", "none"],
            "box": pa.array([[10.0, 20.0, 30.0, 60.0]] * 2, pa.list_(pa.float32())),
            "affine": pa.array([[2.0, 0, 1, 0, 2, 1]] * 2, pa.list_(pa.float64())),
            "digest": ["d", "e"],
            "tar": ["t", "t"],
            "offset": [0, 1],
            "size": [1, 1],
        }
    )
    samples = pa.table({"face_id": ["2", "1"], "split": ["train", "val"]})
    plan = landmarks_plan(Held(samples), Held(faces), tmp_path)
    (row,) = plan.table.to_pylist()
    assert (row["face_id"], row["detector"]) == ("2", "none")
    assert np.allclose(row["box_in_crop"], [21, 41, 61, 121])
    assert "detector" in plan.content
