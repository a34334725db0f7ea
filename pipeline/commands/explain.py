"""``faceshards explain-sample``: an expanded sample made again from its recipe, and drawn."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from faceshards import images, keys
from faceshards.images import Image
from pipeline import tables
from pipeline.errors import UserError
from pipeline.expansion.expand import points_of, read_crop
from pipeline.expansion.generators import Made, Recipe, make

_FACTS = ("change", "color_gap", "sharpness_gap", "distance")
_GAP_PX = 8
_TEXT_PX = 22


class Explained(NamedTuple):
    """What is known of a sample."""

    text: str
    strip: Image
    """uint8 RGB: target, source, mask and result side by side, with words below."""
    same: bool
    """Whether the image and the mask that were made again have the bytes of the stored ones."""


def explain(key: str, root: Path) -> Explained:
    """Makes a sample again from the tables and the crops of a project.

    Args:
        key: the sample's id, or its key in the shards.
        root: the project.

    Raises:
        UserError: there is no such sample, or its faces are not in the store.
    """
    row = _row_of(key, root)
    inputs = _faces_of(row, root)
    recipe = Recipe(**{field.name: row[field.name] for field in fields(Recipe)})
    target, source = (read_crop(inputs, role) for role in ("target", "source"))
    points = (points_of(inputs[f"{role}_points"]) for role in ("target", "source"))
    made = make(recipe, target, source, *points)
    if made is None:
        raise UserError(f"{row['sample_id']} has an empty mask now: landmarks changed. {_RERUN}")
    same = all(
        keys.digest128(images.encode_png(picture)) == row[digest]
        for picture, digest in ((made.image, "digest"), (made.mask, "mask_digest"))
    )
    return Explained(_text(row, recipe, same), _strip(target, source, made, row), same)


_RERUN = "Run `dvc repro`."


def _row_of(key: str, root: Path) -> Mapping[str, Any]:
    table = tables.read(root / "manifests/expanded.parquet", "expanded")
    wanted = key.removesuffix(".jpg").removesuffix(".json")
    found = table.filter(pc.equal(table["sample_id"], wanted))
    if not found.num_rows:
        ids = (one for one in table["sample_id"].to_pylist() if keys.encode_id(one) == wanted)
        found = table.filter(pc.equal(table["sample_id"], next(ids, "")))
    if found.num_rows:
        row: Mapping[str, Any] = found.to_pylist()[0]
        return row
    refused = root / "manifests/rejected/expand.parquet"
    if refused.is_file():
        rejected = tables.read(refused, "rejected")
        for reject in rejected.filter(pc.equal(rejected["id"], wanted)).to_pylist():
            raise UserError(
                f"{wanted} was planned and rejected: {reject['reason']}, {reject['detail']}."
            )
    some = table["sample_id"][0].as_py() if table.num_rows else "there are none"
    raise UserError(f"No expanded sample has the id or key {key!r}. An id looks like {some}.")


def _faces_of(row: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Where both crops lie, and their points, named as in a row of the plan."""
    where = ("digest", "tar", "offset", "size")
    faces = tables.read(root / "manifests/faces.parquet", "faces", ("face_id", *where))
    landmarks = tables.read(root / "manifests/landmarks.parquet", "landmarks")
    inputs: dict[str, Any] = {}
    for role in ("target", "source"):
        face_id = row[f"{role}_face_id"]
        face, points = _one(faces, face_id, "faces"), _one(landmarks, face_id, "landmarks")
        inputs |= {f"{role}_{name}": face[name] for name in where}
        inputs[f"{role}_tar"] = str(root / "data/stores/faces" / face["tar"])
        inputs[f"{role}_points"] = points["points"]
    return inputs


def _one(table: pa.Table, face_id: str, name: str) -> Mapping[str, Any]:
    found: list[Mapping[str, Any]] = table.filter(pc.equal(table["face_id"], face_id)).to_pylist()
    if not found:
        raise UserError(f"{face_id} is not in the table {name} any more. {_RERUN}")
    return found[0]


def _text(row: Mapping[str, Any], recipe: Recipe, same: bool) -> str:
    lines = [row["sample_id"]]
    about = {
        "target": row["target_face_id"],
        "source": f"{row['source_face_id']} ({row['source_method']})",
        **{field.name: getattr(recipe, field.name) for field in fields(Recipe)},
        **{name: round(row[name], 3) for name in _FACTS},
        "source_affine": ", ".join(f"{number:g}" for number in row["source_affine"]),
    }
    width = max(map(len, about))
    lines += [f"  {name:<{width}}  {value}" for name, value in about.items()]
    verdict = (
        "Made again from this recipe, image and mask have the same bytes."
        if same
        else "Made again from this recipe, image or mask has other bytes than those stored: "
        "another platform made it, or faces or landmarks changed since. `dvc repro` makes it anew."
    )
    return "\n".join([*lines, verdict])


def _strip(target: Image, source: Image, made: Made, row: Mapping[str, Any]) -> Image:
    mask = cv2.cvtColor(made.mask, cv2.COLOR_GRAY2RGB)
    height_px = target.shape[0]
    cells = []
    for picture, words in (
        (target, "target"),
        (source, f"source, {row['source_method']}"),
        (mask, f"mask, {row['region']}"),
        (made.image, f"result, {row['method']}"),
    ):
        if picture.shape[0] != height_px:
            picture = cv2.resize(picture, (height_px, height_px), interpolation=cv2.INTER_AREA)
        cell = cv2.copyMakeBorder(
            np.asarray(picture, np.uint8),
            *(_GAP_PX, _TEXT_PX, _GAP_PX, 0),
            cv2.BORDER_CONSTANT,
            value=(255, 255, 255),
        )
        at = (_GAP_PX, cell.shape[0] - 7)
        cv2.putText(cell, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
        cells.append(cell)
    return np.asarray(np.hstack(cells), np.uint8)
