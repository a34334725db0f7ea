"""Four manipulations with real image operations, named after those they resemble.

Each follows the target clip frame by frame: its camera, its light, its head. None is the published
method; they leave traces of the same kind in the same places.
"""

from collections.abc import Callable, Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from faceshards.images import Image
from pipeline.sample_data.identities import Person, Points
from pipeline.sample_data.puppet import Act, Puppet
from pipeline.sample_data.shot import Footage, lit, moved, seen

Mask = NDArray[np.uint8]
"""uint8 (H, W): share of the new picture, 0 to 255."""

_MUTE = [6, 7, 8, 9, 10, 31, 32, 33, 34, 35, 48, 54]
"""Points around the mouth that speech moves least: chin, base of the nose, corners of the mouth."""
_HALF_SHOWN = 0.6
"""A head turned further shows one half of its face: 0 = straight, 1 = nose over the jaw."""

Fake = Callable[[Footage, Footage, np.random.Generator], Iterator[Image]]
"""target, source, draws -> frames as long as the shorter of the two clips."""


def deepfakes(target: Footage, source: Footage, draw: np.random.Generator) -> Iterator[Image]:
    """Warped swap: the source's face acts like the target, soft, under a blurred oval."""
    puppet = _like(source.puppet, target)
    shown = _shown(source.puppet.person)
    small = draw.uniform(0.45, 0.65)
    for frame, points, act in _both(target, source):
        face, at = puppet.pose(act)
        matrix = _similarity(at[17:], points[17:])
        layer = seen(face, matrix, target.form)
        oval = _oval(points, frame) & _hull(points[shown], frame)
        yield _paste(frame, layer, oval, blur_px=0.05 * _size(points), detail=small)


def faceswap(target: Footage, source: Footage, draw: np.random.Generator) -> Iterator[Image]:
    """Hull swap: the source's face over the target's 68 points, under a sharp, unsteady hull."""
    puppet = Puppet(_pulled_over(target.puppet.person, _like(source.puppet, target).person))
    shown = _shown(source.puppet.person)
    for t, (frame, points, act) in enumerate(_both(target, source)):
        layer = seen(puppet.pose(act)[0], target.camera[t], target.form)
        shaken = points + draw.uniform(-1.0, 1.0, points.shape)
        hull = _hull(shaken[shown], frame, shrink=0.96)
        yield _paste(frame, layer, hull, blur_px=1.2)


def face2face(target: Footage, source: Footage, draw: np.random.Generator) -> Iterator[Image]:
    """Mouth transfer: the mouth of the source clip at the same instant, moved into the target."""
    grow = draw.uniform(0.07, 0.10)
    for t, (frame, points, _) in enumerate(_both(target, source)):
        at = source.points[t]
        driving = _grey(source.frames[t]) if target.puppet.person.grey else source.frames[t]
        layer = seen(driving, _similarity(at[_MUTE], points[_MUTE]), target.form)
        size = _size(points)
        mouth = _hull(points[48:60], frame)
        yield _paste(frame, layer, mouth, blur_px=0.03 * size, grow_px=grow * size)


def neuraltextures(target: Footage, source: Footage, draw: np.random.Generator) -> Iterator[Image]:
    """Mouth re-render: the target's own mouth, speaking as the source does, with little texture."""
    small = draw.uniform(0.4, 0.55)
    for t, (frame, points, act) in enumerate(_both(target, source)):
        driven = act._replace(smile=source.acts[t].smile, open=source.acts[t].open)
        face, at = target.puppet.pose(driven)
        layer = lit(seen(face, target.camera[t], target.form), target.light[t])
        size = _size(points)
        mouths = _hull(points[48:60], frame) | _hull(moved(at, target.camera[t])[48:60], frame)
        yield _paste(frame, layer, mouths, blur_px=0.03 * size, grow_px=0.08 * size, detail=small)


FAKES: Mapping[str, tuple[str, Fake]] = {
    "Deepfakes": ("FS", deepfakes),
    "FaceSwap": ("FS", faceswap),
    "Face2Face": ("RE", face2face),
    "NeuralTextures": ("RE", neuraltextures),
}
"""Method -> kind (face swap or reenactment) and how it is made."""


def _both(target: Footage, source: Footage) -> Iterator[tuple[Image, Points, Act]]:
    count = min(len(target.frames), len(source.frames))
    return zip(target.frames[:count], target.points[:count], target.acts[:count], strict=True)


def _shown(person: Person) -> list[int]:
    """Points that outline the part of the face which the person's picture shows."""
    jaw, nose = person.points[[0, 16], 0], person.points[30, 0]
    turned = (2 * nose - jaw.sum()) / (jaw[1] - jaw[0])
    if abs(turned) < _HALF_SHOWN:
        return list(range(27))
    half = [*range(8, 17), *range(22, 27)] if turned < 0 else [*range(9), *range(17, 22)]
    return [*half, *range(27, 31), 33, 51, 57]


def _like(puppet: Puppet, target: Footage) -> Puppet:
    """The puppet, without colors where the target has none."""
    person = puppet.person
    if not target.puppet.person.grey or person.grey:
        return puppet
    return Puppet(Person(person.name, _grey(person.picture), person.points))


def _grey(image: Image) -> Image:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def _pulled_over(target: Person, source: Person) -> Person:
    """The target's picture with the source's face over its points, triangle by triangle."""
    width, height = target.picture.shape[1], target.picture.shape[0]
    where = np.zeros((2, height, width), np.float32)
    for triangle in Delaunay(target.points).simplices:
        there, here = target.points[triangle], source.points[triangle]
        low = np.maximum(np.floor(there.min(axis=0)), 0).astype(int)
        high = np.minimum(np.ceil(there.max(axis=0)) + 1, (width, height)).astype(int)
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float64)
        (ax, ay), (bx, by) = there[1] - there[0], there[2] - there[0]
        area = ax * by - ay * bx
        dx, dy = x - there[0, 0], y - there[0, 1]
        u, v = (dx * by - dy * bx) / area, (dy * ax - dx * ay) / area
        inside = (u >= -1e-6) & (v >= -1e-6) & (u + v <= 1 + 1e-6)
        for axis in (0, 1):
            edge1, edge2 = here[1, axis] - here[0, axis], here[2, axis] - here[0, axis]
            part = where[axis, low[1] : high[1], low[0] : high[0]]
            part[inside] = np.rint(32 * (here[0, axis] + u * edge1 + v * edge2)[inside]) / 32
    warped = cv2.remap(
        source.picture, where[0], where[1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
    )
    covered = ((where[0] > 0) | (where[1] > 0))[:, :, None]
    picture = np.where(covered, np.asarray(warped, np.uint8), target.picture)
    return Person(source.name, picture, target.points)


def _similarity(here: Points, there: Points) -> NDArray[np.float64]:
    """Least-squares turn, scale and shift of points (N, 2) onto others, as a 2 x 3 matrix."""
    a, b = here - here.mean(axis=0), there - there.mean(axis=0)
    square = (a * a).sum()
    cos = (a * b).sum() / square
    sin = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / square
    x, y = here.mean(axis=0)
    to_x, to_y = there.mean(axis=0)
    matrix = [[cos, -sin, to_x - cos * x + sin * y], [sin, cos, to_y - sin * x - cos * y]]
    return np.round(matrix, 5)


def _size(points: Points) -> float:
    return float(np.ptp(points, axis=0).max())


def _hull(points: Points, frame: Image, shrink: float = 1.0) -> Mask:
    centre = points.mean(axis=0)
    corners = np.rint(centre + shrink * (points - centre)).astype(np.int32)
    mask = np.zeros(frame.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(corners), (255,))
    return mask


def _oval(points: Points, frame: Image) -> Mask:
    """An ellipse from the brows to below the lip, as wide as the eyes and cheeks."""
    eyes = points[[36, 45]]
    across = eyes[1] - eyes[0]
    top, bottom = points[17:27].mean(axis=0), 0.5 * (points[57] + points[8])
    middle = (top + bottom) / 2
    axes = (0.66 * np.hypot(*across), 0.56 * np.hypot(*(bottom - top)))
    angle = float(np.rad2deg(np.arctan2(across[1], across[0])))
    mask = np.zeros(frame.shape[:2], np.uint8)
    box = (tuple(np.round(middle, 1).tolist()), tuple(np.round(2 * np.array(axes), 1).tolist()))
    cv2.ellipse(mask, (*box, round(angle, 1)), (255,), cv2.FILLED)
    return mask


def _paste(
    frame: Image,
    layer: Image,
    where: Mask,
    *,
    blur_px: float,
    grow_px: float = 0.0,
    detail: float = 1.0,
) -> Image:
    """The frame with the layer where the mask, grown and blurred, lets it through.

    Before that the layer loses detail (its resolution falls to that share) and takes the mean and
    spread of the frame's channels.
    """
    reach = round(grow_px + 4 * blur_px) + 1
    x, y, width, height = cv2.boundingRect(where)
    part = (
        slice(max(y - reach, 0), y + height + reach),
        slice(max(x - reach, 0), x + width + reach),
    )
    below, above, mask = frame[part], layer[part], where[part]
    if grow_px:
        side = 2 * round(grow_px) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        mask = np.asarray(cv2.dilate(mask, kernel), np.uint8)
    above = _recolored(_coarse(above, detail), below, mask)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), round(blur_px, 2)), np.uint8)
    share = soft[:, :, None].astype(np.uint16)
    out = frame.copy()
    out[part] = ((above * share + below * (255 - share) + 127) // 255).astype(np.uint8)
    return out


def _coarse(layer: Image, detail: float) -> Image:
    if detail == 1.0:
        return layer
    height, width = layer.shape[:2]
    size = (round(width * detail), round(height * detail))
    small = cv2.resize(layer, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _recolored(layer: Image, frame: Image, where: Mask) -> Image:
    mean, spread = cv2.meanStdDev(layer, mask=where)  # (3, 1) each
    to_mean, to_spread = cv2.meanStdDev(frame, mask=where)
    scale = np.clip(to_spread / np.maximum(spread, 1), 0.5, 2.0)
    table = np.rint((np.arange(256) - mean) * scale + to_mean)  # (3, 256)
    table = np.clip(table, 0, 255).astype(np.uint8).T[None]  # (1, 256, 3)
    return np.asarray(cv2.LUT(layer, np.ascontiguousarray(table)), np.uint8)
