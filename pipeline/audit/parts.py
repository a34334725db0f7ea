"""What became of every labelled part of a fake: a face, or nothing and why.

A fake of a single word is labelled in seconds. Each such part is to give a picture; which did not,
and why, is told per part, from the tables of ``scan``, ``frames`` and ``faces``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceshards import fields, keys
from faceshards.wording import counted
from pipeline import tables
from pipeline.audit.findings import SHOWN, Finding
from pipeline.tables.arrays import Bools, Ints, counting, flat, positions
from pipeline.tables.schemas import REJECT_REASONS

KIND = "parts"
"""Of findings about labelled parts."""
FACE = "gave a face"
BEHIND = "it begins behind the end of its video"
WITHIN = "it lies within an earlier part"
NO_TIME = "no planned time lies in it (frames.parts: grid)"
REPEATED = "its picture is also on screen at an earlier planned time, of which it was taken"
NOT_YET = "its video was not looked at yet"
COLUMNS = ("video_id", "dataset", "split", "segments_s", "segments_frames", "outside")
"""Of the table ``videos`` that are needed."""
_ADVICE = {
    BEHIND: "Find out whether list and videos belong together; parts are in seconds from the first "
    "picture.",
    WITHIN: "Nothing has to be done: the earlier part has its pictures.",
    NO_TIME: "Set frames.parts: middle, or fill, to look at such parts too.",
    REPEATED: "Nothing has to be done.",
}
_LOOK = "Look at manifests/rejected/frames.parquet and manifests/rejected/faces.parquet."


@dataclass(frozen=True)
class PartCount:
    """Labelled parts of one split of a dataset that met with the same."""

    dataset: str
    split: str
    fate: str
    """:data:`FACE`, another of these sentences, or what a reject reason means."""
    count: int
    examples: tuple[str, ...]
    """At most :data:`SHOWN`: ``<video_id>, part <n>: <start> to <end>``."""


@dataclass(frozen=True)
class _Parts:
    """Every labelled part, in order of video and time. All arrays are (parts,)."""

    videos: pa.Table
    video: Ints
    """Row of ``videos``."""
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    place: Ints
    """0-based place among its video's parts as they are labelled."""


def labelled(videos: pa.Table) -> pa.Table:
    """Videos of which parts are labelled; not what lies outside of these."""
    of = pc.add(
        pc.list_value_length(videos["segments_s"]), pc.list_value_length(videos["segments_frames"])
    )
    return videos.filter(pc.and_(pc.greater(of, 0), pc.equal(videos["outside"], 0)))


def part_counts(
    videos: pa.Table,
    frames: pa.Table,
    refused: pa.Table,
    faces: pa.Table | None,
    without: pa.Table,
) -> list[PartCount]:
    """What became of labelled parts, by dataset, split and fate; the largest count first.

    Args:
        videos: columns :data:`COLUMNS` of the table ``videos``.
        frames: ``video_id``, ``sample``, ``part``, ``duration_s``, ``frame_count`` of ``frames``.
        refused: rejects of the stage ``frames``.
        faces: ``video_id`` and ``sample`` of ``faces``; None before that stage ran.
        without: rejects of the stage ``faces``.
    """
    parts = _parts(labelled(videos))
    if not len(parts.video):
        return []
    fates = _fates(parts, frames, refused, faces, without)
    about = pa.table(
        {name: parts.videos[name].take(parts.video) for name in ("dataset", "split")}
        | {"fate": fates, "at": np.arange(len(fates))}
    )
    found = about.group_by(["dataset", "split", "fate"]).aggregate(
        [("at", "count"), ("at", "list")]
    )
    counts = [
        PartCount(row["dataset"], row["split"], row["fate"], row["at_count"], _examples(parts, row))
        for row in found.to_pylist()
    ]
    return sorted(counts, key=lambda c: (c.dataset, fields.SPLITS.index(c.split), -c.count, c.fate))


def read(manifests: Path) -> list[PartCount]:
    """:func:`part_counts` of the tables in a folder; none where no part is labelled.

    Raises UserError where a table is damaged.
    """
    videos = tables.read(manifests / "videos.parquet", "videos", COLUMNS)
    if not labelled(videos).num_rows:
        return []
    wanted = ["video_id", "sample", "part", "duration_s", "frame_count"]
    frames, faces = manifests / "frames.parquet", manifests / "faces.parquet"
    return part_counts(
        videos,
        tables.read(frames, "frames", wanted) if frames.is_file() else _none("frames", wanted),
        _rejects(manifests, "frames"),
        tables.read(faces, "faces", ["video_id", "sample"]) if faces.is_file() else None,
        _rejects(manifests, "faces"),
    )


def in_words(videos: pa.Table) -> list[str]:
    """A sentence for each dataset that has labelled parts: how many, in how many fakes."""
    found = labelled(videos)
    count = pc.add(
        pc.list_value_length(found["segments_s"]), pc.list_value_length(found["segments_frames"])
    )
    about = pa.table({"dataset": found["dataset"], "parts": pc.divide(count, 2)})
    totals = about.group_by("dataset").aggregate([("parts", "sum"), ("parts", "count")]).to_pylist()
    return [
        f"{row['dataset']}: {counted(row['parts_sum'], 'labelled part')} in "
        f"{counted(row['parts_count'], 'fake')}"
        for row in sorted(totals, key=lambda row: str(row["dataset"]))
    ]


def findings(counts: Sequence[PartCount]) -> list[Finding]:
    """One finding for each dataset, split and reason for which parts gave nothing."""
    total: dict[tuple[str, str], int] = {}
    for one in counts:
        total[one.dataset, one.split] = total.get((one.dataset, one.split), 0) + one.count
    return [
        Finding(
            kind=KIND,
            severity="warning" if one.fate == BEHIND else "note",
            what=f"{one.count:,} of {counted(total[one.dataset, one.split], 'labelled part')} of "
            f"{one.split} of {one.dataset} gave no face: {one.fate}",
            count=one.count,
            ids=one.examples,
            advice=_ADVICE.get(one.fate, _LOOK),
        )
        for one in counts
        if one.fate not in (FACE, NOT_YET)
    ]


def _rejects(manifests: Path, stage: str) -> pa.Table:
    path = manifests / f"rejected/{stage}.parquet"
    return tables.read(path, "rejected") if path.is_file() else _none("rejected")


def _none(name: str, columns: Sequence[str] = ()) -> pa.Table:
    empty = tables.from_rows(name, [])
    return empty.select(list(columns)) if columns else empty


def _parts(videos: pa.Table) -> _Parts:
    found = []
    for column in ("segments_s", "segments_frames"):
        values = flat(videos[column])
        bounds = pc.list_flatten(values).cast(pa.float64()).to_numpy().reshape(-1, 2)  # (parts, 2)
        found.append((pc.list_parent_indices(values).to_numpy()[::2].astype(np.int64), bounds))
    video, bounds = (np.concatenate(some) for some in zip(*found, strict=True))
    order = np.lexsort((bounds[:, 1], bounds[:, 0], video))
    video, (start, end) = video[order], bounds[order].T
    return _Parts(videos, video, start, end, counting(np.bincount(video)))


def _fates(
    parts: _Parts,
    frames: pa.Table,
    refused: pa.Table,
    faces: pa.Table | None,
    without: pa.Table,
) -> NDArray[np.object_]:
    """What became of each part, (parts,) of sentences."""
    names = parts.videos["video_id"]
    fates = np.full(len(parts.video), NOT_YET, object)
    reason = np.full(len(names), "", object)  # (videos,)
    row = _rows(refused["id"], names)
    reason[row[row >= 0]] = refused["reason"].to_numpy(zero_copy_only=False)[row >= 0]
    rejected = reason[parts.video] != ""
    fates[rejected] = [REJECT_REASONS[one] for one in reason[parts.video][rejected]]
    row = _rows(frames["video_id"], names)
    planned = pc.and_(pa.array(row >= 0), pc.greater_equal(frames["part"], 0))
    frames, row = frames.filter(planned), row[planned.to_numpy(zero_copy_only=False)]
    there = np.bincount(row, minlength=len(names))[parts.video] > 0
    behind, apart = _apart(parts, _lengths(parts, frames, row))
    for fate, where in ((BEHIND, behind), (WITHIN, ~behind & ~apart), (NO_TIME, apart)):
        fates[there & where] = fate
    times = _Times(row, frames["sample"].to_numpy(), _numbered(parts, row, frames, apart))
    fates[times.part[times.part >= 0]] = NOT_YET if faces is None else REPEATED
    if faces is None:
        return fates
    video = _rows(pc.replace_substring_regex(without["id"], "/[^/]*$", ""), names)
    at = times.parts(video, pc.replace_substring_regex(without["id"], "^.*/", "").cast(pa.int64()))
    told = without["reason"].to_numpy(zero_copy_only=False)[at >= 0]
    fates[at[at >= 0]] = [REJECT_REASONS[one] for one in told]
    at = times.parts(_rows(faces["video_id"], names), faces["sample"])
    fates[at[at >= 0]] = FACE
    return fates


class _Times:
    """Planned times, and the part that each lies in.

    Args:
        row: (times,) place of its video.
        sample: (times,) its place in the plan of the video.
        part: (times,) -1 for none.
    """

    def __init__(self, row: Ints, sample: Ints, part: Ints) -> None:
        self.part = part
        self._stretch = int(sample.max(initial=0)) + 1
        time = row * self._stretch + sample
        self._order = np.argsort(time, kind="stable")
        self._time = time[self._order]

    def parts(self, row: Ints, sample: pa.ChunkedArray) -> Ints:
        """The part (n,) of pictures of videos ``row`` (n,); -1 where there is none."""
        number = sample.to_numpy().astype(np.int64)
        time = np.where((row >= 0) & (number < self._stretch), row * self._stretch + number, -1)
        place = positions(self._time, time)
        found = np.full(len(row), -1)
        found[place >= 0] = self.part[self._order[place[place >= 0]]]
        return found


def _lengths(parts: _Parts, frames: pa.Table, row: Ints) -> NDArray[np.float64]:
    """Length (videos,) of each video in what its parts count in; infinite where not known."""
    length = np.full(parts.videos.num_rows, np.inf)
    pictures = frames["frame_count"].to_numpy().astype(np.float64)
    pictures[pictures < 0] = np.inf
    counted_in = pc.list_value_length(parts.videos["segments_frames"]).to_numpy() > 0
    length[row] = np.where(counted_in[row], pictures, frames["duration_s"].to_numpy())
    return length


def _apart(parts: _Parts, length: NDArray[np.float64]) -> tuple[Bools, Bools]:
    """Which parts (parts,) begin behind the end, and which have something of their own.

    The same as :func:`pipeline.video.parts.labelled`, for all videos at once.
    """
    end = np.minimum(parts.end, length[parts.video])
    times, rank = np.unique(end, return_inverse=True)  # ranks, since sums of times would be rounded
    behind_others = parts.video * len(times)  # one video's ranks behind the other's
    reach = np.maximum.accumulate(rank + behind_others)
    before = np.r_[-1, reach[:-1]] - behind_others  # below 0 where it is of another video
    earlier = np.where(before >= 0, times[np.maximum(before, 0)], 0)
    start = np.maximum(parts.start, earlier)
    return parts.start >= length[parts.video], np.maximum(start, 0) < end


def _numbered(parts: _Parts, row: Ints, frames: pa.Table, apart: Bools) -> Ints:
    """The part of each planned time, (times,); the column ``part`` counts those apart."""
    left = np.flatnonzero(apart)
    count = np.bincount(parts.video[left], minlength=parts.videos.num_rows)  # (videos,)
    first, part = np.cumsum(count) - count, frames["part"].to_numpy().astype(np.int64)
    known = part < count[row]
    found = np.full(len(row), -1)
    found[known] = left[(first[row] + part)[known]]
    return found


def _rows(wanted: pa.ChunkedArray, names: pa.ChunkedArray) -> Ints:
    """Row (n,) of names among others; -1 where there is none."""
    found = pc.fill_null(pc.index_in(wanted, value_set=flat(names)), -1)
    return np.asarray(found.to_numpy(), np.int64)


def _examples(parts: _Parts, row: Mapping[str, Any]) -> tuple[str, ...]:
    some = sorted(row["at_list"], key=lambda at: keys.hash64(f"{at}"))[:SHOWN]
    return tuple(
        f"{parts.videos['video_id'][int(parts.video[at])].as_py()}, part {parts.place[at] + 1}: "
        f"{parts.start[at]:g} to {parts.end[at]:g}"
        for at in some
    )
