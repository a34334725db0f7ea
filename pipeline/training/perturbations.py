"""SJEDD's five perturbations of a training face (section V-A2), as operations on its device.

Patch substitution, additive white Gaussian noise, Gaussian blurring, pixelation and JPEG
compression. The paper gives no strengths; they are those of the public code, the two mildest of
DeeperForensics-1.0's, so that a label stays true. JPEG is the one that runs on the host: it is
libjpeg's own.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from faceshards.images import decode_rgb, encode_jpeg
from faceshards.order import generator

_WHITE = 255.0
_PATCH_PX, _PATCH_GREY = 8, 128.0
_PATCHES_FOR_PX = 224
"""Side of the pictures that numbers of patches are for. The public code multiplies them by the
whole number of times that 256 px go into the side: by 0 at 224 px."""

_TO_RGB = (
    (255 / 219, 0.0, 1.402 * 255 / 224),
    (255 / 219, -0.114 * 1.772 / 0.587 * 255 / 224, -0.299 * 1.402 / 0.587 * 255 / 224),
    (255 / 219, 1.772 * 255 / 224, 0.0),
)
"""R, G and B of a change of Y, Cb and Cr (BT.601, 16 to 235 and 240)."""

STRENGTHS: dict[str, tuple[float, ...]] = {
    "patches": (16, 32),
    "noise": (0.001, 0.002),
    "blur": (7, 9),
    "pixelation": (2, 3),
    "jpeg": (75, 80, 90),
}
"""Number of patches; variance of values from 0 to 1 in Y, Cb and Cr; side of the kernel in px;
how many px become one; quality. Of each perturbation one is drawn."""


class Perturbation(NamedTuple):
    """What happens to one face."""

    name: str
    """A key of :data:`STRENGTHS`."""
    strength: float
    key: str
    """What places of patches and noise are drawn by."""


def drawn_perturbation(
    random: np.random.Generator, key: str, probability: float
) -> Perturbation | None:
    """One of the five at one of its strengths, all alike; None as often as 1 - ``probability``."""
    hit = random.random() < probability
    name = tuple(STRENGTHS)[random.integers(len(STRENGTHS))]
    strength = STRENGTHS[name][random.integers(len(STRENGTHS[name]))]
    return Perturbation(name, strength, key) if hit else None


def perturbed(image: Tensor, how: Perturbation) -> Tensor:
    """One face after its perturbation.

    Args:
        image: float32 (3, S, S) RGB, whole numbers from 0 to 255.
        how: what happens to it.

    Returns:
        like ``image``.
    """
    match how.name:
        case "patches":
            return _patches(image, how)
        case "noise":
            return _noise(image, how)
        case "blur":
            return _blur(image, int(how.strength))
        case "pixelation":
            return _pixelation(image, int(how.strength))
        case "jpeg":
            return _jpeg(image, int(how.strength))
    raise ValueError(f"there is no perturbation {how.name}")


def _patches(image: Tensor, how: Perturbation) -> Tensor:
    """Grey squares; as large a part of the picture at any side as at 224 px."""
    side = image.shape[1]
    count = max(1, round(how.strength * (side / _PATCHES_FOR_PX) ** 2))
    found = image.clone()
    places = generator(f"{how.key}/patches").integers(0, side - _PATCH_PX + 1, (count, 2))
    for top, left in places.tolist():
        found[:, top : top + _PATCH_PX, left : left + _PATCH_PX] = _PATCH_GREY
    return found


def _noise(image: Tensor, how: Perturbation) -> Tensor:
    draws = generator(f"{how.key}/noise").standard_normal(tuple(image.shape), np.float32)
    ycc = torch.from_numpy(draws).to(image.device) * (_WHITE * math.sqrt(how.strength))  # (3, S, S)
    to_rgb = torch.tensor(_TO_RGB, dtype=torch.float32, device=image.device)  # (3, 3)
    change = (to_rgb[:, :, None, None] * ycc[None]).sum(dim=1)  # (3, S, S)
    return (image + change).round().clamp(0, _WHITE)


def _blur(image: Tensor, kernel_px: int) -> Tensor:
    half = kernel_px // 2
    steps = torch.arange(-half, half + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (steps / (kernel_px / 6)) ** 2)
    weights = (weights / weights.sum()).float().to(image.device)  # (k,)
    x = functional.pad(image[:, None], (half, half, half, half), mode="reflect")  # (3, 1, S', S')
    x = functional.conv2d(x, weights.reshape(1, 1, 1, -1))
    x = functional.conv2d(x, weights.reshape(1, 1, -1, 1))  # (3, 1, S, S)
    return x[:, 0].round().clamp(0, _WHITE)


def _pixelation(image: Tensor, px: int) -> Tensor:
    side = image.shape[1]
    small = _scaled(image, side // px)  # (3, S // px, S // px)
    return _scaled(small, side)


def _scaled(image: Tensor, side: int) -> Tensor:
    """Bilinear between the middles of pixels, without smoothing, as OpenCV does it."""
    scaled: Tensor = functional.interpolate(
        image[None], size=(side, side), mode="bilinear", align_corners=False
    )  # (1, 3, side, side)
    return scaled[0].round()


def _jpeg(image: Tensor, quality: int) -> Tensor:
    pixels = image.permute(1, 2, 0).to(torch.uint8).cpu().numpy()  # (S, S, 3)
    again = decode_rgb(encode_jpeg(pixels, quality, "4:2:0"))  # (S, S, 3)
    return torch.from_numpy(again).to(image.device).permute(2, 0, 1).float()
