"""Which rows of a stage will be worked because of what earlier stages do first.

An earlier stage *touches* the ids of rows that it works or drops: videos, faces or samples. A later
row hangs on them where it, its video or one of its faces is touched. Only hashes are held.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceshards import keys
from pipeline.engine.stage import Stage
from pipeline.engine.survey import Survey

Hashes = NDArray[np.uint64]


def _none() -> Hashes:
    return np.empty(0, np.uint64)


@dataclass(frozen=True)
class Before:
    """What the stages so far will have done."""

    touched: Hashes = field(default_factory=_none)
    """Ids of their rows that are worked or dropped."""
    new: Hashes = field(default_factory=_none)
    """Ids that the last of them has for the first time; later tables do not have them yet."""
    gone: Hashes = field(default_factory=_none)
    """Ids that the last of them drops; later tables still have them."""
    growth: float = 1.0
    """Videos that there will be, per video that later tables are made from."""


@dataclass(frozen=True)
class Rows:
    """What one stage will do, in rows."""

    to_do: int
    keep: int
    drop: int
    after: Before


def foresee(stage: Stage, now: Survey, old_ids: Hashes, before: Before) -> Rows:
    """Counts the rows of a stage, and hands on what they touch.

    Args:
        stage: as it is prepared from the tables there are.
        now: its plan held against its store.
        old_ids: ids that the store holds.
        before: what earlier stages will have done.
    """
    fresh, dropped = ~np.isin(now.ids, old_ids), np.setdiff1d(old_ids, now.ids)
    work = now.to_do | _hang(stage, now, before.touched)
    touched = np.unique(np.concatenate([before.touched, now.ids[work], dropped]))
    # A row of `expand` is a row of `shard`, by the same id. No other stage passes its rows on.
    leaves = np.isin(now.ids, before.gone)
    work &= ~leaves
    if not stage.store.content_named:  # a shard is packed as a whole
        for part in now.wanted:
            rows = part.rows[~leaves[part.rows]]
            work[rows] |= bool(work[rows].any() or leaves[part.rows].any())
    # Rows in no table yet: those of new videos, as many for each as there are for the others.
    absent = round((before.growth - 1) * len(now.ids))
    absent += len(np.setdiff1d(before.new, now.ids)) if stage.name == "shard" else 0
    to_do, leaving = int(work.sum()) + absent, int(leaves.sum())
    return Rows(
        to_do=to_do,
        keep=len(now.ids) - leaving + absent - to_do,
        drop=len(dropped) + leaving,
        after=replace(
            before,
            touched=touched,
            new=now.ids[fresh],
            gone=dropped if stage.name == "expand" else _none(),
            growth=before.growth * (_growth(fresh) if stage.plan.id == "video_id" else 1),
        ),
    )


def _hang(stage: Stage, now: Survey, touched: Hashes) -> NDArray[np.bool_]:
    """Whether a row (N,) hangs on what is touched."""
    found = np.isin(now.ids, touched) | np.isin(now.buckets, touched)
    faces = [name for name in stage.plan.attach if name.endswith("face_id")]
    if faces and len(touched):
        at = 0
        for batch in stage.plan.tables():
            for name in faces:
                ids = batch.column(name)
                # keys.face_id puts the face's place behind the id of its video.
                for one in (ids, pc.replace_substring_regex(ids, "/[^/]*$", "")):
                    found[at : at + batch.num_rows] |= np.isin(_hashes(one), touched)
            at += batch.num_rows
    return found


def _growth(fresh: NDArray[np.bool_]) -> float:
    kept = int((~fresh).sum())
    return len(fresh) / kept if kept else 1.0


def _hashes(ids: pa.ChunkedArray) -> Hashes:
    return np.array([keys.hash64(one) for one in ids.to_pylist()], np.uint64)
