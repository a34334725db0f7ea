"""Points of any face, from a table that may be larger than memory."""

import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.tables.sources import Places, TableSource

_POINTS = 136
_BYTES = 4 * _POINTS
_DECIMALS = 2


class Landmarks:
    """Finds points by face.

    Args:
        landmarks: table of that name.
        file: an empty file to hold the points.
    """

    def __init__(self, landmarks: TableSource, file: BinaryIO) -> None:
        self._file = file
        self._places = Places(self._written(landmarks))
        self._file.flush()

    def _written(self, landmarks: TableSource) -> Iterator[pa.ChunkedArray]:
        """Writes the points of faces that have some; ids of those faces."""
        for part in landmarks.batches(["face_id", "points"]):
            with_points = part.filter(pc.greater(pc.list_value_length(part["points"]), 0))
            points = pc.list_flatten(with_points["points"]).to_numpy()
            self._file.write(points.astype(np.float32).tobytes())
            yield with_points["face_id"]

    def of(self, face_ids: pa.ChunkedArray) -> list[list[float]]:
        """136 coordinates of each face in crop pixels, to 0.01; [] for faces that have none."""
        at = self._places.find(face_ids)  # (n,)
        known = np.flatnonzero(at >= 0).tolist()
        file = self._file.fileno()
        data = b"".join(os.pread(file, _BYTES, int(at[place]) * _BYTES) for place in known)
        exact = np.frombuffer(data, np.float32).astype(np.float64).reshape(-1, _POINTS)
        rounded = (np.round(exact, _DECIMALS) + 0.0).tolist()  # + 0.0 turns -0.0 into 0.0
        points: list[list[float]] = [[] for _ in face_ids]
        for place, one in zip(known, rounded, strict=True):
            points[place] = one
        return points
