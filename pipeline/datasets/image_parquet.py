"""Parquet files of images, as Hugging Face's copies of datasets are; they are read in place.

An image is a cell of bytes, or Hugging Face's struct of ``bytes`` and ``path``. Other columns say
what it is; what they do not say, the path of the file may. Only they are read here, and the footer.
Numbers are replaced by the names of classes where the file has these (``ClassLabel``).
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from faceshards.wording import suggestion
from pipeline.datasets import folders, lists
from pipeline.datasets.base import Adapter, Option, Rejected, Source, Video, wrong_root
from pipeline.datasets.image_folder import DEPTH
from pipeline.datasets.image_rules import FIELDS, OPTIONS, ImagePlace, ImageRules
from pipeline.errors import UserError
from pipeline.video.parquet_rows import row_name

SUFFIX = ".parquet"


def _read(source: Source) -> Iterator[Video | Rejected]:
    columns = _columns(source)
    rules = ImageRules(source, frozenset(columns))
    for index, root in enumerate(source.roots):
        names = [name for name in folders.files(root, DEPTH) if folders.suffix(name) == SUFFIX]
        if not names:
            raise wrong_root(source, root, ADAPTER)
        for name in names:
            path = source.path(index, name)
            if not (root / name).is_file():
                yield Rejected(path, "unsupported_media", "not a regular file")
                continue
            try:
                file = pq.ParquetFile(root / name)
                yield from _in_file(source, rules, file, columns, root / name, name, path)
            except (OSError, pa.ArrowException) as error:
                yield Rejected(path, "unreadable", lists.in_words(error))


def _columns(source: Source) -> dict[str, str]:
    """Which column says what, by the names of FIELDS."""
    pairs = [pair.partition("=") for pair in source.options["columns"].split(",") if pair.strip()]
    columns = {field.strip(): column.strip() for field, _, column in pairs}
    for field, column in columns.items():
        if field not in FIELDS or not column:
            raise UserError(
                f"Dataset {source.name}: the option columns has {field}={column}, but must be such "
                f"as label=label, method=model. {suggestion(field, FIELDS)}"
            )
    return columns


def _in_file(
    source: Source,
    rules: ImageRules,
    file: pq.ParquetFile,
    columns: Mapping[str, str],
    place: Path,
    name: str,
    path: str,
) -> Iterator[Video | Rejected]:
    image = _image_column(source, file, place)
    for column in columns.values():
        if column not in file.schema_arrow.names:
            have = ", ".join(file.schema_arrow.names)
            raise UserError(
                f"Dataset {source.name}: {place} has no column {column}, but {have}. "
                f"{suggestion(column, file.schema_arrow.names)}"
            )
    if not file.metadata.num_rows:
        yield Rejected(path, "empty", "a Parquet file without rows")
    classes = _class_names(file)
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        size = _stored_bytes(file, group, image) // max(1, rows)
        cells = _cells(source, file, columns, classes, group)
        for row in range(rows):
            said = {field: values[row] for field, values in cells.items()}
            where = f"{path}!{row_name(image, group, row)}"
            yield rules.row(ImagePlace(str(place), where, "parquet", size), name, said)


def _image_column(source: Source, file: pq.ParquetFile, place: Path) -> str:
    found = [field.name for field in file.schema_arrow if _holds_images(field.type)]
    wanted = source.options["image"]
    if wanted in found or (not wanted and len(found) == 1):
        return wanted or found[0]
    have = ", ".join(found) or "none"
    raise UserError(
        f"Dataset {source.name}: columns of {place} that can hold pictures: {have}. Name one of "
        "them in the option image."
    )


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _holds_images(kind.field(place).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _stored_bytes(file: pq.ParquetFile, group: int, column: str) -> int:
    about = file.metadata.row_group(group)
    parts = (about.column(i) for i in range(about.num_columns))
    return sum(
        part.total_compressed_size for part in parts if part.path_in_schema.split(".")[0] == column
    )


def _cells(
    source: Source,
    file: pq.ParquetFile,
    columns: Mapping[str, str],
    classes: Mapping[str, list[str]],
    group: int,
) -> dict[str, list[str]]:
    """What the columns say of each row of a group, as texts; "" for nothing."""
    table = file.read_row_group(group, columns=list(dict.fromkeys(columns.values())))
    cells: dict[str, list[str]] = {}
    for field, column in columns.items():
        values = table.column(column).to_pylist()
        names = classes.get(column)
        if names and all(value is None or 0 <= value < len(names) for value in values):
            values = [value if value is None else names[value] for value in values]
        elif field == "label":
            values = [_spelled(source, value, column) for value in values]
        cells[field] = ["" if value is None else str(value).strip() for value in values]
    return cells


def _spelled(source: Source, value: object, column: str) -> object:
    """A label: 0, 1, False and True become real or fake, as option ``label_one_is`` says."""
    if value not in (0, 1):
        return value
    one_is = source.options["label_one_is"]
    if not one_is:
        raise UserError(
            f"Dataset {source.name}: the column {column} holds {value!r}, and nothing says what 1 "
            "means. Set label_one_is: fake or label_one_is: real."
        )
    return one_is if value else {"fake": "real", "real": "fake"}[one_is]


def _class_names(file: pq.ParquetFile) -> dict[str, list[str]]:
    """Names of the numbers in columns that Hugging Face's metadata calls ClassLabel."""
    text = (file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    try:
        features = json.loads(text)["info"]["features"]
        return {
            column: [str(name) for name in about["names"]]
            for column, about in features.items()
            if isinstance(about, dict) and about.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


ADAPTER = Adapter(
    name="parquet",
    title="any Parquet files of pictures",
    expects="Parquet files with a column of pictures, and columns that say what these are",
    read=_read,
    options={
        "image": Option("column of the pictures; may be left out where there is one", ""),
        "columns": Option(
            f"which column says what, such as label=label, method=model; of {', '.join(FIELDS)}",
            "label=label",
        ),
        "label_one_is": Option(
            "what 1 means where labels are numbers without names", "", ("", "fake", "real")
        ),
        **OPTIONS,
    },
)
