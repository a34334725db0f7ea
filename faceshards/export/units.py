"""Writing an export tar by tar: what an earlier export wrote of the same tar is kept.

``.export/`` in the folder holds one record per tar: what it was made of and which files it became.
A record is written after its files, so an interrupted export goes on where it stopped. The lists
are written at the very end and removed before the first change: who finds them finds all they name.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from faceshards import images
from faceshards.errors import UserError
from faceshards.export.forms import Files, Form, TarSamples
from faceshards.keys import digest128
from faceshards.reading import Shards
from faceshards.replace import replacing

RECORDS = ".export"
_FORM = "form"
_LISTS = "lists.json"
_VERSION = 2
"""Counted up when a form writes other bytes for the same tar."""
_LOOKED_AT = 8
"""Pictures of each tar that are encoded anew to estimate how much disk PNGs need."""
_BLOCK_BYTES = 4096


@dataclass(frozen=True)
class Work:
    """What an export would do, in samples and bytes."""

    to_write: int
    kept: int
    needed_bytes: int
    """Estimated; 0 where nothing is to do."""
    free_bytes: int


@dataclass(frozen=True)
class _Unit:
    """One tar of one shard folder."""

    shards: Shards
    tar: str
    places: range
    """Of its samples in the index."""
    made_of: str
    """Digest of all that its files depend on."""

    @property
    def record(self) -> str:
        return f"{self.shards.name}-{self.tar}.json"


def survey(folders: Sequence[Shards], out: Path, form: Form) -> Work:
    """What :func:`write` would do. Nothing is written. Raises UserError as that."""
    units = _units(folders, form)
    _check_ours(out, form)
    to_do = [unit for unit in units if not _holds(out, _record(out, unit), unit.made_of)]
    there = next(p for p in (out, *out.resolve().parents) if p.exists())
    written = sum(len(unit.places) for unit in to_do)
    return Work(
        to_write=written,
        kept=sum(map(len, folders)) - written,
        needed_bytes=sum(_needed_bytes(unit, form) for unit in to_do),
        free_bytes=shutil.disk_usage(there).free,
    )


def write(folders: Sequence[Shards], out: Path, form: Form) -> int:
    """Brings an export up to date with its shard folders; returns how many old files it removed.

    Raises UserError as :func:`faceshards.export.export` says.
    """
    work = survey(folders, out, form)
    if work.needed_bytes > work.free_bytes:
        raise UserError(
            f"The export needs about {work.needed_bytes / 1e9:.1f} GB, and {out} has "
            f"{work.free_bytes / 1e9:.1f} GB free. Choose a larger disk; nothing was written."
        )
    mark = out / RECORDS / _FORM
    if not mark.is_file():
        with replacing(mark) as temporary:
            temporary.write_text(form.name, encoding="utf-8")
    units = _units(folders, form)
    to_do = [unit for unit in units if not _holds(out, _record(out, unit), unit.made_of)]
    kept = {_record(out, unit) for unit in units} - {_record(out, unit) for unit in to_do}
    gone = [record for record in _records(out) if record not in kept]
    lists = out / RECORDS / _LISTS
    lists_of = digest128(json.dumps(sorted(unit.made_of for unit in units)).encode())
    if not (to_do or gone) and _holds(out, lists, lists_of):
        return 0
    removed = sum(_remove(out, record) for record in (lists, *gone) if record.is_file())
    for unit in to_do:
        ids = unit.shards.index.column("sample_id").slice(unit.places.start, len(unit.places))
        named = zip(ids.to_pylist(), unit.shards.samples(unit.places), strict=True)
        files = form.of_tar(TarSamples(unit.shards.name, unit.tar, named))
        _write_files(out, _record(out, unit), unit.made_of, files)
    _write_files(out, lists, lists_of, form.lists(folders))
    return removed


def _units(folders: Sequence[Shards], form: Form) -> list[_Unit]:
    names = [shards.name for shards in folders]
    if len(set(names)) < len(names):
        raise UserError(f"Two shard folders have one name: {', '.join(names)}. Export each alone.")
    units = []
    for shards in folders:
        places = _places(shards)
        for tar in sorted(shards.tars):
            about = [shards.name, tar, shards.tars[tar]["sha256"], form.name, _VERSION]
            made_of = digest128(json.dumps(about).encode())
            units.append(_Unit(shards, tar, places[tar], made_of))
    return units


def _record(out: Path, unit: _Unit) -> Path:
    return out / RECORDS / unit.record


def _check_ours(out: Path, form: Form) -> None:
    """Raises UserError where the folder holds something else than an export of this form."""
    mark = out / RECORDS / _FORM
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a folder to export into.")
    if mark.is_file():
        found = mark.read_text(encoding="utf-8")
        if found != form.name:
            raise UserError(f"{out} holds an export as {found}; choose another folder.")
    elif out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out} is not empty and holds no export; choose another folder.")


def _records(out: Path) -> list[Path]:
    return [p for p in sorted((out / RECORDS).glob("*.tar.json")) if p.name != _LISTS]


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
        return record if isinstance(record, dict) else {}
    except (OSError, ValueError):
        return {}


def _holds(out: Path, path: Path, made_of: str) -> bool:
    """Whether a record is of these bytes and its files are there, as long as they were."""
    record = _read_record(path)
    if record.get("made_of") != made_of:
        return False
    sizes = ((out / name, size) for name, size in record["files"])
    return all(file.is_file() and file.stat().st_size == size for file, size in sizes)


def _remove(out: Path, path: Path) -> int:
    """Deletes a record, then its files and the folders that they leave empty; counts the files."""
    files = _read_record(path).get("files", [])
    path.unlink()
    folders = set()
    for name, _ in files:
        (out / name).unlink(missing_ok=True)
        folders.add((out / name).parent)
    for folder in sorted(folders, key=lambda f: len(f.parts), reverse=True):
        while folder != out and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent
    return len(files)


def _write_files(out: Path, record: Path, made_of: str, files: Files) -> None:
    written = []
    for name, data in files:
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        written.append([name, len(data)])
    with replacing(record) as temporary:
        temporary.write_text(json.dumps({"made_of": made_of, "files": written}), encoding="utf-8")


def _places(shards: Shards) -> dict[str, range]:
    """Places in the index of every tar's samples, which lie together there."""
    runs = pc.run_end_encode(shards.index.column("tar").combine_chunks())
    ends = runs.run_ends.to_pylist()
    starts = [0, *ends[:-1]]
    named = zip(runs.values.to_pylist(), starts, ends, strict=True) if ends else ()
    return {tar: range(0) for tar in shards.tars} | {t: range(a, b) for t, a, b in named}


def _needed_bytes(unit: _Unit, form: Form) -> int:
    """Disk that a tar's samples will take, whole blocks; of PNGs by a look at some pictures."""
    rows = unit.shards.index.slice(unit.places.start, len(unit.places))
    jpegs = int(pc.sum(rows.column("jpg_size")).as_py() or 0)
    times = 1.0 if form.copies else _growth(unit.shards, unit.places)
    return int(jpegs * times) + len(unit.places) * _BLOCK_BYTES


def _growth(shards: Shards, places: range) -> float:
    """How many times the bytes of a JPEG its PNG takes."""
    some = places[:: max(1, len(places) // _LOOKED_AT)]
    jpegs = [sample.jpg for sample in shards.samples(some)]
    pngs = [images.encode_png(images.decode_rgb(jpeg)) for jpeg in jpegs]
    return sum(map(len, pngs)) / max(1, sum(map(len, jpegs)))
