"""Which face gets which region of which other face (SJEDD, section III-A). Pure; no images.

Targets are real train faces, chosen equally over videos; a target's source is the nearest face of
another identity among the train faces of the source methods. Choices go by hashes of names, so a
new video changes few of them.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceshards import keys
from pipeline.audit.relations import names_of
from pipeline.config.params import ExpandParams
from pipeline.engine.rows import Plan, in_batches
from pipeline.errors import UserError
from pipeline.expansion.matching import nearest_sources
from pipeline.expansion.regions import WHOLE_FACE
from pipeline.labels.semantics import REAL
from pipeline.selection.quotas import equal_quotas
from pipeline.tables import belong
from pipeline.tables.sources import Filtered, Places, TableSource, read

LeftBehind = tuple[str, str, str]
"""Id, reason and detail of a sample that cannot be made."""

_STORED = ("digest", "tar", "offset", "size")
_FACE_COLUMNS = ("video_id", "encoding", *_STORED)
_VIDEO_COLUMNS = (
    "dataset",
    "method",
    "identity",
    "target_id",
    "source_id",
    "pair_id",
    "leak_group",
)

_SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("video_id", pa.string()),
        ("generator", pa.string()),
        ("region", pa.string()),
        ("align", pa.string()),
        ("target_face_id", pa.string()),
        ("source_face_id", pa.string()),
        ("source_method", pa.string()),
        *(
            (f"{role}_{name}", of)
            for role in ("target", "source")
            for name, of in (
                ("digest", pa.string()),
                ("points", pa.list_(pa.float32())),
                ("tar", pa.string()),
                ("offset", pa.int64()),
                ("size", pa.int64()),
            )
        ),
    ]
)


@dataclass(frozen=True)
class _Pick:
    """One sample that is wanted: the ``count``-th swap of a region into a target."""

    target: int
    """Place among the targets."""
    region: str
    count: int


def expansion_plan(
    videos: TableSource,
    faces: TableSource,
    samples: TableSource,
    landmarks: TableSource,
    params: ExpandParams,
    seed: int,
    lossless: tuple[str, ...],
    upright: Collection[str],
    store: Path,
) -> tuple[Plan, list[LeftBehind]]:
    """Plans all region swaps.

    Every region of every dataset gets ``per_region`` targets, or with ``match`` the mean number of
    train samples of a fake method there (rounded half up), as in the paper. Where that is more than
    there are targets, all of them are used once, then once more with their next-nearest source, and
    so on; k in the sample's id counts these rounds. Targets and sources need landmarks.

    Args:
        videos: table ``videos``.
        faces: table ``faces``.
        samples: table ``samples``.
        landmarks: table ``landmarks``.
        params: section ``expand``.
        seed: seed of the choice of targets.
        lossless: datasets whose faces are stored losslessly (``faces.lossless``).
        upright: datasets whose crops are turned upright (``faces.align``).
        store: folder of the faces store; ``faces.tar`` is relative to it.

    Returns:
        The plan, sorted by ``sample_id``, and a reject ``no_source`` for every wanted sample that
        no source is left for. Rows of the plan plus rejects = wanted samples.

    Raises:
        UserError: a dataset is not there, is not stored losslessly or has no real faces, a source
            method has no samples, or the tables do not belong together.
    """
    known = read(videos, ["video_id", *_VIDEO_COLUMNS])
    candidates = _train_faces(known, faces, samples, landmarks, params.datasets)
    _check_datasets(known, candidates, params, lossless)
    parts = [_SCHEMA.empty_table()]
    rejects: list[LeftBehind] = []
    for dataset in params.datasets:
        here = candidates.filter(pc.equal(candidates["dataset"], dataset))
        align = params.align
        if align == "auto":
            align = "none" if dataset in upright else "similarity"
        for generator in params.generators:
            part, left = _dataset_plan(dataset, here, generator, align, params, seed, store)
            parts.append(part)
            rejects += left
    plan = Plan(
        in_batches(pa.concat_tables(parts).combine_chunks().sort_by("sample_id")),
        id="sample_id",
        bucket_by="video_id",
        content=("generator", "region", "align", *_roles("digest", "points")),
        location=_roles("tar", "offset", "size"),
        attach=("target_face_id", "source_face_id", "source_method"),
    )
    return plan, sorted(rejects)


def _roles(*names: str) -> tuple[str, ...]:
    return tuple(f"{role}_{name}" for role in ("target", "source") for name in names)


def _train_faces(
    videos: pa.Table,
    faces: TableSource,
    samples: TableSource,
    landmarks: TableSource,
    datasets: Sequence[str],
) -> pa.Table:
    """Train samples of the datasets with their face, video and points (null without landmarks)."""
    chosen = read(samples, ["face_id", "label", "split"])
    chosen = chosen.filter(pc.equal(chosen["split"], "train")).drop_columns(["split"])
    chosen = _attach(chosen, "face_id", read(faces, ["face_id", *_FACE_COLUMNS]), _FACE_COLUMNS)
    _check_there(chosen, "face_id", "video_id", "faces")
    chosen = _attach(chosen, "video_id", videos, _VIDEO_COLUMNS)
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


def _check_datasets(
    videos: pa.Table, candidates: pa.Table, params: ExpandParams, lossless: tuple[str, ...]
) -> None:
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


def _dataset_plan(
    dataset: str,
    candidates: pa.Table,
    generator: str,
    align: str,
    params: ExpandParams,
    seed: int,
    store: Path,
) -> tuple[pa.Table, list[LeftBehind]]:
    # Face X-ray blends real faces into each other.
    methods = params.source_methods if generator == "swap" else (REAL,)
    regions = params.regions if generator == "swap" else (WHOLE_FACE,)
    wanted = params.per_region
    if wanted == "match":
        wanted = _mean_per_fake_method(dataset, candidates)
    usable = candidates.filter(pc.is_valid(candidates["points"]))
    targets = usable.filter(pc.equal(usable["label"], 0))
    sources = usable.filter(pc.is_in(usable["method"], value_set=pa.array(methods, pa.string())))
    ids, of_video = targets["face_id"].to_pylist(), targets["video_id"].to_pylist()
    picks = [
        _Pick(target, region, count)
        for region in regions
        for target, count in choose_targets(ids, of_video, wanted, f"{seed}/{region}")
    ]
    used = sorted({pick.target for pick in picks})
    row_of = {target: row for row, target in enumerate(used)}
    used_targets = targets.take(used)
    nearest, _ = nearest_sources(
        _points(used_targets),
        _points(sources),
        names_of(used_targets),
        names_of(sources),
        count=1 + max((pick.count for pick in picks), default=0),
    )
    found: list[tuple[str, _Pick, int]] = []
    rejects: list[LeftBehind] = []
    for pick in picks:
        sample_id = keys.swap_id(ids[pick.target], f"{generator}_{pick.region}", pick.count)
        source = int(nearest[row_of[pick.target], pick.count])
        if source >= 0:
            found.append((sample_id, pick, source))
        else:
            among = " or ".join(methods)
            detail = f"{pick.count} faces of another identity among {among} of {dataset}"
            rejects.append((sample_id, "no_source", detail))
    return _rows(found, targets, sources, generator, align, store), rejects


def _mean_per_fake_method(dataset: str, candidates: pa.Table) -> int:
    """Mean number of samples of a fake method, rounded half up."""
    fakes = candidates.filter(pc.equal(candidates["label"], 1))
    methods: int = len(pc.unique(fakes["method"]))
    if not methods:
        raise UserError(
            f"expand.per_region is match, but {dataset} has no fake train samples to match. "
            "Give a number."
        )
    return (2 * int(fakes.num_rows) + methods) // (2 * methods)


def choose_targets(
    face_ids: Sequence[str], video_ids: Sequence[str], wanted: int, salt: str
) -> list[tuple[int, int]]:
    """Chooses faces equally over videos, each face at most once more than any other.

    Args:
        face_ids: the faces there are, unique.
        video_ids: the video of each.
        wanted: how many are to be chosen.
        salt: another salt, another choice.

    Returns:
        (index into ``face_ids``, round from 0) of ``wanted`` choices; none where there are no
        faces.
    """
    by_video: dict[str, list[int]] = {}
    for index in sorted(range(len(face_ids)), key=lambda i: keys.hash64(f"{salt}/{face_ids[i]}")):
        by_video.setdefault(video_ids[index], []).append(index)
    preferred = sorted(by_video, key=lambda video: keys.hash64(f"{salt}/{video}"))
    available = np.array([len(by_video[video]) for video in preferred], np.int64)
    chosen: list[tuple[int, int]] = []
    round_ = 0
    while face_ids and len(chosen) < wanted:
        quotas = equal_quotas(available, wanted - len(chosen)).tolist()
        for video, quota in zip(preferred, quotas, strict=True):
            chosen += [(index, round_) for index in by_video[video][:quota]]
        round_ += 1
    return chosen


def _points(table: pa.Table) -> NDArray[np.float64]:
    """float64 (rows, 136)."""
    flat = pc.list_flatten(table["points"]).to_numpy()
    return np.asarray(flat, np.float64).reshape(table.num_rows, 136)


def _rows(
    found: Sequence[tuple[str, _Pick, int]],
    targets: pa.Table,
    sources: pa.Table,
    generator: str,
    align: str,
    store: Path,
) -> pa.Table:
    target = targets.take(pa.array([pick.target for _, pick, _ in found], pa.int64()))
    source = sources.take(pa.array([at for _, _, at in found], pa.int64()))
    columns = {
        "sample_id": pa.array([sample_id for sample_id, _, _ in found], pa.string()),
        "video_id": target["video_id"],
        "generator": pa.repeat(pa.scalar(generator), len(found)),
        "align": pa.repeat(pa.scalar(align), len(found)),
        "region": pa.array([pick.region for _, pick, _ in found], pa.string()),
        "target_face_id": target["face_id"],
        "source_face_id": source["face_id"],
        "source_method": source["method"],
    }
    for role, table in (("target", target), ("source", source)):
        for name in ("digest", "points", "offset", "size"):
            columns[f"{role}_{name}"] = table[name]
        tars = [str(store.absolute() / name) for name in table["tar"].to_pylist()]
        columns[f"{role}_tar"] = pa.array(tars, pa.string())
    return pa.table({name: columns[name] for name in _SCHEMA.names}, schema=_SCHEMA)
