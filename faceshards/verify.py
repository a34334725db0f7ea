"""Checking a shard folder against everything it promises."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from faceshards.checking import folder as whole
from faceshards.checking import tars, vectors
from faceshards.errors import UserError
from faceshards.reading import Shards

_SHOWN_CHARACTERS = 1000
"""What is quoted of a damaged folder may be of any length."""
SHOWN_PER_PART = 10
"""A damaged tar would otherwise be reported once per sample."""

_SUM_LINE = re.compile(r"\\?([0-9a-fA-F]{64}) [ *](.+)")
_MAX_SUMS_BYTES = 64 * 1024 * 1024


def verify_folder(
    folder: Path, graphs: Mapping[str, Mapping[str, Any]] | None = None, *, quick: bool = False
) -> list[str]:
    """Everything that is wrong with a shard folder, one line each; [] for a good one.

    A folder proves from itself that its files are those that shards.json names, and, apart from all
    checksums, that tars, index, json and images agree with each other and with the format's
    rules. What it cannot prove is said in the guide; see :func:`verify_against`.

    Args:
        folder: the shard folder.
        graphs: label graphs by name, as in shards.json, where they are known from elsewhere.
        quick: sizes, sha256 and counts only; no tar is walked, no image decoded.
    """
    try:
        found = list(_problems(Shards(folder), graphs or {}, quick))
    except UserError as error:
        found = [str(error)]
    except OSError as error:
        found = [f"{error.filename or folder}: cannot be read: {error.strerror}"]
    return [_shorten(problem) for problem in found]


def verify_against(folder: Path, sums: Path) -> list[str]:
    """What differs from the sha256 of shards.json (and other files) that were kept elsewhere.

    Args:
        folder: the shard folder.
        sums: lines as ``sha256sum`` writes them; a name's last part is a file of the folder. Where
            names have folders (``train/shards.json``), only lines of this folder's name count.

    Raises:
        UserError: the file cannot be read, or says nothing of this folder's shards.json.
    """
    wanted = _read_sums(sums, folder.resolve().name)
    if "shards.json" not in wanted:
        raise UserError(
            f"{sums} has no line of {folder.name}/shards.json. Write one with "
            f"`sha256sum {folder}/shards.json` while the folder is known to be good."
        )
    problems = []
    for name, digest in wanted.items():
        path = folder / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            problems.append(f"{name}: cannot be read: {error.strerror}")
            continue
        if found != digest:
            problems.append(f"{name}: its sha256 is not the one in {sums}")
    return problems


def _shorten(problem: str) -> str:
    """A problem that quotes no more than somebody reads."""
    most = _SHOWN_CHARACTERS
    return problem if len(problem) <= most else f"{problem[:most]} ..."


def _read_sums(sums: Path, folder_name: str) -> dict[str, str]:
    try:
        if sums.stat().st_size > _MAX_SUMS_BYTES:
            raise UserError(f"{sums} is larger than {_MAX_SUMS_BYTES} bytes.")
        lines = sums.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{sums} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{sums} is not text as `sha256sum` writes it.") from error
    wanted: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        found = _SUM_LINE.fullmatch(line)
        if not found:
            raise UserError(f"{sums}, line {number}: not a line as `sha256sum` writes it.")
        *parents, name = Path(found[2]).parts or ("",)
        if not parents or parents[-1] == folder_name:
            if wanted.get(name, found[1].lower()) != found[1].lower():
                raise UserError(f"{sums}, line {number}: another sha256 of {name} than before.")
            wanted[name] = found[1].lower()
    return wanted


def _problems(
    shards: Shards, graphs: Mapping[str, Mapping[str, Any]], quick: bool
) -> Iterator[str]:
    yield from _some(whole.place_problems(shards), str(shards.folder))
    yield from _some(whole.facts_problems(shards), "shards.json")
    ill_formed = list(whole.graph_problems(shards.facts["graphs"], graphs))
    yield from _some(ill_formed, "shards.json")
    if not any(whole.graph_problems(shards.facts["graphs"], {})):
        yield from _some(vectors.vector_problems(shards), "shards.json")
    index = shards.folder / "index.parquet"
    yield from whole.file_problems(index, shards.facts.get("index"))
    yield from _some(whole.index_problems(shards), "index.parquet")
    # Labels can only be held against graphs that are ones.
    seen = (
        None
        if quick or any(whole.graph_problems(shards.facts["graphs"], {}))
        else tars.Seen(shards)
    )
    for name in sorted(shards.tars):
        yield from _some(_tar_problems(shards, name, seen), name)


def _tar_problems(shards: Shards, name: str, seen: tars.Seen | None) -> Iterator[str]:
    path = shards.folder / name
    if not path.is_file():
        return  # said already
    try:
        yield from whole.file_problems(path, shards.tars[name])
        if seen:
            for problem in tars.tar_problems(shards, name, seen):
                yield problem if problem.startswith(str(path)) else f"{name}: {problem}"
    except OSError as error:
        yield f"{name}: cannot be read: {error.strerror}"
    except ValueError as error:  # it was cut while it was read
        yield str(error)


def _some(problems: Iterable[str], of: str) -> Iterator[str]:
    """The first ones; said where there are more."""
    found = list(islice(problems, SHOWN_PER_PART + 1))
    yield from found[:SHOWN_PER_PART]
    if len(found) > SHOWN_PER_PART:
        yield f"{of}: and more like these"
