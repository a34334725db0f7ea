"""What a run reads of the shard folders: some rows of their indexes, and vectors of its graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceshards.filters import Filter, Places
from faceshards.reading import Shards, read_index
from pipeline.config.run_params import DataParams, RunParams
from pipeline.errors import UserError

_KIND = ("dataset", "method", "category")


@dataclass(frozen=True)
class Count:
    """Samples of one shard folder that a run reads."""

    folder: str
    real: int
    fake: int
    self_blended: bool = False
    """Whether the fakes are made of the reals in training, and none are read."""

    @property
    def words(self) -> str:
        """How many, and of what class."""
        if self.self_blended:
            return f"{self.real:,} real, blended with themselves where they have landmarks"
        return f"{self.real + self.fake:,} ({self.real:,} real, {self.fake:,} fake)"

    def __str__(self) -> str:
        return f"{self.folder} {self.words}"


def where(data: DataParams) -> Filter:
    """The filter that a run's parameters are."""
    return Filter(
        datasets=data.datasets,
        methods=data.methods,
        categories=data.categories,
        regions=data.regions,
        generators=data.generators,
        max_per_video=data.max_per_video,
    )


def folders(run: RunParams) -> list[str]:
    """Shard folders that a run reads, val last."""
    return list(dict.fromkeys(("train", run.also, "val")))


def chosen(name: str, data: DataParams, indexes: Sequence[pa.Table]) -> list[pa.Table]:
    """The rows of each index that a run reads, in their order; see :func:`chosen_places`."""
    if where(data) == Filter():
        return list(indexes)
    places = chosen_places(name, data, indexes)
    return [index.take(pa.array(some)) for index, some in zip(indexes, places, strict=True)]


def chosen_places(name: str, data: DataParams, indexes: Sequence[pa.Table]) -> list[Places]:
    """Places (m,) of the samples of each index that a run reads, ascending.

    A name counts as known where any of the folders has it.

    Args:
        name: of the run, for messages.
        data: what it reads.
        indexes: of its shard folders, with all columns that its filter looks at.

    Raises:
        UserError: something is named that no sample has.
    """
    passes = where(data)
    if passes == Filter():
        return [np.arange(index.num_rows) for index in indexes]
    # One table, so that a name may be in one of the folders alone.
    whole = pa.concat_tables([index.select(list(passes.columns)) for index in indexes])
    try:
        places = passes.places(whole)
    except UserError as error:
        raise UserError(f"runs.{name}.data: {error}") from error
    ends = np.cumsum([0, *(index.num_rows for index in indexes)])
    cuts = np.searchsorted(places, ends)
    return [places[cuts[n] : cuts[n + 1]] - ends[n] for n in range(len(indexes))]


def counts(name: str, run: RunParams, root: Path) -> list[Count]:
    """What a run reads of each of its shard folders below ``root``.

    Raises UserError where an index is absent or damaged, or as :func:`chosen`.
    """
    columns = ["label", *where(run.data).columns]
    read = folders(run)
    indexes = [read_index(root / folder, folder, columns) for folder in read]
    found = []
    for folder, index in zip(read, chosen(name, run.data, indexes), strict=True):
        found.append(count(folder, run.data, index))
    return found


def count(folder: str, data: DataParams, rows: pa.Table) -> Count:
    """How many of the rows (column ``label``) of a folder or split a run reads."""
    fake = int(np.count_nonzero(rows.column("label").to_numpy()))
    real = rows.num_rows - fake
    if data.fakes == "self_blended" and folder == "train":
        return Count(folder, real, 0, self_blended=True)
    return Count(folder, real, fake)


def vectors(shards: Shards, graph: str, rows: pa.Table) -> dict[tuple[str, str, str], list[int]]:
    """Label vector in a graph by dataset, method and category, as shards.json has it.

    Args:
        shards: the folder.
        graph: name of the graph.
        rows: of its index; the vectors of their kinds are given.

    Raises:
        UserError: it has none of that graph, or of one of these kinds.
    """
    found = {}
    for kind in _kinds(rows):
        try:
            dataset, method, category = (kind[name] for name in _KIND)
            told = shards.facts["vectors"][graph][dataset][method][category]
            found[dataset, method, category] = [int(value) for value in told]
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{shards.folder}/shards.json has no label vector of {'/'.join(kind.values())} in "
                f"the graph {graph}. Make it anew with `dvc repro shard`."
            ) from None
    return found


def relabelled(
    index: pa.Table, known: Mapping[tuple[str, str, str], list[int]], face_only: bool
) -> pa.Table:
    """The index with other vectors in its column ``vector``.

    Args:
        index: rows of a shard index.
        known: vectors by dataset, method and category, of all kinds that there are.
        face_only: only the first node, real or fake, is observed, of reals as well as of fakes.
    """
    n_nodes = len(next(iter(known.values()), ()))
    rows = np.zeros((index.num_rows, n_nodes), np.int8)  # (n, nodes)
    for kind in _kinds(index):
        dataset, method, category = (kind[name] for name in _KIND)
        rows[_of_kind(index, kind)] = known[dataset, method, category]
    if face_only:
        rows[:, 1:] = -1
    ends = pa.array(np.arange(index.num_rows + 1, dtype=np.int32) * n_nodes)
    column = pa.ListArray.from_arrays(ends, pa.array(rows.ravel()))
    place = index.column_names.index("vector")
    return index.set_column(place, index.schema.field(place), column)


def _kinds(index: pa.Table) -> list[dict[str, str]]:
    found: list[dict[str, str]] = index.group_by(list(_KIND)).aggregate([]).to_pylist()
    return found


def _of_kind(index: pa.Table, kind: Mapping[str, str]) -> NDArray[np.bool_]:
    """Which rows (n,) are of a kind."""
    mine = np.ones(index.num_rows, np.bool_)
    for name, value in kind.items():
        mine &= pc.equal(index.column(name), value).to_numpy()
    return mine
