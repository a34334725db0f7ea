"""One region swap: both crops in, altered image and mask out (SJEDD, section III-A)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import euclidean

from faceshards import images
from pipeline.config.params import ExpandParams
from pipeline.engine.rows import Inputs, Member, Output, RowResult
from pipeline.errors import Reject
from pipeline.expansion.blending import swap_region
from pipeline.expansion.regions import region_mask
from pipeline.files.stored import read_stored

GENERATOR = "swap"


class SwapTask:
    """The work of the stage expand; a row is one planned sample (see :mod:`.plan`).

    A row brings ``region``, ``target_digest``, ``source_digest``, ``target_points``,
    ``source_points`` (136 numbers each, px of the crops), and where the crops lie: ``target_tar``,
    ``target_offset``, ``target_size`` and ``source_...`` alike (tars as absolute paths).
    """

    def __init__(self, params: ExpandParams) -> None:
        self._params = params

    def settings(self) -> Mapping[str, Any]:
        """The recipe. Which faces and regions there are is the plan's business."""
        return {
            "dilate_px": self._params.dilate_px,
            "blur_sigma_px": self._params.blur_sigma_px,
            "color": self._params.color,
        }

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
            Reject: ``empty_region`` where the region lies outside the target's crop.
            UserError: a crop is not where the table says.
        """
        target, source = (_read_crop(inputs, role) for role in ("target", "source"))
        target_points, source_points = (
            np.array(inputs[f"{role}_points"], np.float64) for role in ("target", "source")
        )  # (136,)
        region = inputs["region"]
        height_px, width_px = target.shape[:2]
        mask = region_mask(
            target_points.reshape(68, 2),
            region,
            width_px,
            height_px,
            self._params.dilate_px,
            self._params.blur_sigma_px,
        )
        if not mask.any():
            raise Reject("empty_region", f"{region} lies outside the crop")
        swap = swap_region(
            target,
            source,
            target_points.reshape(68, 2),
            source_points.reshape(68, 2),
            mask,
            self._params.color,
        )
        fields = {
            "generator": GENERATOR,
            "method": f"{GENERATOR}_{region}",
            "region": region,
            "distance": float(euclidean(target_points, source_points)),
            **self.settings(),
            "source_affine": swap.source_affine.ravel().tolist(),
        }
        members = (
            Member("", "png", images.encode_png(swap.image)),
            Member("mask_", "mask.png", images.encode_png(mask)),
        )
        return RowResult([Output(fields, members)], done=1)


def _read_crop(inputs: Inputs, role: str) -> images.Image:
    where = (inputs[f"{role}_{name}"] for name in ("tar", "offset", "size", "digest"))
    path, offset, size, digest = where
    return images.decode_rgb(read_stored(Path(path), offset, size, digest, "faces"))
