"""What a run is trained on: its parameters and its shards, checked before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from faceshards.reading import Shards
from pipeline.config.run_params import RunParams
from pipeline.errors import UserError
from pipeline.labels.attribution import Attribution, by_category, by_dataset
from pipeline.labels.semantics import Graph
from pipeline.training import checkpoint
from pipeline.training.data import Faces

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


@dataclass(frozen=True)
class RunData:
    """The faces of a run. Holds no index: that would grow with every column of it."""

    train: Faces
    val: Faces
    classes: tuple[str, ...]
    """What is told apart: ``real``, then one or more names of fakes."""
    counts: dict[str, int]
    """Samples by shard folder."""
    digest: str


def read(run: Run, root: Path, side_px: int) -> RunData:
    """Opens the shard folders of a run.

    Args:
        run: which folders it reads, and the graph that their labels must follow.
        root: folder that holds ``train``, ``val`` and, where the run reads them, ``expanded``.
        side_px: side of the images that the model takes.

    Raises:
        UserError: a folder is absent, damaged, empty or of another graph, or only one class is
            there to be learnt, or a fake has no class.
    """
    opened = _open(run, root)
    attribution = _attribution(run, opened[:-1])
    return RunData(
        Faces(opened[:-1], side_px, attribution),
        Faces(opened[-1:], side_px, attribution),
        attribution.classes if attribution else BINARY,
        {shards.name: len(shards) for shards in opened},
        checkpoint.shards_digest(opened),
    )


def _attribution(run: Run, train: Sequence[Shards]) -> Attribution | None:
    """How the run names the classes of its fakes; None where all are one."""
    match run.params.objective.attribution:
        case "none":
            return None
        case "category":
            return by_category()
        case "dataset":
            fakes = [shards.index.filter(pc.field("label") == 1) for shards in train]
            return by_dataset(
                name for some in fakes for name in some.column("dataset").unique().to_pylist()
            )
        case other:
            raise ValueError(f"there is no attribution by {other}")


def _open(run: Run, root: Path) -> list[Shards]:
    """The shard folders of a run, train first and val last, checked to be fit for it."""
    names = dict.fromkeys(("train", run.params.also, "val"))
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
    labels = {label for s in opened[:-1] for label in s.index.column("label").unique().to_pylist()}
    if len(labels) < 2:
        only = "fake" if 1 in labels else "real"
        raise UserError(
            f"{opened[0].folder} has {only} faces only, so the run {run.name} could learn "
            "nothing. Add the other class to the datasets."
        )
    return opened


def _check_graph(run: Run, shards: Shards, graph: Graph) -> None:
    found = shards.index.column("graph").unique().to_pylist()
    nodes = shards.facts["graphs"].get(graph.name, {}).get("nodes")
    if found != [graph.name] or nodes != list(graph.nodes):
        raise UserError(
            f"The labels in {shards.folder} do not follow the graph {graph.name} of the run "
            f"{run.name} as semantics.yaml has it. Make them anew with `dvc repro shard`."
        )
