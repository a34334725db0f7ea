"""Small files that hold images: tars and Parquet files."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""What Hugging Face's ``datasets`` writes for an image."""


def put_tar(file: Path, members: Mapping[str, bytes], mode: str = "w") -> Path:
    """A tar of these files; ``mode`` may be ``w:gz``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, mode) as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file


def put_parquet(
    file: Path,
    images: Sequence[bytes | None],
    group_rows: int = 100,
    class_names: Mapping[str, list[str]] | None = None,
    **columns: Sequence[Any],
) -> Path:
    """A Parquet file with a column ``image`` and others, as Hugging Face writes it."""
    cells = [{"bytes": data, "path": f"{i}.jpg"} for i, data in enumerate(images)]
    table = pa.table({"image": pa.array(cells, IMAGE), **columns})
    if class_names:
        features = {c: {"names": names, "_type": "ClassLabel"} for c, names in class_names.items()}
        about = {"info": {"features": {"image": {"_type": "Image"}, **features}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, row_group_size=group_rows)
    return file
