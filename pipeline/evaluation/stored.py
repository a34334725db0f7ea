"""Scores on disk: of the project's own runs, and imported ones, found by name alike."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from faceshards.reading import Shards
from faceshards.wording import suggestion
from pipeline import tables
from pipeline.errors import UserError
from pipeline.evaluation import facts
from pipeline.labels import semantics
from pipeline.labels.semantics import Graph

PREDICTIONS, IMPORTED = Path("predictions"), Path("scores")
"""Where runs are, and where `faceshards scores import` writes."""
_SEMANTICS = Path("manifests/semantics.yaml")


@dataclass(frozen=True)
class Scored:
    """The scores of one detector."""

    name: str
    videos: pa.Table
    """Table ``predictions_videos``."""
    faces: pa.Table
    """Table ``predictions_faces``; empty where videos were scored as a whole."""


def names(root: Path = Path()) -> list[str]:
    """All detectors with scores: runs first, each part sorted."""
    found = [sorted(root.glob(f"{place}/*/videos.parquet")) for place in (PREDICTIONS, IMPORTED)]
    return [path.parent.name for paths in found for path in paths]


def load(name: str, root: Path = Path()) -> Scored:
    """Scores of a run or of an imported detector. Raises UserError where there are none."""
    for place in (PREDICTIONS, IMPORTED):
        folder = root / place / name
        if (folder / "videos.parquet").is_file():
            videos = tables.read(folder / "videos.parquet", "predictions_videos")
            return Scored(name, videos, tables.read(folder / "faces.parquet", "predictions_faces"))
    raise UserError(
        f"There are no scores of {name!r}. {suggestion(name, names(root))} Runs are scored by "
        "`dvc repro evaluate@RUN`, other detectors come by `faceshards scores import`."
    )


def shards(root: Path = Path()) -> list[Shards]:
    """Shards of val and test; none where they are not there."""
    folders = [root / "data/shards" / split for split in ("val", "test")]
    there = all((folder / "shards.json").is_file() for folder in folders)
    return [Shards(folder) for folder in folders] if there else []


def known(scored: Scored, videos: pa.Table, root: Path = Path()) -> tuple[pa.Table, Graph | None]:
    """Its videos with what is known of them, and the graph of their labels.

    Args:
        scored: of :func:`load`.
        videos: table ``videos``.
        root: of the project.
    """
    there, graph = shards(root), None
    if there and (root / _SEMANTICS).is_file():
        own = scored.faces.column("graph")[0].as_py() if scored.faces.num_rows else ""
        graph = semantics.load(root / _SEMANTICS).graph(own or there[0].facts["graph"])
    return facts.known(scored.videos, videos, scored.faces, there, graph), graph
