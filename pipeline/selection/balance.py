"""Which faces become samples, and how often each should be drawn.

Metric learning, section 4.1: about as many real as fake samples, drawn equally over the videos, at
least one per video. The paper's Table 1 takes every face of the reals and a few of each fake; so
does this: the class with fewer faces is taken whole, the other is levelled down to as many. Which
faces count at all is decided before (:mod:`pipeline.selection.face_choice`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from faceshards import fields, keys
from pipeline import tables
from pipeline.audit import near_duplicates
from pipeline.audit.findings import of_kind, refuse
from pipeline.config.params import BalanceParams, resolve
from pipeline.errors import UserError
from pipeline.selection import face_choice
from pipeline.selection.quotas import equal_quotas
from pipeline.tables import belong, schemas
from pipeline.tables.arrays import Bools, Ints, place_in_run

_CLASSES = ("real", "fake")
_NOT_BALANCED = "balance"
"""Why a face that counts is left out."""
FACE_COLUMNS = (
    *("face_id", "video_id", "sample", "rank", "track", "track_share"),
    *("score", "face_px", "padded", "sharpness", "phash"),
)
"""What :func:`balance` may look at of the table ``faces``, which is long."""


@dataclass(frozen=True)
class BalancedSamples:
    """Table ``samples`` in the order of the faces table, and flat numbers."""

    samples: pa.Table
    metrics: dict[str, int | float]


def balance(videos: pa.Table, faces: pa.Table, params: BalanceParams, seed: int) -> BalancedSamples:
    """Chooses faces and weighs them.

    Args:
        videos: columns ``video_id``, ``dataset``, ``split`` and ``label`` are used; for an audit
            those of :func:`pipeline.audit.relations.ties` besides.
        faces: columns ``face_id``, ``video_id``, ``sample`` and ``rank`` are used, and those that
            the parameters look at; in any order.
        params: the policy per split (``all``, or ``balanced``: see :mod:`.quotas`), its
            scope, which faces count, see :func:`pipeline.selection.face_choice.left_out_by`, and
            what is done about near-duplicates among those (:mod:`pipeline.audit.near_duplicates`).
        seed: decides which videos of equal standing give one face more.

    Returns:
        ``samples`` in the order of ``faces``. ``weight`` is such that within a split both classes
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
    face_video = _positions(faces.column("video_id"), video_ids)  # (faces,)
    belong.check_found(face_video, faces.column("video_id"), "videos")
    label = videos.column("label").to_numpy().astype(np.int64)  # (videos,)
    split = _positions(videos.column("split"), pa.array(fields.SPLITS))  # (videos,)
    names = sorted(set(videos.column("dataset").to_pylist()))
    dataset = _positions(videos.column("dataset"), pa.array(names, pa.string()))  # (videos,)
    rank = faces.column("rank").to_numpy()
    rule = np.zeros(len(face_video), np.int8)  # (faces,)
    for place, name in enumerate(fields.SPLITS):
        within = np.flatnonzero(split[face_video] == place)
        choice = resolve(params, "", name)
        rule[within] = face_choice.left_out_by(faces, within, face_video[within], choice)
    usable = rule == face_choice.COUNTS
    similar = _near_duplicates(videos, faces, usable, params)
    usable &= ~similar
    available = np.bincount(face_video[usable], minlength=len(label))  # (videos,)

    quota = available.copy()
    for group, members in _balanced_groups(params, split, dataset, names):
        present = members & (available > 0)
        _check_classes(group, label[present])
        real, fake = _count(available, label, present)
        if real != fake:
            larger = np.flatnonzero(present & (label == int(fake > real)))
            larger = larger[_seeded_order(video_ids.take(pa.array(larger)), seed)]
            quota[larger] = equal_quotas(available[larger], min(real, fake), at_least=1)

    chosen = choose_faces(face_video, faces.column("sample").to_numpy(), rank, usable, quota)
    of_video = face_video[chosen]
    samples = pa.table(
        {
            "face_id": faces.column("face_id").filter(pa.array(chosen)),
            "split": pa.array(fields.SPLITS).take(pa.array(split[of_video])),
            "label": pa.array(label[of_video], pa.int8()),
            "weight": pa.array(_weights(split, label, quota)[of_video], pa.float32()),
            "quota": pa.array(quota[of_video], pa.int32()),
        },
        schema=schemas.schema("samples"),
    )
    tables.check("samples", samples)
    metrics = _metrics(chosen, names, dataset, split, label, quota)
    for code, name in enumerate(face_choice.RULES):
        metrics[f"left_out_{name}"] = int((rule == code).sum())
    if params.audit == "drop":
        metrics[f"left_out_{near_duplicates.KIND}"] = int(similar.sum())
    metrics[f"left_out_{_NOT_BALANCED}"] = int((usable & ~chosen).sum())
    return BalancedSamples(samples, metrics)


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


def choose_faces(
    video: Ints,
    sample: npt.NDArray[np.int32],
    rank: npt.NDArray[np.int16],
    usable: Bools,
    quota: Ints,
) -> Bools:
    """The first ``quota`` usable faces of each video in bit-reversal order.

    A video's faces are counted by (sample, rank) and taken in the order of the reversed bits of
    their number: first, middle, quarter … That spreads any quota over the whole video, and a larger
    quota keeps every face of a smaller one, which evenly spaced picks do not.

    Args:
        video: int64 (faces,), place of the face's video in ``quota``.
        sample: int32 (faces,).
        rank: int16 (faces,).
        usable: bool (faces,), which faces are counted at all.
        quota: int64 (videos,).

    Returns:
        bool (faces,).
    """
    rows = np.flatnonzero(usable)
    rows = rows[np.lexsort((rank[rows], sample[rows], video[rows]))]
    place = place_in_run(video[rows])
    rows = rows[np.lexsort((reverse_bits(place), video[rows]))]
    chosen = np.zeros(len(video), bool)
    chosen[rows[place_in_run(video[rows]) < quota[video[rows]]]] = True
    return chosen


def reverse_bits(numbers: Ints) -> Ints:
    """Numbers from 0 to 2**32 - 1 with the order of their 32 bits reversed."""
    bits = numbers.astype(np.uint64)
    for width, mask in _SWAPS:
        bits = ((bits >> width) & mask) | ((bits & mask) << width)
    return bits.astype(np.int64)


_SWAPS = tuple(
    (np.uint64(width), np.uint64(mask))
    for width, mask in (
        (1, 0x55555555),
        (2, 0x33333333),
        (4, 0x0F0F0F0F),
        (8, 0x00FF00FF),
        (16, 0x0000FFFF),
    )
)


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


def _seeded_order(video_ids: pa.ChunkedArray, seed: int) -> Ints:
    """Order of videos by a hash of seed and id: the same however the tables are sorted."""
    hashed = [keys.hash64(f"{seed}/{video_id}") for video_id in video_ids.to_pylist()]
    return np.argsort(np.array(hashed, np.uint64), kind="stable")


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
