"""A person that turns, nods, blinks and speaks: smooth and piecewise warps around the 68 points."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image
from pipeline.sample_data.identities import FACE_PX, Person, Points, roll_deg

Floats = NDArray[np.float64]

_TURN, _NOD, _BROW, _SMILE, _OPEN = (part * FACE_PX for part in (0.045, 0.035, 0.03, 0.035, 0.075))
"""Displacement in px at full strength of each part of an act."""
_HEAD = 0.85 * FACE_PX
"""Nothing further from the nose than this moves, px."""
_SUBPIXELS = 32
"""OpenCV samples pictures at 1/32 px; coordinates are rounded to that here, so that their last
bits decide nothing."""
_LASH_PX = 0.015 * FACE_PX
"""Height of the lashes above the points of the upper lid; lid skin starts over them."""
_INSIDE = 0.3
"""Brightness of the open mouth's inside as a share of the lips'."""
_EYES = (((36, 39), (37, 38), (40, 41), 19), ((42, 45), (43, 44), (46, 47), 24))
"""Per eye: corners, upper lid, lower lid, middle of the brow."""


class Act(NamedTuple):
    """What a face does at one instant: strengths, -1 to 1 for the first four, then 0 to 1."""

    turn: float = 0.0
    nod: float = 0.0
    brow: float = 0.0
    smile: float = 0.0
    blink: float = 0.0
    open: float = 0.0


class _Curve(NamedTuple):
    """A line from corner to corner that bulges like a parabola: lids and lips."""

    x0: float
    y0: float
    x1: float
    y1: float
    bulge: float

    @classmethod
    def through(
        cls, points: Points, corners: tuple[int, int], between: tuple[int, ...]
    ) -> "_Curve":
        (x0, y0), (x1, y1) = points[corners[0]], points[corners[1]]
        flat = cls(x0, y0, x1, y1, 0.0)
        x, y = points[list(between)].T
        return flat._replace(
            bulge=float(np.mean((y - flat.at(x)) / np.maximum(flat.fullness(x), 0.2)))
        )

    def fullness(self, x: Floats) -> Floats:
        """1 in the middle, 0 at the corners and beyond."""
        u = (2 * x - self.x0 - self.x1) / (self.x1 - self.x0)
        return np.maximum(1 - u * u, 0.0)

    def at(self, x: Floats) -> Floats:
        part = (x - self.x0) / (self.x1 - self.x0)
        return self.y0 + (self.y1 - self.y0) * part + self.bulge * self.fullness(x)


class Puppet:
    """Moves the face of one person.

    Works in *upright* coordinates: px as in the picture, turned about the nose until the eyes are
    level, so that lids and lips open and close along y.
    """

    def __init__(self, person: Person) -> None:
        self.person = person
        points = person.points
        self._nose = points[30]
        roll = np.deg2rad(roll_deg(points))
        self._cos, self._sin = float(np.cos(roll)), float(np.sin(roll))
        height, width = person.picture.shape[:2]
        low = np.maximum(np.floor(self._nose - _HEAD), 0).astype(int)
        high = np.minimum(np.ceil(self._nose + _HEAD) + 1, (width, height)).astype(int)
        self._part = (slice(low[1], high[1]), slice(low[0], high[0]))
        y, x = np.mgrid[self._part].astype(np.float64)  # (h, w) each
        self._x, self._y = self._upright(x, y)
        self._points = np.stack(self._upright(*points.T), axis=1)  # (68, 2)
        self._fields = self._fields_at(self._x, self._y)
        self._lids = [
            (
                _Curve.through(self._points, corners, upper),
                _Curve.through(self._points, corners, lower),
                0.5 * float(self._points[list(upper), 1].mean() - self._points[brow, 1]),
            )
            for corners, upper, lower, brow in _EYES
        ]
        self._lips = _Curve.through(self._points, (60, 64), (65, 66, 67))
        self._lip_bottom = float(self._points[57, 1])
        chin = float(self._points[8, 1]) + 0.1 * FACE_PX
        self._chin = max(chin, self._lip_bottom + 0.3 * FACE_PX)
        x, y = np.rint(points[48:60]).astype(int).T
        self._inside = _INSIDE * person.picture[y, x].mean(axis=0)  # (3,)

    def pose(self, act: Act) -> tuple[Image, Points]:
        """The person's picture, of the same size, and 68 points in it while doing ``act``."""
        dx, dy = _displacement(act, self._fields)  # (h, w) each
        x, y = self._x - dx, self._y - dy
        y, gap = self._part_lips(x, self._close_lids(x, y, act.blink), act.open)
        x, y = self._tilted(x, y)
        head = cv2.remap(
            self.person.picture, _fixed(x), _fixed(y), cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
        )
        dark = gap > 0
        share = gap[dark, None]  # (N, 1)
        head[dark] = np.rint(head[dark] * (1 - share) + self._inside * share).astype(np.uint8)
        image = self.person.picture.copy()
        image[self._part] = head
        return image, self._moved_points(act)

    def _upright(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        x, y = x - self._nose[0], y - self._nose[1]
        return (
            self._cos * x + self._sin * y + self._nose[0],
            self._cos * y - self._sin * x + self._nose[1],
        )

    def _tilted(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        x, y = x - self._nose[0], y - self._nose[1]
        return (
            self._cos * x - self._sin * y + self._nose[0],
            self._cos * y + self._sin * x + self._nose[1],
        )

    def _fields_at(self, x: Floats, y: Floats) -> tuple[Floats, ...]:
        """How strongly head, brows, left and right mouth corner move, 0 to 1."""
        points = self._points
        brows = _bump(x, y, points[19], 0.22 * FACE_PX) + _bump(x, y, points[24], 0.22 * FACE_PX)
        left = _bump(x, y, points[48], 0.26 * FACE_PX)
        right = _bump(x, y, points[54], 0.26 * FACE_PX)
        return _bump(x, y, self._nose, _HEAD), brows, left, right

    def _close_lids(self, x: Floats, y: Floats, blink: float) -> Floats:
        if blink <= 0:
            return y
        y = y.copy()
        for upper, lower, skin in self._lids:
            near = (upper.fullness(x) > 0) & (np.abs(y - upper.y0) < 0.3 * FACE_PX)
            xs, ys = x[near], y[near]  # (N,) each
            lid = upper.at(xs)
            edge = lid + blink * np.maximum(lower.at(xs) - lid, 0)
            top = lid - skin
            stretch = (skin - _LASH_PX * blink) / (edge - top)
            y[near] = np.where((ys > top) & (ys < edge), top + (ys - top) * stretch, ys)
        return y

    def _part_lips(self, x: Floats, y: Floats, amount: float) -> tuple[Floats, Floats]:
        """Heights with the lower lip and jaw dropped, and the share of mouth's inside, 0 to 1."""
        gap = np.zeros_like(y)
        opened = amount * _OPEN * self._lips.fullness(x)
        below = y - self._lips.at(x)
        near = (opened > 0.5) & (below > -1)
        ys, drop, depth = y[near], opened[near], below[near]  # (N,) each
        # One pixel of transition at either lip.
        gap[near] = np.clip(np.minimum(depth, drop - depth) + 0.5, 0, 1)
        y = y.copy()
        y[near] = ys - np.clip(np.minimum(drop * self._jaw(ys), depth), 0, None)
        return y, gap

    def _jaw(self, y: Floats) -> Floats:
        """How far a height follows the lower lip: fully at the lip, not at all below the chin."""
        part = np.clip((self._chin - y) / (self._chin - self._lip_bottom), 0, 1)
        return part * part * (3 - 2 * part)

    def _moved_points(self, act: Act) -> Points:
        points = self._points.copy()
        for (_, upper_ids, _, _), (upper, lower, _) in zip(_EYES, self._lids, strict=True):
            x = points[list(upper_ids), 0]
            points[list(upper_ids), 1] += act.blink * np.maximum(lower.at(x) - upper.at(x), 0)
        x, y = points.T
        dropped = act.open * _OPEN * self._lips.fullness(x) * self._jaw(y)
        points[:, 1] += np.where(y >= self._lips.at(x) - 1, dropped, 0.0)
        # The picture is warped backwards: a point arrives where the displacement leads back to it.
        arrived = points
        for _ in range(2):
            arrived = points + np.stack(_displacement(act, self._fields_at(*arrived.T)), axis=1)
        x, y = self._tilted(arrived[:, 0], arrived[:, 1])
        return np.asarray(np.round(np.stack([x, y], axis=1), 2), np.float64)


def _displacement(act: Act, fields: tuple[Floats, ...]) -> tuple[Floats, Floats]:
    head, brows, left, right = fields
    dx = act.turn * _TURN * head + act.smile * _SMILE * (right - left)
    dy = act.nod * _NOD * head - act.brow * _BROW * brows
    return dx, dy - act.smile * 0.5 * _SMILE * (left + right)


def _bump(x: Floats, y: Floats, centre: Floats, radius: float) -> Floats:
    """1 at the centre, falling smoothly to 0 at the radius."""
    return np.asarray(
        np.maximum(1 - ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / radius**2, 0) ** 2
    )


def _fixed(coordinates: Floats) -> NDArray[np.float32]:
    return (np.rint(coordinates * _SUBPIXELS) / _SUBPIXELS).astype(np.float32)
