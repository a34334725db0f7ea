"""Smooth random changes of a mask's shape, as Face X-ray and self-blending ask for."""

import cv2
import numpy as np
from numpy.typing import NDArray


def draws(seed: int) -> np.random.Generator:
    """The random numbers of a seed from 0 to 2**64 - 1, the same everywhere (counter-based)."""
    return np.random.Generator(np.random.Philox(key=seed))


def deformed(
    mask: NDArray[np.uint8], random: np.random.Generator, nodes: int, reach_px: float
) -> NDArray[np.uint8]:
    """Moves the mask's outline by a smooth random field.

    Args:
        mask: uint8 (H, W).
        random: where the moves are drawn from.
        nodes: a grid of so many points across and down is moved; what lies between is interpolated.
        reach_px: standard deviation of a point's move.

    Returns:
        uint8 (H, W).
    """
    height_px, width_px = mask.shape
    moves = random.normal(0, reach_px, (nodes, nodes, 2)).astype(np.float32)
    field = np.asarray(
        cv2.resize(moves, (width_px, height_px), interpolation=cv2.INTER_CUBIC), np.float32
    )
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32)
    moved = cv2.remap(mask, x + field[..., 0], y + field[..., 1], cv2.INTER_LINEAR)  # (H, W)
    return np.asarray(moved, np.uint8)
