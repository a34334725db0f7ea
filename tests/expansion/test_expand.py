import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceshards import images, keys, tar
from pipeline import tables
from pipeline.config.params import ExpandParams
from pipeline.errors import Reject, UserError
from pipeline.expansion.expand import SwapTask
from pipeline.expansion.regions import REGIONS
from tests.expansion.faces import crops, points

PARAMS = ExpandParams(datasets=("ffpp",))


@pytest.fixture
def row(tmp_path: Path) -> dict[str, Any]:
    """A plan row as work sees it, with both crops in a tar."""
    path = tmp_path / "faces.tar"
    inputs: dict[str, Any] = {"region": "mouth"}
    with path.open("w+b") as file:
        for role, image, moved in zip(("target", "source"), crops(), (0, 6), strict=True):
            data = images.encode_png(image)
            offset, size = tar.append(file, f"{role}.png", data)
            inputs[f"{role}_tar"] = str(path)
            inputs[f"{role}_offset"], inputs[f"{role}_size"] = offset, size
            inputs[f"{role}_digest"] = keys.digest128(data)
            inputs[f"{role}_points"] = (points() + moved).ravel().tolist()
        tar.finish(file)
    return inputs


@pytest.mark.parametrize("region", REGIONS)
def test_one_swap(row: dict[str, Any], region: str) -> None:
    task = SwapTask(PARAMS)
    task.open()
    result = task.work(row | {"region": region})
    assert (result.done, result.left_out, list(result.rejects)) == (1, 0, [])
    (output,) = result.outputs
    image, mask = output.members
    assert [(m.column, m.extension) for m in output.members] == [("", "png"), ("mask_", "mask.png")]
    altered, soft = images.decode_rgb(image.data), images.decode_grey(mask.data)
    target, _ = crops()
    assert altered.shape == target.shape
    assert np.array_equal(altered[soft == 0], target[soft == 0])
    assert not np.array_equal(altered, target)
    assert soft.max() > 200
    assert output.fields["method"] == f"swap_{region}"
    assert output.fields["distance"] == pytest.approx(6 * 136**0.5)
    assert np.allclose(output.fields["source_affine"], [1, 0, -6, 0, 1, -6], atol=1e-6)


def test_an_output_is_a_row_of_the_table(row: dict[str, Any]) -> None:
    (output,) = SwapTask(PARAMS).work(row).outputs
    ours = {"generator", "method", "region", "distance", "blur_sigma_px", "dilate_px", "color"}
    assert set(output.fields) == ours | {"source_affine"}
    ids = SwapTask(PARAMS).identify("d/swap_mouth/v/00000-0-0", output.fields)
    attached = {"target_face_id": "t", "source_face_id": "s", "source_method": "FaceSwap"}
    place = {"digest": "x", "tar": "p.tar", "offset": 512, "size": 9, "mask_offset": 2048}
    tables.from_rows(
        "expanded", [output.fields | ids | attached | place | {"mask_size": 9, "mask_digest": "y"}]
    )


def test_the_same_bytes_again(row: dict[str, Any]) -> None:
    first, second = (SwapTask(PARAMS).work(row).outputs[0].members for _ in range(2))
    assert first == second


def test_settings_name_the_recipe_and_nothing_else() -> None:
    settings = SwapTask(ExpandParams(datasets=("a",), per_region=3, blur_sigma_px=2.0)).settings()
    assert json.loads(json.dumps(settings)) == {
        "dilate_px": 4,
        "blur_sigma_px": 2.0,
        "color": "after",
    }


def test_a_region_outside_the_crop_is_rejected(row: dict[str, Any]) -> None:
    row["target_points"] = (points() + 300).ravel().tolist()
    with pytest.raises(Reject, match="empty_region: mouth lies outside the crop"):
        SwapTask(PARAMS).work(row)


def test_a_missing_or_foreign_crop_is_named(row: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"p\.tar is not there\. The stage faces"):
        SwapTask(PARAMS).work(row | {"source_tar": "/nowhere/p.tar"})
    with pytest.raises(
        UserError, match=r"Delete this one file and run `dvc repro`: the stage faces"
    ):
        SwapTask(PARAMS).work(row | {"source_digest": "0" * 32})
