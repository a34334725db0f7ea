"""Self-blended images (Shiohara and Yamasaki, CVPR 2022): a real face blended with itself.

A face that differs from its original by little more than color, sharpness, a small shift and the
edge of a mask is hard to tell from it. It is made anew each time a sample is read, by whoever
trains, and is never stored.

Numbers are those of the authors' code, where they change anything: its shifts of hue, saturation
and value by up to 0.3 are in levels of 255, which nothing can see. Its 81 landmarks reach the
hairline; with the 68 here the forehead is guessed from the distance between brows and nose. What
the code does to reals and fakes alike afterwards (colors, JPEG) is the trainer's business.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image
from pipeline.expansion.deformation import draws
from pipeline.expansion.regions import Points

_BROWS, _NOSE_TIP = slice(17, 27), 33
_FOREHEAD = 0.75
"""Part of the way from the tip of the nose to the brows, set upon the brows."""
_FACE_ALONE = 0.25
"""How often the forehead is left out."""
_SHARES = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
"""Of the source in the middle of the mask."""
_MASK_PX = (192, 257)
_BLUR_SIDES_PX = (5, 26)
_BLUR_SIGMAS_PX = (5, 46)
_ELASTIC_PX, _ELASTIC_SIGMA_PX = 50.0, 7.0


class SelfBlend(NamedTuple):
    """A fake, and the real that it is to be told from."""

    image: Image
    """uint8 (H, W, 3) RGB, the fake."""
    mask: NDArray[np.uint8]
    """uint8 (H, W), how much of each pixel is from elsewhere, 0 to 255."""
    base: Image
    """uint8 (H, W, 3) RGB, what it was blended into: the image, or half of the time the image with
    other colors or sharpness. Where this is the real sample, colors and sharpness as such tell
    nothing."""


def self_blend(image: Image, points: Points, seed: int) -> SelfBlend:
    """Blends a face with a changed copy of itself.

    Args:
        image: uint8 (H, W, 3) RGB, a real face.
        points: float64 (68, 2), its landmarks in px, iBUG order.
        seed: from 0 to 2**64 - 1; another one, another blend. Take a hash of sample and epoch.
    """
    random = draws(seed)
    mask = _face_mask(points, image.shape[:2], random.random() >= _FACE_ALONE)
    base = source = image
    if random.random() < 0.5:
        source = _recolored(source, random)
    else:
        base = _recolored(base, random)
    source, mask = _moved(source, mask, random)
    soft = _soft(_elastic(mask, random), random)  # (H, W)
    kept = np.asarray(np.rint(soft * np.float32(255 * random.choice(_SHARES))), np.uint8)
    alpha = kept.astype(np.float32)[:, :, None] / np.float32(255)
    mixed = base + alpha * (source.astype(np.float32) - base)
    return SelfBlend(np.asarray(np.rint(mixed), np.uint8), kept, base)


def base_of(image: Image, seed: int) -> Image:
    """The ``base`` of :func:`self_blend` alone, which needs neither landmarks nor a mask."""
    random = draws(seed)
    random.random()  # the forehead's
    return image if random.random() < 0.5 else _recolored(image, random)


def _face_mask(points: Points, shape: tuple[int, ...], forehead: bool) -> NDArray[np.uint8]:
    corners = points
    if forehead:
        up = points[_BROWS].mean(axis=0) - points[_NOSE_TIP]
        corners = np.vstack([points, points[_BROWS] + _FOREHEAD * up])
    mask = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(corners).astype(np.int32)), (255,))
    return mask


def _recolored(image: Image, random: np.random.Generator) -> Image:
    """Other colors, brightness and contrast; and coarser or sharper."""
    changed = image.astype(np.float32)
    if random.random() < 0.3:
        changed += random.uniform(-20, 20, 3).astype(np.float32)
    contrast, brightness = random.uniform(-0.1, 0.1, 2).astype(np.float32)
    changed = changed * (1 + contrast) + brightness * 255
    if random.random() < 0.5:
        height_px, width_px = image.shape[:2]
        part = int(random.choice((2, 4)))
        small = cv2.resize(
            changed,
            (max(1, width_px // part), max(1, height_px // part)),
            interpolation=cv2.INTER_NEAREST,
        )
        changed = np.asarray(
            cv2.resize(small, (width_px, height_px), interpolation=cv2.INTER_NEAREST), np.float32
        )
    else:
        strength = np.float32(random.uniform(0.2, 0.5))
        edges = cv2.Laplacian(changed, cv2.CV_32F, ksize=3)
        changed = changed - strength * np.asarray(edges, np.float32) / 8
    return np.asarray(np.rint(np.clip(changed, 0, 255)), np.uint8)


def _moved(
    source: Image, mask: NDArray[np.uint8], random: np.random.Generator
) -> tuple[Image, NDArray[np.uint8]]:
    """Shift by up to 3 % across and 1.5 % down, scale by up to 5 %, of source and mask alike."""
    height_px, width_px = mask.shape
    scale = random.uniform(0.95, 1 / 0.95)
    shift = random.uniform(-1, 1, 2) * (0.03 * width_px, 0.015 * height_px)
    middle = np.array([width_px, height_px]) / 2
    matrix = np.column_stack([np.eye(2) * scale, middle * (1 - scale) + shift])
    size = (width_px, height_px)
    image = cv2.warpAffine(source, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(image, np.uint8), np.asarray(cv2.warpAffine(mask, matrix, size), np.uint8)


def _elastic(mask: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    noise = random.uniform(-1, 1, (*mask.shape, 2)).astype(np.float32)
    field = np.asarray(cv2.GaussianBlur(noise, (0, 0), _ELASTIC_SIGMA_PX), np.float32)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.float32)
    x, y = x + _ELASTIC_PX * field[..., 0], y + _ELASTIC_PX * field[..., 1]
    return np.asarray(cv2.remap(mask, x, y, cv2.INTER_LINEAR), np.uint8)


def _soft(mask: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.float32]:
    """Eroded by a blur and a threshold, blurred, at a random size; float32 (H, W), 0 to 1."""
    height_px, width_px = mask.shape
    sides = random.integers(*_MASK_PX, 2).tolist()
    soft = np.asarray(cv2.resize(mask, sides), np.float32)
    erode, blur = (int(random.integers(*_BLUR_SIDES_PX)) | 1 for _ in range(2))
    soft = np.asarray(cv2.GaussianBlur(soft, (erode, erode), 0), np.float32)
    core = (soft >= soft.max()).astype(np.float32) if soft.any() else soft
    sigma = float(random.integers(*_BLUR_SIGMAS_PX))
    core = np.asarray(cv2.GaussianBlur(core, (blur, blur), sigma), np.float32)
    back = np.asarray(cv2.resize(core, (width_px, height_px)), np.float32)
    return back / max(float(back.max()), 1e-6)
