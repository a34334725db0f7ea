"""RandAugment ``rand-m9-mstd0.5-inc1`` as tensor operations, with the pixels that Pillow gives.

Named as in timm, which FSFM's public code takes its augmentation from: fifteen operations, two of
which are drawn for a picture, each applied half of the time, at a magnitude around 9 of 10.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_WHITE = 255.0
_OPERATIONS = 2
_PROBABILITY = 0.5
_MAGNITUDE, _MAGNITUDE_STD, _MAX_MAGNITUDE = 9.0, 0.5, 10.0
_SOLARIZE_BELOW = 128
_NEIGHBOURS = (-1, 0, 1, 2)
_GREY = (19595, 38470, 7471)
"""Shares of R, G and B in luma, of 65536."""


class Operation(NamedTuple):
    """One change of one picture."""

    name: str
    """A key of :data:`OPERATIONS`."""
    value: float
    """Angle in degrees, share of the side, bits, level or factor; 0 where it has none."""


def drawn_operations(random: np.random.Generator) -> tuple[Operation, ...]:
    """The operations of one picture, at most two."""
    names = list(_VALUES)
    found = []
    for number in random.integers(0, len(names), _OPERATIONS).tolist():
        applied = random.random() < _PROBABILITY
        magnitude = min(max(random.normal(_MAGNITUDE, _MAGNITUDE_STD), 0.0), _MAX_MAGNITUDE)
        sign = -1.0 if random.random() < 0.5 else 1.0
        if applied:
            value = _VALUES[names[number]](magnitude / _MAX_MAGNITUDE, sign)
            found.append(Operation(names[number], value))
    return tuple(found)


def applied(images: Tensor, name: str, values: Tensor, fill: Tensor) -> Tensor:
    """One operation on all pictures of a batch.

    Args:
        images: float32 (B, 3, H, W), whole numbers from 0 to 255.
        name: a key of :data:`OPERATIONS`.
        values: float64 (B,), of each picture.
        fill: float32 (3,), color of what comes from outside of the picture.

    Returns:
        like ``images``.
    """
    return OPERATIONS[name](images, values, fill)


def _auto_contrast(images: Tensor, _values: Tensor, _fill: Tensor) -> Tensor:
    x = images.double()
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)  # (B, 3, 1, 1)
    # A tensor over a tensor: torch multiplies a number by the reciprocal, which rounds otherwise.
    scale = torch.full_like(low, _WHITE) / (high - low).clamp(min=1)
    stretched = (x * scale + -low * scale).trunc().clamp(0, _WHITE)
    return torch.where(high > low, stretched, x).float()


def _equalize(images: Tensor, _values: Tensor, _fill: Tensor) -> Tensor:
    rows = images.flatten(0, 1).flatten(1).long()  # (B * 3, H * W)
    n = len(rows)
    shifted = rows + 256 * torch.arange(n, device=rows.device)[:, None]
    counts = torch.bincount(shifted.flatten(), minlength=256 * n).reshape(n, 256)
    brightest = rows.amax(1, keepdim=True)  # (n, 1)
    step = (rows.shape[1] - counts.gather(1, brightest)) // 255  # (n, 1)
    before = counts.cumsum(1) - counts  # (n, 256)
    table = ((before + step // 2) // step.clamp(min=1)).clamp(max=255)
    even = torch.where(step > 0, table.gather(1, rows), rows)
    return even.reshape(images.shape).float()


def _invert(images: Tensor, _values: Tensor, _fill: Tensor) -> Tensor:
    return _WHITE - images


def _rotate(images: Tensor, degrees: Tensor, fill: Tensor) -> Tensor:
    angle = -torch.deg2rad(degrees)  # (B,)
    cos, sin = angle.cos(), angle.sin()
    height, width = images.shape[2:]
    x, y = width / 2, height / 2
    rows = (cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y)
    return affine(images, torch.stack(rows, dim=1), fill)


def _shear_x(images: Tensor, shares: Tensor, fill: Tensor) -> Tensor:
    return affine(images, _matrix(shares, 1), fill)


def _shear_y(images: Tensor, shares: Tensor, fill: Tensor) -> Tensor:
    return affine(images, _matrix(shares, 3), fill)


def _translate_x(images: Tensor, shares: Tensor, fill: Tensor) -> Tensor:
    return affine(images, _matrix(shares * images.shape[3], 2), fill)


def _translate_y(images: Tensor, shares: Tensor, fill: Tensor) -> Tensor:
    return affine(images, _matrix(shares * images.shape[2], 5), fill)


def _posterize(images: Tensor, bits: Tensor, _fill: Tensor) -> Tensor:
    step = (2.0 ** (8 - _each(bits))).float()
    return (images / step).floor() * step


def _solarize(images: Tensor, thresholds: Tensor, _fill: Tensor) -> Tensor:
    return torch.where(images < _each(thresholds), images, _WHITE - images)


def _solarize_add(images: Tensor, levels: Tensor, _fill: Tensor) -> Tensor:
    lighter = (images + _each(levels).float()).clamp(max=_WHITE)
    return torch.where(images < _SOLARIZE_BELOW, lighter, images)


def _color(images: Tensor, factors: Tensor, _fill: Tensor) -> Tensor:
    return _blended(_luma(images), images, factors)


def _contrast(images: Tensor, factors: Tensor, _fill: Tensor) -> Tensor:
    mean = (_luma(images).double().mean((2, 3), keepdim=True) + 0.5).floor().float()
    return _blended(mean, images, factors)


def _brightness(images: Tensor, factors: Tensor, _fill: Tensor) -> Tensor:
    return _blended(torch.zeros_like(images), images, factors)


def _sharpness(images: Tensor, factors: Tensor, _fill: Tensor) -> Tensor:
    weights = torch.ones(3, 1, 3, 3, device=images.device)
    weights[:, :, 1, 1] = 5
    inner = (functional.conv2d(images, weights, groups=3) / weights[0].sum() + 0.5).floor()
    smooth = images.clone()  # the edge stays as it is
    smooth[:, :, 1:-1, 1:-1] = inner
    return _blended(smooth, images, factors)


def _luma(images: Tensor) -> Tensor:
    """Whole numbers (B, 1, H, W)."""
    shares = torch.tensor(_GREY, dtype=torch.int64, device=images.device)[None, :, None, None]
    return (((images.long() * shares).sum(1, keepdim=True) + 0x8000) >> 16).float()


def _blended(other: Tensor, images: Tensor, factors: Tensor) -> Tensor:
    """``other`` at factor 0, the pictures at 1, and beyond."""
    return (other + _each(factors).float() * (images - other)).clamp(0, _WHITE).trunc()


def affine(images: Tensor, matrices: Tensor, fill: Tensor) -> Tensor:
    """Each output pixel from where its matrix says, bicubic (a = -1, as Pillow's transform).

    Args:
        images: float32 (B, 3, H, W), whole numbers from 0 to 255.
        matrices: float64 (B, 6): (x, y) comes from (m0 x + m1 y + m2, m3 x + m4 y + m5), in px,
            with the middle of the first pixel at 0.5.
        fill: float32 (3,), color of what comes from outside.
    """
    n, _, height, width = images.shape
    device = images.device
    x = torch.arange(width, dtype=torch.float64, device=device) + 0.5  # (W,)
    y = torch.arange(height, dtype=torch.float64, device=device)[:, None] + 0.5  # (H, 1)
    m = matrices.to(device)[:, :, None, None]  # (B, 6, 1, 1)
    from_x = m[:, 0] * x + m[:, 1] * y + m[:, 2]  # (B, H, W)
    from_y = m[:, 3] * x + m[:, 4] * y + m[:, 5]  # (B, H, W)
    inside = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    left, top = (from_x - 0.5).floor(), (from_y - 0.5).floor()
    across, down = (from_x - 0.5 - left)[:, None], (from_y - 0.5 - top)[:, None]  # (B, 1, H, W)
    flat = images.flatten(2).double()  # (B, 3, H * W)

    def pixels(row: int, column: int) -> Tensor:
        at_x = (left.long() + column).clamp(0, width - 1)
        at_y = (top.long() + row).clamp(0, height - 1)
        places = (at_y * width + at_x).reshape(n, 1, -1).expand(-1, 3, -1)
        return flat.gather(2, places).reshape(images.shape)

    rows = [
        _between([pixels(row, column) for column in _NEIGHBOURS], across) for row in _NEIGHBOURS
    ]
    found = _between(rows, down).clamp(0, _WHITE).trunc().float()
    return torch.where(inside[:, None], found, fill[None, :, None, None])


def _between(values: Sequence[Tensor], d: Tensor) -> Tensor:
    """The cubic through four neighbours at ``d`` behind the second; exact where all are equal."""
    v1, v2, v3, v4 = values
    second, third = 2 * (v1 - v2) + v3 - v4, -v1 + v2 - v3 + v4
    return v2 + d * (-v1 + v3 + d * (second + d * third))


def _matrix(values: Tensor, place: int) -> Tensor:
    """Identities (B, 6) with one number changed."""
    rows = torch.tensor([1.0, 0, 0, 0, 1, 0], dtype=torch.float64).repeat(len(values), 1)
    rows = rows.to(values.device)
    rows[:, place] = values
    return rows


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]  # (B, 1, 1, 1)


def _factor(m: float, sign: float) -> float:
    return max(0.1, 1.0 + sign * 0.9 * m)


_VALUES: dict[str, Callable[[float, float], float]] = {
    "auto_contrast": lambda _m, _sign: 0.0,
    "equalize": lambda _m, _sign: 0.0,
    "invert": lambda _m, _sign: 0.0,
    "rotate": lambda m, sign: sign * 30 * m,
    "posterize": lambda m, _sign: max(1, 4 - math.floor(4 * m)),
    "solarize": lambda m, _sign: 256 - min(256, math.floor(256 * m)),
    "solarize_add": lambda m, _sign: min(128, math.floor(110 * m)),
    "color": _factor,
    "contrast": _factor,
    "brightness": _factor,
    "sharpness": _factor,
    "shear_x": lambda m, sign: sign * 0.3 * m,
    "shear_y": lambda m, sign: sign * 0.3 * m,
    "translate_x": lambda m, sign: sign * 0.45 * m,
    "translate_y": lambda m, sign: sign * 0.45 * m,
}
"""Value of an operation at a magnitude from 0 to 1 and a sign; stronger ones change more."""

OPERATIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "auto_contrast": _auto_contrast,
    "equalize": _equalize,
    "invert": _invert,
    "rotate": _rotate,
    "posterize": _posterize,
    "solarize": _solarize,
    "solarize_add": _solarize_add,
    "color": _color,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
}
