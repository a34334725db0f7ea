"""The work of the stage expand: both crops in, altered image and mask out (SJEDD, III-A)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import euclidean

from faceshards import images
from pipeline.config.params import ExpandParams
from pipeline.engine.rows import Inputs, Member, Output, RowResult
from pipeline.errors import Reject
from pipeline.expansion.generators import Made, Recipe, make, recipe_for
from pipeline.files.stored import read_stored

RECIPE = ("dilate_px", "blur_sigma_px", "color", "max_gain")
LIMITS = ("min_change", "max_color_gap", "max_sharpness_gap")


class SwapTask:
    """A row is one planned sample (see :mod:`.plan`).

    A row brings ``generator``, ``region``, ``align``, ``target_digest``, ``source_digest``,
    ``target_points``, ``source_points`` (136 numbers each, px of the crops), and where the crops
    lie: ``target_tar``, ``target_offset``, ``target_size`` and ``source_...`` alike (tars as
    absolute paths).
    """

    def __init__(self, params: ExpandParams) -> None:
        self._params = params

    def settings(self) -> Mapping[str, Any]:
        """The recipe, and what is too odd to be kept. Faces and regions are the plan's business."""
        return {name: getattr(self._params, name) for name in (*RECIPE, *LIMITS)}

    def open(self) -> None:
        """Nothing to load."""

    def units(self, inputs: Inputs) -> Sequence[str]:  # noqa: ARG002 - the row is the unit
        """The sample itself."""
        return ("",)

    def identify(self, row_id: str, fields: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002
        """The sample's id."""
        return {"sample_id": row_id}

    def work(self, inputs: Inputs) -> RowResult:
        """Makes one image and its mask, both stored losslessly.

        Raises:
            Reject: ``empty_region`` where the region lies outside the target's crop; ``too_alike``,
                ``odd_colors`` or ``odd_sharpness`` where the result is beyond a limit.
            UserError: a crop is not where the table says.
        """
        points = {role: points_of(inputs[f"{role}_points"]) for role in ("target", "source")}
        pair = f"{inputs['target_digest']}/{inputs['source_digest']}"
        named = inputs["generator"], inputs["region"], inputs["align"]
        recipe = recipe_for(*named, self._params, points["target"], pair)
        target, source = (read_crop(inputs, role) for role in ("target", "source"))
        made = make(recipe, target, source, points["target"], points["source"])
        if made is None:
            raise Reject("empty_region", f"{recipe.region} lies outside the crop")
        self._check(made, recipe)
        fields = {
            **asdict(recipe),
            "method": f"{recipe.generator}_{recipe.region}",
            "distance": float(euclidean(points["target"].ravel(), points["source"].ravel())),
            **made.facts,
            "source_affine": made.affine.ravel().tolist(),
        }
        members = (
            Member("", "png", images.encode_png(made.image)),
            Member("mask_", "mask.png", images.encode_png(made.mask)),
        )
        return RowResult([Output(fields, members)], done=1)

    def _check(self, made: Made, recipe: Recipe) -> None:
        limits, facts, region = self._params, made.facts, recipe.region
        if facts["change"] < limits.min_change:
            raise Reject("too_alike", f"{region} changed by {facts['change']:.2f} levels of 255")
        if limits.max_color_gap and facts["color_gap"] > limits.max_color_gap:
            factor = f"{facts['color_gap']:.1f}"
            raise Reject(
                "odd_colors", f"colors of {region} vary {factor} times as much in the target"
            )
        if limits.max_sharpness_gap and facts["sharpness_gap"] > limits.max_sharpness_gap:
            factor = f"{facts['sharpness_gap']:.1f}"
            raise Reject("odd_sharpness", f"{region} is {factor} times as sharp in one face")


def points_of(numbers: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """float64 (68, 2) of 136 numbers."""
    return np.array(numbers, np.float64).reshape(68, 2)


def read_crop(inputs: Inputs, role: str) -> images.Image:
    """The target's or source's crop, where the row says that it lies."""
    where = (inputs[f"{role}_{name}"] for name in ("tar", "offset", "size", "digest"))
    path, offset, size, digest = where
    return images.decode_rgb(read_stored(Path(path), offset, size, digest, "faces"))
