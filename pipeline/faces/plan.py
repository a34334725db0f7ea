"""What there is to do for ``faces`` (one row per video) and ``landmarks`` (one row per face)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import FacesParams, JpegParams
from pipeline.engine.rows import Plan
from pipeline.faces.crop import boxes_in_crop


def faces_plan(
    videos: pa.Table,
    frames: pa.Table,
    files: Sequence[str],
    params: FacesParams,
    jpeg: JpegParams,
) -> Plan:
    """One row per video that has planned times.

    Args:
        videos: table ``videos``.
        frames: table ``frames``; the rows of a video are adjacent and in the order of ``sample``.
        files: absolute path of every row of ``videos``.
        params: ``lossless`` decides which datasets are stored as PNG.
        jpeg: how the others are stored.
    """
    ids = frames.column("video_id").combine_chunks()
    starts = np.flatnonzero(_changes(ids))
    times = pa.ListArray.from_arrays(
        pa.array(np.append(starts, len(ids)), pa.int32()), frames.column("time_s").combine_chunks()
    )
    planned = ids.take(pa.array(starts))
    at = pc.index_in(planned, videos.column("video_id").combine_chunks())
    chosen = videos.select(["video_id", "dataset", "fingerprint"]).take(at)
    lossless = pc.is_in(chosen.column("dataset"), pa.array(params.lossless, pa.string()))
    encoding = pc.if_else(lossless, "png", f"jpg/{jpeg.quality}/{jpeg.subsampling}")
    table = chosen.append_column("times_s", times).append_column("encoding", encoding)
    table = table.append_column("file", pa.array(files, pa.string()).take(at))
    content = ("fingerprint", "times_s", "encoding")
    return Plan(table, id="video_id", bucket_by="video_id", content=content, location=("file",))


def _changes(ids: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """True where a row's video differs from the row before; (N,) bool."""
    if not len(ids):
        return np.zeros(0, np.bool_)
    codes = ids.dictionary_encode().indices.to_numpy()
    return np.append(True, codes[1:] != codes[:-1])


def landmarks_plan(samples: pa.Table, faces: pa.Table, store: Path) -> Plan:
    """One row per train sample; ``store`` is the folder of the faces store."""
    train = samples.filter(pc.equal(samples.column("split"), "train"))
    at = pc.index_in(
        train.column("face_id").combine_chunks(), faces.column("face_id").combine_chunks()
    )
    chosen = faces.take(at)
    n = chosen.num_rows
    boxes = _matrix(chosen.column("box"), n, 4)
    affines = _matrix(chosen.column("affine"), n, 6)
    inside = boxes_in_crop(boxes, affines)  # (N, 4)
    table = chosen.select(["face_id", "video_id", "digest", "offset", "size"])
    table = table.append_column("box_in_crop", pa.array(inside.tolist(), pa.list_(pa.float64())))
    folder = str(store.absolute())
    tars = [f"{folder}/{name}" for name in chosen.column("tar").to_pylist()]
    table = table.append_column("tar", pa.array(tars, pa.string()))
    return Plan(
        table,
        id="face_id",
        bucket_by="video_id",
        content=("digest", "box_in_crop"),
        location=("tar", "offset", "size"),
    )


def _matrix(
    column: pa.ChunkedArray, rows: int, width: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    flat = np.asarray(pc.list_flatten(column), np.float64)
    return flat.reshape(rows, width)
