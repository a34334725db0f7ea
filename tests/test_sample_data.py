"""The embedded sample dataset: eight real people, official layout, no identity in two splits."""

import csv
import hashlib
import json
import re
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import dlib
import numpy as np
import pytest

from pipeline import sample_data
from pipeline.errors import UserError
from pipeline.faces.dlib_models import LANDMARKS_68, model_path
from pipeline.sample_data import fakes, identities, layout
from pipeline.sample_data.puppet import Act, Puppet
from pipeline.sample_data.shot import Format, film, random

pytestmark = pytest.mark.slow

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
SHORT = Format(duration_s=0.8)


def reshaped(pairs, change):
    return tuple(
        replace(p, first=replace(p.first, form=change(p.first.form)),
                second=replace(p.second, form=change(p.second.form)))
        for p in pairs
    )  # fmt: skip


def decoded(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def digests(root):
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
    }


@pytest.fixture(scope="module")
def seconds(tmp_path_factory):
    """Both datasets whole, but with one frame per second: exactly the pictures at 0, 1, 2, … s."""
    root = tmp_path_factory.mktemp("sample")

    def slowed(form):
        # A frame more than the whole seconds below the duration: the one at second 0.
        return replace(form, fps=Fraction(1), duration_s=int(form.duration_s) + 1)

    layout.write_ffpp(root / "ffpp", 0, reshaped(layout.FFPP, slowed))
    layout.write_wild(root / "wild", 0, reshaped(layout.WILD, slowed))
    return root


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """One pair of short clips with all its fakes."""
    root = tmp_path_factory.mktemp("pair")
    layout.write_ffpp(root, 5, reshaped(layout.FFPP[:1], lambda _: SHORT))
    return root


def test_official_layout(seconds):
    root = seconds / "ffpp"
    splits = {
        s: json.loads((root / "splits" / f"{s}.json").read_text()) for s in ("train", "val", "test")
    }
    pairs = [tuple(p) for split in splits.values() for p in split]
    assert all(len(p) == 2 and all(re.fullmatch(r"\d{3}", i) for i in p) for p in pairs)
    ids = [i for p in pairs for i in p]
    assert len(set(ids)) == len(ids)
    files = {p.relative_to(root).as_posix() for p in root.rglob("*.mp4")}
    wanted = {f"original_sequences/youtube/c23/videos/{i}.mp4" for i in ids}
    for a, b in [*pairs, *((b, a) for a, b in pairs)]:
        wanted |= {f"manipulated_sequences/{m}/c23/videos/{a}_{b}.mp4" for m in METHODS}
    assert files == wanted
    assert all(splits.values())


def test_wild_has_both_labels_in_every_split(seconds):
    rows = list(csv.DictReader((seconds / "wild" / "wild.csv").open()))
    assert {(r["split"], r["label"]) for r in rows} == {
        (s, label) for s in ("train", "val", "test") for label in ("real", "fake")
    }
    assert {r["path"] for r in rows} == {
        p.relative_to(seconds / "wild").as_posix() for p in (seconds / "wild").rglob("*.mp4")
    }
    assert len({r["path"] for r in rows}) == len(rows)
    in_ffpp = {take.identity: p.split for p in layout.FFPP for take in (p.first, p.second)}
    assert all(in_ffpp[r["identity"]] == r["split"] for r in rows)
    assert all(in_ffpp[r["source_id"]] == r["split"] for r in rows if r["label"] == "fake")


def test_exactly_eight_identities_and_none_in_two_splits():
    splits_of = {}
    for pair in (*layout.FFPP, *layout.WILD):
        assert pair.first.identity != pair.second.identity
        for take in (pair.first, pair.second):
            splits_of.setdefault(take.identity, set()).add(pair.split)
    assert set(splits_of) == set(identities.people()) == set(identities.IDENTITIES)
    assert len(splits_of) == 8
    assert all(len(splits) == 1 for splits in splits_of.values())


def test_one_face_at_every_second(seconds):
    detector = dlib.get_frontal_face_detector()
    wrong, sizes, looked = [], [], 0
    for path in sorted(seconds.rglob("*.mp4")):
        frames = decoded(path)
        fake = "manipulated" in str(path)
        for t in (0, len(frames) - 1) if fake else range(len(frames)):
            looked += 1
            found = detector(frames[t], 0)
            if len(found) != 1:
                wrong.append((path.name, t, len(found)))
            sizes += [box.width() for box in found]
    assert looked > 200
    assert wrong == []
    assert 100 <= np.median(sizes) <= 200


def test_clips_are_h264_with_the_planned_frames(pair):
    paths = sorted(pair.rglob("*.mp4"))
    assert len(paths) == 2 + 2 * len(METHODS)
    for path in paths:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
            assert (stream.width, stream.height) == (320, 320)
            assert stream.average_rate == Fraction(25, 2)
            assert [f.pts * stream.time_base for f in container.decode(video=0)] == [
                Fraction(2 * i, 25) for i in range(10)
            ]


def test_real_motion(pair):
    frames = decoded(pair / "original_sequences/youtube/c23/videos/000.mp4")
    steps = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(frames)]
    assert min(steps) > 0.3


def test_fakes_differ_from_their_target_where_they_should(pair):
    """The mouth is found by dlib in the decoded real clip, not taken from how the fake was made."""
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(model_path(LANDMARKS_68)))
    target = decoded(pair / "original_sequences/youtube/c23/videos/001.mp4")
    points = []
    for real in target:
        shape = predictor(real, detector(real, 0)[0])
        points.append(np.array([(p.x, p.y) for p in shape.parts()], np.int32))

    def masked(hull_points, grow):
        mask = np.zeros((320, 320), np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(hull_points), 1)
        return cv2.dilate(mask, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8)).astype(bool)

    for method in METHODS:
        fake = decoded(pair / f"manipulated_sequences/{method}/c23/videos/001_000.mp4")
        inside, eyes, outside = [], [], []
        for real, made, at in zip(target, fake, points, strict=True):
            change = np.abs(real.astype(int) - made).mean(axis=2)
            swapped = method in ("Deepfakes", "FaceSwap")
            inside.append(change[masked(at[48:], 2)].mean())
            eyes.append(change[masked(at[36:48], 2)].mean())
            far = ~masked(at if swapped else at[48:], 40)
            outside.append(change[far].mean())
        assert np.mean(inside) > 6, method
        assert np.mean(outside) < 2, method
        assert (np.mean(eyes) > 6) == swapped, method


@pytest.mark.parametrize("method", ["Face2Face", "NeuralTextures"])
def test_before_compression_nothing_changes_far_from_the_mouth(method):
    people = identities.people()
    footage = [film(Puppet(people[n]), SHORT, random(1, "test", n)) for n in ("t1_2", "t1_5")]
    make = fakes.FAKES[method][1]
    made = list(make(*footage, random(1, "test", method)))
    assert len(made) == SHORT.frames
    for real, fake, points in zip(footage[0].frames, made, footage[0].points, strict=True):
        low, high = points[48:].min(axis=0) - 45, points[48:].max(axis=0) + 45
        changed = np.argwhere((real != fake).any(axis=2))[:, ::-1]
        assert len(changed) > 200
        assert (changed >= low).all()
        assert (changed <= high).all()


def test_source_of_a_swap_shows(pair):
    """The two directions of a pair and the two clips differ: a fake is neither of its clips."""
    clips = [decoded(p)[5] for p in sorted(pair.rglob("*.mp4"))]
    for i, a in enumerate(clips):
        for b in clips[:i]:
            assert np.abs(a.astype(int) - b).mean() > 0.3


def test_acts_move_the_points_they_name():
    puppet = Puppet(identities.people()["astronaut"])
    still, rest = puppet.pose(Act())
    assert np.array_equal(still, puppet.person.picture)
    assert np.abs(rest - puppet.person.points).max() <= 0.01
    _, blinking = puppet.pose(Act(blink=1.0))
    assert np.allclose(blinking[[37, 38, 43, 44]], rest[[41, 40, 47, 46]], atol=4)
    assert np.array_equal(blinking[48:], rest[48:])
    speaking, spoken = puppet.pose(Act(open=1.0))
    assert (spoken[[65, 66, 67], 1] - rest[[65, 66, 67], 1]).min() > 4
    assert np.array_equal(spoken[:48][17:], rest[17:48])
    lips = spoken[[62, 66]].mean(axis=0).round().astype(int)
    assert speaking[lips[1] - 2 : lips[1] + 12, lips[0]].min() < 70


def test_points_follow_the_camera():
    """dlib finds the nose and eyes in filmed frames where the footage says they are."""
    predictor = dlib.shape_predictor(str(model_path(LANDMARKS_68)))
    detector = dlib.get_frontal_face_detector()
    puppet = Puppet(identities.people()["t1_3"])
    footage = film(puppet, replace(SHORT, duration_s=4.0, fps=Fraction(1)), random(3, "test"))
    for frame, points in zip(footage.frames, footage.points, strict=True):
        shape = predictor(frame, detector(frame, 0)[0])
        seen = np.array([(p.x, p.y) for p in shape.parts()], float)
        assert np.median(np.abs(seen - points)[17:48]) < 4


def test_same_seed_same_bytes_another_seed_others(tmp_path, pair):
    pairs = reshaped(layout.FFPP[:1], lambda _: SHORT)
    identities.people.cache_clear()
    layout.write_ffpp(tmp_path / "again", 5, pairs)
    layout.write_ffpp(tmp_path / "other", 6, pairs)
    assert digests(tmp_path / "again") == digests(pair)
    before, after = digests(pair), digests(tmp_path / "other")
    assert before.keys() == after.keys()
    assert all((before[f] == after[f]) == f.startswith("splits/") for f in before)


def test_a_picture_without_the_expected_face_is_named(monkeypatch):
    key = ("skimage", "data/astronaut.png")
    monkeypatch.setattr(identities, "_PICTURES", {key: {"astronaut": (300, 300, 400, 400)}})
    identities.people.cache_clear()
    try:
        with pytest.raises(UserError, match=r"astronaut\.png .*expected face"):
            identities.people()
    finally:
        identities.people.cache_clear()


@pytest.fixture
def quick(monkeypatch):
    """Two files in place of the two datasets: what is tested is when and where they are written."""
    calls = []

    def write(root: Path, seed: int) -> None:
        calls.append(seed)
        for name in ("ffpp", "wild"):
            (root / name).mkdir(parents=True)
            (root / name / f"{name}.txt").write_text(f"{seed}")
            if seed == 13:
                raise KeyboardInterrupt

    monkeypatch.setattr(sample_data, "_write_datasets", write)
    return calls


def test_twice_changes_nothing(tmp_path, quick):
    root = tmp_path / "deep" / "sample"
    sample_data.write_sample_data(root, 0)
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
    sample_data.write_sample_data(root, 0)
    assert quick == [0]
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before
    assert {p.name for p in root.iterdir()} == {"ffpp", "wild", sample_data.MARKER}


def test_another_seed_version_or_a_lost_file_is_written_anew(tmp_path, quick, monkeypatch):
    sample_data.write_sample_data(tmp_path, 0)
    sample_data.write_sample_data(tmp_path, 1)
    assert (tmp_path / "wild" / "wild.txt").read_text() == "1"
    (tmp_path / "wild" / "wild.txt").unlink()
    sample_data.write_sample_data(tmp_path, 1)
    assert (tmp_path / "wild" / "wild.txt").is_file()
    monkeypatch.setattr(sample_data, "VERSION", sample_data.VERSION + 1)
    sample_data.write_sample_data(tmp_path, 1)
    assert quick == [0, 1, 1, 1]


def test_an_interrupted_run_is_repaired_by_the_next(tmp_path, quick):
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            sample_data.write_sample_data(tmp_path, 13)
    sample_data.write_sample_data(tmp_path, 0)
    assert {p.name for p in tmp_path.iterdir()} == {"ffpp", "wild", sample_data.MARKER}


def test_what_somebody_else_wrote_is_never_overwritten(tmp_path, quick):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="not sample data"):
        sample_data.write_sample_data(tmp_path, 0)
    with pytest.raises(UserError, match="not sample data"):
        sample_data.write_sample_data(tmp_path / "thesis.txt", 0)
    root = tmp_path / "sample"
    sample_data.write_sample_data(root, 0)
    (root / "ffpp" / "mine.mp4").write_text("precious")
    with pytest.raises(UserError, match=r"mine\.mp4"):
        sample_data.write_sample_data(root, 1)
    assert (root / "ffpp" / "mine.mp4").read_text() == "precious"
    (root / sample_data.MARKER).write_text("{")
    with pytest.raises(UserError, match="damaged"):
        sample_data.write_sample_data(root, 1)
