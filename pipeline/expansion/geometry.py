"""Which faces and pairs of faces cannot give a good sample, by their landmarks alone.

What is known before any pixel is looked at is refused in the plan, so that the next target takes
its place. Lengths are measured against the face itself. All limits are our choice.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.expansion.regions import INNER_FACE, OUTLINES
from pipeline.tables.arrays import Bools, Ints

Faces = NDArray[np.float64]
"""float64 (N, 68, 2), x and y in px, iBUG order."""
Codes = NDArray[np.int8]
"""int8 (N,), place in the reasons, -1 for none."""

FINE = -1
FACE_REASONS = ("coinciding_landmarks", "implausible_landmarks")
PAIR_REASONS = ("size_differs", "turn_differs", "pose_differs")

MIN_DISTINCT = 50
"""Of 68 points; those of closed lips may coincide."""
STEPS_PX = 16
"""Points nearer than 1/16 px coincide."""
MOUTH_BELOW = (0.4, 4.0)
"""How far the mouth is below the eyes, in distances of the eyes; a turned head has near eyes."""
EYE_WIDTH = (0.1, 1.0)
MOUTH_WIDTH = (0.15, 3.0)
MAX_SCALE = 1.5
"""A source is at most so many times as large or as small as its target."""
MAX_TURN_DEG = 30.0
MAX_MISFIT = 0.3
"""Of the inner points after the best similarity: root mean square distance over that of the
target's points from their middle. Another pose moves the nose against the eyes."""

MAX_OPENING_GAP = 0.08
"""Between how far two mouths are open, in root mean square distances of the inner points. Lips that
are put around a mouth that stays would bring their own teeth, or cover some of its."""
_KEEPS_THE_MOUTH = ("lip",)
"""Regions that leave what is between the lips as it is."""


def bad_faces(points: Faces) -> Codes:
    """Why landmarks cannot be those of a face: places in ``FACE_REASONS``."""
    fixed = np.rint(points * STEPS_PX).astype(np.int64)  # (N, 68, 2)
    names = np.sort(fixed[..., 0] * (1 << 32) + fixed[..., 1], axis=1)
    distinct = 1 + (np.diff(names, axis=1) != 0).sum(axis=1)
    left, right, mouth = (points[:, at].mean(axis=1) for at in (_LEFT_EYE, _RIGHT_EYE, _MOUTH))
    across = right - left  # (N, 2), along the picture's rows where the face is upright
    apart = np.maximum(np.linalg.norm(across, axis=1), 1e-9)
    down = np.stack([-across[:, 1], across[:, 0]], axis=1) / apart[:, None]

    def below(place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance below the eyes, in distances of the eyes, (N,)."""
        return np.asarray(((place - (left + right) / 2) * down).sum(axis=1) / apart)

    def width(one: int, other: int) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(points[:, one] - points[:, other], axis=1) / apart)

    plausible = (
        _within(below(mouth), MOUTH_BELOW)
        & (below(points[:, _NOSE_TIP]) > 0)
        & (below(points[:, _NOSE_TIP]) < below(mouth))
        & (below(points[:, _BROWS].mean(axis=1)) < 0)
        & _within(width(36, 39), EYE_WIDTH)
        & _within(width(42, 45), EYE_WIDTH)
        & _within(width(48, 54), MOUTH_WIDTH)
    )
    return np.select([distinct < MIN_DISTINCT, ~plausible], [0, 1], FINE).astype(np.int8)


_BROWS = slice(17, 27)
_NOSE_TIP = 30
_LEFT_EYE, _RIGHT_EYE, _MOUTH = slice(36, 42), slice(42, 48), slice(48, 60)


def _within(values: NDArray[np.float64], limits: tuple[float, float]) -> Bools:
    return np.asarray((values >= limits[0]) & (values <= limits[1]))


def leaves_crop(points: Faces, region: str, crop_px: NDArray[np.integer]) -> Bools:
    """Whether a region lies partly outside the crop, (N,).

    Args:
        points: of targets.
        region: a name in :data:`.regions.OUTLINES`.
        crop_px: (N,), side of each crop.
    """
    inside = np.ones(len(points), bool)
    for hull in OUTLINES[region].hulls:
        corners = points[:, hull]  # (N, corners, 2)
        inside &= (corners >= 0).all(axis=(1, 2))
        inside &= (corners <= crop_px[:, None, None] - 1).all(axis=(1, 2))
    return ~inside


def mouths_differ(region: str, targets: Faces, sources: Faces, nearest: Ints) -> Bools:
    """Whether the mouth of a source is too far open, or too little, for a region of its target.

    Args:
        region: a name in :data:`.regions.OUTLINES`.
        targets: float64 (T, 68, 2).
        sources: float64 (S, 68, 2).
        nearest: (T, k), places in ``sources`` for each target; -1 for none.

    Returns:
        (T, k); False where there is no source, and for regions that bring the whole mouth along.
    """
    if region not in _KEEPS_THE_MOUTH or not len(sources):
        return np.zeros(nearest.shape, bool)
    gap = np.abs(_opening(targets)[:, None] - _opening(sources)[nearest])  # (T, k)
    return np.asarray((gap > MAX_OPENING_GAP) & (nearest >= 0))


def _opening(points: Faces) -> NDArray[np.float64]:
    """How far mouths are open, (N,), in root mean square distances of the inner points."""
    inner = points[:, INNER_FACE]
    apart = np.linalg.norm(inner - inner.mean(axis=1, keepdims=True), axis=2)  # (N, 51)
    size = np.maximum(np.sqrt(np.square(apart).mean(axis=1)), 1e-9)
    lips = np.linalg.norm(points[:, _UPPER_LIP] - points[:, _LOWER_LIP], axis=2)  # (N, 3)
    return np.asarray(lips.mean(axis=1) / size)


_UPPER_LIP, _LOWER_LIP = [61, 62, 63], [67, 66, 65]
"""Points of the inner lips that lie opposite each other."""


def unlike(targets: Faces, sources: Faces) -> Codes:
    """Why a source does not fit its target: places in ``PAIR_REASONS``.

    Args:
        targets: float64 (N, 68, 2).
        sources: float64 (N, 68, 2), of each target.
    """
    there, here = (p[:, INNER_FACE, 0] + 1j * p[:, INNER_FACE, 1] for p in (targets, sources))
    there = there - there.mean(axis=1, keepdims=True)  # (N, 51)
    here = here - here.mean(axis=1, keepdims=True)
    # The best similarity turns and scales by this number, as in alignment.similarity.
    turn = (here.conj() * there).sum(axis=1) / np.square(np.abs(here)).sum(axis=1)  # (N,)
    size = np.abs(turn)
    left = np.sqrt(np.square(np.abs(turn[:, None] * here - there)).mean(axis=1))
    misfit = left / np.sqrt(np.square(np.abs(there)).mean(axis=1))
    reasons = [
        ~_within(size, (1 / MAX_SCALE, MAX_SCALE)),
        np.abs(np.angle(turn, deg=True)) > MAX_TURN_DEG,
        misfit > MAX_MISFIT,
    ]
    return np.select(reasons, [0, 1, 2], FINE).astype(np.int8)
