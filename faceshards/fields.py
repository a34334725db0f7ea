"""What a shard folder holds: its members, its index, and the keys and types of every json."""

from typing import Any

import pyarrow as pa

from faceshards.columns import Column

SPLITS = ("train", "val", "test")
CATEGORIES = ("real", "FS", "RE", "EFS", "FE", "unknown")
"""Kinds of manipulation: face swap, reenactment, entire face synthesis, face editing."""
LOCAL = "local"
"""The category of an expanded sample, of which one region was altered."""

EXPANDED = "expanded"
"""The folder of expanded samples; the others are named after their splits."""
FOLDERS = (*SPLITS, EXPANDED)

GENERATORS = ("swap", "xray")
"""How expanded samples are made."""
ALIGNMENTS = ("similarity", "none", "piecewise")
"""How their sources are brought onto their targets."""

FORMAT = 1
"""Of shards.json; counted up when a reader of the old one would misread the new one."""

_NOT_IN_JSON = ("sample_id", "key", "tar")

_text = pa.string()

INDEX = (
    Column("sample_id", _text, "id of the face or expanded sample"),
    Column("key", _text, "the id as the tar spells it: name of the sample's members up to the dot"),
    Column("tar", _text, "file name of the shard in this folder"),
    Column("offset", pa.int64(), "first byte of the sample's first header", "bytes", low=0),
    Column("size", pa.int64(), "whole sample: headers, payloads, padding", "bytes", low=1),
    Column("jpg_offset", pa.int64(), "first byte of the JPEG in the tar", "bytes", low=0),
    Column("jpg_size", pa.int64(), "size of the JPEG", "bytes", low=1),
    Column("json_offset", pa.int64(), "first byte of the json member in the tar", "bytes", low=0),
    Column("json_size", pa.int64(), "size of the json member", "bytes", low=1),
    Column("label", pa.int8(), "0 real, 1 fake; by what is visible", among=(0, 1)),
    Column("graph", _text, "named label graph that the vector follows"),
    Column("split", _text, "split", among=SPLITS),
    Column("dataset", _text, "name of the dataset"),
    Column("method", _text, "manipulation; real for pristine; <generator>_<region> for expanded"),
    Column("category", _text, "kind of manipulation", among=(*CATEGORIES, LOCAL)),
    Column("subtype", _text, "finer kind; or empty"),
    Column("compression", _text, "such as raw, c23; or empty"),
    Column("audio_fake", pa.int8(), "1 fake sound, 0 not, -1 unknown", among=(-1, 0, 1)),
    Column("generator", _text, "how an expanded sample was made; else empty"),
    Column("region", _text, "altered region of an expanded sample; else empty"),
    Column("source_method", _text, "manipulation of an expanded sample's source face; else empty"),
    Column("face_id", _text, "the face; the target of an expanded sample"),
    Column("video_id", _text, "the video of that face"),
    Column("pair_id", _text, "ties a fake to the real video of the same scene; or empty"),
    Column("leak_group", _text, "videos of one group must not be in two splits; or empty"),
    Column("identity", _text, "who is visible, unique over all datasets; or empty"),
    Column("target_id", _text, "whose face was manipulated; or empty"),
    Column("source_id", _text, "whose face or motion was put in; or empty"),
    Column("sample", pa.int32(), "place in the video's plan", low=0),
    Column("time_s", pa.float64(), "planned time", "s", low=0),
    Column("rank", pa.int16(), "0 = largest face of the picture", low=0),
    Column("track", pa.int32(), "the same number is the same person through the video", low=0),
    Column("score", pa.float64(), "detector score"),
    Column("face_px", pa.float64(), "longer side of the box in the frame", "px", low=0),
    Column("padded", pa.float64(), "share of the crop that lies outside the frame", low=0, high=1),
    Column("sharpness", pa.float64(), "variance of the Laplacian of the crop's luma", low=0),
    Column("brightness", pa.float64(), "mean luma of the crop", low=0, high=255),
    Column(
        "altered",
        pa.float64(),
        "share of the face's box that was altered; -1 unknown, or a real",
        low=-1,
        high=1,
    ),
    Column("vector", pa.list_(pa.int8()), "1 altered, 0 not, -1 unobserved, per node of the graph"),
)

# Rows of other samples may share this table while shards are made: there -1 and empty.
INDEX_EXPANDED = (
    *INDEX,
    Column("mask_png_offset", pa.int64(), "first byte of the mask's PNG", "bytes", low=-1),
    Column("mask_png_size", pa.int64(), "size of the mask's PNG", "bytes", low=-1),
    Column("source_face_id", _text, "the face the region came from"),
    Column("distance", pa.float64(), "Euclidean distance of the 136 coordinates", "px", low=-1),
    Column("align", _text, "how the source was brought onto the target", among=(*ALIGNMENTS, "")),
    Column("dilate_px", pa.int32(), "growth of the region before the blur", "px", low=-1),
    Column("blur_sigma_px", pa.float64(), "blur of the mask", "px", low=-1),
    Column("mask_seed", pa.int64(), "of the mask's random shape; -1 where it has none", low=-1),
    Column("color", _text, "when colors were corrected", among=("after", "before", "none", "")),
    Column("max_gain", pa.float64(), "limit of the correction; 0 = none", low=-1),
    Column("change", pa.float64(), "mean difference to the target", "levels of 255", low=-1),
    Column("color_gap", pa.float64(), "color contrast of target over source", low=-1),
    Column("sharpness_gap", pa.float64(), "factor between the regions' sharpness", low=-1),
)


def index_columns(folder: str) -> tuple[Column, ...]:
    """Columns of the index of a folder."""
    return INDEX_EXPANDED if folder == EXPANDED else INDEX


def members(folder: str) -> tuple[str, ...]:
    """Extensions of every sample's members, in the order in which they lie in the tar (sorted)."""
    return ("jpg", "json", "mask.png") if folder == EXPANDED else ("jpg", "json")


def scalars(folder: str) -> dict[str, type]:
    """Python type (str, int or float) of every scalar of the json; the index has them too."""
    return {
        column.name: _python_type(column.type)
        for column in index_columns(folder)
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
