"""Holds a copy of a dataset against a published list: do two places have the same data?

A list says which files there are, maybe whether each is real or fake, and maybe its fingerprint. It
may give the sha256 of each path instead of the path, where names must not be published.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faceshards import strict_json
from pipeline.config.strict import show
from pipeline.datasets import folders, lists
from pipeline.datasets.base import Rejected, Video
from pipeline.datasets.fingerprint import fingerprint
from pipeline.errors import UserError
from pipeline.files import strict_text

_NAMES = ("path", "file", "filename", "video", "name")
_LABELS = ("label", "is_fake")
_FINGERPRINT = "fingerprint"
_WORDS = {"real": 0, "genuine": 0, "fake": 1, "manipulated": 1, "false": 0, "true": 1}
_HASH = re.compile("[0-9a-f]{64}")
_MAX_BYTES = 1 << 30
_MAX_JSON_DEPTH = 8
_MAX_FOLDERS = 8
"""Most leading folders of listed paths that are left out to make them fit."""


@dataclass(frozen=True)
class Listed:
    """One file of a published list."""

    name: str
    """Its path, or the sha256 of its path."""
    label: int | None = None
    """1 = fake; None = the list does not say."""
    fingerprint: str = ""
    """"" = the list does not say."""


@dataclass(frozen=True)
class OnDisk:
    """One file of the copy at hand."""

    path: str
    """Below its root."""
    label: int | None
    """None where the adapter cannot use the file, so that its label is not known."""
    file: str = ""
    """"" where a fingerprint cannot be made of it alone, such as a folder of pictures."""


@dataclass
class Comparison:
    """What a list and a copy have in common, and what not; paths as the one that has them."""

    same: int = 0
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    otherwise: list[str] = field(default_factory=list)
    """Sentences about files that are labelled otherwise, or have other bytes."""
    not_compared: int = 0
    """Files whose label or fingerprint the list gives and the copy does not."""
    dropped_folders: int = 0
    """Leading folders of listed paths that were left out."""


def read_list(file: Path, label_one_is: str = "fake") -> list[Listed]:
    """What a list names: JSON, CSV, or lines of ``path``, ``path label`` or ``label path``.

    Args:
        file: the list; its suffix tells the form. In JSON: paths, objects, or an object of paths.
            Names of columns and keys: path, file, filename, video or name; label or is_fake;
            fingerprint.
        label_one_is: what the label 1 means, ``fake`` or ``real``.

    Raises:
        UserError: it cannot be read, is of another form, or names a file twice.
    """
    read = {".json": _json, ".csv": _csv}.get(file.suffix.lower(), _plain)
    flip = label_one_is == "real"
    found: dict[str, Listed] = {}
    try:
        if (size := file.stat().st_size) > _MAX_BYTES:
            raise ValueError(f"it has {size} bytes; at most {_MAX_BYTES} are read")
        for name, label, digest in read(file.read_bytes()):
            path = name.strip().replace("\\", "/").removeprefix("./")
            if not path:
                raise ValueError("it names a file without a name")
            if path in found:
                raise ValueError(f"it names {path} twice")
            found[path] = Listed(path, _label(label, flip, path), digest)
    except (OSError, ValueError) as error:
        raise UserError(f"The list {file} cannot be used: {lists.in_words(error)}.") from error
    if not found:
        raise UserError(f"The list {file} names no file.")
    return list(found.values())


def on_disk(items: Iterable[Video | Rejected], roots: tuple[Path, ...]) -> Iterator[OnDisk]:
    """What of an adapter's rows is on disk, rejects among them."""
    seen = set()
    for item in items:
        root, path = roots[0], item.path
        if len(roots) > 1:
            index, _, path = item.path.partition("/")
            root = roots[int(index)] if index.isdigit() and int(index) < len(roots) else root
        file = item.file if isinstance(item, Video) else root / path
        if path in seen or not os.access(file, os.F_OK):
            continue
        seen.add(path)
        if isinstance(item, Rejected):
            yield OnDisk(path, None)
        else:
            plain = item.media in ("video", "image")
            yield OnDisk(path, item.label, str(item.file) if plain else "")


def compare(listed: list[Listed], copy: Iterable[OnDisk]) -> Comparison:
    """Compares a list with a copy.

    Listed paths may begin with folders of their author, and lack suffixes: what makes the most of
    them fit is done to all alike.
    """
    of_copy = {one.path: one for one in copy}
    hashed = all(_HASH.fullmatch(one.name) for one in listed)
    key_listed, key_held, dropped = _fit([one.name for one in listed], list(of_copy), hashed)
    by_key = {key_held(path): one for path, one in of_copy.items()}
    found = Comparison(dropped_folders=dropped)
    met = set()
    for one in listed:
        key = key_listed(one.name)
        mine = by_key.get(key)
        if mine is None:
            found.missing.append(one.name)
            continue
        met.add(key)
        if problem := _difference(one, mine):
            found.otherwise.append(f"{mine.path}: {problem}")
            continue
        found.same += 1
        unsaid = one.label is not None and mine.label is None
        found.not_compared += unsaid or bool(one.fingerprint and not mine.file)
    # What an adapter cannot use is often no part of a dataset, such as a readme: never extra.
    found.extra = [o.path for key, o in by_key.items() if key not in met and o.label is not None]
    return found


def _difference(one: Listed, mine: OnDisk) -> str:
    if None not in (one.label, mine.label) and one.label != mine.label:
        words = ("real", "fake")
        return f"the list says {words[one.label or 0]}, here it is {words[mine.label or 0]}"
    if one.fingerprint and mine.file and fingerprint(mine.file, "sampled") != one.fingerprint:
        return "the list has another fingerprint"
    return ""


_Key = Callable[[str], str]


def _fit(listed: list[str], paths: list[str], hashed: bool) -> tuple[_Key, _Key, int]:
    """How listed and held paths are made alike, and the leading folders that are left out."""
    if hashed:
        return str, _sha256, 0

    def drop(folders_: int, cut: _Key) -> _Key:
        return lambda path: cut(path.lstrip("/").split("/", folders_)[-1])

    best: tuple[int, _Key, _Key, int] = (-1, str, str, 0)
    bare = not any(folders.is_video(name) or folders.is_image(name) for name in listed)
    for cut in (str, folders.without_suffix) if bare else (str,):
        there = {cut(path) for path in paths}
        for count in range(_MAX_FOLDERS + 1):
            key = drop(count, cut)
            fitting = len({key(name) for name in listed} & there)
            if fitting > best[0]:
                best = (fitting, key, cut, count)
    return best[1:]


def _sha256(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()


def _label(label: object, flip: bool, path: str) -> int | None:
    if label is None or label == "":
        return None
    word = str(label).strip().lower()
    if word in ("0", "1"):
        return 1 - int(word) if flip else int(word)
    if word not in _WORDS:
        raise ValueError(f"the label of {path} is {show(label)}, but must be real, fake, 0 or 1")
    return _WORDS[word]


_Row = tuple[str, object, str]
"""Name, label and fingerprint as the list has them."""


def _plain(data: bytes) -> Iterator[_Row]:
    known = {*_WORDS, "0", "1"}
    for line in strict_text.lines(data, _MAX_BYTES):
        text = line.strip()
        first, _, behind = text.partition(" ")
        before, _, last = text.rpartition(" ")
        if not text:
            continue
        if before and last.lower() in known:
            yield before, last, ""
        elif behind and first.lower() in known:
            yield behind, first, ""
        else:
            yield text, None, ""


def _csv(data: bytes) -> Iterator[_Row]:
    for _, row in strict_text.table(data, _MAX_BYTES, ()):
        yield _row({key.lower(): cell for key, cell in row.items()})


def _json(data: bytes) -> Iterator[_Row]:
    content = strict_json.parse(data, _MAX_BYTES, _MAX_JSON_DEPTH)
    if isinstance(content, list):
        for one in content:
            yield _row(one) if isinstance(one, dict) else (_text(one), None, "")
    elif isinstance(content, dict):
        for name, about in content.items():
            yield _row({_NAMES[0]: name, **about}) if isinstance(about, dict) else (name, about, "")
    else:
        raise ValueError("it is neither a list nor an object of files")


def _row(cells: Mapping[str, Any]) -> _Row:
    name = next((cells[key] for key in _NAMES if key in cells), None)
    if name is None:
        raise ValueError(f"it has none of {', '.join(_NAMES)} to name a file by")
    label = next((cells[key] for key in _LABELS if key in cells), None)
    return _text(name), label, str(cells.get(_FINGERPRINT) or "")


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{show(name)} is no name of a file")
    return name
