"""Which faces may be each other's source: those that are known to show different people.

Unknown is not different. A video of nobody known may be a copy of the target's own, whose face
would be its nearest source, and the sample a real face that is called fake.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.audit.hamming import near_pairs
from pipeline.audit.near_duplicates import NEAR_BITS, hashes
from pipeline.audit.relations import names_of
from pipeline.tables.arrays import Bools, Ints, flat

Identity = Literal["required", "embedding", "assume_different"]
"""What tells people apart where their videos do not name them: nothing; what their tracks look
like; that their videos are different ones."""


@dataclass(frozen=True)
class People:
    """Faces by who they show: a group is a track of a video."""

    group: Ints
    """int64 (faces,), group of each face; groups are numbered in the order of the table."""
    first: Ints
    """int64 (groups,), a face of each."""
    known: Bools
    """bool (groups,), it is known who everybody is that had part in the video."""
    names: Sequence[set[str]]
    """Per group, people, scenes and groups of videos that it must not share with a source."""
    looks: NDArray[np.float64] | None
    """float64 (groups, D), what each looks like, as a unit vector; 0 where that is not known."""


def people(faces: pa.Table, identity: Identity) -> People:
    """Who faces show.

    Args:
        faces: columns ``video_id``, ``track``, ``phash``, ``label`` and those of
            :func:`pipeline.audit.relations.names_of`; ``embedding`` where that tells people apart.
        identity: what does.
    """
    video = flat(faces["video_id"]).dictionary_encode()
    track = faces["track"].to_numpy().astype(np.int64)
    tracks = int(track.max(initial=0)) + 1
    _, first, group = np.unique(
        video.indices.to_numpy().astype(np.int64) * tracks + track,
        return_index=True,
        return_inverse=True,
    )
    one_each = faces.take(pa.array(first))
    names = names_of(one_each)
    of_group = video.indices.to_numpy()[first]
    for one, other in _look_alike(faces["phash"], video.indices.to_numpy()):
        pair = f"near-duplicates {one} {other}"
        for found in np.flatnonzero((of_group == one) | (of_group == other)).tolist():
            names[found].add(pair)
    looks = _looks(one_each["embedding"]) if identity == "embedding" else None
    return People(group.ravel(), first, known(one_each), names, looks)


def known(videos: pa.Table) -> Bools:
    """Whether it is known who had part in videos, (N,): who is visible, or both of a fake."""
    visible, target, source = (
        pc.not_equal(videos[name], "").to_numpy() for name in ("identity", "target_id", "source_id")
    )
    return np.asarray(visible | (target & source))


def _look_alike(phash: pa.ChunkedArray, video: Ints) -> list[list[int]]:
    """Pairs of videos of which two faces look nearly the same."""
    found = [np.zeros((0, 2), np.int64)]
    for one, other in near_pairs(hashes(phash), NEAR_BITS):
        pairs = np.sort(np.stack([video[one], video[other]], axis=1), axis=1)
        found.append(np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0))
    pairs_of_videos: list[list[int]] = np.unique(np.concatenate(found), axis=0).tolist()
    return pairs_of_videos


def _looks(embeddings: pa.ChunkedArray) -> NDArray[np.float64]:
    rows = embeddings.to_pylist()
    looks = np.zeros((len(rows), max(map(len, rows), default=0)))
    for place, row in enumerate(rows):
        looks[place, : len(row)] = row
    lengths = np.linalg.norm(looks, axis=1, keepdims=True)
    return np.asarray(looks / np.maximum(lengths, np.finfo(np.float64).tiny))


def tied(found: People, targets: Ints, sources: Ints, different: float) -> list[Ints]:
    """Which source groups each target group is tied to.

    Args:
        found: who everybody is.
        targets: int64 (T,), groups.
        sources: int64 (S,), groups.
        different: cosine below which two looks are those of different people.

    Returns:
        Per target group, places in ``sources``: those that share a name; and, where somebody is
        not known and looks are there to tell, those that do not look different.
    """
    by_name: dict[str, list[int]] = {}
    for place, group in enumerate(sources.tolist()):
        for name in found.names[group]:
            by_name.setdefault(name, []).append(place)
    unknown = ~found.known[sources]  # (S,)
    ties = []
    for group in targets.tolist():
        mine = {place for name in found.names[group] for place in by_name.get(name, ())}
        if found.looks is not None:
            look = found.looks[group]
            unlike = np.round(found.looks[sources] @ look, 3) < different
            unlike &= look.any() & found.looks[sources].any(axis=1)
            asked = unknown | (not found.known[group])
            mine.update(np.flatnonzero(asked & ~unlike).tolist())
        ties.append(np.array(sorted(mine), np.int64))
    return ties
