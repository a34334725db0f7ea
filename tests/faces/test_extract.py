import pickle
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from faceshards import images
from pipeline import tables
from pipeline.config.params import FacesParams
from pipeline.errors import Reject, UserError
from pipeline.faces import extract
from pipeline.faces.align import align
from pipeline.faces.crop import crop, map_points, whole
from pipeline.faces.detect import Detection
from pipeline.faces.extract import FacesTask, cut_out, encode, missing, track_shares
from pipeline.tables import schemas
from pipeline.video.decode import Frame

ENGINE_COLUMNS = {"face_id", "video_id", "digest", "tar", "offset", "size"}


class FakeReader:
    """Shows made frames: ``script`` holds (samples, pts, image)."""

    script: tuple = ()
    end_s = 0.0
    damage = ""
    fell_back = False

    def __init__(self, media, location, max_side_px, *, keep_damaged):
        self.problems = {}
        self.opened = (media, location, max_side_px)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def frames_at(self, _times_s):
        for samples, pts, image in self.script:
            yield Frame(samples, pts, image)


class MarkDetector:
    """Finds the boxes that a frame's first row spells out, one per 4 pixels, largest first."""

    batch = 2

    def detect_all(self, images):
        assert len(images) <= self.batch
        return [self._detect(image) for image in images]

    def _detect(self, image):
        boxes = [tuple(map(float, box)) for box in image[0, :, 0].reshape(-1, 4) if box.any()]
        boxes.sort(key=lambda b: -(b[2] - b[0]) * (b[3] - b[1]))
        return [Detection(box, 0.75, ()) for box in boxes]


def frame(*boxes):
    image = np.random.default_rng(len(boxes)).integers(0, 256, (120, 160, 3), np.uint8)
    image[0] = 0
    image[0, : 4 * len(boxes), 0] = np.array(boxes, np.uint8).ravel()
    return image


@pytest.fixture
def task(monkeypatch):
    monkeypatch.setattr(extract, "open_reader", FakeReader)
    monkeypatch.setattr(extract, "make_detector", lambda _: MarkDetector())
    task = FacesTask({"": FacesParams(size_px=32, min_face_px=0)}, 8192)
    task.open()
    return task


def show(monkeypatch, *script, end_s=99.0, damage=""):
    monkeypatch.setattr(FakeReader, "script", script)
    monkeypatch.setattr(FakeReader, "end_s", end_s)
    monkeypatch.setattr(FakeReader, "damage", damage)


def row(count, encoding="png"):
    times = [float(t) for t in range(count)]
    place = {"fingerprint": "f", "times_s": times, "encoding": encoding, "file": "/v.mp4"}
    place |= {"altered": "", "reference": ""}
    return place | {"media": "video", "rules": "", "min_frames": 1, "shipped": ""}


def check(task, inputs, result):
    assert result.done + result.left_out + len(result.rejects) == len(task.units(inputs))
    assert result.done == len({output.fields["sample"] for output in result.outputs})


SMALL, LARGE = (20, 20, 40, 40), (80, 30, 120, 80)


def test_faces_have_the_columns_of_the_table_in_order_of_time_and_rank(task, monkeypatch):
    show(
        monkeypatch,
        ((0,), 100, frame(SMALL, LARGE)),
        ((1,), 200, frame(SMALL)),
        ((2,), 300, frame()),
    )
    inputs = row(3)
    result = task.work(inputs)
    check(task, inputs, result)
    columns = {c.name for c in schemas.TABLES["faces"]} - ENGINE_COLUMNS
    rows = []
    for output in result.outputs:
        assert set(output.fields) == columns
        (member,) = output.members
        assert (member.column, member.extension) == ("", "png")
        place = {"digest": "d", "tar": "t", "offset": 0, "size": len(member.data)}
        rows.append({**output.fields, **task.identify("d/m/v", output.fields), **place})
    made = tables.from_rows("faces", rows)  # checks every type and range
    assert made["face_id"].to_pylist() == [
        "d/m/v/00000-0",
        "d/m/v/00000-1",
        "d/m/v/00001-0",
    ]
    assert made["track"].to_pylist() == [0, 1, 1]
    assert made["track_share"].to_pylist() == pytest.approx([1 / 3, 2 / 3, 2 / 3], abs=1e-4)
    assert made["detector"].to_pylist() == ["dlib"] * 3
    assert made["pose_deg"].to_pylist() == [[], [], []]
    assert made["pts"].to_pylist() == [100, 100, 200]
    assert made["box"].to_pylist() == [list(LARGE), list(SMALL), list(SMALL)]
    assert made["face_px"].to_pylist() == [50, 20, 20]
    assert [(r.unit, r.reason) for r in result.rejects] == [("/00002", "no_face")]


def test_stored_bytes_are_the_crop(task, monkeypatch):
    image = frame(LARGE)
    show(monkeypatch, ((0,), 0, image))
    output = task.work(row(1)).outputs[0]
    stored = images.decode_rgb(output.members[0].data)
    assert (stored == crop(image, LARGE, size_px=32).image).all()
    # Centre of the box and centre of the crop are the same point, to half a frame pixel.
    centre = map_points(output.fields["affine"], (100, 55))
    assert np.abs(centre - 15.5).max() <= 0.5 * output.fields["affine"][0] + 1e-9


def test_the_row_says_how_its_faces_are_stored(task, monkeypatch):
    show(monkeypatch, ((0,), 0, frame(LARGE)))
    by_encoding = {
        e: task.work(row(1, e)).outputs[0] for e in ("png", "jpg/95/4:4:4", "jpg/50/4:2:0")
    }
    assert [o.fields["encoding"] for o in by_encoding.values()] == ["png", "jpg", "jpg"]
    lossless = images.decode_rgb(by_encoding["png"].members[0].data).astype(int)
    fine, coarse = (
        np.abs(images.decode_rgb(by_encoding[e].members[0].data) - lossless).mean()
        for e in ("jpg/95/4:4:4", "jpg/50/4:2:0")
    )
    assert 0 < fine < coarse
    assert len({o.fields["phash"] for o in by_encoding.values()}) == 1


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ValueError, match="webp/95/4:4:4"):
        encode(np.zeros((8, 8, 3), np.uint8), "webp/95/4:4:4")


def test_a_frame_that_stays_is_taken_once(task, monkeypatch):
    show(monkeypatch, ((0, 1, 2), 0, frame(LARGE)), ((3, 4), 9, frame()))
    inputs = row(5)
    result = task.work(inputs)
    check(task, inputs, result)
    assert [o.fields["sample"] for o in result.outputs] == [0]
    assert (result.done, result.left_out) == (1, 3)
    assert [(r.unit, r.reason) for r in result.rejects] == [("/00003", "no_face")]


@pytest.mark.parametrize(
    ("end_s", "damage", "reason"),
    [
        (2.9, "", "past_end"),  # the last planned time is 3.0
        (2.5, "", "past_end"),
        (2.49, "", "truncated"),
        (2.9, "invalid data", "truncated"),
    ],
)
def test_missing_times_say_why(task, monkeypatch, end_s, damage, reason):
    show(monkeypatch, ((0,), 0, frame(LARGE)), ((1,), 1, frame()), end_s=end_s, damage=damage)
    inputs = row(4)
    result = task.work(inputs)
    check(task, inputs, result)
    assert [(r.unit, r.reason) for r in result.rejects] == [
        ("/00001", "no_face"),
        ("/00002", reason),
        ("/00003", reason),
    ]
    assert f"{end_s:.3f} s" in result.rejects[-1].detail
    assert damage in result.rejects[-1].detail


def test_frames_that_end_before_the_plan_begins_are_rejected_one_by_one():
    rejects = missing([30.0, 31.0], set(), 20.0, "", {})
    assert [(r.unit, r.reason) for r in rejects] == [
        ("/00000", "truncated"),
        ("/00001", "truncated"),
    ]


def test_a_file_without_any_frame_is_rejected_whole(tmp_path):
    path = tmp_path / "noise.mp4"
    path.write_bytes(bytes(4096))
    task = FacesTask({"": FacesParams()}, 8192)
    task.open()
    with pytest.raises(Reject):
        task.work({**row(3), "file": str(path)})


def test_reasons_are_known():
    assert {"no_face", "truncated", "past_end"} <= set(schemas.REJECT_REASONS)


def test_a_video_that_gives_too_few_frames_is_rejected_whole(task, monkeypatch):
    show(monkeypatch, ((0, 1), 0, frame(LARGE)), ((2,), 1, frame()), end_s=3.0)
    assert task.work(row(4) | {"min_frames": 3}).done == 1
    with pytest.raises(Reject, match="truncated: 3 of 4 planned pictures are there"):
        task.work(row(4) | {"min_frames": 4})


def test_a_track_counts_the_times_at_which_its_frames_are_on_screen(task, monkeypatch):
    show(
        monkeypatch,
        ((0, 1, 2), 0, frame(SMALL, LARGE)),
        ((3,), 3, frame(SMALL)),
        ((4,), 4, frame()),
    )
    outputs = task.work(row(5)).outputs
    shares = [(o.fields["box"], o.fields["track_share"]) for o in outputs]
    assert shares == [(list(LARGE), 0.6), (list(SMALL), 0.8), (list(SMALL), 0.8)]
    assert track_shares([[0, 1], [], [1]], [1, 1, 1], 3) == {0: 0.3333, 1: 0.6667}


def test_a_cropped_face_is_taken_whole(task, monkeypatch):
    square, wide = (
        np.random.default_rng(n).integers(0, 256, (32, n, 3), np.uint8) for n in (32, 64)
    )
    task = FacesTask({"whole": FacesParams(detect=False, size_px=32)}, 8192)
    task.open()
    show(monkeypatch, ((0,), 0, square), ((1,), 1, wide))
    result = task.work(row(2) | {"rules": "whole"})
    first, second = (
        o.fields | {"image": images.decode_rgb(o.members[0].data)} for o in result.outputs
    )
    assert (first["image"] == square).all()
    assert (second["image"] == whole(wide, size_px=32).image).all()
    assert (second["box"], second["score"], second["detector"]) == ([0, 0, 64, 32], -1, "none")
    assert (second["padded"], second["face_px"]) == (0, 64)
    corners = map_points(second["affine"], [(-0.5, -0.5), (63.5, 31.5)])
    assert corners.tolist() == [[-0.5, -0.5], [31.5, 31.5]]


def test_every_row_follows_its_own_rules(task, monkeypatch):
    rules = {"small": FacesParams(size_px=32), "large": FacesParams(size_px=48, margin=0.0)}
    task = FacesTask(rules, 8192)
    task.open()
    show(monkeypatch, ((0,), 0, frame(LARGE)))
    for text, params in rules.items():
        (output,) = task.work(row(1) | {"rules": text}).outputs
        assert output.fields["crop_px"] == params.size_px
        # The box is 50 px high.
        scale = params.size_px / round(50 * (1 + params.margin))
        assert output.fields["affine"][0] == pytest.approx(scale)


def test_a_detector_is_loaded_once_for_rules_that_differ_otherwise(monkeypatch):
    loaded = []
    monkeypatch.setattr(extract, "make_detector", lambda p: loaded.append(p) or MarkDetector())
    rules = {
        "a": FacesParams(),
        "b": FacesParams(margin=0.5, crop="per_axis"),
        "c": FacesParams(score_threshold=0.9),
        "d": FacesParams(detect=False, score_threshold=0.3),
        "e": FacesParams(detector="precomputed"),
    }
    FacesTask(rules, 8192).open()
    assert loaded == [rules["a"], rules["c"]]


class SideEmbedder:
    """Takes everybody on the left for one person, and everybody on the right for another."""

    same, different = 0.9, 0.5

    def embed(self, image, detections):
        assert image.shape == (120, 160, 3)
        left = [[found.box[0] < 60, found.box[0] >= 60] for found in detections]
        return np.array(left, np.float32).reshape(-1, 2)


def test_tracks_follow_identity_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(extract, "open_reader", FakeReader)
    monkeypatch.setattr(extract, "make_detector", lambda _: MarkDetector())
    monkeypatch.setattr(extract, "make_embedder", lambda _: SideEmbedder())
    rules = {kind: FacesParams(size_px=32, identity=kind) for kind in ("none", "dlib")}
    task = FacesTask(rules, 8192)
    task.open()
    # Somebody leaves, and comes back after too many frames for overlap alone; meanwhile somebody
    # stands across the middle.
    left, across, right = (5, 20, 45, 60), (65, 20, 105, 60), (50, 20, 90, 60)
    shown = [[left, across], [], [], [left], [right]]
    show(monkeypatch, *(((i,), i, frame(*boxes)) for i, boxes in enumerate(shown)))
    tracks, looks, others = {}, {}, {}
    for kind in rules:
        outputs = task.work(row(5) | {"rules": kind}).outputs
        tracks[kind] = [o.fields.pop("track") for o in outputs]
        shares = [o.fields.pop("track_share") for o in outputs]
        looks[kind] = [o.fields.pop("embedding") for o in outputs]
        others[kind] = [(o.fields, o.members) for o in outputs]
        assert shares == [tracks[kind].count(number) / 5 for number in tracks[kind]]
    assert tracks == {"none": [0, 1, 2, 3], "dlib": [0, 1, 0, 0]}
    assert looks == {"none": [[]] * 4, "dlib": [[1, 0], [0, 1], [1, 0], [1, 0]]}
    assert others["none"] == others["dlib"], "nothing but the tracks"


def test_an_embedder_is_loaded_once_for_rules_that_differ_otherwise(monkeypatch):
    loaded = []
    monkeypatch.setattr(extract, "make_detector", lambda _: MarkDetector())
    monkeypatch.setattr(extract, "make_embedder", lambda p: loaded.append(p) or SideEmbedder())
    rules = {
        "a": FacesParams(identity="dlib"),
        "b": FacesParams(identity="dlib", margin=0.5, score_threshold=0.9),
        "c": FacesParams(identity="dlib", detector="precomputed"),
        "d": FacesParams(identity="dlib", detect=False),
        "e": FacesParams(),
    }
    FacesTask(rules, 8192).open()
    assert loaded == [rules["a"], rules["c"]]


def test_identity_of_faces_that_a_dataset_ships(tmp_path, monkeypatch):
    """One face, on the left and then on the right of the frame."""
    monkeypatch.setattr(extract, "open_reader", FakeReader)
    face = skimage.data.astronaut()[40:240, 120:320]
    left, right = (np.roll(np.pad(face, ((0, 0), (0, 200), (0, 0))), x, axis=1) for x in (0, 200))
    show(monkeypatch, *(((i,), i, image) for i, image in enumerate((left, left, right, right))))
    (tmp_path / "landmarks").mkdir()
    lines = [f"{t},{x + 55},25,{x + 155},160" for t, x in enumerate((0, 0, 200, 200))]
    (tmp_path / "landmarks/v.csv").write_text("\n".join(["time_s,x1,y1,x2,y2", *lines]))
    rules = {
        kind: FacesParams(detector="precomputed", identity=kind, size_px=32)
        for kind in ("none", "dlib")
    }
    task = FacesTask(rules, 8192)
    task.open()
    tracks = {}
    for kind in rules:
        inputs = row(4) | {"file": str(tmp_path / "videos/v.mp4"), "rules": kind}
        tracks[kind] = [o.fields["track"] for o in task.work(inputs).outputs]
    assert tracks == {"none": [0, 0, 1, 1], "dlib": [0, 0, 0, 0]}


FACE = (60.0, 30.0, 100.0, 80.0)
FAR_POINTS = (0.0, 0.0, 9000.0, 0.0, 0.0, 9000.0, 9000.0, 9000.0, 4500.0, 4500.0)
SANE_POINTS = (72.0, 48.0, 88.0, 48.0, 80.0, 58.0, 74.0, 66.0, 86.0, 66.0)


@pytest.mark.parametrize(
    ("box", "points", "rules", "stays"),
    [
        (FACE, (), {}, True),
        ((-30.0, -30.0, 20.0, 20.0), (), {}, True),
        ((-1e12, -1e12, 1e12, 1e12), (), {}, False),
        ((0.0, 0.0, 9000.0, 9000.0), (), {}, False),
        ((160.0, 10.0, 190.0, 50.0), (), {}, False),
        ((10.0, -50.0, 50.0, 0.0), (), {}, False),
        (FACE, SANE_POINTS, {"align": True, "detector": "scrfd"}, True),
        (FACE, FAR_POINTS, {"align": True, "detector": "scrfd"}, False),
        (FACE, (80.0, 50.0) * 5, {"align": True, "detector": "scrfd"}, False),
        (FACE, FAR_POINTS, {"detector": "scrfd"}, True),
    ],
)
def test_a_face_outside_the_frame_or_absurdly_large_is_none(monkeypatch, box, points, rules, stays):
    class Given:
        batch = 1

        def detect_all(self, images):
            return [[Detection(box, 0.9, points)] for _ in images]

    monkeypatch.setattr(extract, "open_reader", FakeReader)
    monkeypatch.setattr(extract, "make_detector", lambda _: Given())
    monkeypatch.setattr(extract, "detector_settings", lambda _: {})
    task = FacesTask({"": FacesParams(size_px=32, min_face_px=0, **rules)}, 8192)
    task.open()
    show(monkeypatch, ((0,), 0, frame()))
    result = task.work(row(1))
    assert len(result.outputs) == stays
    assert [reject.reason for reject in result.rejects] == ([] if stays else ["no_face"])


def test_upright_faces_need_points():
    image = np.zeros((100, 100, 3), np.uint8)
    params = FacesParams(detector="precomputed", align=True, size_px=64)
    five = (30.0, 40.0, 60.0, 40.0, 45.0, 55.0, 35.0, 70.0, 55.0, 70.0)
    cut = cut_out(image, Detection((20, 20, 70, 80), -1, five), params)
    assert cut.affine == align(image, five, size_px=64, margin=0.3).affine
    with pytest.raises(UserError, match=r"faces\.align needs five points"):
        cut_out(image, Detection((20, 20, 70, 80), -1, ()), params)


def test_the_task_travels_to_a_worker():
    task = pickle.loads(pickle.dumps(FacesTask({"": FacesParams()}, 8192)))  # noqa: S301 - our own bytes
    assert task.units(row(2)) == ["/00000", "/00001"]


# Real clips, the real reader and the stock detector.

STOCK = FacesParams(detector="dlib", size_px=64)


def real(path: Path, count: int):
    task = FacesTask({"": STOCK}, 8192)
    task.open()
    inputs = {**row(count, "jpg/95/4:4:4"), "file": str(path)}
    result = task.work(inputs)
    check(task, inputs, result)
    return result


def test_a_real_clip_gives_one_face_per_second_and_one_person(assets):
    result = real(assets / "videos/real/lp_d0_greenscreen.mp4", 3)
    assert [(o.fields["sample"], o.fields["rank"]) for o in result.outputs] == [
        (0, 0),
        (1, 0),
        (2, 0),
    ]
    assert {o.fields["track"] for o in result.outputs} == {0}
    again = real(assets / "videos/real/lp_d0_greenscreen.mp4", 3)
    assert again == result


def test_a_truncated_clip_says_so(assets):
    result = real(assets / "videos/odd/lp_d20_truncated.mp4", 7)  # 7.0 s by header, 4.1 s of data
    assert [(r.unit, r.reason) for r in result.rejects if r.reason != "no_face"] == [
        ("/00005", "truncated"),
        ("/00006", "truncated"),
    ]


def test_two_people_side_by_side_keep_their_tracks(assets):
    result = real(assets / "videos/fake/aniportrait_zl_sidebyside.mp4", 4)
    left = {o.fields["track"] for o in result.outputs if o.fields["box"][0] < 515}
    right = {o.fields["track"] for o in result.outputs if o.fields["box"][0] >= 515}
    assert len(left) == len(right) == 1
    assert left != right


@pytest.mark.parametrize("fell_back", [False, True])
def test_videos_decoded_whole_are_counted(task, monkeypatch, fell_back):
    show(monkeypatch, ((0,), 0, frame(LARGE)))
    monkeypatch.setattr(FakeReader, "fell_back", fell_back)
    assert task.work(row(1)).counts == {"decoded_whole": int(fell_back)}


def test_damaged_frames_are_rejected_each_for_itself(task, monkeypatch):
    show(monkeypatch, ((0,), 0, frame(LARGE)), ((3,), 3, frame(LARGE)))
    made = FakeReader.__init__

    def damaged(self, *args, **options):
        made(self, *args, **options)
        self.problems = {2: Reject("damaged", "h264: b"), 1: Reject("damaged", "h264: a")}

    monkeypatch.setattr(FakeReader, "__init__", damaged)
    result = task.work(row(4))
    check(task, row(4), result)
    assert [(r.reason, r.detail) for r in result.rejects] == [
        ("damaged", "h264: a"),
        ("damaged", "h264: b"),
    ]
