"""Named policies that change the faces of a training batch, as tensor operations on its device.

What happens to a face is drawn on the host from a key that names seed, run, epoch, batch and the
place in the batch, so that it depends on neither the device nor the number of processes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from faceshards.order import generator
from pipeline.training import data
from pipeline.training.perturbations import Perturbation, drawn_perturbation, perturbed
from pipeline.training.rand_augment import OPERATIONS, Operation, applied, drawn_operations

PERTURBED_SHARES = {"sjedd": 0.3, "sjedd-ffsc": 0.36}
"""Probability of a perturbation, by policy: of SJEDD's two training sets (its public code)."""

_WHITE = 255.0
_ATTEMPTS = 10
"""At a box that fits, before there is none."""
_CROP_AREA, _CROP_RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
_ERASE_PROBABILITY = 0.25
_ERASE_AREA, _ERASE_RATIO = (0.02, 1 / 3), (0.3, 1 / 0.3)


class Box(NamedTuple):
    """A part of a picture, in whole px."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Change:
    """What happens to one face, in this order; nothing by default."""

    crop: Box | None = None
    """What is scaled to the whole picture, bicubic."""
    mirrored: bool = False
    operations: tuple[Operation, ...] = ()
    erased: Box | None = None
    """What is replaced by noise, after normalisation."""
    noise_key: str = ""
    perturbation: Perturbation | None = None
    """Before normalisation."""


def changes(policy: str, key: str, places: Sequence[int], side_px: int) -> list[Change]:
    """What a policy does to the faces of a batch.

    Args:
        policy: ``none``, ``flip`` (half of the faces mirrored), ``fsfm`` (random resized crop,
            mirror, RandAugment and random erasing, as FSFM's public code), or a key of
            :data:`PERTURBED_SHARES` (one of five perturbations, and no mirror; SJEDD, V-A2).
        key: names the batch.
        places: of the faces in the global batch.
        side_px: height and width of the pictures.
    """
    if policy == "none":
        return [Change() for _ in places]
    draws = [(f"{key}/{place}", generator(f"{key}/{place}")) for place in places]
    if policy == "flip":
        return [Change(mirrored=bool(random.random() < 0.5)) for _, random in draws]
    if policy == "fsfm":
        return [_as_fsfm(random, name, side_px) for name, random in draws]
    if share := PERTURBED_SHARES.get(policy):
        return [
            Change(perturbation=drawn_perturbation(random, name, share)) for name, random in draws
        ]
    raise ValueError(f"there is no augmentation {policy}")


def changed(
    images: Tensor, each: Sequence[Change], mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """What a model sees in training.

    Args:
        images: uint8 (B, S, S, 3) RGB.
        each: what happens to each of them.
        mean: of the three channels, for values from 0 to 1.
        std: likewise.

    Returns:
        float32 (B, 3, S, S), normalised, on the device of the images.
    """
    x = images.permute(0, 3, 1, 2).float()  # (B, 3, S, S)
    if any(change.crop for change in each):
        whole = Box(0, 0, *x.shape[2:])
        x = cropped(x, [change.crop or whole for change in each])
    mirrored = torch.tensor([change.mirrored for change in each], device=x.device)
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    fill = torch.tensor([min(255, round(255 * m)) for m in mean], device=x.device).float()
    for turn in range(max((len(change.operations) for change in each), default=0)):
        for name, members in _by_name(each, turn).items():
            at = torch.tensor(list(members), device=x.device)
            values = torch.tensor(list(members.values()), dtype=torch.float64, device=x.device)
            x[at] = applied(x[at], name, values, fill)
    for place, change in enumerate(each):
        if change.perturbation:
            x[place] = perturbed(x[place], change.perturbation)
    x = data.standardised(x, mean, std)
    for place, change in enumerate(each):
        if change.erased:
            top, left, height, width = change.erased
            noise = generator(f"{change.noise_key}/noise")
            pixels = torch.from_numpy(noise.standard_normal((3, height, width), np.float32))
            x[place, :, top : top + height, left : left + width] = pixels.to(x.device)
    return x


def cropped(images: Tensor, boxes: Sequence[Box]) -> Tensor:
    """Parts of pictures scaled to whole ones as Pillow does: bicubic, smoothed where they shrink.

    Args:
        images: float32 (B, 3, S, S), whole numbers from 0 to 255.
        boxes: of each picture.
    """
    side = images.shape[-1]
    across = _resampling([(b.left, b.width) for b in boxes], side).to(images.device)  # (B, S, S)
    down = _resampling([(b.top, b.height) for b in boxes], side).to(images.device)  # (B, S, S)
    x = (images @ across.transpose(1, 2)[:, None] + 0.5).floor().clamp(0, _WHITE)
    return (down[:, None] @ x + 0.5).floor().clamp(0, _WHITE)


def _as_fsfm(random: np.random.Generator, name: str, side_px: int) -> Change:
    crop = _box(random, side_px, _CROP_AREA, _CROP_RATIO, side_px)
    mirrored = bool(random.random() < 0.5)
    operations = drawn_operations(random)
    erased = None
    if random.random() < _ERASE_PROBABILITY:
        erased = _box(random, side_px, _ERASE_AREA, _ERASE_RATIO, side_px - 1)
    return Change(crop, mirrored, operations, erased, name)


def _box(
    random: np.random.Generator,
    side_px: int,
    area: tuple[float, float],
    ratio: tuple[float, float],
    longest_px: int,
) -> Box | None:
    """A box whose share of the area and whose ratio of the sides are drawn; None if none fits."""
    for _ in range(_ATTEMPTS):
        area_px = random.uniform(*area) * side_px**2
        aspect = math.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1])))
        width, height = round(math.sqrt(area_px * aspect)), round(math.sqrt(area_px / aspect))
        if 0 < width <= longest_px and 0 < height <= longest_px:
            top = int(random.integers(0, side_px - height + 1))
            left = int(random.integers(0, side_px - width + 1))
            return Box(top, left, height, width)
    return None


def _resampling(spans: Sequence[tuple[int, int]], side: int) -> Tensor:
    """Weights (B, side, side) that scale a span (start, length) of a row to a whole row."""
    starts, lengths = torch.tensor(spans, dtype=torch.float64).T[:, :, None, None]  # (B, 1, 1)
    scale = lengths / side
    pixel = torch.arange(side, dtype=torch.float64)  # (side,)
    middle = starts + (pixel[:, None] + 0.5) * scale  # (B, side, 1)
    t = ((pixel + 0.5 - middle) / scale.clamp(min=1)).abs()  # (B, side, side)
    near = (1.5 * t - 2.5) * t * t + 1  # Keys' kernel, a = -0.5
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    weights = torch.where(t < 1, near, torch.where(t < 2, far, 0.0))
    weights = torch.where((pixel >= starts) & (pixel < starts + lengths), weights, 0.0)
    return (weights / weights.sum(2, keepdim=True)).float()


def _by_name(each: Sequence[Change], turn: int) -> Mapping[str, dict[int, float]]:
    """Of the operations that come in a turn: places in the batch and values, by name."""
    found: dict[str, dict[int, float]] = {name: {} for name in OPERATIONS}
    for place, change in enumerate(each):
        if turn < len(change.operations):
            name, value = change.operations[turn]
            found[name][place] = value
    return {name: members for name, members in found.items() if members}
