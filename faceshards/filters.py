"""Which samples of shard folders are read: filters on the index, the same ones that runs use."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceshards.errors import UserError
from faceshards.keys import hash64

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Filter:
    """What samples must be like. An empty tuple lets all values of its column pass.

    A sample passes where each of its columns passes. Names that occur nowhere are an error, since
    they are spelling mistakes more often than not.
    """

    datasets: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    """Manipulations. Reals pass whatever is named: a filter on fakes is no filter on reals."""
    categories: tuple[str, ...] = ()
    """Kinds of manipulation, such as ``FS``, ``RE``, ``local``. Reals pass."""
    regions: tuple[str, ...] = ()
    """Altered regions of expanded samples. Samples that are not expanded pass."""
    generators: tuple[str, ...] = ()
    """How expanded samples were made, such as ``swap``. Samples that are not expanded pass."""
    min_altered: float = 0.0
    """Least share of the face's box that was altered. Reals and samples of which it is not known
    pass."""
    max_per_video: int = 0
    """Most samples of a video and method; 0 = all. Those stay whose id has the smallest hash."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the index that :meth:`places` looks at."""
        named = [column for f, column in _COLUMNS.items() if getattr(self, f)]
        if {"method", "category"} & set(named):
            named.append("label")
        if self.min_altered:
            named.append(_ALTERED)
        if self.max_per_video:
            named += ["sample_id", "video_id", "method"]
        return tuple(dict.fromkeys(named))

    def places(self, index: pa.Table) -> Places:
        """Places (m,) of the samples that pass, ascending.

        Args:
            index: rows of the index with at least :attr:`columns`.

        Raises:
            UserError: a name occurs nowhere in the index, with those that do.
        """
        passes = np.ones(index.num_rows, np.bool_)
        for field, column in _COLUMNS.items():
            wanted: tuple[str, ...] = getattr(self, field)
            if wanted:
                _check_known(field, wanted, index.column(column))
                passes &= _among(index, column, wanted) | _exempt(index, field)
        if self.min_altered:
            share = index.column(_ALTERED).to_numpy()
            passes &= (share >= self.min_altered) | (share < 0)
        places = np.flatnonzero(passes)
        if self.max_per_video:
            places = places[_first_of_video(index.take(pa.array(places)), self.max_per_video)]
        return places


_ALTERED = "altered"
_COLUMNS: Mapping[str, str] = {
    "datasets": "dataset",
    "methods": "method",
    "categories": "category",
    "regions": "region",
    "generators": "generator",
}
assert set(_COLUMNS) < {f.name for f in fields(Filter)}  # noqa: S101 - a slip in this module


def _among(index: pa.Table, column: str, wanted: tuple[str, ...]) -> NDArray[np.bool_]:
    found = pc.is_in(index.column(column), value_set=pa.array(wanted))
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


def _exempt(index: pa.Table, field: str) -> NDArray[np.bool_]:
    """Samples that a filter does not concern."""
    if field in ("methods", "categories"):
        return np.asarray(index.column("label").to_numpy() == 0)
    if field in ("regions", "generators"):
        return _among(index, _COLUMNS[field], ("",))
    return np.zeros(index.num_rows, np.bool_)


def _check_known(field: str, wanted: tuple[str, ...], values: pa.ChunkedArray) -> None:
    known = set(values.unique().to_pylist()) - {""}
    odd = [name for name in wanted if name not in known]
    if odd:
        raise UserError(
            f"{field} names {', '.join(map(repr, odd))}, which no sample has. "
            f"There are: {', '.join(sorted(known)) or 'none'}."
        )


def _first_of_video(index: pa.Table, most: int) -> NDArray[np.bool_]:
    """Which rows (n,) are among the first ``most`` of their video and method, by hash of the id."""
    group = [index.column(name).combine_chunks().dictionary_encode() for name in _GROUP]
    video, method = (codes.indices.to_numpy() for codes in group)
    order_key = np.array([hash64(i) for i in index.column("sample_id").to_pylist()], np.uint64)
    order = np.lexsort((order_key, method, video))
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(video[order]) != 0) | (np.diff(method[order]) != 0)
    starts = np.flatnonzero(new)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    kept = np.zeros(len(order), np.bool_)
    kept[order] = rank < most
    return kept


_GROUP = ("video_id", "method")
