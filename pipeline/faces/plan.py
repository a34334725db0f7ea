"""What there is to do for ``faces`` (one row per video) and ``landmarks`` (one row per face)."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, compress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config.params import FacesParams, Params, resolve
from pipeline.engine.rows import Plan
from pipeline.faces.crop import boxes_in_crop
from pipeline.faces.detect import detector_settings
from pipeline.faces.identity import identity_settings
from pipeline.faces.shipped import digest, reads_shipped
from pipeline.tables import belong
from pipeline.tables.sources import Places, TableSource, lookup
from pipeline.video.parquet_rows import neighbours

_VIDEO_COLUMNS = (
    *("dataset", "split", "media", "fingerprint", "path", "label"),
    *("mask_path", "mask_fingerprint", "pair_path", "pair_fingerprint"),
)
_FACE_COLUMNS = (
    *("face_id", "video_id", "detector", "digest", "offset", "size"),
    *("tar", "box", "affine"),
)

_FACES_SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("media", pa.string()),
        ("fingerprint", pa.string()),
        ("times_s", pa.list_(pa.float64())),
        ("encoding", pa.string()),
        ("rules", pa.string()),
        ("min_frames", pa.int32()),
        ("shipped", pa.string()),
        ("altered", pa.string()),
        ("file", pa.string()),
        ("reference", pa.string()),
        ("together", pa.string()),
        ("order", pa.string()),
    ]
)
_LANDMARKS_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("face_id", "video_id", "detector", "digest")),
        *((name, pa.int64()) for name in ("offset", "size")),
        ("box_in_crop", pa.list_(pa.float64())),
        ("tar", pa.string()),
    ]
)


def faces_plan(
    videos: TableSource,
    frames: TableSource,
    files: Callable[[pa.Table], Sequence[str]],
    params: Params,
) -> tuple[Plan, dict[str, FacesParams]]:
    """One row per video that has planned times, and the rules that the rows name.

    Args:
        videos: table ``videos``; some of its columns are held in memory.
        frames: table ``frames``; the rows of a video are adjacent and in the order of ``sample``.
        files: gives the absolute path of rows of ``videos``.
        params: ``faces`` and ``frames`` by dataset and split; ``jpeg`` for what is not lossless.

    Returns:
        The plan, and the parameters of every text in its column ``rules``. Its column ``altered``
        is "" where nobody asks which face was altered, and in reals; else ``mask:`` or ``pair:``
        and the fingerprint of that file, which is "" where there is none.

    Raises:
        UserError: weights are missing or wrong, or there is no place for precomputed faces.
    """
    find = _finder(videos)
    planned = (find(part["video_id"]) for part in _times(frames))
    groups = {group for part in planned for group in _groups(part)}
    faces = {group: resolve(params.faces, *group) for group in sorted(groups)}
    texts = {group: rules_text(rules) for group, rules in faces.items()}
    fewest = {group: resolve(params.frames, *group).min_frames for group in faces}
    jpeg = f"jpg/{params.jpeg.quality}/{params.jpeg.subsampling}"
    content = (
        *("media", "fingerprint", "times_s", "encoding", "rules", "min_frames", "shipped"),
        "altered",
    )

    def batches() -> Iterator[pa.Table]:
        for part in _times(frames):
            table = find(part["video_id"])
            here, located = _groups(table), files(table)
            shipped = [
                digest(Path(file)) if reads_shipped(faces[group]) else ""
                for group, file in zip(here, located, strict=True)
            ]
            marks, references = _references(table, [faces[group].altered for group in here], files)
            jpegs = ["png" if d in params.faces.lossless else jpeg for d, _ in here]
            # Types are stated: a batch may have no rows.
            columns = {
                "media": table.column("media").cast(pa.string()),
                "fingerprint": table.column("fingerprint"),
                "times_s": part.column("times_s"),
                "encoding": pa.array(jpegs, pa.string()),
                "rules": pa.array([texts[group] for group in here], pa.string()),
                "min_frames": pa.array([fewest[group] for group in here], pa.int32()),
                "shipped": pa.array(shipped, pa.string()),
                "altered": pa.array(marks, pa.string()),
                "file": pa.array(located, pa.string()),
                "reference": pa.array(references, pa.string()),
            }
            named = table.append_column("video_id", part.column("video_id"))
            for name, texts_of in zip(("together", "order"), neighbours(named), strict=True):
                columns[name] = pa.array(texts_of, pa.string())
            yield pa.table({"video_id": part.column("video_id"), **columns})

    plan = Plan(
        batches,
        _FACES_SCHEMA,
        id="video_id",
        bucket_by="together",
        content=content,
        location=("file", "reference"),
        order_by="order",
    )
    return plan, {texts[group]: rules for group, rules in faces.items()}


def _references(
    videos: pa.Table, kinds: Sequence[str], files: Callable[[pa.Table], Sequence[str]]
) -> tuple[list[str], list[str]]:
    """What each row is held against, and where that lies; "" for what is not there."""
    marks, references = [""] * videos.num_rows, [""] * videos.num_rows
    label = videos.column("label").to_pylist()
    path_at = videos.schema.get_field_index("path")
    for kind in set(kinds) - {"none"}:
        asked = [row for row, one in enumerate(kinds) if one == kind and label[row]]
        table = videos.take(pa.array(asked, pa.int64()))
        prints = table.column(f"{kind}_fingerprint").to_pylist()
        for row, mark in zip(asked, prints, strict=True):
            marks[row] = f"{kind}:{mark}"
        there = [place for place, mark in enumerate(prints) if mark]
        table = table.take(pa.array(there, pa.int64()))
        located = files(table.set_column(path_at, "path", table.column(f"{kind}_path")))
        for place, file in zip(there, located, strict=True):
            references[asked[place]] = file
    return marks, references


def _finder(videos: TableSource) -> Callable[[pa.ChunkedArray], pa.Table]:
    """Gives the rows of videos by their ids; what it needs of them is held in memory."""
    places, held = lookup(videos, "video_id", _VIDEO_COLUMNS)
    for at, name in enumerate(("dataset", "split", "media")):  # a number a row
        held = held.set_column(at, name, held.column(name).dictionary_encode())

    def find(ids: pa.ChunkedArray) -> pa.Table:
        return held.take(pa.array(belong.places(places, ids, "videos")))

    return find


def _groups(videos: pa.Table) -> list[tuple[str, str]]:
    """Dataset and split of each row."""
    names = (videos.column(name).to_pylist() for name in ("dataset", "split"))
    return list(zip(*names, strict=True))


def _times(frames: TableSource) -> Iterator[pa.Table]:
    """``video_id`` and ``times_s`` of every video, from adjacent rows of ``frames``."""
    left = None
    for part in chain(frames.batches(["video_id", "time_s"]), [None]):
        rows = part if left is None else left if part is None else pa.concat_tables([left, part])
        ids = rows.column("video_id").combine_chunks()
        starts = np.append(np.flatnonzero(_changes(ids)), len(ids))
        if part is not None:  # the last video may go on in the next batch
            left = rows.slice(int(starts[-2]) if len(ids) else 0)
            starts = starts[:-1]
        if len(starts):
            times = rows.column("time_s").combine_chunks()
            yield pa.table(
                {
                    "video_id": ids.take(pa.array(starts[:-1])),
                    "times_s": pa.ListArray.from_arrays(pa.array(starts, pa.int32()), times),
                }
            )


def rules_text(params: FacesParams) -> str:
    """What decides how faces are found and cropped, as a plan holds it: JSON, sorted.

    The digest of the weights counts, not where they lie; of a cropped face's frame, only the size
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


def landmarks_plan(samples: TableSource, faces: TableSource, store: Path) -> Plan:
    """One row per train sample; ``store`` is the folder of the faces store.

    Raises UserError, where it is read, for samples whose face is not there.
    """
    folder = str(store.absolute())
    train = Places(_train_ids(samples))

    def batches() -> Iterator[pa.Table]:
        found = np.zeros(len(train), np.bool_)
        for part in faces.batches(_FACE_COLUMNS):
            at = train.find(part["face_id"])
            chosen = part.filter(pa.array(at >= 0))
            found[at[at >= 0]] = True
            boxes = _matrix(chosen.column("box"), chosen.num_rows, 4)
            affines = _matrix(chosen.column("affine"), chosen.num_rows, 6)
            inside = boxes_in_crop(boxes, affines)  # (n, 4)
            table = chosen.drop_columns(["box", "affine", "tar"])
            table = table.append_column(
                "box_in_crop", pa.array(inside.tolist(), pa.list_(pa.float64()))
            )
            tars = [f"{folder}/{name}" for name in chosen.column("tar").to_pylist()]
            yield table.append_column("tar", pa.array(tars, pa.string()))
        if not found.all():
            ids = chain.from_iterable(p.to_pylist() for p in _train_ids(samples))
            raise belong.mismatch(next(compress(ids, ~found)), "faces")

    return Plan(
        batches,
        _LANDMARKS_SCHEMA,
        id="face_id",
        bucket_by="video_id",
        content=("digest", "box_in_crop", "detector"),
        location=("tar", "offset", "size"),
    )


def _train_ids(samples: TableSource) -> Iterator[pa.ChunkedArray]:
    """Ids of the train samples, some at a time."""
    for part in samples.batches(["face_id", "split"]):
        yield part.filter(pc.equal(part["split"], "train"))["face_id"]


def _matrix(
    column: pa.ChunkedArray, rows: int, width: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    flat = np.asarray(pc.list_flatten(column), np.float64)
    return flat.reshape(rows, width)
