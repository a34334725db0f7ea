"""The ways in which fakes are made of real faces, behind one interface.

``swap`` (SJEDD, III-A) and ``xray`` (Face X-ray, which SJEDD compares with) need two faces and are
made by the stage ``expand``; they differ in their masks. Self-blended images need one face and are
made anew by the loader of a training run; see :mod:`pipeline.expansion.self_blending`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceshards import keys
from faceshards.images import Image
from pipeline.config.params import ExpandParams
from pipeline.expansion.alignment import Affine, Align, aligned, source_affine
from pipeline.expansion.blending import ColorOrder, blend, support
from pipeline.expansion.deformation import deformed, draws
from pipeline.expansion.regions import (
    WHOLE_FACE,
    Points,
    face_scale,
    region_mask,
    scaled,
    soften,
)

_XRAY_NODES = 4
_XRAY_REACH_PX = 5.0
_XRAY_BLUR = (1.0, 3.0)
"""Face X-ray deforms its mask and blurs it by a random kernel; it gives no numbers. The points of a
4 x 4 grid are moved by 5 px (in a crop of 224 px), the blur is one to three times the usual one."""
_SIGMA_STEPS = 64


@dataclass(frozen=True)
class Recipe:
    """All that decides an image besides its two faces; each a column of the table ``expanded``."""

    generator: str
    region: str
    align: Align
    color: ColorOrder
    max_gain: float
    """0 = no limit."""
    dilate_px: int
    """For this face."""
    blur_sigma_px: float
    """For this face, to 1/64."""
    mask_seed: int
    """Of the mask's random shape; -1 where it has none."""


class Made(NamedTuple):
    """An image, its mask, and what is known of them."""

    image: Image
    """uint8 (H, W, 3) RGB; equal to the target wherever the mask is 0."""
    mask: NDArray[np.uint8]
    """uint8 (H, W), 0 target to 255 source."""
    affine: Affine
    """float64 (2, 3), source crop to target crop."""
    facts: dict[str, float]
    """``change``, ``color_gap`` and ``sharpness_gap``, see :class:`~.blending.Blend`."""


def recipe_for(
    generator: str,
    region: str,
    align: Align,
    params: ExpandParams,
    target_points: Points,
    pair: str,
) -> Recipe:
    """The recipe of one image.

    Args:
        generator: a name in ``OFFLINE``.
        region: what is to be replaced.
        align: how the source is brought onto the target.
        params: section ``expand``; lengths are for a face of usual size.
        target_points: float64 (68, 2), px.
        pair: names the two faces; keys what is random.
    """
    dilate_px, blur_sigma_px = scaled(target_points, params.dilate_px, params.blur_sigma_px)
    color: ColorOrder = params.color
    mask_seed = -1
    if generator == "xray":
        mask_seed = keys.hash64(f"xray/{pair}") >> 12  # exact in every reader of json
        wider = draws(mask_seed).uniform(*_XRAY_BLUR)
        blur_sigma_px = float(np.rint(blur_sigma_px * wider * _SIGMA_STEPS) / _SIGMA_STEPS)
        dilate_px = 0
        color = "before" if color == "after" else color  # the order of Face X-ray
    gain = 0.0 if params.max_gain == "none" else params.max_gain
    return Recipe(generator, region, align, color, gain, dilate_px, blur_sigma_px, mask_seed)


def make(
    recipe: Recipe,
    target: Image,
    source: Image,
    target_points: Points,
    source_points: Points,
) -> Made | None:
    """Makes the image of a recipe; None where the mask covers no pixel of the target.

    Args:
        recipe: what is to be made.
        target: uint8 (H, W, 3) RGB.
        source: uint8 RGB, any size.
        target_points: float64 (68, 2), px of the target.
        source_points: float64 (68, 2), px of the source.
    """
    height_px, width_px = target.shape[:2]
    mask = OFFLINE[recipe.generator](recipe, target_points, width_px, height_px)
    if not mask.any():
        return None
    box = support(mask)
    affine = source_affine(source_points, target_points, recipe.align)
    piecewise = recipe.align == "piecewise"
    near = aligned(source, source_points, target_points, affine, piecewise, box)
    done = blend(target, near, mask, box, recipe.color, recipe.max_gain)
    facts = done._asdict()
    image = facts.pop("image")
    return Made(image, mask, affine, facts)


def _region(recipe: Recipe, points: Points, width_px: int, height_px: int) -> NDArray[np.uint8]:
    lengths = recipe.dilate_px, recipe.blur_sigma_px
    return region_mask(points, recipe.region, width_px, height_px, *lengths)


def _deformed_face(
    recipe: Recipe, points: Points, width_px: int, height_px: int
) -> NDArray[np.uint8]:
    """The hull of all points, deformed and blurred (Face X-ray, section 3.2)."""
    hard = region_mask(points, WHOLE_FACE, width_px, height_px, 0, 0)
    reach_px = _XRAY_REACH_PX * face_scale(points)
    shaped = deformed(hard, draws(recipe.mask_seed), _XRAY_NODES, reach_px)
    return soften(shaped, recipe.blur_sigma_px)


OFFLINE: dict[str, Callable[[Recipe, Points, int, int], NDArray[np.uint8]]] = {
    "swap": _region,
    "xray": _deformed_face,
}
"""Generators of the stage ``expand``, and how each makes its mask of the recipe, the target's
points, and width and height in px."""
