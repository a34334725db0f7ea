"""What a run is trained on: its parameters and its shards, checked before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from faceshards.filters import ByPlace, Places
from faceshards.reading import Shards
from faceshards.samples import Samples, vector_rows
from pipeline.config.params import Params
from pipeline.config.run_params import DataParams, RunParams
from pipeline.errors import UserError
from pipeline.labels import semantics
from pipeline.labels.attribution import Attribution, by_category, by_dataset
from pipeline.labels.semantics import Graph
from pipeline.shards import run_data
from pipeline.training import checkpoint
from pipeline.training.data import Faces, classes_of
from pipeline.training.self_blended import SelfBlendedFaces, with_landmarks
from pipeline.versions import version

_USED = ["label", "category", "dataset", "vector"]

BINARY = ("real", "fake")
"""Classes where fakes are not told apart."""


@dataclass(frozen=True)
class Run:
    """A named run and everything its result depends on, the shards aside."""

    name: str
    params: RunParams
    seed: int
    version: int
    """Number of ``train`` in versions.yaml."""
    graph: Graph | None
    """The label graph it is trained with; None where it reads no label vectors."""

    @property
    def digest(self) -> str:
        """What its checkpoints carry."""
        return checkpoint.run_digest(self.name, self.params, self.seed, self.version, self.graph)


def run_of(params: Params, name: str) -> Run:
    """A run of params.yaml, with its label graph of manifests/semantics.yaml."""
    wanted = params.runs[name]
    graph = semantics.load().graph(wanted.objective.graph) if wanted.objective.graph else None
    return Run(name, wanted, params.seed, version("train"), graph)


@dataclass(frozen=True)
class RunData:
    """The faces of a run. Holds no index: that would grow with every column of it."""

    train: Faces
    val: Faces
    classes: tuple[str, ...]
    """What is told apart: ``real``, then one or more names of fakes."""
    counts: dict[str, int]
    """Samples that are read, by shard folder."""
    digest: str
    notes: tuple[str, ...] = ()
    """Sentences that whoever trains it must see."""


def read(run: Run, root: Path, side_px: int) -> RunData:
    """Opens the shard folders of a run.

    Args:
        run: which folders it reads, what of them, and the graph that it learns.
        root: folder that holds ``train``, ``val`` and, where the run reads them, ``expanded``.
        side_px: side of the images that the model takes.

    Raises:
        UserError: a folder is absent, damaged, empty or without the run's graph; its data name what
            is not there, or leave nothing or one class to be learnt; a fake has no class.
    """
    opened = _open(run, root)
    data = run.params.data
    places = run_data.chosen_places(run.name, data, [shards.index for shards in opened])
    notes: list[str] = []
    if data.fakes == "self_blended":
        places[0], note = _to_blend(run, opened[0], places[0])
        notes += note
    rows = [s.index.take(pa.array(some)) for s, some in zip(opened, places, strict=True)]
    _check_rows(run, opened, rows)
    used = [set(some.column("tar").unique().to_pylist()) for some in rows]
    vectors: list[Mapping[tuple[str, str, str], list[int]]] = []
    if run.graph is not None and not _own_vectors(run, opened):
        vectors = [
            run_data.vectors(shards, run.graph.name, some)
            for shards, some in zip(opened, rows, strict=True)
        ]
        rows = [
            run_data.relabelled(some, known, data.labels == "face_only")
            for some, known in zip(rows, vectors, strict=True)
        ]
    attribution = _attribution(run, rows[:-1])
    train = _faces(opened[:-1], places[:-1], rows[:-1], side_px, attribution)
    if data.fakes == "self_blended":
        train = SelfBlendedFaces([opened[0].folder], places[0], side_px, train.vectors.shape[1])
    return RunData(
        train,
        _faces(opened[-1:], places[-1:], rows[-1:], side_px, attribution),
        attribution.classes if attribution else BINARY,
        {shards.name: some.num_rows for shards, some in zip(opened, rows, strict=True)},
        checkpoint.shards_digest(opened, used, vectors),
        tuple(notes),
    )


def _to_blend(run: Run, train: Shards, places: Places) -> tuple[Places, list[str]]:
    """The reals with landmarks among samples of train, and what is to be said of the others."""
    labels = train.index.column("label").to_numpy()
    reals = places[labels[places] == 0]
    usable = with_landmarks([train.folder], reals)
    if len(usable) == len(reals):
        return usable, []
    if not len(usable):
        raise UserError(
            f"None of the {len(reals):,} real faces that the run {run.name} reads of "
            f"{train.folder} has landmarks, and self-blended images are made with them. Set "
            "landmarks.landmarker to dlib or fan, then `dvc repro shard`."
        )
    missing = len(reals) - len(usable)
    return usable, [f"{missing:,} of {len(reals):,} real faces have no landmarks and are left out."]


def _faces(
    folders: Sequence[Shards],
    places: Sequence[Places],
    rows: Sequence[pa.Table],
    side_px: int,
    attribution: Attribution | None,
) -> Faces:
    """Chosen samples of folders, with classes and vectors as the rows have them."""
    firsts = np.cumsum([0, *(len(shards) for shards in folders[:-1])])
    where = ByPlace(np.concatenate([f + some for f, some in zip(firsts, places, strict=True)]))
    samples = Samples([shards.folder for shards in folders], where, side_px)
    whole = pa.concat_tables([some.select(_USED) for some in rows])
    vectors = vector_rows(whole.column("vector"), len(samples.graph))
    return Faces(samples, vectors, classes_of(whole, attribution) if attribution else None)


def _own_vectors(run: Run, opened: Sequence[Shards]) -> bool:
    """Whether the run learns the vectors that the samples have."""
    own = {name for s in opened for name in s.index.column("graph").unique().to_pylist()}
    same = run.graph is not None and own == {run.graph.name}
    return same and run.params.data.labels == "hierarchy"


def _attribution(run: Run, train: Sequence[pa.Table]) -> Attribution | None:
    """How the run names the classes of its fakes; None where all are one."""
    match run.params.objective.attribution:
        case "none":
            return None
        case "category":
            return by_category()
        case "dataset":
            fakes = [rows.filter(pc.field("label") == 1) for rows in train]
            return by_dataset(
                name for some in fakes for name in some.column("dataset").unique().to_pylist()
            )
        case other:
            raise ValueError(f"there is no attribution by {other}")


def _open(run: Run, root: Path) -> list[Shards]:
    """The shard folders of a run, train first and val last, checked to be fit for it."""
    names = run_data.folders(run.params)
    opened = [Shards(root / name) for name in names]
    for shards, name in zip(opened, names, strict=True):
        if shards.name != name:
            raise UserError(f"{shards.folder} holds the shards of {shards.name}, not of {name}.")
        if not len(shards):
            raise UserError(
                f"{shards.folder} has no samples, and the run {run.name} needs some. Give the "
                f"datasets' {name} some faces (a CSV does so in its column split), then "
                "`dvc repro shard`."
                if name != "expanded"
                else f"{shards.folder} has no samples, but the run {run.name} reads it. Name the "
                f"datasets in expand.datasets, or set runs.{run.name}.also to train."
            )
        if run.graph is not None:
            _check_graph(run, shards, run.graph)
    return opened


def _check_rows(run: Run, opened: Sequence[Shards], rows: Sequence[pa.Table]) -> None:
    """Raises UserError where the run's data leave nothing of a folder, or one class to learn."""
    for shards, some in zip(opened, rows, strict=True):
        if not some.num_rows:
            raise UserError(
                f"runs.{run.name}.data leaves none of the {len(shards):,} samples in "
                f"{shards.folder}, and the run needs some. Let it read more."
            )
    labels = {label for some in rows[:-1] for label in some.column("label").unique().to_pylist()}
    if len(labels) < 2 and run.params.data.fakes == "stored":
        only = "fake" if 1 in labels else "real"
        whole = run.params.data == DataParams()
        where = f"{opened[0].folder} has" if whole else f"runs.{run.name}.data leaves"
        raise UserError(
            f"{where} {only} faces only, so the run {run.name} could learn nothing. Add the other "
            "class to the datasets" + ("." if whole else ", or let the run read more.")
        )


def _check_graph(run: Run, shards: Shards, graph: Graph) -> None:
    found = shards.facts["graphs"].get(graph.name, {})
    if found.get("nodes") != list(graph.nodes):
        raise UserError(
            f"The labels in {shards.folder} do not follow the graph {graph.name} of the run "
            f"{run.name} as semantics.yaml has it. Make them anew with `dvc repro shard`."
        )
