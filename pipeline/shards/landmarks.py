"""Points of any face, from a table that may be larger than memory."""

import os
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.sources import Places, Source

_POINTS = 136
_BYTES = 4 * _POINTS
_DECIMALS = 2


class Landmarks:
    """Finds points by face.

    Args:
        landmarks: table of that name.
        file: an empty file to hold the points.
    """

    def __init__(self, landmarks: Source, file: BinaryIO) -> None:
        self._places = Places.of(landmarks, "face_id")
        self._file = file
        for part in landmarks.batches(["points"]):
            points = pc.list_flatten(part.column("points")).to_numpy()
            self._file.write(points.astype(np.float32).tobytes())
        self._file.flush()

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
