"""What of a face a model sees when it is not trained on it."""

import torch
from torch import Tensor

_WHITE = 255.0
_ENLARGED = 8 / 7
"""224 px become 256: the usual ratio of test images, FSFM's public code included."""


def seen(images: Tensor, view: str) -> Tensor:
    """Faces as float32 of values from 0 to 255.

    Args:
        images: uint8 (B, S, S, 3) RGB.
        view: ``whole``, or ``resize_crop``: enlarged by 8 / 7, bicubic and rounded as Pillow does,
            and the middle cut out.

    Returns:
        float32 (B, 3, S, S).
    """
    x = images.permute(0, 3, 1, 2).float()  # (B, 3, S, S)
    if view == "whole":
        return x
    side = x.shape[-1]
    larger = round(side * _ENLARGED)
    for size in ((side, larger), (larger, larger)):  # Pillow rounds between its two passes
        x = torch.nn.functional.interpolate(x, size, mode="bicubic", antialias=True)
        x = (x + 0.5).floor().clamp(0, _WHITE)
    start = (larger - side) // 2
    return x[..., start : start + side, start : start + side]
