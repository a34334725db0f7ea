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

WITHOUT_FACE = -1.0
"""Score of a video in which no face was found."""


def per_video(faces: pa.Table, videos: pa.Table) -> pa.Table:
    """Mean score over all faces of each video of the evaluated splits.

    Metric learning, section 4.3: predictions of all faces of a video are averaged. A video is told
    by its unique id; its name alone, which recurs under every method, is never looked at.

    Args:
        faces: table ``predictions_faces``, rows in any order.
        videos: table ``videos``. Those without a face get ``faces`` 0 and score -1.

    Returns:
        Table ``predictions_videos``, by split (val, test), then id.

    Raises:
        UserError: a face is of a video that ``videos`` lacks or puts into another split.
    """
    parts = [videos.filter(pc.equal(videos.column("split"), split)) for split in SPLITS]
    chosen = pa.concat_tables([part.sort_by("video_id") for part in parts])
    index = pc.index_in(faces.column("video_id"), chosen.column("video_id"))
    _check_belongs(faces, chosen, index)
    at = index.to_numpy().astype(np.int64)  # (faces,)
    counts = np.bincount(at, minlength=chosen.num_rows)  # (videos,)
    scores, log_odds = (
        _means(faces.column(name).to_numpy(), at, counts) for name in ("score", "log_odds")
    )
    columns = {c: chosen.column(c) for c in chosen.schema.names}
    columns["faces"] = pa.array(counts.astype(np.int32))
    columns["score"] = pa.array(np.where(counts > 0, scores, WITHOUT_FACE))
    columns["log_odds"] = pa.array(log_odds)
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
