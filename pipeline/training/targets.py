"""Soft targets of a cross-entropy: smoothed, mixed, weighted. Pure functions of tensors.

Mixing is by pairs of neighbours in the batch, (0, 1), (2, 3) and so on; the order of a batch is
random anyway. A last face without a neighbour stays as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from faceshards.order import generator


@dataclass(frozen=True)
class Mix:
    """How the two faces of every pair of a batch are mixed; nothing by default."""

    share: float = 1.0
    """Of a face's own class in its target, 0 to 1."""
    box: tuple[int, int, int, int] | None = None
    """Top, left, height and width in px of what comes from the other face (cutmix); None = pixels
    are mixed by the share (mixup)."""


def drawn_mix(mixup: float, cutmix: float, key: str, side_px: int) -> Mix:
    """What happens to a batch: one of both, each as likely, where both are on.

    Args:
        mixup: alpha of the Beta distribution of the share; 0 = off.
        cutmix: likewise.
        key: names the batch.
        side_px: height and width of the images.
    """
    if not mixup and not cutmix:
        return Mix()
    random = generator(f"{key}/mix")
    if mixup and (not cutmix or random.random() < 0.5):
        return Mix(float(random.beta(mixup, mixup)))
    length = side_px * math.sqrt(1 - float(random.beta(cutmix, cutmix)))
    middle = random.integers(0, side_px, 2)
    low = (middle - length / 2).round().clip(0, side_px).astype(int)
    high = (middle + length / 2).round().clip(0, side_px).astype(int)
    top, left = (int(value) for value in low)
    height, width = (int(value) for value in high - low)
    # The share is that of the pixels: a box may end at the edge of the image.
    return Mix(1 - height * width / side_px**2, (top, left, height, width))


def mixed_images(images: Tensor, mix: Mix) -> Tensor:
    """Float (B, 3, S, S) images, each mixed with its neighbour."""
    others = images[_partners(len(images)).to(images.device)]  # (B, 3, S, S)
    if mix.box is None:
        return mix.share * images + (1 - mix.share) * others
    top, left, height, width = mix.box
    mixed, part = images.clone(), (slice(top, top + height), slice(left, left + width))
    mixed[:, :, *part] = others[:, :, *part]
    return mixed


def soft_targets(
    classes: Tensor, n_classes: int, smoothing: float, mix: Mix, weights: Sequence[float] = ()
) -> Tensor:
    """Targets of a cross-entropy, float32 (B, classes).

    Args:
        classes: int64 (B,).
        n_classes: how many there are.
        smoothing: share of each target that all classes have in equal parts.
        mix: how each face was mixed with its neighbour.
        weights: factor of each class; () = 1 for all.
    """
    hard = torch.nn.functional.one_hot(classes, n_classes).float()  # (B, classes)
    targets = (1 - smoothing) * hard + smoothing / n_classes  # (B, classes)
    others = targets[_partners(len(classes)).to(classes.device)]  # (B, classes)
    targets = mix.share * targets + (1 - mix.share) * others  # (B, classes)
    factors = torch.tensor(weights or [1.0] * n_classes, device=classes.device)  # (classes,)
    return targets * factors


def balanced_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """Factor of each class: the inverse of its share of the faces, over the number of classes.

    Their mean over all faces is 1. A class without faces has the factor 0.
    """
    return tuple(sum(counts) / (len(counts) * n) if n else 0.0 for n in counts)


def _partners(n: int) -> Tensor:
    """The other face of each one's pair, int64 (n,)."""
    partners = torch.arange(n) ^ 1  # (n,)
    return partners.clamp(max=n - 1)
