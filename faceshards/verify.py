"""Checking a shard folder against everything it promises."""

import hashlib
import mmap
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from faceshards import fields, images, keys, tar
from faceshards.errors import UserError
from faceshards.reading import Shards, group, member_column, parse_json
from faceshards.wording import counted

SHOWN_PER_TAR = 10
"""A damaged tar would otherwise be reported once per sample."""


def verify_folder(folder: Path) -> list[str]:
    """Everything that is wrong with a shard folder, one line each; [] for a good one.

    Checked: digests, sizes and counts of ``shards.json``; the tars' members against
    ``index.parquet``; every json against the schema that all samples share, its label and its
    vector; that all pictures are of one size. Reads every byte; decodes no picture.
    """
    try:
        shards = Shards(folder)
    except UserError as error:
        return [str(error)]
    rules = _Rules(shards)
    problems = list(_total_problems(shards))
    for tar_name in sorted(shards.tars):
        found = list(islice(_tar_problems(shards, tar_name, rules), SHOWN_PER_TAR + 1))
        problems += found[:SHOWN_PER_TAR]
        if len(found) > SHOWN_PER_TAR:
            problems.append(f"{tar_name}: and more like these")
    return problems


class _Rules:
    """What all samples of one folder have in common."""

    def __init__(self, shards: Shards) -> None:
        self.members = fields.members(shards.name)
        self.scalars = fields.scalars(shards.name)
        self.lists = fields.lists(shards.name)
        self.keys = {*self.scalars, *self.lists, "vector"}
        self.split = "train" if shards.name == fields.EXPANDED else shards.name
        self.categories = {*fields.CATEGORIES, fields.LOCAL}
        self.nodes = {name: len(graph["nodes"]) for name, graph in shards.facts["graphs"].items()}
        self.side_px: tuple[int, int] | None = None
        """Width and height of the first picture, which all others must have."""


def _total_problems(shards: Shards) -> Iterator[str]:
    facts, tars = shards.facts, shards.tars.values()
    totals = {
        "samples": sum(t["samples"] for t in tars),
        "bytes": sum(t["bytes"] for t in tars),
        "labels": {label: sum(t["labels"][label] for t in tars) for label in ("fake", "real")},
        "members": list(fields.members(shards.name)),
    }
    for name, total in totals.items():
        if facts.get(name) != total:
            yield f"shards.json: {name} is {facts.get(name)}, but the tars have {total}"
    if len(shards) != totals["samples"]:
        samples = counted(len(shards), "sample")
        yield f"index.parquet: {samples}, shards.json has {totals['samples']}"
    for name in ("key", "sample_id"):
        values = shards.index.column(name)
        if pc.count_distinct(values).as_py() != len(values):
            yield f"index.parquet: a {name} is there twice"
    for path in sorted(shards.folder.glob("*.tar")):
        if path.name not in shards.tars:
            yield f"{path.name}: not named by shards.json"


def _tar_problems(shards: Shards, tar_name: str, rules: _Rules) -> Iterator[str]:
    path, facts = shards.folder / tar_name, shards.tars[tar_name]
    if not path.is_file():
        yield f"{tar_name}: missing"
        return
    if path.stat().st_size != facts["bytes"]:
        yield f"{tar_name}: {path.stat().st_size} bytes, shards.json says {facts['bytes']}"
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != facts["sha256"]:
            yield f"{tar_name}: its sha256 is not the one in shards.json"
    try:
        samples = list(group(tar.walk(path)))
    except ValueError as error:
        yield f"{tar_name}: {error}"
        return
    table = shards.index.filter(pc.equal(shards.index.column("tar"), tar_name))
    rows = {row["key"]: row for row in table.to_pylist()}
    labels = {"fake": 0, "real": 0}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for key, members in samples:
            row = rows.pop(key, None)
            if row is None:
                yield f"{tar_name}: {key} is not in the index, or twice in the tar"
                continue
            labels["fake" if row["label"] else "real"] += 1
            for problem in _sample_problems(key, members, row, data, rules):
                yield f"{tar_name}: {key}: {problem}"
    for key in rows:
        yield f"{tar_name}: {key} is in the index, but not in the tar"
    counts = {"samples": len(samples), "labels": labels}
    for name, count in counts.items():
        if facts[name] != count:
            yield f"{tar_name}: {name} are {count}, shards.json says {facts[name]}"


def _sample_problems(
    key: str,
    members: Mapping[str, tar.TarMember],
    row: Mapping[str, Any],
    data: mmap.mmap,
    rules: _Rules,
) -> Iterator[str]:
    if tuple(members) != rules.members:
        yield f"members are {', '.join(members)}, not {', '.join(rules.members)}"
        return
    if row["sample_id"].count("/") < 3 or keys.encode_id(row["sample_id"]) != key:
        yield f"the index calls it {row['sample_id']!r}, which is another key"
    yield from _place_problems(members, row)
    bytes_of = {e: data[m.offset : m.offset + m.size] for e, m in members.items()}
    try:
        about = parse_json(bytes_of["json"])
    except ValueError as error:
        yield str(error)
    else:
        yield from _json_problems(about, rules)
        for name in (*rules.scalars, "vector"):
            if about.get(name) != row[name]:
                yield f"{name} is {about.get(name)!r} in its json, {row[name]!r} in the index"
    for extension in ("jpg", "mask.png"):
        if extension in members:
            yield from _picture_problems(extension, bytes_of[extension], rules)


def _place_problems(members: Mapping[str, tar.TarMember], row: Mapping[str, Any]) -> Iterator[str]:
    places = {member_column(e): (m.offset, m.size) for e, m in members.items()}
    first, last = (list(members.values())[i] for i in (0, -1))
    start = first.offset - tar.BLOCK
    places[""] = (start, last.offset - tar.BLOCK + tar.stored_size(last.size) - start)
    for column, place in places.items():
        told = row[f"{column}offset"], row[f"{column}size"]
        if told != place:
            yield f"{column}offset and size are {place}, the index says {told}"


def _picture_problems(extension: str, data: bytes, rules: _Rules) -> Iterator[str]:
    try:
        side_px = images.dimensions(data)
    except ValueError as error:
        yield f"{extension}: {error}"
        return
    if (data[:2] == b"\xff\xd8") != (extension == "jpg"):
        yield f"{extension}: of another format than its name says"
    rules.side_px = rules.side_px or side_px
    if side_px != rules.side_px:
        yield f"{extension}: {side_px} px, other pictures have {rules.side_px}"


def _json_problems(about: Mapping[str, Any], rules: _Rules) -> Iterator[str]:
    if set(about) != rules.keys:
        yield f"json keys missing or unknown: {', '.join(sorted(set(about) ^ rules.keys))}"
        return
    wrong = list(_type_problems(about, rules))
    yield from wrong
    if wrong:
        return
    if about["split"] != rules.split:
        yield f"split is {about['split']!r} in a folder of {rules.split}"
    if about["category"] not in rules.categories:
        yield f"category {about['category']!r} is not known"
    yield from _label_problems(about, rules)


def _type_problems(about: Mapping[str, Any], rules: _Rules) -> Iterator[str]:
    for name, kind in rules.scalars.items():
        if type(about[name]) is not kind:
            yield f"{name} is {about[name]!r}, which is not of type {kind.__name__}"
    for name, length in rules.lists.items():
        value = about[name]
        if not isinstance(value, list) or any(type(item) is not float for item in value):
            yield f"{name} is not a list of floats"
        elif len(value) not in (0, length):
            yield f"{name} has {counted(len(value), 'value')} instead of {length}"


def _label_problems(about: Mapping[str, Any], rules: _Rules) -> Iterator[str]:
    label, vector, graph = about["label"], about["vector"], about["graph"]
    if label not in (0, 1):
        yield f"label is {label!r}, neither 0 nor 1"
    if graph not in rules.nodes:
        yield f"graph {graph!r} is not in shards.json"
    elif not isinstance(vector, list) or len(vector) != rules.nodes[graph]:
        yield f"vector {vector} does not have the {rules.nodes[graph]} nodes of graph {graph}"
    elif any(type(value) is not int or value not in (-1, 0, 1) for value in vector):
        yield f"vector {vector} holds other values than 1, 0 and -1"
    elif label == 0 and any(vector):
        yield f"label is 0 (real), but the vector {vector} is not all 0"
