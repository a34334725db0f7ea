"""Filming a person: camera, light and acting drawn per clip, and the frames they give."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image
from pipeline.sample_data.identities import Person, Points, roll_deg
from pipeline.sample_data.puppet import Act, Puppet

Floats = NDArray[np.float64]

_BLINK_S = 0.36
"""From open to open."""
_SMALL_TILT_DEG = 8.0
_ROOM = 1.02
"""The picture is at least this much larger than what the camera sees."""


@dataclass(frozen=True)
class Format:
    """Size and timing of a clip; width and height are even."""

    width_px: int = 320
    height_px: int = 320
    fps: Fraction = Fraction(25, 2)
    duration_s: float = 4.2

    @property
    def frames(self) -> int:
        """Number of pictures; the last planned second is on screen for a while."""
        return int(self.duration_s * self.fps)


@dataclass(frozen=True)
class Footage:
    """A filmed person.

    Attributes:
        puppet: who was filmed.
        form: size and timing.
        camera: float64 (T, 2, 3), picture px to frame px.
        light: float64 (T, 3), gain at the centre and change over the width and the height.
        acts: T of them.
        frames: T times uint8 (H, W, 3) RGB.
        points: T times the 68 points in frame px.
    """

    puppet: Puppet
    form: Format
    camera: Floats
    light: Floats
    acts: tuple[Act, ...]
    frames: tuple[Image, ...]
    points: tuple[Points, ...]


def random(seed: int, *names: str) -> np.random.Generator:
    """Generator that depends on the seed and the names alone."""
    text = "/".join([str(seed), *names])
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))


def film(puppet: Puppet, form: Format, draw: np.random.Generator) -> Footage:
    """Films a person with drawn camera work, light and acting."""
    times = np.arange(form.frames) / float(form.fps)  # (T,)
    camera = _camera(puppet.person, form, times, draw)
    light = np.stack(
        [
            1 + _wave(times, 0.07, (0.1, 0.5), draw),
            _wave(times, 0.16, (0.05, 0.25), draw),
            _wave(times, 0.10, (0.05, 0.25), draw),
        ],
        axis=1,
    )
    acts = _acts(times, draw)
    frames, points = [], []
    for act, matrix, lamp in zip(acts, camera, light, strict=True):
        posed, at = puppet.pose(act)
        frames.append(lit(seen(posed, matrix, form), lamp))
        points.append(moved(at, matrix))
    return Footage(puppet, form, camera, light, acts, tuple(frames), tuple(points))


def seen(picture: Image, matrix: Floats, form: Format) -> Image:
    """uint8 (H, W, 3): what the camera sees of a picture."""
    size = (form.width_px, form.height_px)
    frame = cv2.warpAffine(
        picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(frame, np.uint8)


def lit(frame: Image, lamp: Floats) -> Image:
    """The frame in another light: a gain that changes linearly over width and height."""
    height, width = frame.shape[:2]
    x = np.linspace(-0.5, 0.5, width)
    y = np.linspace(-0.5, 0.5, height)[:, None]
    gain = np.rint(256 * (lamp[0] + lamp[1] * x + lamp[2] * y)).astype(np.uint32)  # (H, W)
    bright = (frame * gain[:, :, None] + 128) >> 8
    return np.asarray(np.minimum(bright, 255), np.uint8)


def moved(points: Points, matrix: Floats) -> Points:
    """Points under a 2 x 3 matrix, to 1/100 px."""
    x, y = points[:, :1], points[:, 1:]
    return np.round(x * matrix[:, 0] + y * matrix[:, 1] + matrix[:, 2], 2)


def _wave(
    times: Floats, height: float, hertz: tuple[float, float], draw: np.random.Generator
) -> Floats:
    strength, phase = draw.uniform(0.5, 1.0), draw.uniform(0.0, 1.0)
    return np.asarray(
        height * strength * np.sin(2 * np.pi * (draw.uniform(*hertz) * times + phase))
    )


def _acts(times: Floats, draw: np.random.Generator) -> tuple[Act, ...]:
    turn = _wave(times, 1.0, (0.15, 0.4), draw)
    nod = _wave(times, 1.0, (0.2, 0.5), draw)
    brow = _wave(times, 1.0, (0.2, 0.7), draw)
    smile = _wave(times, 1.0, (0.15, 0.4), draw)
    # Syllables within phrases; below zero the mouth is closed.
    speech = _wave(times, 1.0, (1.7, 2.6), draw) + _wave(times, 0.6, (0.3, 0.6), draw)
    # Blinks are drawn last: how many there are depends on the clip's length.
    blink = np.zeros_like(times)
    at = draw.uniform(0.3, 1.2)
    while at < times[-1]:
        blink = np.maximum(blink, 1 - np.abs(times - at) / (_BLINK_S / 2))
        at += draw.uniform(1.2, 2.4)
    columns = np.stack([turn, nod, brow, smile, blink, np.clip(speech, 0, 1)], axis=1)
    return tuple(Act(*(float(v) for v in row)) for row in np.round(columns, 4))


def _camera(person: Person, form: Format, times: Floats, draw: np.random.Generator) -> Floats:
    points = person.points
    # The camera takes out a small tilt of the head, and half of a large one.
    roll = roll_deg(points)
    taken = np.sign(roll) * max(abs(roll) / 2, min(abs(roll), _SMALL_TILT_DEG))
    angle = np.deg2rad(draw.uniform(-3, 3) - taken) + _wave(times, 0.06, (0.1, 0.4), draw)
    cos, sin = np.cos(angle), np.sin(angle)
    zoom = draw.uniform(0.9, 1.1) * (1 + _wave(times, 0.06, (0.08, 0.3), draw))
    height, width = person.picture.shape[:2]
    reach_x = form.width_px * np.abs(cos) + form.height_px * np.abs(sin)
    reach_y = form.width_px * np.abs(sin) + form.height_px * np.abs(cos)
    zoom = np.maximum(zoom, _ROOM * np.maximum(reach_x / width, reach_y / height))
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    x = centre[0] + _wave(times, 26.0, (0.08, 0.3), draw)
    y = centre[1] + _wave(times, 16.0, (0.08, 0.3), draw) - 0.04 * form.height_px
    x = np.clip(x, reach_x / zoom / 2, width - 1 - reach_x / zoom / 2)
    y = np.clip(y, reach_y / zoom / 2, height - 1 - reach_y / zoom / 2)
    a, b = zoom * cos, zoom * sin
    shift_x = form.width_px / 2 - (a * x - b * y)
    shift_y = form.height_px / 2 - (b * x + a * y)
    matrix = np.stack([a, -b, shift_x, b, a, shift_y], axis=1)  # (T, 6)
    return np.round(matrix, 5).reshape(-1, 2, 3)
