"""Reading a shard folder without trusting it: no pickles, no extraction, nothing outside of it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from faceshards import fields, strict_json, tar
from faceshards.columns import arrow_schema, check_values
from faceshards.errors import UserError
from faceshards.keys import digest128

MAX_SAMPLE_JSON_BYTES = 64 * 1024
"""Ours have about 2 KB."""
MAX_SHARDS_JSON_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 8
"""shards.json nests 6 deep, a sample's json 2."""

_TAR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.tar")
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Sample:
    """One sample: its key, its json, and the bytes of its other members by extension."""

    key: str
    about: dict[str, Any]
    members: dict[str, bytes] = field(repr=False)

    @property
    def jpg(self) -> bytes:
        """The image: bytes of an RGB JPEG."""
        return self.members["jpg"]


class Shards:
    """A shard folder opened for reading.

    Args:
        folder: holds the tars, ``index.parquet`` and ``shards.json``.

    Raises:
        UserError: the folder is not one, or what describes it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts = folder_facts(folder)
        self.name: str = self.facts["name"]
        self.tars: Mapping[str, Mapping[str, Any]] = self.facts["tars"]
        self.index = read_index(folder, self.name)
        """One row per sample with :func:`faceshards.fields.index_columns`, by tar, then offset."""
        for tar_name in self.index.column("tar").unique().to_pylist():
            if tar_name not in self.tars:
                raise UserError(f"{folder}/index.parquet names {tar_name!r}, shards.json does not.")

    def __len__(self) -> int:
        """Number of samples."""
        return int(self.index.num_rows)

    def samples(self, places: Sequence[int] | None = None) -> Iterator[Sample]:
        """Samples by the index, read in place: all, or those in some places of it (0-based).

        Raises ValueError for bad bytes.
        """
        extensions = fields.members(self.name)
        columns = [(f"{member_column(e)}offset", f"{member_column(e)}size") for e in extensions]
        rows = self.index.select(["key", "tar", *chain.from_iterable(columns)])
        if places is not None:
            rows = rows.take(pa.array(places, pa.int64()))
        for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                path = self.folder / row["tar"]
                data = [tar.read(path, row[offset], row[size]) for offset, size in columns]
                yield _sample(row["key"], dict(zip(extensions, data, strict=True)))

    def walk(self, tar_name: str) -> Iterator[Sample]:
        """Samples of one tar in its own order, by walking it; the index is not looked at.

        Raises ValueError for bad bytes.
        """
        path = self.folder / tar_name
        for key, members in group(tar.walk(path)):
            yield _sample(key, {e: tar.read(path, m.offset, m.size) for e, m in members.items()})


def read_index(folder: Path, name: str, only: Sequence[str] | None = None) -> pa.Table:
    """The index of a shard folder of this name, or ``only`` some of its columns, checked.

    Raises UserError where it is absent, damaged, of another version, or holds what is not allowed.
    """
    path = folder / "index.parquet"
    columns = [c for c in fields.index_columns(name) if only is None or c.name in only]
    if not path.is_file():
        raise UserError(f"{path} does not exist. Make it with `dvc repro shard`.")
    try:
        table = pq.read_table(path, columns=[c.name for c in columns])
        if not table.schema.equals(arrow_schema(columns), check_metadata=False):
            raise ValueError("it has other columns than this version reads")
        table.validate(full=True)  # text is UTF-8
        check_values("index", columns, table)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        # An OSError without a number is how Arrow calls damage.
        raise UserError(f"{path}: {error}. Make it anew with `dvc repro shard`.") from error
    return table


def group(members: Iterator[tar.TarMember]) -> Iterator[tuple[str, dict[str, tar.TarMember]]]:
    """Adjacent members with the same key (name up to the first dot of its last part), by extension.

    Raises ValueError where a member has no extension or a sample the same extension twice.
    """
    key, found = "", dict[str, tar.TarMember]()
    for member in members:
        head, slash, last = member.name.rpartition("/")
        stem, dot, extension = last.partition(".")
        if not (stem and dot and extension):
            raise ValueError(f"member {member.name!r} has no extension")
        if head + slash + stem != key:
            if found:
                yield key, found
            key, found = head + slash + stem, {}
        if extension in found:
            raise ValueError(f"member {member.name!r} is there twice")
        found[extension] = member
    if found:
        yield key, found


def member_column(extension: str) -> str:
    """Prefix of a member's columns in the index: ``mask_png_`` for ``mask.png``."""
    return extension.replace(".", "_") + "_"


def parse_json(data: bytes, max_bytes: int = MAX_SAMPLE_JSON_BYTES) -> dict[str, Any]:
    """The json object in some bytes.

    Raises ValueError where it is not an object, or as :func:`faceshards.strict_json.parse`.
    """
    value = strict_json.parse(data, max_bytes, MAX_DEPTH)
    if not isinstance(value, dict):
        raise ValueError("json is not an object")
    return value


def folder_facts(folder: Path) -> dict[str, Any]:
    """What a folder's shards.json says, checked; its index is not read.

    Raises UserError where the folder has none, or it is damaged.
    """
    path = folder / "shards.json"
    if not path.is_file():
        raise no_shards(folder, f"{folder} is not a shard folder: it has no shards.json.")
    try:
        return _checked_facts(path)
    except ValueError as error:
        raise UserError(f"{path}: {error}. Make it anew with `dvc repro shard`.") from error


def no_shards(path: Path, what_is_wrong: str) -> UserError:
    """The error for a path at which shards were looked for in vain, with what to do about it.

    Args:
        path: as the user gave it.
        what_is_wrong: a sentence for a path that is a folder.
    """
    if not path.exists():
        what_is_wrong = f"The folder {path} does not exist."
    elif not path.is_dir():
        what_is_wrong = f"{path} is a file, not a folder of shards."
    return UserError(
        f"{what_is_wrong} Give a folder that holds shards, such as data/shards/train; in a project "
        "`dvc repro shard` writes them."
    )


def content_digest(facts: Sequence[Mapping[str, Any]]) -> str:
    """Names what shard folders hold, by their shards.json: 32 hex characters.

    The same tars in the same folders give the same digest, wherever they lie.
    """
    tars = [
        [fact["name"], sorted((t, a["sha256"]) for t, a in fact["tars"].items())] for fact in facts
    ]
    return digest128(json.dumps(tars).encode())


def _checked_facts(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_SHARDS_JSON_BYTES:
        raise ValueError(f"larger than {MAX_SHARDS_JSON_BYTES} bytes")
    facts = parse_json(path.read_bytes(), MAX_SHARDS_JSON_BYTES)
    if facts.get("format") != fields.FORMAT:
        raise ValueError(f"format is {facts.get('format')!r}; this version reads {fields.FORMAT}")
    if facts.get("name") not in fields.FOLDERS:
        raise ValueError(f"name is {facts.get('name')!r}; it must be one of {fields.FOLDERS}")
    if not isinstance(facts.get("tars"), dict) or not isinstance(facts.get("graphs"), dict):
        raise ValueError("tars or graphs are missing")
    for tar_name, about in facts["tars"].items():
        if not _TAR_NAME.fullmatch(tar_name):
            raise ValueError(f"{tar_name!r} is not the plain name of a tar in this folder")
        if not isinstance(about, dict) or not _is_tar_facts(about):
            raise ValueError(f"facts of {tar_name} are not samples, bytes, sha256, labels")
    for name, graph in facts["graphs"].items():
        if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), list):
            raise ValueError(f"graph {name} has no nodes")
    return facts


def _is_tar_facts(about: dict[str, Any]) -> bool:
    labels = about.get("labels")
    if not isinstance(labels, dict) or set(labels) != {"fake", "real"}:
        return False
    counts = [about.get("samples"), about.get("bytes"), *labels.values()]
    return all(type(count) is int for count in counts) and isinstance(about.get("sha256"), str)


def _sample(key: str, members: dict[str, bytes]) -> Sample:
    try:
        about = parse_json(members.pop("json"))
    except KeyError:
        raise ValueError(f"sample {key} has no json") from None
    return Sample(key, about, members)
