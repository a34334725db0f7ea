"""The json of each sample: its columns, taken from the tables of all stages."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import UserError
from pipeline.labels.semantics import LOCAL, Semantics
from pipeline.shards.landmarks import Landmarks
from pipeline.tables.belong import places
from pipeline.tables.sources import TableSource, lookup

Columns = dict[str, list[Any]]
"""json key to its values, one per sample."""

_FROM_VIDEO = (
    *("dataset", "method", "category", "subtype", "compression", "audio_fake"),
    *("pair_id", "leak_group", "identity", "target_id", "source_id"),
)
_FROM_FACE = (
    *("face_id", "video_id", "sample", "time_s", "rank", "track"),
    *("score", "face_px", "padded", "sharpness", "brightness", "altered", "pose_deg", "box"),
)
_FROM_EXPANDED = (
    *("generator", "method", "region", "source_method", "source_face_id"),
    *("distance", "align", "dilate_px", "blur_sigma_px", "mask_seed", "color", "max_gain"),
    *("change", "color_gap", "sharpness_gap", "source_affine"),
)
_DECIMALS = {
    "time_s": 6,
    "score": 4,
    "face_px": 4,
    "padded": 4,
    "sharpness": 2,
    "brightness": 2,
    "altered": 4,
    "pose_deg": 1,
    "box": 4,
    "distance": 3,
    "blur_sigma_px": 6,
    "max_gain": 4,
    "change": 3,
    "color_gap": 3,
    "sharpness_gap": 3,
    "source_affine": 6,
}
"""Digits that mean something; more would only make the json longer."""


FACE_COLUMNS = _FROM_FACE
"""Columns of the table ``faces`` that samples are described by."""
EXPANDED_COLUMNS = ("sample_id", "target_face_id", *_FROM_EXPANDED)
"""Columns of the table ``expanded`` that samples are described by."""


class Describer:
    """Describes samples, some at a time.

    Args:
        videos: table of that name; what it needs of it is held in memory.
        landmarks: the points of faces; those that it lacks have landmarks [].
        semantics: where the label vectors come from.
        adapters: name of each dataset's adapter, which label vectors may be listed under.
        graph: name of the graph that the vectors follow.
    """

    def __init__(
        self,
        videos: TableSource,
        landmarks: Landmarks,
        semantics: Semantics,
        adapters: Mapping[str, str],
        graph: str,
    ) -> None:
        self._video_places, held = lookup(videos, "video_id", _FROM_VIDEO)
        # Values come many times; each is held once.
        encoded = {name: held.column(name).dictionary_encode() for name in _FROM_VIDEO}
        self._videos = pa.table(encoded)
        self._landmarks = landmarks
        self._semantics, self._adapters, self._graph = semantics, adapters, graph
        self._vectors: dict[tuple[str, str, int, str], list[int]] = {}

    def samples(self, faces: pa.Table, splits: list[str], labels: list[int]) -> Columns:
        """Columns of the samples that are these rows of ``faces``."""
        columns = self._common(faces) | {"split": splits, "label": labels}
        for name in ("generator", "region", "source_method"):
            columns[name] = [""] * faces.num_rows
        return self._labelled(columns)

    def expanded(self, expanded: pa.Table, targets: pa.Table, sources: pa.Table) -> Columns:
        """Columns of rows of ``expanded``: those of the target, relabelled.

        Quality columns, box and landmarks are the target face's. ``source_id`` is who is visible in
        the source face's video. ``targets`` and ``sources`` are the rows of ``faces``.
        """
        n = expanded.num_rows
        columns = self._common(targets)
        columns |= {name: plain(expanded, name) for name in _FROM_EXPANDED}
        columns |= {"split": ["train"] * n, "label": [1] * n}
        columns |= {"category": [LOCAL] * n, "subtype": [""] * n}
        source = self._videos_of(sources)
        columns |= {"target_id": columns["identity"], "source_id": plain(source, "identity")}
        return self._labelled(columns)

    def _common(self, face: pa.Table) -> Columns:
        video = self._videos_of(face)
        columns = {name: plain(video, name) for name in _FROM_VIDEO}
        columns |= {name: plain(face, name) for name in _FROM_FACE}
        return columns | {"landmarks": self._landmarks.of(face.column("face_id"))}

    def _videos_of(self, face: pa.Table) -> pa.Table:
        return self._videos.take(
            pa.array(places(self._video_places, face.column("video_id"), "videos"))
        )

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
