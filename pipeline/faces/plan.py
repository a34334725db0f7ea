"""What there is to do for ``faces`` (one row per video) and ``landmarks`` (one row per face)."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.rows import Plan, in_batches
from pipeline.faces.crop import boxes_in_crop
from pipeline.faces.detect import detector_settings
from pipeline.faces.identity import identity_settings
from pipeline.faces.shipped import digest, reads_shipped
from pipeline.params import FacesParams, Params, resolve


def faces_plan(
    videos: pa.Table, frames: pa.Table, files: Sequence[str], params: Params
) -> tuple[Plan, dict[str, FacesParams]]:
    """One row per video that has planned times, and the rules that the rows name.

    Args:
        videos: table ``videos``.
        frames: table ``frames``; the rows of a video are adjacent and in the order of ``sample``.
        files: where every row of ``videos`` lies, absolute.
        params: ``faces`` and ``frames`` by dataset and split; ``jpeg`` for what is not lossless.

    Returns:
        The plan, and the parameters of every text in its column ``rules``.

    Raises:
        UserError: weights are missing or wrong, or there is no place for precomputed faces.
    """
    ids = frames.column("video_id").combine_chunks()
    starts = np.flatnonzero(_changes(ids))
    times = pa.ListArray.from_arrays(
        pa.array(np.append(starts, len(ids)), pa.int32()), frames.column("time_s").combine_chunks()
    )
    planned = ids.take(pa.array(starts))
    at = pc.index_in(planned, videos.column("video_id").combine_chunks())
    chosen = videos.select(["video_id", "dataset", "split", "media", "fingerprint"]).take(at)
    located = pa.array(files, pa.string()).take(at)
    lossless = pc.is_in(chosen.column("dataset"), pa.array(params.faces.lossless, pa.string()))
    jpeg = params.jpeg
    encoding = pc.if_else(lossless, "png", f"jpg/{jpeg.quality}/{jpeg.subsampling}")

    groups = list(
        zip(chosen.column("dataset").to_pylist(), chosen.column("split").to_pylist(), strict=True)
    )
    faces = {group: resolve(params.faces, *group) for group in dict.fromkeys(groups)}
    texts = {group: rules_text(rules) for group, rules in faces.items()}
    fewest = {group: resolve(params.frames, *group).min_frames for group in faces}
    shipped = [
        digest(Path(file)) if reads_shipped(faces[group]) else ""
        for group, file in zip(groups, located.to_pylist(), strict=True)
    ]
    columns = {
        "times_s": times,
        "encoding": encoding,
        "rules": pa.array([texts[group] for group in groups], pa.string()),
        "min_frames": pa.array([fewest[group] for group in groups], pa.int32()),
        "shipped": pa.array(shipped, pa.string()),
        "file": located,
    }
    table = chosen
    for name, column in columns.items():
        table = table.append_column(name, column)
    content = ("media", "fingerprint", "times_s", "encoding", "rules", "min_frames", "shipped")
    plan = Plan(
        in_batches(table), id="video_id", bucket_by="video_id", content=content, location=("file",)
    )
    return plan, {texts[group]: rules for group, rules in faces.items()}


def rules_text(params: FacesParams) -> str:
    """What decides how faces are found and cropped, as a plan holds it: JSON, sorted.

    The digest of the weights counts, not where they lie; of a cropped face's picture, only the size
    it gets.

    Raises:
        UserError: weights are missing or wrong.
    """
    rules: dict[str, object] = {"detect": params.detect, "size_px": params.size_px}
    if params.detect:
        names = ("margin", "crop", "border", "align")
        rules |= {name: getattr(params, name) for name in names} | detector_settings(params)
        rules |= identity_settings(params)
    return json.dumps(rules, sort_keys=True)


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
    table = chosen.select(["face_id", "video_id", "detector", "digest", "offset", "size"])
    table = table.append_column("box_in_crop", pa.array(inside.tolist(), pa.list_(pa.float64())))
    folder = str(store.absolute())
    tars = [f"{folder}/{name}" for name in chosen.column("tar").to_pylist()]
    table = table.append_column("tar", pa.array(tars, pa.string()))
    return Plan(
        in_batches(table),
        id="face_id",
        bucket_by="video_id",
        content=("digest", "box_in_crop", "detector"),
        location=("tar", "offset", "size"),
    )


def _matrix(
    column: pa.ChunkedArray, rows: int, width: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    flat = np.asarray(pc.list_flatten(column), np.float64)
    return flat.reshape(rows, width)
