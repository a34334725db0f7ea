"""Samples into shards: the plan, and the members of one sample.

Inside a shard samples are ordered by a hash of their key, so any prefix is a fair sample of it.
Every picture passes the JPEG encoder exactly once, with the same settings: those stored losslessly
here, the others when they were cropped.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, compress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from faceshards import fields, images, keys
from pipeline.config.params import JpegParams, ShardParams
from pipeline.engine.rows import Inputs, Member, Output, Plan, RowResult
from pipeline.files.stored import read_stored
from pipeline.labels.semantics import Semantics
from pipeline.shards import describe
from pipeline.shards.landmarks import Landmarks
from pipeline.tables import belong
from pipeline.tables.sources import Filtered, Places, TableSource, lookup


def pack_plan(
    videos: TableSource,
    faces: TableSource,
    samples: TableSource,
    landmarks: TableSource,
    expanded: TableSource,
    semantics: Semantics,
    adapters: Mapping[str, str],
    params: ShardParams,
    faces_store: Path,
    expand_store: Path,
) -> Plan:
    """Plan of all shards, one row per row of the tables ``samples`` and ``expanded``.

    The column ``group`` is ``<folder>/<dataset>``; the folder is the split, or ``expanded``.
    ``adapters`` names each dataset's adapter; the stores are the folders that the column ``tar`` of
    ``faces`` and ``expanded`` is relative to.

    Raises UserError, where the plan is read, for tables that do not belong together.
    """

    def batches() -> Iterator[pa.Table]:
        # Beside the pictures, where disks are large.
        with tempfile.TemporaryFile(dir=faces_store if faces_store.is_dir() else None) as file:
            points = Landmarks(landmarks, file)
            describer = describe.Describer(videos, points, semantics, adapters, params.graph)
            yield from _of_samples(describer, samples, faces, faces_store)
            yield from _of_expanded(describer, expanded, faces, expand_store)

    return Plan(
        batches,
        _SCHEMA,
        id="sample_id",
        bucket_by="video_id",
        content=("fields", "digest", "encoding", "mask_digest"),
        location=("tar", "offset", "size", "mask_offset", "mask_size"),
        group_by="group",
        order_by="order",
    )


_FACE_COLUMNS = (*describe.FACE_COLUMNS, "encoding", "digest", "tar", "offset", "size")
_EXPANDED_COLUMNS = (
    *describe.EXPANDED_COLUMNS,
    *("digest", "tar", "offset", "size", "mask_offset", "mask_size", "mask_digest"),
)

_TEXTS = ("sample_id", "video_id", "group", "fields", "digest", "encoding", "tar", "mask_digest")
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _TEXTS),
        ("order", pa.uint64()),
        *((name, pa.int64()) for name in ("offset", "size", "mask_offset", "mask_size")),
    ]
)


def _of_samples(
    describer: describe.Describer, samples: TableSource, faces: TableSource, store: Path
) -> Iterator[pa.Table]:
    """Plan rows of the table ``samples``, in the order of ``faces``."""
    chosen, kinds = lookup(samples, "face_id", ["split", "label"])
    kinds = kinds.set_column(0, "split", kinds.column("split").dictionary_encode())
    found = np.zeros(len(chosen), np.bool_)
    for part in faces.batches(_FACE_COLUMNS):
        at = chosen.find(part.column("face_id"))
        face, at = part.filter(pa.array(at >= 0)), at[at >= 0]
        found[at] = True
        splits, labels = (c.to_pylist() for c in kinds.take(pa.array(at)).columns)
        columns = describer.samples(face, splits, labels)
        yield _plan_rows(columns["face_id"], splits, columns, face, store)
    if not found.all():
        ids = chain.from_iterable(p["face_id"].to_pylist() for p in samples.batches(["face_id"]))
        raise belong.mismatch(next(compress(ids, ~found)), "faces")


def _of_expanded(
    describer: describe.Describer, expanded: TableSource, faces: TableSource, store: Path
) -> Iterator[pa.Table]:
    """Plan rows of the table ``expanded``; its faces are held in memory."""
    roles = ("target_face_id", "source_face_id")
    named = Places(column for part in expanded.batches(roles) for column in part.columns)
    there = Filtered(faces, ("face_id",), lambda part: named.find(part["face_id"]) >= 0)
    places, held = lookup(there, "face_id", describe.FACE_COLUMNS)
    for part in expanded.batches(_EXPANDED_COLUMNS):
        target, source = (
            held.take(pa.array(belong.places(places, part.column(role), "faces"))) for role in roles
        )
        columns = describer.expanded(part, target, source)
        ids = part.column("sample_id").to_pylist()
        yield _plan_rows(ids, [fields.EXPANDED] * part.num_rows, columns, part, store)


def _plan_rows(
    sample_ids: list[str],
    folders: list[str],
    columns: describe.Columns,
    stored: pa.Table,
    store: Path,
) -> pa.Table:
    """Plan rows of samples from the columns of their json and where their pictures lie."""
    n = len(sample_ids)
    have = set(stored.column_names)
    groups = [f"{f}/{d}" for f, d in zip(folders, columns["dataset"], strict=True)]
    order = [keys.hash64(keys.encode_id(sample_id)) for sample_id in sample_ids]
    encodings = (
        stored.column("encoding") if "encoding" in have else pa.array(["png"] * n, pa.string())
    )
    nowhere = np.full(n, -1)
    return pa.table(
        {
            "sample_id": pa.array(sample_ids, pa.string()),
            "video_id": pa.array(columns["video_id"], pa.string()),
            "group": pa.array(groups, pa.string()),
            "order": pa.array(order, pa.uint64()),
            "fields": pa.array(describe.json_texts(columns), pa.string()),
            "digest": stored.column("digest"),
            "encoding": encodings,
            "tar": pa.array(
                [f"{store}/{t}" for t in stored.column("tar").to_pylist()], pa.string()
            ),
            "offset": stored.column("offset"),
            "size": stored.column("size"),
            "mask_offset": stored.column("mask_offset") if "mask_offset" in have else nowhere,
            "mask_size": stored.column("mask_size") if "mask_size" in have else nowhere,
            "mask_digest": (
                stored.column("mask_digest")
                if "mask_digest" in have
                else pa.array([""] * n, pa.string())
            ),
        }
    )


@dataclass(frozen=True)
class PackTask:
    """Makes the members of one sample. Outputs are rows of the table ``index_expanded``.

    Rows of other samples have "" and -1 in the columns that only expanded ones have.
    """

    jpeg: JpegParams

    def settings(self) -> Mapping[str, Any]:
        """The JPEG settings: all that decides the output besides a row's content."""
        return {"jpeg": asdict(self.jpeg)}

    def open(self) -> None:
        """There is nothing to load."""

    def units(self, inputs: Inputs) -> Sequence[str]:  # noqa: ARG002 - the same for every row
        """A sample is one unit."""
        return ("",)

    def work(self, inputs: Inputs) -> RowResult:
        """Encodes what is stored losslessly, copies what is JPEG already.

        Raises UserError where the store lacks the picture or holds another one.
        """
        about = json.loads(inputs["fields"])
        stage = "expand" if about["generator"] else "faces"
        image = _stored(inputs, "", inputs["digest"], stage)
        members = [
            Member("jpg_", "jpg", self._as_jpeg(image, inputs["encoding"])),
            Member("json_", "json", inputs["fields"].encode()),
        ]
        row = fields.absent() | {name: about[name] for name in fields.absent() if name in about}
        if about["generator"]:
            mask = _stored(inputs, "mask_", inputs["mask_digest"], stage)
            members.append(Member("mask_png_", "mask.png", mask))
        return RowResult([Output(row, tuple(members))], done=1)

    def identify(self, row_id: str, fields: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002
        """The sample's id, and the key that its members are named after."""
        return {"sample_id": row_id, "key": keys.encode_id(row_id)}

    def _as_jpeg(self, image: bytes, encoding: str) -> bytes:
        if encoding == "jpg":
            return image
        return images.encode_jpeg(
            images.decode_rgb(image), self.jpeg.quality, self.jpeg.subsampling
        )


def _stored(inputs: Inputs, column: str, digest: str, stage: str) -> bytes:
    offset, size = inputs[f"{column}offset"], inputs[f"{column}size"]
    return read_stored(Path(inputs["tar"]), offset, size, digest, stage)
