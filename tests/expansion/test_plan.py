from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import tables
from pipeline.config.params import ExpandParams
from pipeline.errors import UserError
from pipeline.expansion.plan import choose_targets, expansion_plan
from pipeline.tables.sources import Held
from tests.tables.made import PLAIN_VIDEO

STORE = Path("/store")
PARAMS = ExpandParams(datasets=("ffpp",))


class World:
    """Tables of a small dataset: reals 000, 001, ... and fakes a_b of several methods."""

    def __init__(self, persons: int = 4, faces_each: int = 3, dataset: str = "ffpp") -> None:
        self.dataset = dataset
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
                "detector": "dlib",
                "affine": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
                "crop_px": 224,
                "face_px": 9.0,
                "padded": 0.0,
                "sharpness": 1.0,
                "brightness": 1.0,
                "altered": -1.0,
                "phash": "0" * 16,
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
        points = rng.integers(0, 224, 136).astype(float).tolist()
        self.rows["landmarks"].append({"face_id": face, "points": points, "score": -1.0})

    def table(self, name: str) -> pa.Table:
        return tables.from_rows(name, self.rows[name])

    def plan(self, params: ExpandParams = PARAMS, lossless: tuple[str, ...] = ("ffpp",)) -> Any:
        names = ("videos", "faces", "samples", "landmarks")
        return expansion_plan(*(Held(self.table(n)) for n in names), params, 0, lossless, STORE)


def persons(video: dict[str, Any]) -> set[str]:
    return {video[k] for k in ("identity", "target_id", "source_id") if video[k]}


def test_every_region_gets_as_many_as_a_fake_method_has() -> None:
    world = World(persons=5, faces_each=4)
    world.add_fake("Face2Face", 0, 2)  # 20, 20 and 24 fakes: the mean is 21.33
    plan, rejects = world.plan(ExpandParams(datasets=("ffpp",), regions=("eye", "nose")))
    assert rejects == []
    # 20 targets only: all of them once and one of them twice.
    assert Counter(plan.table["region"].to_pylist()) == {"eye": 21, "nose": 21}
    rounds = Counter(i.rsplit("-", 1)[1] for i in plan.table["sample_id"].to_pylist())
    assert rounds == {"0": 40, "1": 2}


def test_a_source_is_the_nearest_face_of_other_people() -> None:
    world = World(persons=5, faces_each=2)
    plan, _ = world.plan()
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
    plan, _ = World().plan()
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
    plan, _ = world.plan()
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
    world.add("real", "a", **real)
    world.add("Deepfakes", "b", **fake)
    plan, rejects = world.plan(ExpandParams(datasets=("ffpp",), source_methods=("Deepfakes",)))
    assert plan.table.num_rows == 0
    assert len(rejects) == 4 * 3
    assert {reason for _, reason, _ in rejects} == {"no_source"}


def test_the_same_name_in_unlike_columns_is_no_tie() -> None:
    world = World(persons=0)
    world.add("real", "a", identity="g")
    world.add("Deepfakes", "b", leak_group="g")
    plan, rejects = world.plan(ExpandParams(datasets=("ffpp",), source_methods=("Deepfakes",)))
    assert (plan.table.num_rows, rejects) == (4 * 3, [])


def test_no_source_without_other_people() -> None:
    world = World(persons=2, faces_each=1)  # every fake shows or replaces both of them
    plan, rejects = world.plan()
    assert plan.table.num_rows == 0
    assert len(rejects) == 4 * 2
    assert rejects[0][0] == "ffpp/swap_eye/000/00000-0-0"


def test_more_than_there_are_targets_takes_the_next_source() -> None:
    world = World(persons=4, faces_each=1)
    plan, rejects = world.plan(ExpandParams(datasets=("ffpp",), regions=("eye",), per_region=18))
    # Each target has two admissible fakes in each of two methods: a fifth round finds none.
    assert plan.table.num_rows == 4 * 4
    assert [detail for _, _, detail in rejects] == [
        "4 faces of another identity among Deepfakes or FaceSwap of ffpp"
    ] * 2
    by_target: dict[str, list[str]] = {}
    for row in plan.table.to_pylist():
        by_target.setdefault(row["target_face_id"], []).append(row["source_face_id"])
    assert all(len(set(sources)) == 4 for sources in by_target.values())


def test_faces_without_landmarks_are_not_used() -> None:
    world = World()
    gone = {row["face_id"] for row in world.rows["landmarks"][::5]}
    world.rows["landmarks"] = [r for r in world.rows["landmarks"] if r["face_id"] not in gone]
    plan, _ = world.plan()
    assert plan.table.num_rows > 0
    used = plan.table["target_face_id"].to_pylist() + plan.table["source_face_id"].to_pylist()
    assert not gone & set(used)


def test_the_order_of_the_tables_means_nothing() -> None:
    world = World()
    plan, _ = world.plan()
    for rows in world.rows.values():
        rows.reverse()
    again, _ = world.plan()
    assert plan.table.equals(again.table)


def test_equally_near_sources_go_by_face_id() -> None:
    world = World(persons=4)
    for row in world.rows["landmarks"]:
        row["points"] = [1.0] * 136
    for rows in world.rows.values():
        rows.reverse()
    plan, _ = world.plan(ExpandParams(datasets=("ffpp",), regions=("eye",), per_region=12))
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
    plan, rejects = World().plan(ExpandParams())
    assert (plan.table.num_rows, rejects) == (0, [])


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
    with pytest.raises(UserError, match="ffpp has no fake train samples to match"):
        world.plan(params)


sizes = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 12), max_size=8)


@given(available=sizes, wanted=st.integers(0, 60))
def test_targets_repeat_only_when_all_are_used(available: dict[str, int], wanted: int) -> None:
    of_video = [video for video, n in sorted(available.items()) for _ in range(n)]
    ids = [f"{video}/{place}" for place, video in enumerate(of_video)]
    chosen = choose_targets(ids, of_video, wanted, "salt")
    assert len(chosen) == len(set(chosen)) == (wanted if ids else 0)
    uses = Counter(place for place, _ in chosen)
    for place, times in uses.items():
        assert {k for p, k in chosen if p == place} == set(range(times))
    if ids:
        counts = [uses[place] for place in range(len(ids))]
        assert max(counts) - min(counts) <= 1


def test_the_choice_depends_on_the_salt() -> None:
    ids = [f"v/{i}" for i in range(50)]
    picks = [choose_targets(ids, ["v"] * 50, 5, salt) for salt in ("0/eye", "0/eye", "0/nose")]
    assert picks[0] == picks[1] != picks[2]
