"""Faces that a dataset ships: boxes or points in files beside its videos (detector `precomputed`).

The files of ``…/frames/<name>`` or ``…/videos/<name>.<suffix>`` lie in ``…/landmarks``, the folder
beside it (DeepfakeBench's layout). Two forms:

- ``landmarks/<name>/<image's name>.npy``, for folders of images: points of the image's one
  face, (5, 2), (68, 2) or (81, 2) numbers as x, y in px of the image; 68 or more in iBUG order,
  5 as left eye, right eye, nose, left and right mouth corner as seen in the image. The box is
  what encloses all of them. All points equal: no face.
- ``landmarks/<name>.csv``, for anything: columns ``time_s``, ``x1``, ``y1``, ``x2``, ``y2``, and,
  where there are any, ``score`` and the ten of :data:`POINT_COLUMNS`; px of the image as it is
  shown. Rows of one time are the faces of one image. They hold from their time on, as an image
  stays on screen, until the next time that is listed, at most :data:`HOLD_S`. A row whose box is
  empty says that there is no face.
"""

import bisect
import csv
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.config.params import FacesParams
from pipeline.datasets.folders import files, is_image, stem
from pipeline.errors import Reject, UserError
from pipeline.faces.detect import Detection, area, rounded
from pipeline.video.natural import natural

FOLDER = "landmarks"
BESIDE = ("frames", "videos")
HOLD_S = 0.5
"""A listed image's faces hold at most so long."""
BOX_COLUMNS = ("x1", "y1", "x2", "y2")
POINT_COLUMNS = tuple(
    f"{point}_{axis}"
    for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    for axis in "xy"
)
NO_SCORE = -1.0
IBUG_COUNTS = (68, 81)
"""The 81 have 13 points of the forehead after the 68."""


def reads_shipped(params: FacesParams) -> bool:
    """Whether faces come from files beside the videos."""
    return params.detect and params.detector == "precomputed"


def place(file: Path) -> Path:
    """Where the faces of a video or folder of images lie, without suffix.

    Raises UserError where no folder of the path is named ``frames`` or ``videos``.
    """
    parts = list((file if file.is_dir() else file.with_suffix("")).parts)
    for at in range(len(parts) - 2, -1, -1):
        if parts[at] in BESIDE:
            return Path(*parts[:at], FOLDER, *parts[at + 1 :])
    raise UserError(
        f"faces.detector is precomputed, but {file} lies in no folder named frames or videos, "
        f"beside which a folder {FOLDER} could be. Choose another detector for this dataset."
    )


def digest(file: Path) -> str:
    """BLAKE2b-128 of all that is shipped for a video, 32 hex characters; "" where there is nothing.

    Raises UserError as :func:`place`.
    """
    folder = place(file)
    table = _table(folder)
    shipped = [table] if table.is_file() else sorted(folder.glob("*.npy"))
    if not shipped:
        return ""
    total = hashlib.blake2b(digest_size=16)
    for path in shipped:
        data = path.read_bytes()
        total.update(f"{path.name}\0{len(data)}\n".encode())
        total.update(data)
    return total.hexdigest()


class ShippedFaces:
    """The faces of one video.

    Raises:
        Reject: ``unreadable`` where the table is there and is not of this form.
        UserError: as :func:`place`.
    """

    def __init__(self, file: Path, params: FacesParams) -> None:
        self._folder = place(file)
        self._limits = params.score_threshold, params.min_face_px
        table = _table(self._folder)
        self._listed = _read_table(table) if table.is_file() else None
        images = sorted((n for n in files(file) if is_image(n)), key=natural)
        self._names = [stem(name) for name in images]

    def at(self, time_s: float, index: int) -> list[Detection]:
        """Faces of one image, largest first (area, then box).

        Args:
            time_s: a time at which it is on screen.
            index: its place among the images of a folder, in natural order.

        Raises:
            Reject: ``unreadable`` where its file is there and is not of this form.
        """
        if self._listed is not None:
            found = _held(self._listed, time_s)
        else:
            name = self._names[index] if index < len(self._names) else ""
            path = self._folder / f"{name}.npy"
            found = _read_points(path) if path.is_file() else []
        threshold, min_face_px = self._limits
        stay = [
            face
            for face in found
            if (face.score >= threshold or face.score == NO_SCORE)
            and max(face.box[2] - face.box[0], face.box[3] - face.box[1]) >= min_face_px
        ]
        return sorted(stay, key=lambda face: (-area(face.box), face.box))


def _table(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.csv")


def _held(listed: Mapping[float, list[Detection]], time_s: float) -> list[Detection]:
    """Faces at the last listed time that is not after this one, if it is not too long ago."""
    times = sorted(listed)
    at = bisect.bisect_right(times, time_s) - 1
    return listed[times[at]] if at >= 0 and time_s - times[at] <= HOLD_S else []


def _read_table(path: Path) -> dict[float, list[Detection]]:
    listed: dict[float, list[Detection]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                faces = listed.setdefault(_number(row["time_s"]), [])
                if row["x1"]:
                    faces.append(_face(row))
    except OSError as error:
        raise Reject("unreadable", f"its table of faces: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, csv.Error) as error:
        # Without the file's name: a renamed video keeps what its rejects say.
        raise Reject("unreadable", f"its table of faces is of another form ({error})") from error
    return listed


def _face(row: Mapping[str, str]) -> Detection:
    box = [_number(row[column]) for column in BOX_COLUMNS]
    points = [_number(row[column]) for column in POINT_COLUMNS if row.get(column)]
    if len(points) not in (0, len(POINT_COLUMNS)) or box[2] <= box[0] or box[3] <= box[1]:
        raise ValueError(f"{dict(row)} is no face")
    face = rounded(box, _number(row.get("score") or str(NO_SCORE)), points)
    if points and len(set(zip(face.landmarks5[::2], face.landmarks5[1::2], strict=True))) == 1:
        raise ValueError(f"{dict(row)} has its five points in one place")
    return face


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number


def _read_points(path: Path) -> list[Detection]:
    """The face that encloses the points, if they are not all zero."""
    try:
        points = np.load(path, allow_pickle=False).astype(np.float64)
    except OSError as error:
        raise Reject("unreadable", f"{path.name}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise Reject("unreadable", f"{path.name} is not an array of numbers ({error})") from error
    counts = (len(POINT_COLUMNS) // 2, *IBUG_COUNTS)
    if points.shape not in [(count, 2) for count in counts] or not np.isfinite(points).all():
        raise Reject("unreadable", f"{path.name} has the shape {points.shape}, not (68, 2)")
    low, high = points.min(axis=0), points.max(axis=0)
    if not (high > low).all():
        return []
    if len(points) in IBUG_COUNTS:
        eyes = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
        points = np.stack([*eyes, points[30], points[48], points[54]])  # (5, 2)
    return [rounded([*low, *high], NO_SCORE, points.ravel())]
