"""Near-duplicate faces: crops of different videos whose perceptual hashes are nearly the same.

Faces of one video look alike, and so do those of a fake and its real: neither is a finding within a
split. Across splits everything that looks alike is.
"""

import heapq
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from faceshards.fields import SPLITS
from pipeline.audit.findings import SHOWN, Finding, Place, in_order, severity_between
from pipeline.audit.hamming import Hashes, near_pairs
from pipeline.audit.relations import related, ties
from pipeline.tables.arrays import Bools, Ints

KIND = "near_duplicate"
NEAR_BITS = 4
"""Two faces are near-duplicates where their hashes differ in at most so many of 64 bits.

A hash has as many ones as zeros, so distances are even. Of the sample's faces, all stay within 2
after JPEG at quality 40 or half the size, 94 % within 4 after a shift by 2 of 224 px; of the same
person's faces one second later, 9 % are within 4.
"""

_ADVICE = (
    "Their datasets do not say that they are related, or in which way: look at the videos. "
    "balance.audit: drop leaves out all but one, of test, then val, then of the smallest id."
)


@dataclass(frozen=True)
class NearDuplicates:
    """What is nearly the same, and what is left without it."""

    findings: list[Finding]
    superfluous: Bools
    """bool (faces,), faces with a near-duplicate that comes before them: in test before val before
    train, then by id."""


@dataclass
class _Between:
    """Near-duplicates between two places, as far as they are known."""

    faces: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    examples: list[tuple[int, int]] = field(default_factory=list)

    def add(self, one: Ints, other: Ints) -> None:
        """Takes in pairs of faces."""
        self.faces = np.union1d(self.faces, np.concatenate([one, other]))
        low, high = np.minimum(one, other), np.maximum(one, other)
        first = np.lexsort((high, low))[: SHOWN // 2]
        pairs = zip(low[first].tolist(), high[first].tolist(), strict=True)
        self.examples = heapq.nsmallest(SHOWN // 2, [*self.examples, *pairs])


def near_duplicates(videos: pa.Table, faces: pa.Table) -> NearDuplicates:
    """Finds near-duplicate faces of different videos.

    Args:
        videos: columns ``video_id``, ``dataset``, ``split`` and those of
            :func:`pipeline.audit.relations.ties`.
        faces: columns ``face_id``, ``video_id`` and ``phash``, in any order.

    Raises:
        ValueError: a hash is not 16 hex digits, or a face is of a video that ``videos`` lacks.
    """
    video = pc.index_in(faces["video_id"], value_set=videos["video_id"])
    if video.null_count:
        stray = faces["video_id"].filter(pc.is_null(video))[0].as_py()
        raise ValueError(f"{stray!r} is in faces and not in videos")
    video = video.to_numpy().astype(np.int64)  # (faces,)
    split = pc.index_in(videos["split"], value_set=pa.array(SPLITS)).to_numpy()  # (videos,)
    names = sorted(videos["dataset"].unique().to_pylist())
    dataset = pc.index_in(videos["dataset"], value_set=pa.array(names, pa.string())).to_numpy()
    place = (split * max(1, len(names)) + dataset)[video]  # (faces,)
    by_id = np.argsort(pc.sort_indices(faces["face_id"]).to_numpy(), kind="stable")
    standing = np.argsort(np.lexsort((by_id, -split[video])), kind="stable")  # (faces,), 0 first

    known = ties(videos)
    superfluous = np.zeros(len(video), bool)
    between: dict[int, _Between] = {}
    places = len(SPLITS) * len(names)
    for one, other in near_pairs(hashes(faces["phash"]), NEAR_BITS):
        meant = video[one] != video[other]
        one, other = one[meant], other[meant]
        pairs, of_pair = np.unique(
            np.sort(np.stack([video[one], video[other]], axis=1), axis=1),
            axis=0,
            return_inverse=True,
        )
        kin = related(known, pairs[:, 0], pairs[:, 1])
        kin &= split[pairs[:, 0]] == split[pairs[:, 1]]
        meant = ~kin[of_pair.ravel()]
        one, other = one[meant], other[meant]
        superfluous[np.where(standing[one] > standing[other], one, other)] = True
        low, high = np.minimum(place[one], place[other]), np.maximum(place[one], place[other])
        for code in np.unique(low * places + high):
            mine = low * places + high == code
            between.setdefault(int(code), _Between()).add(one[mine], other[mine])

    def at(code: int) -> Place:
        return Place(code // len(names), names[code % len(names)])

    findings = [
        _finding(faces, at(code // places), at(code % places), found)
        for code, found in between.items()
    ]
    return NearDuplicates(in_order(findings), superfluous)


def hashes(column: pa.ChunkedArray) -> Hashes:
    """The hashes as numbers, uint64 (N,). Raises ValueError where one is not 16 hex digits."""
    lengths = pc.binary_length(column)
    if not pc.all(pc.equal(lengths, 16)).as_py() and len(column):
        raise ValueError("a perceptual hash does not have 16 hex digits")
    digits = bytes.fromhex("".join(column.to_pylist()))
    return np.frombuffer(digits, ">u8").astype(np.uint64)


def _finding(faces: pa.Table, one: Place, other: Place, found: _Between) -> Finding:
    where = f"within {one}, of unrelated videos" if one == other else f"in both {one} and {other}"
    rows = dict.fromkeys(row for pair in found.examples for row in pair)
    return Finding(
        kind=KIND,
        severity=severity_between(one, other),
        what=f"{len(found.faces)} faces {where} look nearly the same",
        count=len(found.faces),
        ids=tuple(faces["face_id"][row].as_py() for row in rows),
        advice=_ADVICE,
    )
