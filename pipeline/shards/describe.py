"""What samples say of themselves: the columns of their json, from the tables of all stages."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import UserError
from pipeline.semantics import LOCAL, Semantics

Columns = dict[str, list[Any]]
"""json key to its values, one per sample."""

_FROM_VIDEO = (
    *("dataset", "method", "category", "subtype", "compression", "audio_fake"),
    *("pair_id", "leak_group", "identity", "target_id", "source_id"),
)
_FROM_FACE = (
    *("face_id", "video_id", "sample", "time_s", "rank", "track"),
    *("score", "face_px", "padded", "sharpness", "brightness", "pose_deg", "box"),
)
_FROM_EXPANDED = (
    *("generator", "method", "region", "source_method", "source_face_id"),
    *("distance", "blur_sigma_px", "dilate_px", "color", "source_affine"),
)
_DECIMALS = {
    "time_s": 6,
    "score": 4,
    "face_px": 4,
    "padded": 4,
    "sharpness": 2,
    "brightness": 2,
    "pose_deg": 1,
    "box": 4,
    "points": 2,
    "distance": 3,
    "blur_sigma_px": 4,
    "source_affine": 6,
}
"""Digits that mean something; more would only make the json longer."""


class Describer:
    """Describes samples from the tables ``videos``, ``faces`` and ``landmarks``.

    Args:
        videos: table of that name.
        faces: table of that name.
        landmarks: table of that name; faces that it lacks have landmarks [].
        semantics: where the label vectors come from.
        adapters: name of each dataset's adapter, which label vectors may be listed under.
        graph: name of the graph that the vectors follow.
    """

    def __init__(
        self,
        videos: pa.Table,
        faces: pa.Table,
        landmarks: pa.Table,
        semantics: Semantics,
        adapters: Mapping[str, str],
        graph: str,
    ) -> None:
        self._videos, self._faces, self._landmarks = videos, faces, landmarks
        self._semantics, self._adapters, self._graph = semantics, adapters, graph
        self._vectors: dict[tuple[str, str, int, str], list[int]] = {}

    def faces(self, face_ids: pa.ChunkedArray) -> pa.Table:
        """The rows of ``faces`` with these ids, in this order. Raises UserError for unknown ids."""
        return _matched(self._faces, "face_id", face_ids)

    def samples(self, samples: pa.Table) -> Columns:
        """Columns of the rows of the table ``samples``."""
        columns = self._common(samples.column("face_id"))
        columns |= {"split": plain(samples, "split"), "label": plain(samples, "label")}
        for name in ("generator", "region", "source_method"):
            columns[name] = [""] * samples.num_rows
        return self._labelled(columns)

    def expanded(self, expanded: pa.Table) -> Columns:
        """Columns of the rows of the table ``expanded``: those of the target, relabelled.

        Quality columns, box and landmarks are the target face's. ``source_id`` is who is visible in
        the source face's video.
        """
        n = expanded.num_rows
        columns = self._common(expanded.column("target_face_id"))
        columns |= {name: plain(expanded, name) for name in _FROM_EXPANDED}
        columns |= {"split": ["train"] * n, "label": [1] * n}
        columns |= {"category": [LOCAL] * n, "subtype": [""] * n}
        source = self._videos_of(self.faces(expanded.column("source_face_id")))
        columns |= {"target_id": columns["identity"], "source_id": plain(source, "identity")}
        return self._labelled(columns)

    def _common(self, face_ids: pa.ChunkedArray) -> Columns:
        face = self.faces(face_ids)
        video = self._videos_of(face)
        columns = {name: plain(video, name) for name in _FROM_VIDEO}
        columns |= {name: plain(face, name) for name in _FROM_FACE}
        where = pc.index_in(face_ids, self._landmarks.column("face_id"))
        points = iter(plain(self._landmarks.take(where.drop_null()), "points"))
        has_points = pc.is_valid(where).to_pylist()
        return columns | {"landmarks": [next(points) if has else [] for has in has_points]}

    def _videos_of(self, face: pa.Table) -> pa.Table:
        return _matched(self._videos, "video_id", face.column("video_id"))

    def _labelled(self, columns: Columns) -> Columns:
        named = zip(*(columns[n] for n in ("dataset", "method", "label", "category")), strict=True)
        vectors = [self._vector(*key) for key in named]
        return columns | {"graph": [self._graph] * len(vectors), "vector": vectors}

    def _vector(self, dataset: str, method: str, label: int, category: str) -> list[int]:
        key = (dataset, method, label, category)
        if key not in self._vectors:
            if dataset not in self._adapters:
                raise UserError(
                    f"Dataset {dataset} has samples but is not in datasets.yaml. Run `dvc repro`."
                )
            adapter = self._adapters[dataset]
            vector = self._semantics.vector(self._graph, dataset, adapter, method, label, category)
            self._vectors[key] = list(vector)
        return self._vectors[key]


def json_texts(columns: Columns) -> list[str]:
    """One canonical json text per sample: sorted keys, no spaces, no NaN."""
    names = sorted(columns)
    rows = zip(*(columns[name] for name in names), strict=True)
    return [
        json.dumps(
            dict(zip(names, row, strict=True)),
            separators=(",", ":"),
            allow_nan=False,
            ensure_ascii=False,
        )
        for row in rows
    ]


def plain(table: pa.Table, name: str) -> list[Any]:
    """A column as Python values, floats rounded to the digits that mean something."""
    column = table.column(name)
    if name not in _DECIMALS:
        values: list[Any] = column.to_pylist()
        return values
    if pa.types.is_list(column.type):
        lengths = pc.list_value_length(column).to_pylist()
        flat = _rounded(pc.list_flatten(column), _DECIMALS[name])
        ends = np.cumsum(lengths, dtype=np.int64).tolist()
        return [flat[end - n : end] for end, n in zip(ends, lengths, strict=True)]
    return _rounded(column, _DECIMALS[name])


def _rounded(values: pa.ChunkedArray, decimals: int) -> list[float]:
    exact = values.to_numpy().astype(np.float64)
    rounded: list[float] = (np.round(exact, decimals) + 0.0).tolist()  # + 0.0 turns -0.0 into 0.0
    return rounded


def _matched(table: pa.Table, key: str, wanted: pa.ChunkedArray) -> pa.Table:
    where = pc.index_in(wanted, table.column(key))
    if where.null_count:
        missing = wanted.filter(pc.is_null(where))[0].as_py()
        raise UserError(
            f"The tables of earlier stages do not belong together: {key} {missing} is named by one "
            "and missing in another. Run `dvc repro` to make them anew."
        )
    return table.take(where)
