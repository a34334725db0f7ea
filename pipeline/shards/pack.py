"""Samples into shards: the plan, the members of one sample, and what lies beside the tars.

Inside a shard samples are ordered by a hash of their key, so any prefix is a fair sample of it.
Every picture passes the JPEG encoder exactly once, with the same settings: those stored losslessly
here, the others when they were cropped.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import images, keys, schemas, tables, tar
from pipeline.engine.rows import Inputs, Member, Output, Plan, RowResult, in_batches
from pipeline.errors import UserError
from pipeline.params import JpegParams, ShardParams
from pipeline.semantics import Graph, Semantics
from pipeline.shards import describe, fields


def pack_plan(
    videos: pa.Table,
    faces: pa.Table,
    samples: pa.Table,
    landmarks: pa.Table,
    expanded: pa.Table,
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

    Raises UserError where the tables do not belong together.
    """
    describer = describe.Describer(videos, faces, landmarks, semantics, adapters, params.graph)
    sampled = describer.samples(samples)
    face = describer.faces(samples.column("face_id"))
    altered = describer.expanded(expanded)
    altered_ids = expanded.column("sample_id").to_pylist()
    altered_folders = [fields.EXPANDED] * expanded.num_rows
    parts = [
        _plan_rows(sampled["face_id"], sampled["split"], sampled, face, faces_store),
        _plan_rows(altered_ids, altered_folders, altered, expanded, expand_store),
    ]
    return Plan(
        in_batches(pa.concat_tables(parts)),
        id="sample_id",
        bucket_by="video_id",
        content=("fields", "digest", "encoding"),
        location=("tar", "offset", "size", "mask_offset", "mask_size"),
        group_by="group",
        order_by="order",
    )


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
        image = _stored(inputs, "", stage)
        if keys.digest128(image) != inputs["digest"]:
            raise UserError(
                f"{inputs['tar']}, byte {inputs['offset']}: not the picture that the stage {stage} "
                f"stored. Delete this file and run `dvc repro --force --single-item {stage}`."
            )
        members = [
            Member("jpg_", "jpg", self._as_jpeg(image, inputs["encoding"])),
            Member("json_", "json", inputs["fields"].encode()),
        ]
        row = fields.absent() | {name: about[name] for name in fields.absent() if name in about}
        if about["generator"]:
            members.append(Member("mask_png_", "mask.png", _stored(inputs, "mask_", stage)))
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


def _stored(inputs: Inputs, column: str, stage: str) -> bytes:
    try:
        return tar.read(Path(inputs["tar"]), inputs[f"{column}offset"], inputs[f"{column}size"])
    except (OSError, ValueError) as error:
        raise UserError(
            f"{error}. The stage {stage} writes it: run `dvc repro --force --single-item {stage}`."
        ) from error


@dataclass(frozen=True)
class TarFacts:
    """What shards.json says of one tar."""

    samples: int
    bytes: int
    sha256: str
    labels: Mapping[str, int]
    """Samples by label: ``{"fake": 5, "real": 5}``."""


def tar_facts(index: pa.Table, n_bytes: int, sha256: str) -> TarFacts:
    """Facts of one tar from its rows of the index, its size and its digest."""
    return TarFacts(
        index.num_rows, n_bytes, sha256, count_labels(index.column("label").to_pylist())
    )


def count_labels(labels: Sequence[int]) -> dict[str, int]:
    """Number of real and fake samples."""
    count = Counter(labels)
    return {"fake": count[1], "real": count[0]}


def write_folder_index(
    folder: Path,
    name: str,
    index: pa.Table,
    tars: Mapping[str, TarFacts],
    graphs: Sequence[Graph],
) -> None:
    """Writes ``index.parquet`` and ``shards.json``, then deletes tars that they do not name.

    Args:
        folder: the shard folder; made where it is absent.
        name: a split, or ``expanded``.
        index: rows of the folder's samples; columns that its table lacks are left out.
        tars: facts by file name, for every tar in ``index``.
        graphs: label graphs that the vectors follow.
    """
    counted = Counter(index.column("tar").to_pylist())
    if counted != {tar_name: facts.samples for tar_name, facts in tars.items()}:
        raise ValueError(
            f"{folder}: index and facts disagree about the tars: {dict(counted)}, {tars}"
        )
    table = fields.index_table(name)
    rows = index.select(schemas.schema(table).names).cast(schemas.schema(table))
    rows = rows.sort_by([("tar", "ascending"), ("offset", "ascending")])
    starts = accumulate((tars[tar_name].samples for tar_name in sorted(tars)), initial=0)
    one_per_tar = [rows.slice(start, stop - start) for start, stop in pairwise(starts)]
    tables.write(folder / "index.parquet", table, one_per_tar)
    about = {
        "format": fields.FORMAT,
        "name": name,
        "members": list(fields.members(name)),
        "samples": sum(facts.samples for facts in tars.values()),
        "bytes": sum(facts.bytes for facts in tars.values()),
        "labels": count_labels(rows.column("label").to_pylist()),
        "tars": {tar_name: asdict(facts) for tar_name, facts in tars.items()},
        "graphs": {graph.name: _graph_json(graph) for graph in graphs},
    }
    _write_json(folder / "shards.json", about)
    for path in folder.glob("*.tar"):
        if path.name not in tars:
            path.unlink()


def _graph_json(graph: Graph) -> dict[str, Any]:
    edges = [[graph.nodes[parent], graph.nodes[child]] for parent, child in graph.edges]
    return {"nodes": list(graph.nodes), "edges": edges, "prompts": list(graph.prompts)}


def _write_json(path: Path, about: Mapping[str, Any]) -> None:
    text = json.dumps(about, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    temporary = path.with_name(f".tmp-{path.name}-{keys.attempt()}")
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        tables.replace_durably(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
