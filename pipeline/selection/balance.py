"""Which faces become samples, and how often each should be drawn.

Metric learning, section 4.1: about as many real as fake samples, drawn equally over the videos, at
least one per video. The paper's Table 1 takes every face of the reals and a few of each fake; so
does this: the class with fewer faces is taken whole, the other is levelled down to as many. Which
faces count at all is decided before (:mod:`pipeline.selection.face_choice`), which faces of a video
are taken after (:mod:`pipeline.selection.spread`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from faceshards import fields
from pipeline.audit import near_duplicates
from pipeline.audit.findings import of_kind, refuse
from pipeline.config.params import BalanceParams, resolve
from pipeline.errors import UserError
from pipeline.selection import face_choice
from pipeline.selection.quotas import equal_quotas, steps_of
from pipeline.selection.seeded import seeded_order
from pipeline.selection.spread import choose_faces
from pipeline.tables import belong, schemas
from pipeline.tables.arrays import Bools, Ints, flat

_CLASSES = ("real", "fake")
_NOT_BALANCED = "balance"
"""Why a face that counts is left out."""
VIDEO_COLUMNS = (
    *("video_id", "dataset", "split", "label", "method"),
    *("identity", "target_id", "source_id", "pair_id", "leak_group"),
)
"""Columns of the table ``videos`` that :func:`balance` looks at."""
_AT_ONCE = 1 << 17
"""Faces that are looked at together."""


@dataclass(frozen=True)
class BalancedSamples:
    """Which faces are chosen, and flat numbers."""

    chosen: Bools
    """bool (faces,)."""
    metrics: dict[str, int | float]
    _video: npt.NDArray[np.int32]
    """(faces,), row of ``_of_video``."""
    _of_video: pa.Table
    """Columns of ``samples`` that are the same for all faces of a video."""

    def samples(self, face_ids: Iterable[pa.ChunkedArray]) -> Iterator[pa.Table]:
        """Table ``samples``, a part for each part of the ids of the faces, in their order."""
        at = 0
        for ids in face_ids:
            part = slice(at, at + len(ids))
            at += len(ids)
            chosen = self.chosen[part]
            samples = self._of_video.take(pa.array(self._video[part][chosen]))
            yield samples.add_column(0, "face_id", ids.filter(pa.array(chosen))).cast(
                schemas.schema("samples")
            )


def columns(params: BalanceParams) -> tuple[str, ...]:
    """Columns of the table ``faces`` that :func:`balance` looks at; the table is long."""
    found = ["video_id", "sample", "rank"]
    for split in fields.SPLITS:
        found += face_choice.columns(resolve(params, "", split))
    if params.audit != "report":
        found += ["face_id", "phash"]
    return tuple(dict.fromkeys(found))


def balance(videos: pa.Table, faces: pa.Table, params: BalanceParams, seed: int) -> BalancedSamples:
    """Chooses faces and weighs them.

    Args:
        videos: columns ``video_id``, ``dataset``, ``split``, ``label`` and ``method`` are used; for
            an audit those of :func:`pipeline.audit.relations.ties` besides.
        faces: those of :func:`columns`, in any order; fastest where the faces of a video lie
            together and ``video_id`` is dictionary-encoded.
        params: the policy per split (``all``, or ``balanced``: see :mod:`.quotas`), its
            scope and limits, which faces count, see
            :func:`pipeline.selection.face_choice.left_out_by`, and what is done about
            near-duplicates among those (:mod:`pipeline.audit.near_duplicates`).
        seed: decides which videos of equal standing give one face more.

    Returns:
        The choice. ``weight`` is such that within a split both classes
        sum alike, within a class all videos sum alike, and the mean is 1. Metrics: ``inputs``
        (faces), ``outputs``, ``rejects`` (0), ``left_out`` and its parts ``left_out_<reason>``, one
        per rule of :data:`pipeline.selection.face_choice.RULES`, ``balance`` and, where they are
        dropped, ``near_duplicate``; ``<split>_real``,
        ``<split>_fake`` and, where both are there, ``<split>_fake_per_real``; besides, for each
        dataset with faces in a split, ``<dataset>_<split>_real`` and ``<dataset>_<split>_fake``.

    Raises:
        UserError: a split that is to be balanced has faces of one class only (in one dataset, where
            ``scope`` is ``dataset``); there are near-duplicates and ``audit`` is ``fail``; there
            is a face of a video that ``videos`` does not have.
    """
    videos = videos.sort_by("video_id")
    video_ids = videos.column("video_id")
    face_video = _video_of(faces.column("video_id"), video_ids)  # (faces,)
    label = videos.column("label").to_numpy().astype(np.int64)  # (videos,)
    split = _positions(videos.column("split"), pa.array(fields.SPLITS))  # (videos,)
    names = sorted(set(videos.column("dataset").to_pylist()))
    dataset = _positions(videos.column("dataset"), pa.array(names, pa.string()))  # (videos,)
    rule = _rules(faces, face_video, split, params)
    usable = rule == face_choice.COUNTS
    similar = _near_duplicates(videos, faces, usable, params)
    sample, rank = (faces.column(name).to_numpy() for name in ("sample", "rank"))
    del faces  # as are the ids of their videos; there may be many
    usable &= ~similar
    available = np.bincount(face_video[usable], minlength=len(label))  # (videos,)

    quota = available.copy()
    for group, members in _balanced_groups(params, split, dataset, names):
        if params.cap_per_video:
            available[members] = np.minimum(available[members], params.cap_per_video)
        present = np.flatnonzero(members & (available > 0))
        _check_classes(group, label[present])
        totals = class_totals(
            available[present], label[present], params, params.per_video.get(group[1], 0)
        )
        for one, total in enumerate(totals):
            mine = present[label[present] == one]
            if total < available[mine].sum():
                mine = mine[seeded_order(video_ids.take(pa.array(mine)), seed)]
            steps = steps_of(_method_weights(videos.column("method"), mine, params))
            quota[mine] = equal_quotas(available[mine], total, at_least=1, steps=steps)

    chosen = choose_faces(face_video, sample, rank, usable, quota)
    of_video = pa.table(
        {
            "split": videos.column("split"),
            "label": videos.column("label"),
            "weight": pa.array(_weights(split, label, quota), pa.float32()),
            "quota": pa.array(quota, pa.int32()),
        }
    )
    metrics = _metrics(chosen, names, dataset, split, label, quota)
    for code, name in enumerate(face_choice.RULES):
        left_out = int((rule == code).sum())
        if left_out or name != "even_ends":  # which says nothing where it is not used
            metrics[f"left_out_{name}"] = left_out
    if params.audit == "drop":
        metrics[f"left_out_{near_duplicates.KIND}"] = int(similar.sum())
    metrics[f"left_out_{_NOT_BALANCED}"] = int((usable & ~chosen).sum())
    return BalancedSamples(chosen, metrics, face_video, of_video)


def class_totals(
    available: Ints, label: Ints, params: BalanceParams, per_fake_video: int
) -> tuple[int, int]:
    """How many real and fake faces a group gives that is to be balanced.

    Args:
        available: int64 (V,), faces of its videos.
        label: int64 (V,), 0 real, 1 fake; both are there.
        params: ratio and largest total.
        per_fake_video: in place of the ratio: all reals, so many of each fake. 0 = the ratio.
    """
    real, fake = (int(available[label == one].sum()) for one in (0, 1))
    if per_fake_video:
        fake = int(np.minimum(available[label == 1], per_fake_video).sum())
    elif fake > params.target_ratio * real:
        fake = _rounded(params.target_ratio * real)
    else:
        real = _rounded(fake / params.target_ratio)
    if params.max_total and real + fake > params.max_total:
        real = _rounded(params.max_total * real / (real + fake))
        fake = params.max_total - real
    return real, fake


def _rounded(number: float) -> int:
    return int(np.floor(number + 0.5))


def _method_weights(
    methods: pa.ChunkedArray, rows: Ints, params: BalanceParams
) -> npt.NDArray[np.float64]:
    """Weight of each of some videos, (rows,)."""
    if not params.method_weights:
        return np.ones(len(rows))
    names = pa.array(params.method_weights, pa.string())
    weights = np.array([*params.method_weights.values(), 1.0])  # the last where it has none
    return np.asarray(weights[_positions(methods.take(pa.array(rows)), names)])


def _video_of(column: pa.ChunkedArray, video_ids: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """Row of each face's video, (faces,). Raises UserError where there is none."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    names = pa.chunked_array([chunk.dictionary for chunk in encoded.chunks], video_ids.type)
    rows = _positions(names, flat(video_ids)).astype(np.int32)
    found = np.empty(len(column), np.int32)
    at = start = 0
    for chunk in encoded.chunks:
        found[at : at + len(chunk)] = rows[start:][chunk.indices.to_numpy()]
        at, start = at + len(chunk), start + len(chunk.dictionary)
    belong.check_found(found, column, "videos")
    return found


def _rules(
    faces: pa.Table, face_video: npt.NDArray[np.int32], split: Ints, params: BalanceParams
) -> face_choice.Codes:
    """Which rule leaves each face out, (faces,); see :func:`.face_choice.left_out_by`."""
    rule = np.full(len(face_video), face_choice.COUNTS, np.int8)
    for place, name in enumerate(fields.SPLITS):
        choice = resolve(params, "", name)
        if face_choice.columns(choice):
            # Filters look at each face alone.
            alone = choice.choose == "all" and not choice.even_ends
            step = _AT_ONCE if alone else max(1, len(face_video))
            for start in range(0, len(face_video), step):
                part = faces.slice(start, step)
                video = face_video[start : start + step]
                rows = np.flatnonzero(split[video] == place)
                found = face_choice.left_out_by(part, rows, video[rows].astype(np.int64), choice)
                rule[start + rows] = found
    return rule


def _near_duplicates(
    videos: pa.Table, faces: pa.Table, usable: Bools, params: BalanceParams
) -> Bools:
    """Faces to leave out since others that count look nearly the same, (faces,)."""
    similar = np.zeros(len(usable), bool)
    if params.audit == "report":
        return similar
    found = near_duplicates.near_duplicates(videos, faces.filter(pa.array(usable)))
    if params.audit == "fail":
        refuse(of_kind(found.findings, near_duplicates.KIND), "balance.audit")
        return similar
    similar[usable] = found.superfluous
    return similar


def _positions(values: pa.ChunkedArray, among: pa.Array) -> Ints:
    """Place of each value in ``among``; -1 where it is absent."""
    places = pc.fill_null(pc.index_in(values, value_set=among), -1)
    return np.asarray(places.to_numpy(), np.int64)


def _balanced_groups(
    params: BalanceParams, split: Ints, dataset: Ints, names: list[str]
) -> Iterator[tuple[tuple[str, str], Bools]]:
    """(split, dataset or "") and the videos of each group that is to be balanced."""
    for place, name in enumerate(fields.SPLITS):
        if getattr(params, name) == "all":
            continue
        if params.scope == "all":
            yield (name, ""), split == place
            continue
        for one, dataset_name in enumerate(names):
            yield (name, dataset_name), (split == place) & (dataset == one)


def _check_classes(group: tuple[str, str], labels: Ints) -> None:
    if len(np.unique(labels)) != 1:
        return
    split, dataset = group
    there, absent = _CLASSES[labels[0]], _CLASSES[1 - labels[0]]
    where = f"Dataset {dataset}" if dataset else "All data together"
    advice = (
        "balance.scope: all, which balances over all datasets together, or remove the dataset from "
        "manifests/datasets.yaml"
        if dataset
        else f"balance.{split}: all, which takes every face as it is"
    )
    raise UserError(
        f"{where} has {there} but no {absent} faces in split {split}, and balance.{split}: "
        f"balanced needs both. Add {absent} videos, or set {advice}."
    )


def _count(faces: Ints, label: Ints, members: Bools) -> tuple[int, int]:
    """Real and fake faces of some videos."""
    return int(faces[members & (label == 0)].sum()), int(faces[members & (label == 1)].sum())


def _weights(split: Ints, label: Ints, quota: Ints) -> npt.NDArray[np.float64]:
    """Weight of each chosen face of a video, (videos,); 0 where it has none."""
    weight = np.zeros(len(quota))
    for place in range(len(fields.SPLITS)):
        classes = [(split == place) & (label == one) & (quota > 0) for one in (0, 1)]
        classes = [members for members in classes if members.any()]
        total = sum(quota[members].sum() for members in classes)
        for members in classes:
            weight[members] = total / (len(classes) * members.sum() * quota[members])
    return weight


def _metrics(
    chosen: Bools, names: list[str], dataset: Ints, split: Ints, label: Ints, quota: Ints
) -> dict[str, int | float]:
    metrics: dict[str, int | float] = {
        "inputs": len(chosen),
        "outputs": int(chosen.sum()),
        "rejects": 0,
        "left_out": int((~chosen).sum()),
    }
    for place, name in enumerate(fields.SPLITS):
        within = split == place
        real, fake = _count(quota, label, within)
        metrics |= {f"{name}_real": real, f"{name}_fake": fake}
        if real and fake:
            metrics[f"{name}_fake_per_real"] = round(fake / real, 4)
        for one, dataset_name in enumerate(names):
            of_dataset = within & (dataset == one) & (quota > 0)
            if of_dataset.any():
                real, fake = _count(quota, label, of_dataset)
                part = f"{dataset_name}_{name}"
                metrics |= {f"{part}_real": real, f"{part}_fake": fake}
    return metrics
