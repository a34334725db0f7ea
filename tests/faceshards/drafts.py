"""Shard folders taken apart, changed, and put together again with every checksum made to fit."""

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from faceshards import facts, fields, tar
from faceshards.columns import arrow_schema
from faceshards.reading import Shards, group, member_column

Facts = dict[str, Any]
Row = dict[str, Any]


@dataclass
class DraftSample:
    """One sample: where it lies, what it is called, what its json says, and its members."""

    tar: str
    key: str
    row: Row
    about: dict[str, Any]
    members: dict[str, bytes]
    """By extension; the json among them is written anew from ``about``, unless it is raw."""
    raw: bool = False


@dataclass
class Draft:
    """A shard folder in memory."""

    name: str
    facts: Facts
    samples: list[DraftSample]
    end: Callable[[bytearray], None] = lambda data: None
    """Changes the bytes of the first tar."""
    change_rows: Callable[[list[Row]], None] = lambda rows: None
    change_facts: Callable[[Facts], None] = lambda about: None
    tars: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Writes it with sizes, places, counts and digests of what it holds now."""
        folder.mkdir(parents=True)
        rows: list[Row] = []
        about = copy.deepcopy(self.facts)
        about["tars"] = {}
        for number, name in enumerate(self.tars):
            mine = [sample for sample in self.samples if sample.tar == name]
            with (folder / name).open("w+b") as file:
                rows += [_append(file, sample) for sample in mine]
                tar.finish(file)
            data = bytearray((folder / name).read_bytes())
            if number == 0:
                self.end(data)
                (folder / name).write_bytes(data)
            labels = [row["label"] for row in rows if row["tar"] == name]
            about["tars"][name] = {
                "samples": len(mine),
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "labels": {"fake": labels.count(1), "real": labels.count(0)},
            }
        self.change_rows(rows)
        schema = arrow_schema(fields.index_columns(self.name))
        table = pa.Table.from_pylist(rows, schema=schema)
        pq.write_table(table, folder / "index.parquet", compression="zstd")
        every = about["tars"].values()
        about["samples"] = sum(one["samples"] for one in every)
        about["bytes"] = sum(one["bytes"] for one in every)
        about["labels"] = {k: sum(one["labels"][k] for one in every) for k in ("fake", "real")}
        self.change_facts(about)
        fit(folder, about)


def fit(folder: Path, about: Facts) -> None:
    """Writes shards.json so that its digests fit."""
    index = (folder / "index.parquet").read_bytes()
    if "index" in about:
        about["index"] = {"bytes": len(index), "sha256": hashlib.sha256(index).hexdigest()}
    if "digest" in about:
        about["digest"] = facts.digest(about)
    data = facts.text(about).encode("utf-8", "surrogatepass")
    (folder / "shards.json").write_bytes(data)


def read(folder: Path) -> Draft:
    """Takes a folder apart."""
    shards = Shards(folder)
    rows = {row["key"]: row for row in shards.index.to_pylist()}
    samples = []
    for name in shards.tars:
        for key, members in group(tar.walk(folder / name)):
            data = {e: tar.read(folder / name, m.offset, m.size) for e, m in members.items()}
            about = json.loads(data["json"])
            samples.append(DraftSample(name, key, rows[key], about, data))
    return Draft(shards.name, dict(shards.facts), samples, tars=list(shards.tars))


def _append(file: Any, sample: DraftSample) -> Row:
    if not sample.raw:
        text = json.dumps(sample.about, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        sample.members["json"] = text.encode("utf-8", "surrogatepass")
    start = file.seek(0, 2)
    row = sample.row | _fitting(sample.about) | {"key": sample.key, "tar": sample.tar}
    for extension, data in sample.members.items():
        offset, size = tar.append(file, f"{sample.key}.{extension}", data)
        column = member_column(extension)
        if f"{column}offset" in row:
            row |= {f"{column}offset": offset, f"{column}size": size}
    return row | {"offset": start, "size": file.seek(0, 2) - start}


def _fitting(about: dict[str, Any]) -> Row:
    """What the index can hold of a json."""
    kinds = {c.name: c.type for c in fields.INDEX_EXPANDED}
    fits: Row = {}
    for name in (*fields.scalars(fields.EXPANDED), "vector"):
        if name in about and about[name] is not None:
            try:
                fits[name] = pa.array([about[name]], kinds[name])[0].as_py()
            except (pa.ArrowException, OverflowError, TypeError, ValueError):
                continue
    return fits
