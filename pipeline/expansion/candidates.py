"""The train faces that expansion can choose among, with all that the choice looks at."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config.params import ExpandParams
from pipeline.errors import UserError
from pipeline.tables import belong
from pipeline.tables.sources import Filtered, Places, TableSource, read

FACE_COLUMNS = (
    *("video_id", "track", "phash", "crop_px", "encoding"),
    *("digest", "tar", "offset", "size"),
)
VIDEO_COLUMNS = (
    "dataset",
    "method",
    "identity",
    "target_id",
    "source_id",
    "pair_id",
    "leak_group",
)


def train_faces(
    videos: pa.Table,
    faces: TableSource,
    samples: TableSource,
    landmarks: TableSource,
    datasets: Sequence[str],
    further: Sequence[str] = (),
) -> pa.Table:
    """Train samples of the datasets with their face, video and points (null without landmarks).

    Args:
        videos: ``video_id`` and ``VIDEO_COLUMNS``.
        faces: table ``faces``.
        samples: table ``samples``.
        landmarks: table ``landmarks``.
        datasets: names.
        further: more columns of ``faces``.

    Raises:
        UserError: the tables do not belong together.
    """
    columns = (*FACE_COLUMNS, *further)
    chosen = read(samples, ["face_id", "label", "split"])
    chosen = chosen.filter(pc.equal(chosen["split"], "train")).drop_columns(["split"])
    chosen = _attach(chosen, "face_id", read(faces, ["face_id", *columns]), columns)
    _check_there(chosen, "face_id", "video_id", "faces")
    chosen = _attach(chosen, "video_id", videos, VIDEO_COLUMNS)
    _check_there(chosen, "video_id", "dataset", "videos")
    wanted = pc.is_in(chosen["dataset"], value_set=pa.array(datasets, pa.string()))
    chosen = chosen.filter(wanted)
    among = Places([chosen["face_id"]])
    here = Filtered(landmarks, ("face_id",), lambda rows: among.find(rows["face_id"]) >= 0)
    chosen = _attach(chosen, "face_id", read(here, ["face_id", "points"]), ("points",))
    return chosen.sort_by("face_id")


def _check_there(table: pa.Table, key: str, attached: str, other: str) -> None:
    """Raises UserError where a row got no values from another table."""
    if table[attached].null_count:
        raise belong.mismatch(table.filter(pc.is_null(table[attached]))[key][0].as_py(), other)


def _attach(table: pa.Table, key: str, other: pa.Table, columns: Iterable[str]) -> pa.Table:
    """The table with columns of the other table's row of the same key; null where there is none."""
    at = pc.index_in(table[key], value_set=other[key].combine_chunks())
    for column in columns:
        table = table.append_column(column, other[column].take(at))
    return table


def check_datasets(
    videos: pa.Table, candidates: pa.Table, params: ExpandParams, lossless: tuple[str, ...]
) -> None:
    """Raises UserError where the parameters ask for what the datasets do not have."""
    there: set[str] = set()
    swaps = "swap" in params.generators
    for dataset in params.datasets:
        here = candidates.filter(pc.equal(candidates["dataset"], dataset))
        if not here.num_rows:
            known = ", ".join(sorted(pc.unique(videos["dataset"]).to_pylist()))
            raise UserError(
                f"expand.datasets names {dataset}, which has no train samples. There are videos of "
                f"{known}. Take it out (`datasets: []` expands nothing), or add it to "
                "manifests/datasets.yaml with a train split."
            )
        if dataset not in lossless or pc.any(pc.not_equal(here["encoding"], "png")).as_py():
            raise UserError(
                f"expand.datasets names {dataset}, whose faces are not stored losslessly, so that "
                f"expanded images would pass JPEG once more than others. Add {dataset} to "
                "faces.lossless and run `dvc repro`."
            )
        methods = set(pc.unique(here["method"]).to_pylist())
        there |= methods
        if swaps and not methods & set(params.source_methods):
            raise UserError(
                f"expand.source_methods: {dataset} has no train samples of "
                f"{' or '.join(params.source_methods)}. It has {', '.join(sorted(methods))}."
            )
        if not pc.any(pc.and_(pc.equal(here["label"], 0), pc.is_valid(here["points"]))).as_py():
            raise UserError(
                f"expand.datasets names {dataset}, which has no real train samples with landmarks "
                "to put regions into. Remove it, or add real videos to its train split."
            )
    if (
        swaps
        and params.datasets
        and (absent := [m for m in params.source_methods if m not in there])
    ):
        raise UserError(
            f"expand.source_methods names {absent[0]}, which has no train samples in "
            f"{', '.join(params.datasets)}. There are {', '.join(sorted(there))}."
        )
