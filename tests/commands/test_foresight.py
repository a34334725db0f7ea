"""What lies behind a change, on toy stores of which each case knows what must be worked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from faceshards import keys
from pipeline.commands.foresight import Before, foresee
from pipeline.config.params import EngineParams
from pipeline.engine import run
from pipeline.engine.rows import Plan, in_batches
from pipeline.engine.stage import Stage
from pipeline.engine.survey import Store, survey
from tests.engine import toy

VIDEOS = [f"toy/real/v{i}" for i in range(12)]


@dataclass
class Task(toy.ToyTask):
    """Rows are of any kind; outputs are named after the row."""

    copies: int = 1


def hashes(*ids: str) -> np.ndarray:
    return np.array([keys.hash64(one) for one in ids], np.uint64)


def videos(texts: Mapping[str, str], name: str = "faces") -> Stage:
    table = pa.table({"video_id": list(texts), "text": list(texts.values())})
    plan = Plan(in_batches(table), table.schema, "video_id", "video_id", content=("text",))
    return Stage(name, Task(), plan, Store(Path(name), "faces", 4))


def swaps(texts: Mapping[str, str]) -> Stage:
    """Swap number i puts a face of video i + 1 into a face of video i."""
    at = [int(name.rsplit("-", 1)[1]) for name in texts]
    columns = {
        "sample_id": list(texts),
        "video_id": [VIDEOS[i] for i in at],
        "source_face_id": [f"{VIDEOS[i + 1]}/0-0" for i in at],
        "text": list(texts.values()),
    }
    plan = Plan(
        in_batches(pa.table(columns)),
        pa.table(columns).schema,
        "sample_id",
        "video_id",
        content=("text",),
        attach=("source_face_id",),
    )
    return Stage("expand", Task(), plan, Store(Path("expand"), "faces", 4))


def shards(samples: Mapping[str, str]) -> Stage:
    """Sample ids and their videos, in two groups: faces and swaps."""
    ids = list(samples)
    columns = {
        "sample_id": ids,
        "video_id": list(samples.values()),
        "group": ["expanded" if "swap" in one else "train" for one in ids],
        "text": ids,
    }
    plan = Plan(
        in_batches(pa.table(columns)),
        pa.table(columns).schema,
        "sample_id",
        "video_id",
        content=("text",),
        group_by="group",
    )
    store = Store(Path("shard"), "faces", 4, tars=Path("tars"), isolate=False)
    return Stage("shard", Task(), plan, store)


def look(stage: Stage, before: Before, old: list[str]):
    now = survey(stage.task, stage.plan, stage.store, 1, stage.store.sound())
    rows = foresee(stage, now, np.unique(hashes(*old)), before)
    return (rows.to_do, rows.keep, rows.drop), rows.after


def work(stage: Stage) -> None:
    run.run(stage.name, stage.task, stage.plan, stage.store, EngineParams(workers=0), 1)


TEXTS = {video: f"text {video}" for video in VIDEOS}
SWAPS = {f"toy/swap/s-{i}": f"swap {i}" for i in range(6)}
SAMPLES = {f"{video}/0-0": video for video in VIDEOS} | {
    name: VIDEOS[i] for i, name in enumerate(SWAPS)
}


@pytest.fixture(autouse=True)
def _worked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for stage in (videos(TEXTS), swaps(SWAPS), shards(SAMPLES)):
        work(stage)


def test_nothing_is_to_do_where_nothing_changed():
    before = Before()
    for stage, old in ((videos(TEXTS), VIDEOS), (swaps(SWAPS), SWAPS), (shards(SAMPLES), SAMPLES)):
        counts, before = look(stage, before, list(old))
        assert counts == (0, len(old), 0)


def test_a_changed_swap_touches_the_shards_of_swaps_alone():
    counts, before = look(swaps(dict.fromkeys(SWAPS, "other")), Before(), list(SWAPS))
    assert counts == (6, 0, 0)
    counts, _ = look(shards(SAMPLES), before, list(SAMPLES))
    assert counts == (6, 12, 0)  # faces' tars are not packed again


def test_a_changed_video_touches_what_is_made_of_its_faces():
    counts, before = look(videos(TEXTS | {VIDEOS[3]: "other"}), Before(), VIDEOS)
    assert counts == (1, 11, 0)
    counts, before = look(swaps(SWAPS), before, list(SWAPS))
    assert counts == (2, 4, 0)  # as target of swap 3 and as source of swap 2
    where = shards(SAMPLES).store
    now = survey(Task(), shards(SAMPLES).plan, where, 1, where.sound())
    ids = list(SAMPLES)
    hit = {f"{VIDEOS[3]}/0-0", "toy/swap/s-3", "toy/swap/s-2"}
    packed = [part.size for part in now.wanted if hit & {ids[i] for i in part.rows}]
    assert 0 < sum(packed) < len(SAMPLES)
    counts, _ = look(shards(SAMPLES), before, list(SAMPLES))
    assert counts == (sum(packed), len(SAMPLES) - sum(packed), 0)


def test_swaps_that_come_and_go_are_rows_of_shards():
    less = {name: text for name, text in SWAPS.items() if not name.endswith("-5")}
    counts, before = look(swaps(less), Before(), list(SWAPS))
    assert counts == (0, 5, 1)
    (to_do, keep, drop), _ = look(shards(SAMPLES), before, list(SAMPLES))
    assert (to_do + keep, drop) == (17, 1)
    assert to_do <= 5
    counts, before = look(swaps(SWAPS | {"toy/swap/s-6": "new"}), Before(), list(SWAPS))
    assert counts == (1, 6, 0)
    counts, _ = look(shards(SAMPLES), before, list(SAMPLES))
    assert counts == (1, 18, 0)


def test_new_videos_bring_rows_as_the_others_have():
    more = TEXTS | {f"toy/real/n{i}": "new" for i in range(6)}
    counts, before = look(videos(more, "frames"), Before(), VIDEOS)
    assert counts == (18, 0, 0)  # this stage has no store yet
    assert before.growth == 1.5
    counts, before = look(videos(TEXTS), Before(growth=1.5), VIDEOS)
    assert counts == (6, 12, 0)
    counts, _ = look(shards(SAMPLES), before, list(SAMPLES))
    assert counts == (9, 18, 0)
