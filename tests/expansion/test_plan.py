from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceshards import keys
from pipeline import tables
from pipeline.config.params import ExpandParams
from pipeline.errors import UserError
from pipeline.expansion.notes import by_region
from pipeline.expansion.plan import expansion_plan
from pipeline.expansion.targets import choose_targets
from pipeline.tables.sources import Held
from tests.expansion.faces import points
from tests.tables.made import PLAIN_VIDEO

STORE = Path("/store")
PARAMS = ExpandParams(datasets=("ffpp",))
PARAMS_DEEPFAKES = ExpandParams(datasets=("ffpp",), source_methods=("Deepfakes",))


class World:
    """Tables of a small dataset: reals 000, 001, ... and fakes a_b of several methods."""

    def __init__(self, persons: int = 4, faces_each: int = 3, dataset: str = "ffpp") -> None:
        self.dataset = dataset
        self.upright: set[str] = set()
        self.faces_each = faces_each
        self.rows: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("videos", "faces", "samples", "landmarks")
        }
        for person in range(persons):
            self.add("real", f"{person:03d}", identity=f"{dataset}:{person:03d}")
        for method in ("Deepfakes", "FaceSwap", "Face2Face"):
            for person in range(persons):
                self.add_fake(method, person, (person + 1) % persons)

    def add_fake(self, method: str, target: int, source: int) -> None:
        a, b = f"{self.dataset}:{target:03d}", f"{self.dataset}:{source:03d}"
        name = f"{target:03d}_{source:03d}"
        self.add(method, name, identity=b, target_id=a, source_id=b)

    def add(self, method: str, name: str, split: str = "train", **ids: str) -> str:
        video = f"{self.dataset}/{method}/{name}"
        label = int(method != "real")
        row: dict[str, Any] = dict.fromkeys(
            ("identity", "target_id", "source_id", "pair_id", "leak_group", "subtype"), ""
        )
        row |= {"video_id": video, "dataset": self.dataset, "path": name, "media": "video"}
        row |= {"split": split, "label": label, "method": method, "audio_fake": -1, "bytes": 1}
        row |= {"category": "FS" if label else "real", "compression": "c23", "segments_s": []}
        self.rows["videos"].append(row | PLAIN_VIDEO | {"fingerprint": "f"} | ids)
        for sample in range(self.faces_each):
            self.add_face(video, sample, split, label)
        return video

    def add_face(self, video: str, sample: int, split: str, label: int) -> None:
        face = f"{video}/{sample:05d}-0"
        rng = np.random.default_rng(list(face.encode()))
        self.rows["faces"].append(
            {
                "face_id": face,
                "video_id": video,
                "sample": sample,
                "time_s": float(sample),
                "pts": sample,
                "rank": 0,
                "track": 0,
                "box": [0.0, 0.0, 9.0, 9.0],
                "score": 1.0,
                "landmarks5": [],
                "pose_deg": [],
                "track_share": 1.0,
                "embedding": [],
                "detector": "dlib",
                "affine": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
                "crop_px": 224,
                "face_px": 9.0,
                "padded": 0.0,
                "sharpness": 1.0,
                "brightness": 1.0,
                "altered": -1.0,
                "phash": f"{keys.hash64(face):016x}",
                "encoding": "png",
                "digest": f"digest of {face}",
                "tar": "p.tar",
                "offset": len(self.rows["faces"]) * 512,
                "size": 100,
            }
        )
        self.rows["samples"].append(
            {"face_id": face, "split": split, "label": label, "weight": 1.0, "quota": 1}
        )
        near = np.rint(points() * 16 + rng.integers(-48, 49, (68, 2))) / 16
        self.rows["landmarks"].append(
            {"face_id": face, "points": near.ravel().tolist(), "score": -1.0}
        )

    def table(self, name: str) -> pa.Table:
        return tables.from_rows(name, self.rows[name])

    def plan(self, params: ExpandParams = PARAMS, lossless: tuple[str, ...] = ("ffpp",)) -> Any:
        names = ("videos", "faces", "samples", "landmarks")
        tables_ = [Held(self.table(n)) for n in names]
        return expansion_plan(*tables_, params, 0, lossless, self.upright, STORE, {"ffpp": 0.9})


def persons(video: dict[str, Any]) -> set[str]:
    return {video[k] for k in ("identity", "target_id", "source_id") if video[k]}


def test_every_region_gets_as_many_as_a_fake_method_has() -> None:
    world = World(persons=5, faces_each=4)
    world.add_fake("FaceSwap", 0, 2)  # 20 and 24 fakes of those named, whose mean is 22
    world.add_fake("Face2Face", 0, 2)
    world.add_fake("Face2Face", 0, 3)
    plan, counts, notes = world.plan(ExpandParams(datasets=("ffpp",), regions=("eye", "nose")))
    assert notes == []
    assert (counts["ffpp_swap_eye_wanted"], counts["ffpp_swap_eye_planned"]) == (22, 22)
    # 20 targets only: all of them once and two of them twice.
    assert Counter(plan.table["region"].to_pylist()) == {"eye": 22, "nose": 22}
    rounds = Counter(i.rsplit("-", 1)[1] for i in plan.table["sample_id"].to_pylist())
    assert rounds == {"0": 40, "1": 4}


def test_a_source_is_the_nearest_face_of_other_people() -> None:
    world = World(persons=5, faces_each=2)
    plan, *_ = world.plan()
    points = {r["face_id"]: np.array(r["points"]) for r in world.rows["landmarks"]}
    videos = {v["video_id"]: v for v in world.rows["videos"]}
    assert plan.table.num_rows == 4 * 10
    for row in plan.table.to_pylist():
        target, source = row["target_face_id"], row["source_face_id"]
        mine = persons(videos[row["video_id"]])
        admissible = [
            face
            for face in points
            for video in [videos[face.rsplit("/", 1)[0]]]
            if video["method"] in ("Deepfakes", "FaceSwap") and not persons(video) & mine
        ]
        best = min(admissible, key=lambda f: (np.linalg.norm(points[f] - points[target]), f))
        assert source == best
        assert row["target_points"] == points[target].tolist()
        assert row["source_points"] == points[source].tolist()
        assert row["source_method"] == source.split("/")[1]
        assert row["video_id"].startswith("ffpp/real/")


def test_columns_and_ids() -> None:
    plan, *_ = World().plan()
    row = plan.table.to_pylist()[0]
    assert row["target_face_id"].startswith(row["video_id"] + "/")
    name = row["target_face_id"].removeprefix("ffpp/real/")
    assert row["sample_id"] == f"ffpp/swap_{row['region']}/{name}-0"
    assert row["target_digest"] == f"digest of {row['target_face_id']}"
    assert row["source_digest"] == f"digest of {row['source_face_id']}"
    assert row["target_tar"] == "/store/p.tar"
    assert row["target_offset"] % 512 == 0
    described = {plan.id, plan.bucket_by, *plan.content, *plan.location, *plan.attach}
    assert described == set(plan.table.column_names)
    assert not set(plan.location) & set(plan.content)
    ids = plan.table["sample_id"].to_pylist()
    assert ids == sorted(set(ids))


def test_only_train_samples_take_part() -> None:
    world = World()
    for row in World(persons=3, dataset="other").rows["videos"]:
        world.rows["videos"].append(row)
    world.add("real", "900", split="val", identity="ffpp:900")
    world.add("Deepfakes", "900_901", split="test", identity="ffpp:901")
    plan, *_ = world.plan()
    used = plan.table["video_id"].to_pylist() + plan.table["source_face_id"].to_pylist()
    assert not any("900" in name or name.startswith("other") for name in used)


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        ({"leak_group": "g"}, {"leak_group": "g"}),
        ({"pair_id": "g"}, {"pair_id": "g"}),
        ({"identity": "g"}, {"identity": "g"}),
        ({"identity": "g"}, {"target_id": "g"}),
        ({"identity": "g"}, {"source_id": "g"}),
        ({"source_id": "g"}, {"identity": "g"}),
    ],
)
def test_a_shared_person_scene_or_group_rules_a_source_out(
    real: dict[str, str], fake: dict[str, str]
) -> None:
    world = World(persons=0)
    world.add("real", "a", **{"identity": "p"} | real)
    world.add("Deepfakes", "b", **{"identity": "q"} | fake)
    plan, counts, notes = world.plan(PARAMS_DEEPFAKES)
    assert plan.table.num_rows == 0
    assert counts["ffpp_swap_targets"] == counts["ffpp_swap_targets_no_source"] == 3
    assert notes == [
        "ffpp: swap can make 0 of 3 of eye, 0 of 3 of lip, 0 of 3 of mouth, 0 of 3 of nose of the "
        "samples that are wanted. Refused: 3 targets without a source of another person."
    ]


def test_the_same_name_in_unlike_columns_is_no_tie() -> None:
    world = World(persons=0)
    world.add("real", "a", identity="g")
    world.add("Deepfakes", "b", identity="h", leak_group="g")
    plan, _, notes = world.plan(PARAMS_DEEPFAKES)
    assert (plan.table.num_rows, notes) == (4 * 3, [])


def test_no_source_without_other_people() -> None:
    world = World(persons=2, faces_each=1)  # every fake shows or replaces both of them
    plan, counts, notes = world.plan()
    assert plan.table.num_rows == 0
    assert counts["ffpp_swap_targets_no_source"] == 2
    assert "2 targets without a source of another person" in notes[0]


def test_more_than_there_are_targets_takes_the_next_source() -> None:
    world = World(persons=4, faces_each=1)
    plan, counts, notes = world.plan(
        ExpandParams(datasets=("ffpp",), regions=("eye",), per_region=18)
    )
    # Each target has two admissible fakes in each of two methods: a fifth round finds none.
    assert plan.table.num_rows == 4 * 4
    assert counts["ffpp_swap_eye_wanted"] == 18
    assert counts["ffpp_swap_eye_planned"] == 16
    assert notes == ["ffpp: swap can make 16 of 18 of eye of the samples that are wanted."]
    by_target: dict[str, list[str]] = {}
    for row in plan.table.to_pylist():
        by_target.setdefault(row["target_face_id"], []).append(row["source_face_id"])
    assert all(len(set(sources)) == 4 for sources in by_target.values())


def test_faces_without_landmarks_are_not_used() -> None:
    world = World()
    gone = {row["face_id"] for row in world.rows["landmarks"][::5]}
    world.rows["landmarks"] = [r for r in world.rows["landmarks"] if r["face_id"] not in gone]
    plan, *_ = world.plan()
    assert plan.table.num_rows > 0
    used = plan.table["target_face_id"].to_pylist() + plan.table["source_face_id"].to_pylist()
    assert not gone & set(used)


def test_the_order_of_the_tables_means_nothing() -> None:
    world = World()
    plan, *_ = world.plan()
    for rows in world.rows.values():
        rows.reverse()
    again, *_ = world.plan()
    assert plan.table.equals(again.table)


def test_equally_near_sources_go_by_face_id() -> None:
    world = World(persons=4)
    for row in world.rows["landmarks"]:
        row["points"] = points().ravel().tolist()
    for rows in world.rows.values():
        rows.reverse()
    plan, *_ = world.plan(ExpandParams(datasets=("ffpp",), regions=("eye",), per_region=12))
    row = {r["target_face_id"]: r for r in plan.table.to_pylist()}["ffpp/real/000/00002-0"]
    assert row["source_face_id"] == "ffpp/Deepfakes/001_002/00000-0"


def test_one_more_video_changes_little() -> None:
    params = ExpandParams(datasets=("ffpp",), regions=("eye",), per_region=200)
    before = World(persons=40, faces_each=10)
    after = World(persons=40, faces_each=10)
    after.add("real", "999", identity="ffpp:999")
    old, new = (set(w.plan(params)[0].table["sample_id"].to_pylist()) for w in (before, after))
    assert len(old) == len(new) == 200
    assert len(old - new) <= 200 // 41 + 1
    assert all("/999/" in sample for sample in new - old)


def test_no_datasets_no_plan() -> None:
    plan, counts, notes = World().plan(ExpandParams())
    assert (plan.table.num_rows, counts, notes) == (0, {}, [])


def test_mistakes_are_named() -> None:
    world = World()
    with pytest.raises(
        UserError, match=r"names wild, which has no train samples.*videos of ffpp\."
    ):
        world.plan(ExpandParams(datasets=("wild",)))
    with pytest.raises(UserError, match=r"Add ffpp to faces\.lossless"):
        world.plan(lossless=("other",))
    with pytest.raises(
        UserError, match=r"no train samples of DeepFakes\. It has Deepfakes, Face2Face"
    ):
        world.plan(ExpandParams(datasets=("ffpp",), source_methods=("DeepFakes",)))
    with pytest.raises(UserError, match=r"names Deepfake, which has no train samples in ffpp"):
        world.plan(ExpandParams(datasets=("ffpp",), source_methods=("Deepfakes", "Deepfake")))
    world.rows["landmarks"] = [r for r in world.rows["landmarks"] if "/real/" not in r["face_id"]]
    with pytest.raises(UserError, match="no real train samples with landmarks"):
        world.plan()
    world.rows["videos"].pop()
    with pytest.raises(UserError, match=r"\.parquet lacks .*, which another table names"):
        world.plan()


def test_lossy_faces_are_refused_whatever_the_parameter_says() -> None:
    world = World()
    world.rows["faces"][0]["encoding"] = "jpg"
    with pytest.raises(UserError, match="not stored losslessly"):
        world.plan()


def test_match_needs_fakes() -> None:
    world = World(persons=0)
    world.add("real", "a", identity="x")
    params = ExpandParams(datasets=("ffpp",), source_methods=("real",))
    with pytest.raises(UserError, match="ffpp has no fake train samples of real to match"):
        world.plan(params)


sizes = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 12), max_size=8)


@given(available=sizes, wanted=st.integers(0, 60), rounds=st.integers(1, 4))
def test_targets_repeat_only_when_all_are_used(
    available: dict[str, int], wanted: int, rounds: int
) -> None:
    of_video = [video for video, n in sorted(available.items()) for _ in range(n)]
    ids = [f"{video}/{place}" for place, video in enumerate(of_video)]
    usable = np.ones((len(ids), rounds), bool)
    chosen = choose_targets(ids, of_video, usable, wanted, "salt")
    assert len(chosen) == len(set(chosen)) == min(wanted, rounds * len(ids))
    uses = Counter(place for place, _ in chosen)
    for place, times in uses.items():
        assert {k for p, k in chosen if p == place} == set(range(times))
    if ids:
        counts = [uses[place] for place in range(len(ids))]
        assert max(counts) - min(counts) <= 1


@given(available=sizes, wanted=st.integers(0, 60), seed=st.integers(0, 99))
def test_refused_targets_are_replaced(available: dict[str, int], wanted: int, seed: int) -> None:
    of_video = [video for video, n in sorted(available.items()) for _ in range(n)]
    ids = [f"{video}/{place}" for place, video in enumerate(of_video)]
    usable = np.random.default_rng(seed).random((len(ids), 3)) < 0.6
    chosen = choose_targets(ids, of_video, usable, wanted, "salt")
    assert len(chosen) == len(set(chosen)) == min(wanted, int(usable.sum()))
    assert all(usable[place, round_] for place, round_ in chosen)
    # Equal over the videos of a round, as far as they have usable faces.
    last = max((round_ for _, round_ in chosen), default=0)
    taken = Counter(of_video[place] for place, round_ in chosen if round_ == last)
    there = Counter(of_video[place] for place in np.flatnonzero(usable[:, last]))
    least = [taken[video] for video in there if taken[video] < there[video]]
    assert not least or max(taken.values(), default=0) <= min(least) + 1


def test_the_choice_depends_on_the_salt() -> None:
    ids = [f"v/{i}" for i in range(50)]
    every = np.ones((50, 1), bool)
    picks = [
        choose_targets(ids, ["v"] * 50, every, 5, salt) for salt in ("0/eye", "0/eye", "0/nose")
    ]
    assert picks[0] == picks[1] != picks[2]


def test_a_source_is_aligned_unless_crops_are_upright() -> None:
    world = World()
    alignment = {row["align"] for row in world.plan()[0].table.to_pylist()}
    assert alignment == {"similarity"}
    world.upright = {"ffpp"}
    assert {row["align"] for row in world.plan()[0].table.to_pylist()} == {"none"}
    piecewise = ExpandParams(datasets=("ffpp",), align="piecewise")
    assert {row["align"] for row in world.plan(piecewise)[0].table.to_pylist()} == {"piecewise"}


def test_whole_faces_come_from_real_people() -> None:
    world = World(persons=5)
    both = ExpandParams(datasets=("ffpp",), regions=("eye",), generators=("swap", "xray"))
    plan, _, notes = world.plan(both)
    assert notes == []
    rows = plan.table.to_pylist()
    whole = [row for row in rows if row["generator"] == "xray"]
    assert len(whole) == len(rows) / 2 > 0
    for row in whole:
        assert row["sample_id"].startswith("ffpp/xray_face/")
        assert (row["region"], row["source_method"]) == ("face", "real")
        assert row["source_face_id"].startswith("ffpp/real/")
        assert row["source_face_id"].split("/")[2] != row["target_face_id"].split("/")[2]


def test_whole_faces_alone_need_no_source_methods() -> None:
    params = ExpandParams(datasets=("ffpp",), generators=("xray",), source_methods=("Nobody",))
    plan, *_ = World().plan(params)
    assert {row["generator"] for row in plan.table.to_pylist()} == {"xray"}


def unknown_world() -> World:
    """Own videos that do not say who is in them: a fake, and one that is a copy of the real."""
    world = World(persons=0)
    for method, name in (("real", "a"), ("Deepfakes", "b"), ("Deepfakes", "copy")):
        world.add(method, name)
    faces = [row for row in world.rows["faces"] if "/a/" in row["face_id"]]
    copied = [row for row in world.rows["faces"] if "/copy/" in row["face_id"]]
    for one, other in zip(faces, copied, strict=False):
        other["phash"] = f"{int(one['phash'], 16) ^ 0b101:016x}"
    return world


def test_unknown_is_not_different() -> None:
    plan, counts, notes = unknown_world().plan(PARAMS_DEEPFAKES)
    assert plan.table.num_rows == 0
    assert counts["ffpp_swap_targets_unknown_person"] == 3
    assert counts["ffpp_swap_sources_unknown_person"] == 6
    assert "3 targets of people who are not known (expand.identity says what else" in notes[0]


def test_one_side_known_is_not_enough() -> None:
    world = World(persons=0)
    world.add("real", "a", identity="p")
    world.add("Deepfakes", "b")
    assert world.plan(PARAMS_DEEPFAKES)[0].table.num_rows == 0
    # Both people of a fake are as good as the visible one.
    world.add("Deepfakes", "c", target_id="q", source_id="r")
    sources = set(world.plan(PARAMS_DEEPFAKES)[0].table["source_face_id"].to_pylist())
    assert {face.rsplit("/", 1)[0] for face in sources} == {"ffpp/Deepfakes/c"}


def test_near_duplicates_are_tied_where_videos_are_assumed_different() -> None:
    params = replace(PARAMS_DEEPFAKES, identity="assume_different")
    plan, counts, notes = unknown_world().plan(params)
    sources = set(plan.table["source_face_id"].to_pylist())
    assert {face.rsplit("/", 1)[0] for face in sources} == {"ffpp/Deepfakes/b"}
    assert "3 train videos of ffpp do not say who is in them" in notes[0]
    assert counts["ffpp_swap_eye_planned"] == counts["ffpp_swap_eye_wanted"] == 6
    known_world = World(persons=4)
    assert known_world.plan(replace(PARAMS, identity="assume_different")).notes == []


def test_a_known_copy_is_tied_too() -> None:
    world = unknown_world()
    for number, video in enumerate(world.rows["videos"]):
        video["identity"] = f"p{number}"
    sources = set(world.plan(PARAMS_DEEPFAKES)[0].table["source_face_id"].to_pylist())
    assert {face.rsplit("/", 1)[0] for face in sources} == {"ffpp/Deepfakes/b"}


def landmarks_of(world: World, face: str) -> list[float]:
    row = next(row for row in world.rows["landmarks"] if row["face_id"] == face)
    found: list[float] = row["points"]
    return found


def test_refused_targets_are_replaced_and_counted() -> None:
    world = World(persons=6, faces_each=4)
    params = ExpandParams(datasets=("ffpp",), regions=("eye", "mouth"), per_region=12)
    odd = {"ffpp/real/000/00000-0": "upside down", "ffpp/real/001/00001-0": "one point"}
    odd["ffpp/real/002/00002-0"] = "mouth outside"
    odd["ffpp/real/003/00003-0"] = "far too small"
    for face, why in odd.items():
        values = landmarks_of(world, face)
        moved = np.array(values).reshape(68, 2)
        if why == "upside down":
            moved[:, 1] = 223 - moved[:, 1]
        if why == "one point":
            moved[:] = 100.0
        if why == "mouth outside":
            moved[:, 1] += 60
        if why == "far too small":
            moved = 100 + (moved - 100) / 2
        values[:] = moved.ravel().tolist()
    plan, counts, notes = world.plan(params)
    assert notes == []
    assert Counter(plan.table["region"].to_pylist()) == {"eye": 12, "mouth": 12}
    used = Counter(
        (row["region"], row["target_face_id"])
        for row in plan.table.to_pylist()
        if row["target_face_id"] in odd
    )
    assert set(used) <= {("eye", "ffpp/real/002/00002-0")}
    part = "ffpp_swap_"
    assert counts[part + "targets_implausible_landmarks"] == 1
    assert counts[part + "targets_coinciding_landmarks"] == 1
    assert counts[part + "targets_no_fitting_source"] == 1
    assert (counts[part + "eye_leaves_crop"], counts[part + "mouth_leaves_crop"]) == (0, 1)
    # Three of the 24 targets can be nobody's at all, and the mouth of a fourth is outside.
    assert counts[part + "pairs_size_differs"] >= 1
    eye, mouth = by_region(counts)
    assert eye[:5] == ("ffpp", "swap", "eye", 12, 12)
    assert "1 targets whose nearest sources differ too much" in eye.refused
    assert "targets whose region leaves the crop" not in eye.refused
    assert "1 targets whose region leaves the crop" in mouth.refused
    assert eye.replaced == counts[part + "eye_replaced"] <= 1
    assert mouth.replaced <= 2


def opened(values: list[float], by_px: float) -> None:
    """Moves the inner lips apart, and the lower outer lip with them."""
    moved = np.array(values).reshape(68, 2)
    moved[[65, 66, 67, *range(55, 60)], 1] += by_px
    values[:] = moved.ravel().tolist()


def test_lips_are_put_around_mouths_that_are_open_alike_and_whole_mouths_around_any() -> None:
    world = World(persons=6, faces_each=4)
    for video in world.rows["videos"]:
        if video["method"] == "real" and video["identity"] in ("ffpp:000", "ffpp:001"):
            for sample in range(4):
                opened(landmarks_of(world, f"{video['video_id']}/{sample:05d}-0"), 20)
    params = replace(PARAMS_DEEPFAKES, regions=("lip", "mouth"), per_region=16)
    plan, counts, notes = world.plan(params)
    assert notes == []
    lip, mouth = by_region(counts)
    assert (lip.planned, mouth.planned) == (16, 16)
    targets: dict[str, set[str]] = {"lip": set(), "mouth": set()}
    for row in plan.table.to_pylist():
        targets[row["region"]].add(row["target_face_id"].split("/")[2])
    assert targets == {
        "lip": {"002", "003", "004", "005"},  # all sources have their mouths nearly shut
        "mouth": {f"{person:03d}" for person in range(6)},
    }
    differ = counts["ffpp_swap_lip_mouth_differs"]
    assert 8 <= differ <= 12  # made landmarks scatter, so that some others differ too
    assert counts["ffpp_swap_mouth_mouth_differs"] == 0
    assert lip.replaced > 0 == mouth.replaced
    words = f"{differ} targets whose nearest source has its mouth open otherwise"
    assert lip.refused.endswith(words)


def test_a_second_nearest_source_is_taken_where_the_mouth_of_the_first_is_open() -> None:
    world = World(persons=3, faces_each=1)
    params = replace(PARAMS_DEEPFAKES, regions=("lip",), per_region=3)
    before = {r["target_face_id"]: r for r in world.plan(params)[0].table.to_pylist()}
    target, row = min(before.items())
    opened(landmarks_of(world, row["source_face_id"]), 12)
    after = [r for r in world.plan(params)[0].table.to_pylist() if r["target_face_id"] == target]
    assert row["source_face_id"] not in {r["source_face_id"] for r in after}


def test_one_of_the_nearest_is_drawn_for_each_sample() -> None:
    world = World(persons=6, faces_each=4)
    params = ExpandParams(datasets=("ffpp",), regions=("eye",), per_region=48, among_nearest=3)
    plan, *_ = world.plan(params)
    assert plan.table.num_rows == 48  # each of 24 twice
    by_target: dict[str, list[str]] = {}
    for row in plan.table.to_pylist():
        by_target.setdefault(row["target_face_id"], []).append(row["source_face_id"])
    nearest: dict[str, list[str]] = {}
    whole = ExpandParams(datasets=("ffpp",), regions=("eye",), per_region=24 * 6)
    for row in world.plan(whole)[0].table.sort_by("sample_id").to_pylist():
        nearest.setdefault(row["target_face_id"], []).append(row["source_face_id"])
    places = [
        [nearest[target].index(source) for source in sources]
        for target, sources in by_target.items()
    ]
    assert all(first < 3 <= second < 6 for first, second in places)
    assert {first for first, _ in places} == {0, 1, 2}
    assert world.plan(params)[0].table.equals(plan.table)


def test_embeddings_tell_unknown_people_apart() -> None:
    world = unknown_world()
    world.add("Deepfakes", "faceless")
    world.add("Deepfakes", "known", identity="q")
    looks = {"a": [1.0, 0.0], "b": [0.6, 0.8], "copy": [0.98, 0.2], "known": [1.0, 0.0]}
    for face in world.rows["faces"]:
        face["embedding"] = looks.get(face["video_id"].rsplit("/", 1)[1], [])
    plan, counts, _ = world.plan(replace(PARAMS_DEEPFAKES, identity="embedding"))
    sources = set(plan.table["source_face_id"].to_pylist())
    # The known one looks like the target, and the target is not known.
    assert {face.rsplit("/", 1)[0] for face in sources} == {"ffpp/Deepfakes/b"}
    assert counts["ffpp_swap_sources_unknown_person"] == 3, "the faces without embedding"
    for video in world.rows["videos"]:
        video["identity"] = {"a": "p", "known": "q"}.get(video["path"], "")
    plan, *_ = world.plan(replace(PARAMS_DEEPFAKES, identity="embedding", among_nearest=6))
    sources = set(plan.table["source_face_id"].to_pylist())
    # Names go before looks where both are known.
    assert {face.rsplit("/", 1)[0] for face in sources} == {
        "ffpp/Deepfakes/b",
        "ffpp/Deepfakes/known",
    }


def test_people_of_one_video_are_looked_at_one_by_one() -> None:
    world = World(persons=0, faces_each=2)
    world.add("real", "a")
    world.add("Deepfakes", "b")
    for face in world.rows["faces"]:
        face["track"] = face["sample"]
        face["embedding"] = [1.0, 0.0] if face["sample"] == 0 else [0.0, 1.0]
    plan, *_ = world.plan(replace(PARAMS_DEEPFAKES, identity="embedding"))
    pairs = {
        (row["target_face_id"][-3], row["source_face_id"][-3]) for row in plan.table.to_pylist()
    }
    assert pairs == {("0", "1"), ("1", "0")}
