"""Ways to alter a face in a film: swaps, reenactment, autoencoders, single parts, blur, warps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.expansion.alignment import similarity
from pipeline.expansion.blending import correct, moments

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Points = NDArray[np.float64]

_EDGE_SHARE, _WIDE_EDGE_SHARE = 1 / 30, 1 / 15
"""Softness of edges, as shares of the face."""
_OPEN = 0.35
"""The mouth is stretched by so much."""
_DECODER_PX = 64
"""Width of the face that an autoencoder gives."""
_DECODER_TINT = (3, -2, 2)
_MAX_GAIN = 2.0
_EYES, _NOSE, _MOUTH = slice(36, 48), slice(27, 36), slice(48, 60)


@dataclass(frozen=True)
class Face:
    """A face that is to be altered, in a picture cut out around it."""

    number: int
    """0-based place in the film."""
    image: Image
    points: Points
    """float64 (68, 2) in px of the image."""
    later: tuple[Image, Points]
    """The same face at another moment."""
    donors: Sequence[tuple[Image, Points]]
    """Two other people's."""

    @property
    def size_px(self) -> float:
        """Width over the points."""
        return float(np.ptp(self.points[:, 0]))

    def mask(self, points: Points, share: float = _EDGE_SHARE) -> Plane:
        """float32 (H, W, 1), 1 within the hull of points, with a soft edge."""
        mask = np.zeros(self.image.shape[:2], np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.int32)), 255)
        soft = cv2.GaussianBlur(mask, (0, 0), self.size_px * share)
        return np.asarray(soft[..., None].astype(np.float32) / 255, np.float32)

    def brought(self, other: tuple[Image, Points], points: slice = slice(None)) -> Image:
        """Another face, brought onto this one by some of its points."""
        turn = similarity(other[1][points], self.points[points])
        height, width = self.image.shape[:2]
        over = cv2.warpAffine(other[0], turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(over, np.uint8)

    def over(self, image: NDArray[np.generic], mask: Plane) -> Image:
        """Another image over this one where the mask is."""
        mixed = self.image + mask * (image.astype(np.float32) - self.image)
        return np.asarray(np.rint(np.clip(mixed, 0, 255)), np.uint8)

    def moved(self, right_px: Plane, down_px: Plane, image: Image | None = None) -> Image:
        """The image, each pixel taken from so far away."""
        height, width = self.image.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float32)  # (H, W) each
        return np.asarray(
            cv2.remap(
                self.image if image is None else image,
                (x + right_px).astype(np.float32),
                (y + down_px).astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            ),
            np.uint8,
        )

    def grid(self) -> tuple[Plane, Plane]:
        """X and y of every pixel, float32 (H, W) each."""
        y, x = np.mgrid[: self.image.shape[0], : self.image.shape[1]].astype(np.float32)
        return x, y


def _pasted(face: Face, donor: int, points: slice = slice(None)) -> Image:
    """A donor's face, or part of it, in this one's colors."""
    mask = face.mask(face.points[points])
    over = face.brought(face.donors[donor]).astype(np.float32) / 255
    under = face.image.astype(np.float32) / 255
    weight = (mask / mask.sum()).ravel()
    lab = [np.asarray(cv2.cvtColor(one, cv2.COLOR_RGB2Lab), np.float32) for one in (over, under)]
    toned = correct(over, lab[0], *(moments(one, weight) for one in lab), _MAX_GAIN)
    return face.over(toned * 255, mask)


def _seamless(face: Face) -> Image:
    """A donor's face by Poisson blending."""
    mask = np.zeros(face.image.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(face.points.astype(np.int32)), 255)
    mask[[0, 1, -2, -1]] = mask[:, [0, 1, -2, -1]] = 0
    x, y, width, height = cv2.boundingRect(mask)
    middle = (x + width // 2, y + height // 2)
    over = face.brought(face.donors[1])
    return np.asarray(cv2.seamlessClone(over, face.image, mask, middle, cv2.NORMAL_CLONE), np.uint8)


def _decoded(face: Face) -> Image:
    """What an autoencoder makes of a face: few pixels, a slight warp and tint."""
    scale = min(1.0, _DECODER_PX / face.size_px)
    few = cv2.resize(face.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    again = cv2.resize(few, face.image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    far = face.mask(face.points, 1 / 8)[..., 0] * face.size_px * 0.012
    x, y = face.grid()
    wave = 5 / face.size_px
    moved = face.moved(far * np.sin(y * wave), far * np.cos(x * wave), np.asarray(again, np.uint8))
    return face.over(moved + np.float32(_DECODER_TINT), face.mask(face.points, _WIDE_EDGE_SHARE))


def _blurred(face: Face, share: float) -> Image:
    blurred = cv2.GaussianBlur(face.image, (0, 0), face.size_px * share)
    return face.over(blurred, face.mask(face.points))


def _warped(face: Face, share: float) -> Image:
    far = face.mask(face.points, _WIDE_EDGE_SHARE)[..., 0] * face.size_px * share
    middle_x, middle_y = face.points[17:].mean(axis=0)
    x, y = face.grid()
    wave = 6 / face.size_px
    return face.moved(far * np.sin((y - middle_y) * wave), far * np.cos((x - middle_x) * wave))


def _mouth(face: Face, stretch: float) -> Image:
    mask = face.mask(face.points[_MOUTH])[..., 0]
    _, y = face.grid()
    down = -(y - np.float32(face.points[_MOUTH, 1].mean())) * stretch * mask
    return face.moved(np.zeros_like(down), down)


def _other_words(face: Face) -> Image:
    """The lower face of another moment, as lip sync does."""
    lower = np.vstack([face.points[3:14], face.points[[31, 35]]])
    return face.over(face.brought(face.later, slice(27, 68)), face.mask(lower, 1 / 20))


def _expression(face: Face) -> Image:
    """Corners of the mouth, chin side of the lip and brows are pushed, as reenactment does."""
    right, down = (np.zeros(face.image.shape[:2], np.float32) for _ in range(2))
    x, y = face.grid()
    pushes = {48: (0.03, 0.03), 54: (-0.03, 0.03), 19: (0, 0.03), 24: (0, 0.03), 57: (0, -0.02)}
    for point, (push_x, push_y) in pushes.items():
        at = face.points[point]
        near = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * (0.12 * face.size_px) ** 2))
        right += near.astype(np.float32) * push_x * face.size_px
        down += near.astype(np.float32) * push_y * face.size_px
    return face.moved(right, down)


FIRST: Mapping[str, Callable[[Face], Image]] = {
    "swap": lambda face: _pasted(face, 0),
    "blur strongly": lambda face: _blurred(face, 0.04),
    "blur mildly": lambda face: _blurred(face, 0.015),
    "warp strongly": lambda face: _warped(face, 0.06),
    "warp mildly": lambda face: _warped(face, 0.02),
    "mouth": lambda face: _mouth(face, _OPEN),
}
"""Those of the films that the method was made with."""
FURTHER: Mapping[str, Callable[[Face], Image]] = {
    "seamless swap": _seamless,
    "autoencoder": _decoded,
    "other words": _other_words,
    "talking": lambda face: _mouth(face, 0.3 * np.sin(1 + face.number / 3)),
    "expression": _expression,
    "eyes": lambda face: _pasted(face, 1, _EYES),
    "nose": lambda face: _pasted(face, 1, _NOSE),
}
ALTERATIONS = {**FIRST, **FURTHER}
