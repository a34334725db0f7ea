import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceshards import fields, images, keys, tar
from pipeline import tables
from pipeline.config.params import ExpandParams
from pipeline.errors import Reject, UserError
from pipeline.expansion.expand import SwapTask
from pipeline.expansion.generators import OFFLINE, Recipe, make, recipe_for
from pipeline.expansion.regions import REGIONS
from tests.expansion.faces import crops, points

PARAMS = ExpandParams(datasets=("ffpp",), max_color_gap=0, max_sharpness_gap=0)


@pytest.fixture
def row(tmp_path: Path) -> dict[str, Any]:
    """A plan row as work sees it, with both crops in a tar."""
    path = tmp_path / "faces.tar"
    inputs: dict[str, Any] = {"generator": "swap", "region": "mouth", "align": "similarity"}
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
    assert soft.max() == 255
    assert output.fields["method"] == f"swap_{region}"
    assert output.fields["distance"] == pytest.approx(6 * 136**0.5)
    assert np.allclose(output.fields["source_affine"], [1, 0, -6, 0, 1, -6], atol=1e-6)


def test_an_output_is_a_row_of_the_table(row: dict[str, Any]) -> None:
    (output,) = SwapTask(PARAMS).work(row).outputs
    columns = {column.name for column in tables.schemas.TABLES["expanded"]}
    elsewhere = {"sample_id", "target_face_id", "source_face_id", "source_method"}
    elsewhere |= {"digest", "tar", "offset", "size", "mask_offset", "mask_size", "mask_digest"}
    assert set(output.fields) == columns - elsewhere
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
        "max_gain": 2.0,
        "min_change": 2.0,
        "max_color_gap": 4.0,
        "max_sharpness_gap": 5.0,
    }


def test_a_region_outside_the_crop_is_rejected(row: dict[str, Any]) -> None:
    row["target_points"] = (points() + 300).ravel().tolist()
    with pytest.raises(Reject, match="empty_region: mouth lies outside the crop"):
        SwapTask(PARAMS).work(row)


def test_a_missing_or_foreign_crop_is_named(row: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"p\.tar is not there\. The stage faces"):
        SwapTask(PARAMS).work(row | {"source_tar": "/nowhere/p.tar"})
    with pytest.raises(UserError, match=r"Run `dvc repro`: the stage faces"):
        SwapTask(PARAMS).work(row | {"source_digest": "0" * 32})


def with_crop(row: dict[str, Any], role: str, image: np.ndarray) -> dict[str, Any]:
    """The row with another crop as target or source."""
    data = images.encode_png(image)
    path = Path(row["target_tar"]).with_name(f"{role}.tar")
    with path.open("w+b") as file:
        offset, size = tar.append(file, "a.png", data)
        tar.finish(file)
    here = {"tar": str(path), "offset": offset, "size": size, "digest": keys.digest128(data)}
    return row | {f"{role}_{name}": value for name, value in here.items()}


def test_a_swap_that_changes_nothing_is_rejected(row: dict[str, Any]) -> None:
    same = with_crop(row, "source", crops()[0]) | {"source_points": row["target_points"]}
    with pytest.raises(Reject, match=r"too_alike: mouth changed by 0\.00 levels of 255"):
        SwapTask(PARAMS).work(same)
    (output,) = SwapTask(ExpandParams(min_change=0)).work(same).outputs
    assert output.fields["change"] == 0


def test_grey_lips_and_blurred_noses_are_rejected(row: dict[str, Any]) -> None:
    target = crops()[0]
    grey = np.repeat(target.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    soft = np.asarray(cv2.GaussianBlur(target, (0, 0), 5), np.uint8)
    moved = {"source_points": row["target_points"]}
    strict = ExpandParams(max_color_gap=3, max_sharpness_gap=3, min_change=0)
    with pytest.raises(
        Reject, match=r"odd_colors: colors of mouth vary \d+\.\d times as much in the"
    ):
        SwapTask(strict).work(with_crop(row, "source", grey) | moved)
    with pytest.raises(Reject, match=r"odd_sharpness: nose is \d+\.\d times as sharp"):
        SwapTask(strict).work(with_crop(row, "source", soft) | moved | {"region": "nose"})
    for image in (grey, soft):
        any_at_all = ExpandParams(max_color_gap=0, max_sharpness_gap=0, min_change=0)
        assert SwapTask(any_at_all).work(with_crop(row, "source", image) | moved).outputs


def test_whole_faces_as_in_face_xray(row: dict[str, Any]) -> None:
    row = row | {"generator": "xray", "region": "face"}
    (output,) = SwapTask(PARAMS).work(row).outputs
    made = output.fields
    assert (made["method"], made["color"], made["dilate_px"]) == ("xray_face", "before", 0)
    assert made["mask_seed"] >= 0
    mask = images.decode_grey(output.members[1].data)
    covered = mask > 127
    assert 15_000 < covered.sum() < 30_000
    assert covered[90:180, 90:130].all()
    # Another pair of faces, another shape; the same pair, the same one.
    other = images.decode_grey(
        SwapTask(PARAMS).work(with_crop(row, "source", crops()[0])).outputs[0].members[1].data
    )
    assert not np.array_equal(mask, other)
    assert SwapTask(PARAMS).work(row).outputs[0].members == output.members


@settings(max_examples=25)
@given(
    generator=st.sampled_from(sorted(OFFLINE)),
    region=st.sampled_from(REGIONS),
    align=st.sampled_from(["similarity", "none", "piecewise"]),
    color=st.sampled_from(["after", "before", "none"]),
    gain=st.sampled_from(["none", 1.0, 2.0]),
    scale=st.floats(0.4, 1.1),
)
def test_a_recipe_out_of_the_table_makes_the_same_picture(
    generator, region, align, color, gain, scale
) -> None:
    region = "face" if generator == "xray" else region
    target, source = crops()
    here, there = points() * scale, points() * 0.9
    params = ExpandParams(color=color, max_gain=gain)
    recipe = recipe_for(generator, region, align, params, here, "pair")
    columns = tables.schemas.schema("expanded")
    wanted = pa.schema([columns.field(name) for name in asdict(recipe)])
    stored = pa.Table.from_pylist([asdict(recipe)], wanted).to_pylist()[0]
    assert Recipe(**stored) == recipe
    first, second = (make(r, target, source, here, there) for r in (recipe, Recipe(**stored)))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)
    assert np.array_equal(first.image[first.mask == 0], target[first.mask == 0])
    assert first.mask.max() == 255


def test_generators_are_those_of_the_format() -> None:
    assert tuple(OFFLINE) == fields.GENERATORS
