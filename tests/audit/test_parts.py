"""What became of labelled parts, against the stages' own planning and a walk over every part."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceshards import keys
from pipeline import tables
from pipeline.audit import parts
from pipeline.config.params import FramesParams, Sampling
from pipeline.tables.schemas import REJECT_REASONS
from pipeline.video.parts import part_numbers
from pipeline.video.plan import FramesTask, planned_parts, planned_times, sampling_text
from pipeline.video.probe import VideoFacts
from tests.audit.test_videos import table, video
from tests.video.clips import write_clip

FRAMES = pa.schema(
    [
        ("video_id", pa.string()),
        ("sample", pa.int32()),
        ("part", pa.int32()),
        ("duration_s", pa.float64()),
        ("frame_count", pa.int64()),
    ]
)
FACES = pa.schema([("video_id", pa.string()), ("sample", pa.int32())])
LOST = ("no_face", "damaged", "repeated", "face")
"""What a planned time may come to; ``repeated`` leaves no trace in any table."""


def rejects(*rows: tuple[str, str]) -> pa.Table:
    return tables.from_rows("rejected", [{"id": i, "reason": r, "detail": ""} for i, r in rows])


def counts(made, frames, faces, lost=(), refused=()) -> list[parts.PartCount]:
    return parts.part_counts(
        made,
        pa.Table.from_pylist(frames, FRAMES),
        rejects(*refused),
        None if faces is None else pa.Table.from_pylist(faces, FACES),
        rejects(*lost),
    )


def row(video_id: str, sample: int, part: int, length: float = 5, pictures: int = -1) -> dict:
    length = {"duration_s": length, "frame_count": pictures}
    return {"video_id": video_id, "sample": sample, "part": part} | length


bounds = st.integers(0, 80).map(lambda n: n / 10)
labels = st.lists(st.tuples(bounds, bounds).filter(lambda pair: pair[0] < pair[1]), max_size=5)


@settings(deadline=None, max_examples=60)
@given(
    labelled=st.lists(labels, min_size=1, max_size=4),
    rule=st.sampled_from(["middle", "fill", "grid"]),
    chance=st.randoms(use_true_random=False),
)
def test_every_part_is_counted_once_as_a_walk_over_them_does(labelled, rule, chance):
    videos, frames, faces, lost, expected = [], [], [], [], Counter()
    for n, some in enumerate(labelled):
        bounds_s = [bound for pair in some for bound in pair]
        mine = video(n=f"v{n}", segments_s=bounds_s)
        videos.append(mine)
        facts = VideoFacts("mov", "h264", 64, 64, 0, 5.0, 25.0, -1)
        times = planned_times(facts, Sampling(fps=1.0, parts=rule), bounds_s)
        if not some:
            frames += [row(mine["video_id"], at, -1) for at in range(len(times))]
            continue
        apart = planned_parts(facts, bounds_s)
        numbers = part_numbers(times, apart)
        came_to = [chance.choice(LOST) for _ in times]
        for at, (number, fate) in enumerate(zip(numbers, came_to, strict=True)):
            frames.append(row(mine["video_id"], at, number))
            if fate == "face":
                faces += [{"video_id": mine["video_id"], "sample": at}] * chance.randint(1, 2)
            elif fate != "repeated":
                lost.append((f"{mine['video_id']}{keys.sample_unit(at)}", fate))
        for place, (start, end) in enumerate(sorted(some)):
            earlier = max([0.0, *(min(e, 5) for _, e in sorted(some)[:place])])
            fates = [
                fate
                for time, fate in zip(times, came_to, strict=True)
                if max(start, earlier) <= time < end
            ]
            if start >= 5 and times:
                expected[parts.BEHIND] += 1
            elif not times:
                expected[parts.NOT_YET] += 1
            elif min(end, 5) <= earlier:
                expected[parts.WITHIN] += 1
            elif not fates:
                expected[parts.NO_TIME] += 1
            elif "face" in fates:
                expected[parts.FACE] += 1
            else:
                told = [fate for fate in fates if fate != "repeated"]
                expected[REJECT_REASONS[told[-1]] if told else parts.REPEATED] += 1
    found = counts(table(*videos), frames, faces, lost)
    assert Counter({one.fate: one.count for one in found}) == expected


def test_pictures_count_where_the_list_does():
    mine = video(n="v", segments_frames=[10, 20, 30, 40])
    frames = [row(mine["video_id"], 0, 0, 100.0, pictures=30)]
    found = counts(table(mine), frames, [{"video_id": mine["video_id"], "sample": 0}])
    assert {one.fate: one.count for one in found} == {parts.FACE: 1, parts.BEHIND: 1}
    assert found[0].examples == ("ds/m/v, part 1: 10 to 20",)


def test_a_video_that_is_refused_loses_all_its_parts_for_that_reason():
    videos = [video(n=n, segments_s=[1.0, 2.0, 3.0, 4.0]) for n in ("a", "b")]
    found = counts(table(*videos), [], None, refused=[(videos[0]["video_id"], "unreadable")])
    assert {one.fate: one.count for one in found} == {
        REJECT_REASONS["unreadable"]: 2,
        parts.NOT_YET: 2,
    }


def test_what_lies_outside_of_parts_and_whole_videos_have_none():
    videos = [video(segments_s=[1.0, 2.0], outside=1, label=0), video()]
    assert counts(table(*videos), [], []) == []
    assert parts.in_words(table(*videos)) == []


def test_a_plan_says_how_many_there_are():
    videos = [video(segments_s=[1.0, 2.0, 3.0, 4.0]), video(segments_frames=[1, 2]), video()]
    other = video(dataset="a", segments_s=[0.0, 1.0])
    assert parts.in_words(table(*videos, other)) == [
        "a: 1 labelled part in 1 fake",
        "ds: 3 labelled parts in 2 fakes",
    ]


def test_findings_say_which_parts_gave_nothing_and_why():
    mine = video(n="v", segments_s=[1.0, 1.5, 2.0, 2.5, 7.0, 8.0])
    frames = [row(mine["video_id"], 0, 0), row(mine["video_id"], 1, 1)]
    faces = [{"video_id": mine["video_id"], "sample": 0}]
    lost = [("ds/m/v/00001", "no_face")]
    behind, no_face = sorted(
        parts.findings(counts(table(mine), frames, faces, lost)), key=lambda one: one.what
    )
    assert behind.severity == "warning"
    assert behind.what.startswith("1 of 3 labelled parts of train of ds gave no face: it begins")
    assert behind.ids == ("ds/m/v, part 3: 7 to 8",)
    assert no_face.severity == "note"
    assert no_face.ids == ("ds/m/v, part 2: 2 to 2.5",)


@pytest.mark.parametrize("rule", ["middle", "grid"])
def test_a_real_clip_planned_by_the_stage(tmp_path: Path, rule: str):
    clip = tmp_path / "clip.mp4"
    write_clip(clip, range(50))
    mine = video(n="v", segments_s=[0.2, 0.4, 1.0, 1.2, 9.0, 9.5])
    inputs = {"file": str(clip), "media": "video", "segments_frames": [], "outside": 0}
    inputs |= {"segments_s": mine["segments_s"], "sampling": sampling_text(Sampling(parts=rule))}
    planned = FramesTask(FramesParams()).work({"fingerprint": "", **inputs})
    frames = [
        {"video_id": mine["video_id"]} | {n: o.fields[n] for n in FRAMES.names[1:]}
        for o in planned.outputs
    ]
    found = {one.fate: one.count for one in counts(table(mine), frames, None)}
    if rule == "middle":
        assert found == {parts.NOT_YET: 2, parts.BEHIND: 1}
    else:
        assert found == {parts.NOT_YET: 1, parts.NO_TIME: 1, parts.BEHIND: 1}
