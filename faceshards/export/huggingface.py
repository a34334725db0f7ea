"""Parquet files with pictures and typed columns, and a dataset card: what Hugging Face reads.

One Parquet file per tar, in ``data/<dataset>/``, those of expanded samples in
``expanded/<dataset>/``. Types are stated in every file, so that a file whose first samples lack
landmarks reads like the others.
"""

import io
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from faceshards import fields
from faceshards.export.forms import LABEL_NAMES, Files, Form, TarSamples, checked_path
from faceshards.reading import Shards

_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_KINDS = {str: pa.string(), int: pa.int64(), float: pa.float64()}
_ROWS_PER_GROUP = 512


class HuggingFace(Form):
    """``data/<dataset>/<split>-<number>.parquet``, those of expanded samples, and ``README.md``."""

    name: ClassVar[str] = "huggingface"
    about: ClassVar[str] = "Parquet files with typed columns, and a dataset card"

    def of_tar(self, part: TarSamples) -> Files:
        """One Parquet file: pictures byte for byte, the json of each sample as columns."""
        schema = _schema(part.folder)
        out = io.BytesIO()
        with pq.ParquetWriter(out, schema, compression="zstd") as writer:
            batch: list[dict[str, Any]] = []
            for sample_id, sample in part.samples:
                batch.append(_row(part.folder, sample_id, sample.key, sample.about, sample.members))
                if len(batch) == _ROWS_PER_GROUP:
                    writer.write_table(pa.Table.from_pylist(batch, schema))
                    batch = []
            writer.write_table(pa.Table.from_pylist(batch, schema))
        yield _path(part.folder, part.tar), out.getvalue()

    def lists(self, folders: Sequence[Shards]) -> Files:
        """The dataset card, whose header names the files of every split."""
        yield "README.md", _card(folders).encode()


def _path(folder: str, tar: str) -> str:
    dataset, _, number = tar.removesuffix(".tar").rpartition("-")
    top = fields.EXPANDED if folder == fields.EXPANDED else "data"
    return checked_path(f"{top}/{dataset}/{folder}-{number}.parquet")


def _pictures(folder: str) -> dict[str, str]:
    """Column of each member that is a picture."""
    return {"jpg": "image"} | ({"mask.png": "mask"} if folder == fields.EXPANDED else {})


def _schema(folder: str) -> pa.Schema:
    scalars = fields.scalars(folder)
    columns = [(name, _PICTURE) for name in _pictures(folder).values()]
    columns += [("sample_id", pa.string()), ("key", pa.string())]
    columns += [(name, _KINDS[kind]) for name, kind in scalars.items()]
    columns += [("vector", pa.list_(pa.int8()))]
    columns += [(name, pa.list_(pa.float64())) for name in fields.lists(folder)]
    schema = pa.schema(columns)
    about = {"info": {"features": {field.name: _feature(field) for field in schema}}}
    return schema.with_metadata({"huggingface": json.dumps(about)})


def _feature(field: pa.Field) -> dict[str, Any]:
    """A column's type in Hugging Face's words."""
    if field.type == _PICTURE:
        return {"_type": "Image"}
    if field.name == "label":
        return {"names": list(LABEL_NAMES), "_type": "ClassLabel"}
    if pa.types.is_list(field.type):
        inner = {"dtype": _dtype(field.type.value_type), "_type": "Value"}
        return {"feature": inner, "_type": "Sequence"}
    return {"dtype": _dtype(field.type), "_type": "Value"}


def _dtype(kind: pa.DataType) -> str:
    return {"double": "float64"}.get(str(kind), str(kind))


def _row(
    folder: str, sample_id: str, key: str, about: dict[str, Any], members: dict[str, bytes]
) -> dict[str, Any]:
    pictures = {
        column: {"bytes": members[extension], "path": f"{key}.{extension}"}
        for extension, column in _pictures(folder).items()
    }
    known = {name: about[name] for name in (*fields.scalars(folder), *fields.lists(folder))}
    return {"sample_id": sample_id, "key": key, "vector": about["vector"]} | known | pictures


def _card(folders: Sequence[Shards]) -> str:
    full = [shards for shards in folders if len(shards)]
    splits = [s for s in full if s.name != fields.EXPANDED]
    expanded = [s for s in full if s.name == fields.EXPANDED]
    lines = ["---", "task_categories:", "- image-classification", "tags:", "- deepfake-detection"]
    lines += ["configs:"]
    for name, of_config in (("default", splits), ("expanded", expanded)):
        if of_config:
            lines += [f"- config_name: {name}", "  data_files:"]
            for shards in of_config:
                split = "train" if name == fields.EXPANDED else shards.name
                top = fields.EXPANDED if name == fields.EXPANDED else "data"
                lines += [f"  - split: {split}", f"    path: {top}/*/{shards.name}-*.parquet"]
    lines += ["---", "", "# Face crops of deepfakes", ""]
    lines += ["Exported from faceshards. `label` is 0 for real and 1 for fake, by what is visible."]
    lines += ["`vector` follows the label graph named by `graph`: 1 altered, 0 not, -1 unobserved."]
    lines += ["Splits share no identity that is known. The licence is that of the datasets, which"]
    lines += ["the column `dataset` names; most of them allow research only.", ""]
    lines += ["| split | real | fake |", "|---|---:|---:|"]
    for shards in full:
        labels = shards.facts["labels"]
        lines += [f"| {shards.name} | {labels['real']} | {labels['fake']} |"]
    lines += ["", "| column | meaning |", "|---|---|"]
    columns = fields.INDEX_EXPANDED if expanded else fields.INDEX
    named = {"sample_id", "key", "vector", *fields.scalars(fields.EXPANDED)}
    for column in columns:
        if column.name in named:
            unit = f" ({column.unit})" if column.unit else ""
            lines += [f"| `{column.name}` | {column.meaning.replace('|', '/')}{unit} |"]
    return "\n".join(lines) + "\n"
