"""Which face gets which region of which other face (SJEDD, section III-A). Pure; no images.

Targets are real train faces, chosen equally over videos; a target's source is the nearest face of
another person among the train faces of the source methods. What landmarks and tables alone rule out
is refused here, and the next target takes its place, so that as many samples are planned as are
wanted, where there are enough. Choices go by hashes of names, so a new video changes few of them.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from faceshards import keys
from pipeline.config.params import ExpandParams
from pipeline.engine.rows import Plan, in_batches
from pipeline.expansion import geometry
from pipeline.expansion.candidates import VIDEO_COLUMNS, check_datasets, train_faces
from pipeline.expansion.matching import Exclusions, Faces, nearest_sources
from pipeline.expansion.notes import assumed, short
from pipeline.expansion.people import People, people, tied
from pipeline.expansion.targets import choose_targets, matching_count
from pipeline.tables.arrays import Bools, Ints
from pipeline.tables.sources import TableSource, read

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

_PAIRS_AT_ONCE = 1 << 16


class Expansion(NamedTuple):
    """What is to be made, and what was refused."""

    plan: Plan
    counts: dict[str, int]
    """For the metrics, each name beginning with ``<dataset>_<generator>_``: ``<region>_wanted`` and
    ``<region>_planned`` samples, and ``<region>_replaced``, those of them that took the place of
    one that was refused; ``targets`` and ``sources`` there are, and how many of them were refused
    for each reason; ``<region>_leaves_crop`` and ``<region>_mouth_differs`` targets;
    ``pairs_<reason>``, sources among the nearest that do not fit. See
    :func:`pipeline.expansion.notes.by_region`."""
    notes: list[str]
    """Sentences that whoever runs it must see."""


@dataclass(frozen=True)
class Request:
    """What is to be made of one dataset by one generator."""

    dataset: str
    generator: str
    regions: Sequence[str]
    methods: Sequence[str]
    """Whose faces may be sources."""
    align: str


class _Pick(NamedTuple):
    """One sample: the ``count``-th swap of a region into a target."""

    sample_id: str
    target: int
    source: int
    region: str


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
    different: Mapping[str, float] | None = None,
) -> Expansion:
    """Plans all samples that are made of two faces.

    Every region of every dataset gets ``per_region`` targets, or with ``match`` the mean number of
    train samples of the source methods there (rounded half up), as in the paper. Where that is more
    than there are targets, all of them are used once, then once more with their next-nearest
    source, and so on; k in the sample's id counts these rounds. Targets and sources need landmarks.

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
        different: for ``identity: embedding``: of each dataset, the cosine below which two
            embeddings are those of different people.

    Returns:
        The plan, sorted by ``sample_id``, and what was refused. Samples that are wanted and for
        which there is no pair of faces are not in it, and a note tells how many.

    Raises:
        UserError: a dataset is not there, is not stored losslessly or has no real faces, a source
            method has no samples, or the tables do not belong together.
    """
    about = read(videos, ["video_id", *VIDEO_COLUMNS])
    further = ("embedding",) if params.identity == "embedding" else ()
    candidates = train_faces(about, faces, samples, landmarks, params.datasets, further)
    check_datasets(about, candidates, params, lossless)
    parts = [_SCHEMA.empty_table()]
    counts: dict[str, int] = {}
    notes: list[str] = []
    for dataset in params.datasets:
        here = candidates.filter(pc.equal(candidates["dataset"], dataset))
        who = people(here, params.identity)
        notes += assumed(dataset, here, params)
        for generator in params.generators:
            request = _request(dataset, generator, params, dataset in upright)
            limit = (different or {}).get(dataset, 0.0)
            part, counted = _Planner(request, here, who, limit, params, seed).planned(store)
            parts.append(part)
            counts |= {f"{dataset}_{generator}_{name}": n for name, n in counted.items()}
            notes += short(dataset, generator, request.regions, counted)
    plan = Plan(
        in_batches(pa.concat_tables(parts).combine_chunks().sort_by("sample_id")),
        _SCHEMA,
        id="sample_id",
        bucket_by="video_id",
        content=("generator", "region", "align", *_roles("digest", "points")),
        location=_roles("tar", "offset", "size"),
        attach=("target_face_id", "source_face_id", "source_method"),
    )
    return Expansion(plan, counts, notes)


def _roles(*names: str) -> tuple[str, ...]:
    return tuple(f"{role}_{name}" for role in ("target", "source") for name in names)


def _request(dataset: str, generator: str, params: ExpandParams, upright: bool) -> Request:
    align = params.align
    if align == "auto":
        align = "none" if upright else "similarity"
    regions, methods = params.regions_of(generator), params.sources_of(generator)
    return Request(dataset, generator, regions, methods, align)


class _Planner:
    """Plans one request: everybody who may take part first, then who gets what of whom."""

    def __init__(
        self,
        request: Request,
        candidates: pa.Table,
        who: People,
        different: float,
        params: ExpandParams,
        seed: int,
    ) -> None:
        self.request, self.params, self.seed = request, params, seed
        self.candidates = candidates
        self.counts: Counter[str] = Counter()
        real = pc.equal(candidates["label"], 0).to_numpy()
        methods = pa.array(request.methods, pa.string())
        usable = self._usable(who)
        self.targets = self._kept("targets", real, usable)
        of_methods = pc.is_in(candidates["method"], value_set=methods).to_numpy()
        self.sources = self._kept("sources", of_methods, usable)
        self.points = (_points(candidates, self.targets), _points(candidates, self.sources))
        groups = [
            np.unique(who.group[rows], return_inverse=True) for rows in (self.targets, self.sources)
        ]
        ties = tied(who, groups[0][0], groups[1][0], different)
        self.ties = Exclusions(groups[0][1].ravel(), groups[1][1].ravel(), ties)

    def _usable(self, who: People) -> dict[str, Bools]:
        """Faces (N,) that each reason refuses."""
        valid = pc.is_valid(self.candidates["points"]).to_numpy()
        rows = np.flatnonzero(valid)
        bad = np.full(len(valid), geometry.FINE, np.int8)
        bad[rows] = geometry.bad_faces(_points(self.candidates, rows).reshape(-1, 68, 2))
        refused = {"no_landmarks": ~valid}
        if self.params.identity == "required":
            refused["unknown_person"] = ~who.known[who.group]
        elif who.looks is not None:
            refused["unknown_person"] = ~(who.known | who.looks.any(axis=1))[who.group]
        return refused | {reason: bad == code for code, reason in enumerate(geometry.FACE_REASONS)}

    def _kept(self, role: str, wanted: Bools, refused: Mapping[str, Bools]) -> Ints:
        """Rows of the candidates that nothing refuses; counts the others by the first reason."""
        self.counts[role] = int(wanted.sum())
        for reason, faces in refused.items():
            self.counts[f"{role}_{reason}"] = int((wanted & faces).sum())
            wanted = wanted & ~faces
        return np.flatnonzero(wanted)

    def planned(self, store: Path) -> tuple[pa.Table, dict[str, int]]:
        """Rows of the plan, and what was counted."""
        params, request = self.params, self.request
        wanted = params.per_region
        if wanted == "match":
            wanted = matching_count(request.dataset, self.candidates, params)
        crop_px = self.candidates["crop_px"].to_numpy()[self.targets]
        faces = self.points[0].reshape(-1, 68, 2)
        inside = {one: ~geometry.leaves_crop(faces, one, crop_px) for one in request.regions}
        sources = self._sources(wanted, inside)
        ids = self.candidates["face_id"].take(pa.array(self.targets)).to_pylist()
        of_video = self.candidates["video_id"].take(pa.array(self.targets)).to_pylist()
        picks: list[_Pick] = []
        for region in request.regions:
            mine = [self._of_region(region, inside[region], some) for some in sources]
            usable = np.stack([(some >= 0).any(axis=1) for some in mine], axis=1)
            salt = f"{self.seed}/{region}"
            chosen = choose_targets(ids, of_video, usable, wanted, salt)
            unrefused = choose_targets(ids, of_video, np.ones_like(usable), wanted, salt)
            for target, count in chosen:
                sample_id = keys.swap_id(ids[target], f"{request.generator}_{region}", count)
                near = mine[count][target]
                near = near[near >= 0]
                nth = keys.hash64(f"{self.seed}/{sample_id}") % len(near)
                picks.append(_Pick(sample_id, target, int(near[nth]), region))
            fits = inside[region] & (sources[0] >= 0).any(axis=1)
            self.counts[f"{region}_leaves_crop"] = int((~inside[region]).sum())
            self.counts[f"{region}_mouth_differs"] = int((fits & ~usable[:, 0]).sum())
            self.counts[f"{region}_replaced"] = len({*chosen} - {*unrefused})
            self.counts[f"{region}_wanted"] = wanted
            self.counts[f"{region}_planned"] = len(chosen)
        return _rows(picks, self, store), dict(self.counts)

    def _of_region(self, region: str, inside: Bools, sources: Ints) -> Ints:
        """Sources (targets, k) of a round without those that do not fit this region."""
        there, here = (one.reshape(-1, 68, 2) for one in self.points)
        differs = geometry.mouths_differ(region, there, here, sources)
        return np.where(differs | ~inside[:, None], -1, sources)

    def _usable_targets(self, region: str, inside: Bools, sources: Ints) -> int:
        return int((self._of_region(region, inside, sources) >= 0).any(axis=1).sum())

    def _sources(self, wanted: int, inside: Mapping[str, Bools]) -> list[Ints]:
        """Of each round, (targets, ``among_nearest``) sources; -1 where there is none that fits.

        There are so many rounds that every region gets what is wanted, if the sources allow it.
        """
        each = self.params.among_nearest
        rounds = 1
        while True:
            nearest, _ = nearest_sources(*self.points, self.ties, count=rounds * each)
            fits = self._fitting(nearest)
            by_round = [fits[:, at * each : (at + 1) * each] for at in range(rounds)]
            enough = all(
                sum(self._usable_targets(region, where, some) for some in by_round) >= wanted
                for region, where in inside.items()
            )
            if enough or not len(nearest) or (nearest[:, -1] < 0).all():
                return by_round
            rounds *= 2

    def _fitting(self, nearest: Ints) -> Ints:
        """The same without sources that do not fit their target; counts those of the first."""
        target, place = np.nonzero(nearest >= 0)
        fits = nearest.copy()
        found = np.zeros(len(geometry.PAIR_REASONS), np.int64)
        for start in range(0, len(target), _PAIRS_AT_ONCE):
            rows = slice(start, start + _PAIRS_AT_ONCE)
            source = nearest[target[rows], place[rows]]
            pairs = (self.points[0][target[rows]], self.points[1][source])
            unlike = geometry.unlike(*(one.reshape(-1, 68, 2) for one in pairs))
            bad = unlike != geometry.FINE
            fits[target[rows][bad], place[rows][bad]] = -1
            found += np.bincount(unlike[bad], minlength=len(found))
        for reason, count in zip(geometry.PAIR_REASONS, found.tolist(), strict=True):
            self.counts[f"pairs_{reason}"] = count
        self.counts["targets_no_source"] = int((nearest < 0).all(axis=1).sum())
        self.counts["targets_no_fitting_source"] = int(
            ((fits < 0).all(axis=1) & (nearest >= 0).any(axis=1)).sum()
        )
        return fits


def _points(table: pa.Table, rows: Ints) -> Faces:
    """float64 (rows, 136)."""
    points = pc.list_flatten(table["points"].take(pa.array(rows))).to_numpy()
    return np.asarray(points, np.float64).reshape(len(rows), 136)


def _rows(
    found: Sequence[_Pick],
    planner: _Planner,
    store: Path,
) -> pa.Table:
    targets, sources = (np.array([*map(itemgetter(at), found)], np.int64) for at in (1, 2))
    target = planner.candidates.take(pa.array(planner.targets[targets]))
    source = planner.candidates.take(pa.array(planner.sources[sources]))
    columns = {
        "sample_id": pa.array([pick.sample_id for pick in found], pa.string()),
        "video_id": target["video_id"],
        "generator": pa.repeat(pa.scalar(planner.request.generator), len(found)),
        "align": pa.repeat(pa.scalar(planner.request.align), len(found)),
        "region": pa.array([pick.region for pick in found], pa.string()),
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
