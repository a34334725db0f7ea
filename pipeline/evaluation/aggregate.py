"""From scores of faces to one score per video."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline import tables
from pipeline.errors import UserError
from pipeline.tables import schemas

SPLITS = ("val", "test")
"""Splits that are evaluated, in the order of the tables of predictions."""

OK, MISSING, ERROR = schemas.SCORE_STATUSES

NO_SCORE = -1.0
"""Score of a video that has none."""
NO_FACE = "no face of it is in the shards"
"""Why a video of a run of ours has no score."""


def per_video(faces: pa.Table, videos: pa.Table) -> pa.Table:
    """Mean score over all faces of each video of the evaluated splits.

    Metric learning, section 4.3: predictions of all faces of a video are averaged. A video is told
    by its unique id; its name alone, which recurs under every method, is never looked at.

    Args:
        faces: table ``predictions_faces``, rows in any order.
        videos: table ``videos``. Those without a face get status ``missing``, ``faces`` 0 and
            score -1.

    Returns:
        Table ``predictions_videos``: every video of val and test, by split, then id.

    Raises:
        UserError: a face is of a video that ``videos`` lacks or puts into another split.
    """
    chosen = listed(videos)
    at = rows_of(faces, chosen)
    counts = np.bincount(at, minlength=chosen.num_rows)  # (videos,)
    scores, log_odds = (
        _means(faces.column(name).to_numpy(), at, counts) for name in ("score", "log_odds")
    )
    there = counts > 0
    return predictions(
        chosen,
        status=np.where(there, OK, MISSING),
        reason=np.where(there, "", NO_FACE),
        faces=counts,
        score=np.where(there, scores, NO_SCORE),
        log_odds=log_odds,
    )


def listed(videos: pa.Table) -> pa.Table:
    """The rows of table ``videos`` that are evaluated: val, then test, each by id."""
    parts = [videos.filter(pc.equal(videos.column("split"), split)) for split in SPLITS]
    return pa.concat_tables([part.sort_by("video_id") for part in parts])


def rows_of(faces: pa.Table, videos: pa.Table) -> NDArray[np.int64]:
    """Row of each face's video, (faces,). Raises UserError where there is none."""
    index = pc.index_in(faces.column("video_id"), videos.column("video_id"))
    _check_belongs(faces, videos, index)
    return np.asarray(index.to_numpy(), np.int64)


def predictions(
    videos: pa.Table,
    status: NDArray[np.str_],
    reason: NDArray[np.str_],
    faces: NDArray[np.int64],
    score: NDArray[np.float64],
    log_odds: NDArray[np.float64],
) -> pa.Table:
    """Table ``predictions_videos`` of :func:`listed` videos and what is known of each (videos,)."""
    columns = {name: videos.column(name) for name in videos.schema.names}
    columns |= {"status": pa.array(status.tolist(), pa.string())}
    columns |= {"reason": pa.array(reason.tolist(), pa.string())}
    columns |= {"faces": pa.array(faces.astype(np.int32))}
    columns |= {"score": pa.array(score), "log_odds": pa.array(log_odds)}
    schema = schemas.schema("predictions_videos")
    table = pa.table([columns[name] for name in schema.names], schema=schema)
    tables.check("predictions_videos", table)
    return table


def _means(
    values: NDArray[np.float64], at: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean of the values (faces,) of each video (videos,), 0 where it has none.

    Sums are exact before they are rounded once, so the order of faces does not matter.
    """
    ends = np.cumsum(counts)
    ordered = values[np.argsort(at, kind="stable")]
    sums = [math.fsum(ordered[end - n : end]) for end, n in zip(ends, counts, strict=True)]
    return np.array(sums, np.float64) / np.maximum(counts, 1)


def _check_belongs(faces: pa.Table, videos: pa.Table, index: pa.ChunkedArray) -> None:
    if index.null_count:
        lost = faces.filter(pc.is_null(index)).column("face_id")[0].as_py()
        raise UserError(
            f"The shards hold the face {lost}, but no video of val or test has it: shards and "
            "manifests/videos.parquet do not belong together. Run `dvc repro shard`."
        )
    splits = videos.column("split").take(index)
    moved = faces.filter(pc.not_equal(faces.column("split"), splits))
    if moved.num_rows:
        raise UserError(
            f"The face {moved.column('face_id')[0].as_py()} was scored in "
            f"{moved.column('split')[0].as_py()}, but its video is in another split by now. "
            "Run `dvc repro shard`."
        )
