"""What a shard folder holds: its members, and the keys and types of every json."""

from typing import Any

import pyarrow as pa

from pipeline import schemas

EXPANDED = "expanded"
"""The folder of expanded samples; the others are named after their splits."""
FOLDERS = (*schemas.SPLITS, EXPANDED)

FORMAT = 1
"""Of shards.json; counted up when a reader of the old one would misread the new one."""

_NOT_IN_JSON = ("sample_id", "key", "tar")


def index_table(folder: str) -> str:
    """Name of the table (in :mod:`pipeline.schemas`) that the index of a folder is."""
    return "index_expanded" if folder == EXPANDED else "index"


def members(folder: str) -> tuple[str, ...]:
    """Extensions of every sample's members, in the order in which they lie in the tar (sorted)."""
    return ("jpg", "json", "mask.png") if folder == EXPANDED else ("jpg", "json")


def scalars(folder: str) -> dict[str, type]:
    """Python type (str, int or float) of every scalar of the json; the index has them too."""
    return {
        column.name: _python_type(column.type)
        for column in schemas.TABLES[index_table(folder)]
        if column.name not in _NOT_IN_JSON
        and not column.name.endswith(("offset", "size"))
        and not pa.types.is_list(column.type)
    }


def lists(folder: str) -> dict[str, int]:
    """Length of every list of floats of the json; a list may be empty besides."""
    common = {"box": 4, "landmarks": 136, "pose_deg": 3}
    return common | ({"source_affine": 6} if folder == EXPANDED else {})


def absent() -> dict[str, Any]:
    """What a row of ``index_expanded`` holds where nothing is known; without ids and members."""
    empty = {str: "", int: -1, float: -1.0}
    row = {name: empty[kind] for name, kind in scalars(EXPANDED).items()}
    return row | {"vector": [], "mask_png_offset": -1, "mask_png_size": -1}


def _python_type(kind: pa.DataType) -> type:
    if pa.types.is_integer(kind):
        return int
    return float if pa.types.is_floating(kind) else str
