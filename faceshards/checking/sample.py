"""What one sample says of itself: form of its json, its ids, the ranges of its numbers."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from faceshards import fields, keys
from faceshards.wording import counted

_COUNT = re.compile(r"0|[1-9][0-9]*")
_BOX_TOLERANCE_PX = 0.01
"""Between a box and its longer side, which are rounded apart from each other."""
_MOST = {"padded": 1, "brightness": 255, "score": 1, "altered": 1, "change": 255}
_MOST |= {"dilate_px": 4096, "blur_sigma_px": 4096}
"""Largest values; others have none."""
_LARGEST_PX = 1e6
_FARTHEST_SIDES = 3
"""How far from a corner of the crop its landmarks may lie, in sides of the crop."""
_LARGEST_S = 1e7
"""Longer than any film: 115 days."""
_LARGEST_ANGLE_DEG = 180


def form_problems(data: bytes, about: Mapping[str, Any], folder: str) -> Iterator[str]:
    """Whether the json has the keys, types and the spelling of this folder."""
    scalars, lists = fields.scalars(folder), fields.lists(folder)
    wanted = {*scalars, *lists, "vector"}
    if set(about) != wanted:
        yield f"json keys missing or unknown: {', '.join(sorted(set(about) ^ wanted))}"
        return
    for name, kind in scalars.items():
        if type(about[name]) is not kind:
            yield f"{name} is {about[name]!r}, which is not of type {kind.__name__}"
    for name, length in lists.items():
        value = about[name]
        if not isinstance(value, list) or any(type(item) is not float for item in value):
            yield f"{name} is not a list of floats"
        elif len(value) not in (0, length):
            yield f"{name} has {counted(len(value), 'value')} instead of {length}"
    written = json.dumps(about, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if data != written.encode("utf-8", "surrogatepass"):
        yield "its json is not written in the way of this format: sorted keys, no spaces"


def id_problems(key: str, sample_id: str, about: Mapping[str, Any], folder: str) -> Iterator[str]:
    """Whether key, sample_id, face_id, video_id, dataset, method, sample and rank agree."""
    dataset, video, face = about["dataset"], about["video_id"], about["face_id"]
    if sample_id.count("/") < 3 or keys.encode_id(sample_id) != key:
        yield f"the index calls it {sample_id!r}, which is another key"
        return
    expanded = folder == fields.EXPANDED
    start = f"{dataset}/" if expanded else f"{dataset}/{about['method']}/"
    if not dataset or not video.startswith(start) or video.count("/") < 2:
        yield f"video_id {video!r} does not begin with {start!r}"
    elif expanded and not video.startswith(f"{dataset}/real/"):
        yield f"video_id {video!r} is not that of a real, which the target of a swap is"
    elif face != keys.face_id(video, about["sample"], about["rank"]):
        yield f"face_id {face!r} is not that of video_id, sample and rank"
    elif not expanded and sample_id != face:
        yield f"face_id is {face!r}, the key that of {sample_id!r}"
    elif expanded:
        made = keys.swap_id(face, about["method"], 0).removesuffix("0")
        if not (sample_id.startswith(made) and _COUNT.fullmatch(sample_id[len(made) :])):
            yield f"face_id and method are those of {made}<count>, the key that of {sample_id!r}"


def range_problems(about: Mapping[str, Any], folder: str, side_px: int) -> Iterator[str]:
    """Numbers that cannot be; landmarks are of a crop with sides of ``side_px``."""
    lowest = {column.name: column.low for column in fields.index_columns(folder)}
    for name, kind in fields.scalars(folder).items():
        value, low = about[name], lowest.get(name)
        if kind is str:
            continue
        if (low is not None and value < low) or value > _MOST.get(name, math.inf):
            yield f"{name} is {value}, which cannot be"
    if about["audio_fake"] not in (-1, 0, 1):
        yield f"audio_fake is {about['audio_fake']}, which is none of -1, 0, 1"
    for name in ("score", "altered"):
        if about[name] < 0 and about[name] != -1:
            yield f"{name} is {about[name]}; it is from 0 to 1, or -1 where there is none"
    if about["time_s"] > _LARGEST_S or about["face_px"] > _LARGEST_PX:
        yield f"time_s {about['time_s']} or face_px {about['face_px']} is beyond all measure"
    yield from _box_problems(about)
    if any(abs(angle) > _LARGEST_ANGLE_DEG for angle in about["pose_deg"]):
        yield f"pose_deg {about['pose_deg']} goes beyond {_LARGEST_ANGLE_DEG}"
    points = about["landmarks"]
    farthest_px = _FARTHEST_SIDES * side_px
    places = set(zip(points[::2], points[1::2], strict=True))
    if points and (max(map(abs, points)) > farthest_px or len(places) == 1):
        yield f"landmarks lie far outside the crop of {side_px} px, or all in one place"
    if folder == fields.EXPANDED:
        yield from _source_problems(about, farthest_px)


def _source_problems(about: Mapping[str, Any], farthest_px: float) -> Iterator[str]:
    points = about["landmarks"]
    if not points:
        yield "landmarks of an expanded sample are empty"
    if about["distance"] > 2 * farthest_px * math.sqrt(len(points)):
        yield f"distance is {about['distance']} px, which no two faces of this size have"
    if max(map(abs, about["source_affine"]), default=0) > _LARGEST_PX:
        yield f"source_affine {about['source_affine']} is beyond all measure"


def _box_problems(about: Mapping[str, Any]) -> Iterator[str]:
    if not about["box"]:
        yield "box is empty"
        return
    x1, y1, x2, y2 = about["box"]
    longer_px = max(x2 - x1, y2 - y1)
    if not (x1 < x2 and y1 < y2) or max(map(abs, about["box"])) > _LARGEST_PX:
        yield f"box {about['box']} is none: x1, y1, x2, y2 with x1 < x2 and y1 < y2"
    elif abs(longer_px - about["face_px"]) > _BOX_TOLERANCE_PX:
        yield f"face_px is {about['face_px']}, but the longer side of the box {longer_px}"
