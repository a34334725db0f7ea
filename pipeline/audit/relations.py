"""Which videos are related: they share a person, a clip, a scene or a part of a leak group.

The audit looks for related videos in different splits; expansion takes no source of a related one.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.tables.arrays import Bools, Ints, flat, ranges

_SHOWN = ("identity", "target_id", "pair_id")
"""Columns of ``videos`` whose value two videos share where both show the same."""
_LENT = "source_id"
"""Whose face or motion was put in; where the face shows, ``identity`` says so too."""
_PERSONS = ("identity", "target_id", _LENT)


@dataclass(frozen=True)
class Ties:
    """One row per video and name that ties it to others; a row may occur more than once."""

    video: Ints
    """int64 (T,), row of the table ``videos``."""
    name: Ints
    """int64 (T,), place in ``names``."""
    lent: Bools
    """bool (T,), the name is only that of ``source_id``."""
    names: pa.Array
    """Names of people, clips, scenes and groups; each once."""


def ties(videos: pa.Table) -> Ties:
    """What ties videos together.

    Args:
        videos: columns ``identity``, ``target_id``, ``source_id``, ``pair_id`` and ``leak_group``,
            whose parts, joined with ``+``, count one by one.
    """
    everyone = np.arange(videos.num_rows)
    parts = pc.split_pattern(flat(videos["leak_group"]), "+")
    columns = [
        *((everyone, flat(videos[name])) for name in _SHOWN),
        (pc.list_parent_indices(parts).to_numpy(), pc.list_flatten(parts)),
        (everyone, flat(videos[_LENT])),
    ]
    encoded = pa.concat_arrays([values for _, values in columns]).dictionary_encode()
    name = encoded.indices.to_numpy().astype(np.int64)
    video = np.concatenate([rows for rows, _ in columns]).astype(np.int64)
    lent = np.arange(len(name)) >= len(name) - len(everyone)
    empty = pc.index(encoded.dictionary, "").as_py()
    there = name != empty
    return Ties(video[there], name[there], lent[there], encoded.dictionary)


def names_of(videos: pa.Table) -> list[set[str]]:
    """What each row must not share with another that is to show other people in another scene.

    A person in any role, also whose face was lent; the video, the scene and parts of the leak
    group. The same word in unlike columns is not the same thing: here nobody's split is at stake,
    and a name too many would refuse a good source.

    Args:
        videos: columns as in :func:`ties`, and ``video_id``; a video may have several rows.

    Returns:
        Per row, names with what they are names of.
    """
    found: list[set[str]] = [set() for _ in range(videos.num_rows)]
    for column in ("video_id", *_SHOWN, _LENT, "leak_group"):
        kind = "person" if column in _PERSONS else column
        for row, value in enumerate(videos[column].to_pylist()):
            parts = value.split("+") if column == "leak_group" else [value]
            found[row].update(f"{kind} {part}" for part in parts if part)
    return found


def related(known: Ties, one: Ints, other: Ints) -> Bools:
    """Whether the videos of each pair share a name that is not just lent.

    Args:
        known: of the table that the rows are of.
        one: int64 (P,), rows of ``videos``.
        other: int64 (P,).

    Returns:
        bool (P,).
    """
    video, name = known.video[~known.lent], known.name[~known.lent]
    keys = np.unique(video * len(known.names) + name)  # (T,), sorted by video, then name
    video, name = keys // max(1, len(known.names)), keys % max(1, len(known.names))
    first = np.searchsorted(video, one, side="left")
    count = np.searchsorted(video, one, side="right") - first
    pair = np.repeat(np.arange(len(one)), count)
    place = ranges(first, count)
    wanted = other[pair] * len(known.names) + name[place]
    found = np.searchsorted(keys, wanted)
    shared = keys[np.minimum(found, len(keys) - 1)] == wanted if len(keys) else np.zeros(0, bool)
    return np.bincount(pair[shared], minlength=len(one)) > 0
