"""From scores of faces to one score per video."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import tables
from pipeline.errors import UserError
from pipeline.tables import schemas

SPLITS = ("val", "test")
"""Splits that are evaluated, in the order of the tables of predictions."""

MILLIONTHS = 1_000_000
"""Scores are kept to 1e-6, so sums of them are sums of whole numbers: the same in any order."""

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
    millionths = np.rint(faces.column("score").to_numpy() * MILLIONTHS)  # (faces,)
    n = chosen.num_rows
    counts = np.bincount(at, minlength=n)  # (videos,)
    sums = np.bincount(at, weights=millionths, minlength=n)  # (videos,)
    means = np.rint(sums / np.maximum(counts, 1)) / MILLIONTHS  # (videos,)
    columns = {c: chosen.column(c) for c in chosen.schema.names}
    columns["faces"] = pa.array(counts.astype(np.int32))
    columns["score"] = pa.array(np.where(counts > 0, means, WITHOUT_FACE))
    schema = schemas.schema("predictions_videos")
    table = pa.table([columns[name] for name in schema.names], schema=schema)
    tables.check("predictions_videos", table)
    return table


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
