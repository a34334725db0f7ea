"""Any collection of videos and pictures, described by a CSV file.

The file is UTF-8 with a header and commas. Columns ``path`` and ``label`` are required, the others
of ``COLUMNS`` optional. Rules:

- ``path`` is relative to the root, or absolute below it; ``..`` is refused. It names a video, a
  picture, or a folder of pictures, which are the frames of one video.
- ``label``: real, genuine, 0 or fake, manipulated, 1, in any case; option ``label_one_is: real``
  turns the numbers round. Any other word rejects the row; nothing is guessed.
- ``split``: train, val or test; test where absent.
- ``identity``, ``source_id``, ``target_id``, ``pair_id`` and ``group`` get the dataset's name and a
  colon in front. A value with a colon is kept as it is: so several datasets can share a person.
- ``group`` (videos that must not be in two splits) is the identity where absent.
- ``start_s`` and ``end_s`` limit the label to one part of the video, ``parts`` to several:
  ``1.5-2;3-3.4``. Several lines of one file are parts too, where all else in them is the same.
- ``pair_path``: the pristine video of the same frames, below the root; ``mask_path``: a video that
  is bright where this one is altered.
- ``category`` and ``subtype`` are those of the method in semantics.yaml where absent.
- ``id``: the name of the row's id, ``<dataset>/<method>/<id>``, or that id as a whole; the path
  without its suffix where absent.
- ``notes`` is for people and not read.
- A file that is listed twice without parts counts once; with two labels it is an error.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from faceshards.fields import CATEGORIES, SPLITS
from pipeline.datasets import lists
from pipeline.datasets.base import (
    IMAGE_SUFFIXES,
    REAL_METHOD,
    VIDEO_SUFFIXES,
    Adapter,
    Option,
    Reference,
    Rejected,
    Source,
    Video,
)
from pipeline.errors import Reject, UserError

REQUIRED = ("path", "label")
COLUMNS = (
    *REQUIRED,
    *("split", "method", "category", "subtype", "source_id", "target_id", "identity", "audio_fake"),
    *("compression", "start_s", "end_s", "parts", "group", "pair_id", "pair_path", "mask_path"),
    *("id", "notes"),
)
_MAY_DIFFER = ("label", "start_s", "end_s", "parts", "notes")
"""Columns that several lines of one file need not agree in; another label is told before."""

UNKNOWN_METHOD = "unknown"
_REMEDY = "Correct it, and save it as CSV in UTF-8 with commas."
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*-\s*(\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_WORDS = {"real": 0, "genuine": 0, "fake": 1, "manipulated": 1}
_AUDIO_FAKE = {"": -1, "-1": -1, "0": 0, "1": 1}


def _read(source: Source) -> Iterator[Video | Rejected]:
    name = source.options["manifest"]
    if Path(name).is_absolute() and len(source.roots) > 1:
        raise UserError(
            f"Dataset {source.name}: with several roots each has its own manifest, so the option "
            f"must be relative to them, but it is {name}."
        )
    for index, root in enumerate(source.roots):
        manifest = root / name
        if not manifest.is_file():
            raise UserError(
                f"Dataset {source.name}: there is no file {manifest}. Adapter {ADAPTER.name} "
                f"expects {ADAPTER.expects}."
            )
        yield from _of_root(source, index, manifest)


def _of_root(source: Source, index: int, manifest: Path) -> Iterator[Video | Rejected]:
    root = source.roots[index]
    first: dict[str, tuple[int, int, dict[str, str]]] = {}
    found: dict[str, Video] = {}
    rows = lists.read_csv(source, manifest, REQUIRED, _REMEDY, COLUMNS, verbatim=("path",))
    for line, row in rows:
        row = dict.fromkeys(COLUMNS, "") | row
        where = f"Dataset {source.name}: {manifest}, line {line}"
        written = lists.as_on_disk(row["path"], partial(_is_there, root))
        relative = _relative(written, root, where)
        path = source.path(index, relative)
        try:
            label = _label(row["label"], source.options["label_one_is"])
            before, label_before, row_before = first.setdefault(relative, (line, label, row))
            if label != label_before:
                raise UserError(
                    f"{where}: {relative} has another label than in line {before}. Keep one."
                )
            if line == before:
                found[relative] = _video(source, root, relative, path, label, row, where)
                continue
            parts = _parts(row, where)
            if relative not in found or not (parts or found[relative].segments_s):
                raise Reject("duplicate", f"it is in line {before} already")
            _check_same(row, row_before, f"{where}: {relative}", before)
            found[relative] = _with_more(found[relative], parts, where, before)
        except Reject as reject:
            yield Rejected(path, reject.reason, f"line {line}: {reject.detail}")
    yield from found.values()


def _check_same(row: Mapping[str, str], before: Mapping[str, str], what: str, line: int) -> None:
    """Raises UserError where two lines of one file differ in more than their parts."""
    for name in COLUMNS:
        if name not in (*_MAY_DIFFER, "path") and row[name] != before[name]:
            raise UserError(
                f"{what} has {name} {row[name]!r} here and {before[name]!r} in line {line}. Lines "
                "of one file may differ in their parts only."
            )


def _with_more(video: Video, parts: tuple[float, ...], where: str, line: int) -> Video:
    if not (parts and video.segments_s):
        raise UserError(
            f"{where}: of this line and line {line}, one labels the whole file and one a part of "
            "it. Keep one of them, or give both their parts."
        )
    known = set(zip(video.segments_s[::2], video.segments_s[1::2], strict=True))
    if known.issuperset(zip(parts[::2], parts[1::2], strict=True)):
        raise Reject("duplicate", "another line has this part already")
    return replace(video, segments_s=video.segments_s + parts)


def _is_there(root: Path, name: str) -> bool:
    return os.path.lexists(root / name)  # Unlike Path.exists, it takes a name that is too long.


def _relative(text: str, root: Path, where: str) -> str:
    """The path below the root, without looking at the disk."""
    path = PurePosixPath(text)
    if path.is_absolute() and path.is_relative_to(root.absolute()):
        path = path.relative_to(root.absolute())
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in text:
        raise UserError(
            f"{where}: path {text!r} is not below the dataset's root {root}. Write it relative to "
            "the root, without .. in it."
        )
    return str(path)


def _label(text: str, one_is: str) -> int:
    word = text.lower()
    if word in ("0", "1"):
        return int(word) if one_is == "fake" else 1 - int(word)
    if word not in _WORDS:
        raise Reject("unknown_label", f"label {text!r} is none of {', '.join(_WORDS)}, 0, 1")
    return _WORDS[word]


def _video(
    source: Source,
    root: Path,
    relative: str,
    path: str,
    label: int,
    row: Mapping[str, str],
    where: str,
) -> Video:
    file = root / relative
    audio_fake = _AUDIO_FAKE[_one_of(row, "audio_fake", tuple(_AUDIO_FAKE), where)]
    category = _one_of(row, "category", ("", *CATEGORIES), where)
    method = row["method"] or (REAL_METHOD if label == 0 else UNKNOWN_METHOD)
    if "/" in method:
        raise UserError(f"{where}: method {method!r} has a slash. Give it a plain name.")
    # A real picture may carry the name of the method that made its sound.
    if label == 0 and method != REAL_METHOD and audio_fake != 1:
        raise Reject("inconsistent", f"the label is real, but the method is {method}")
    if label == 1 and method == REAL_METHOD:
        raise Reject("inconsistent", "the label is fake, but the method is real")
    if category and (category == "real") != (label == 0):
        raise Reject("inconsistent", f"the label is {row['label']}, but the category is {category}")
    return Video(
        file=file,
        path=path,
        split=_one_of(row, "split", ("", *SPLITS), where) or "test",
        label=label,
        name=source.own_name(method, row["id"]),
        method=method,
        category=category,
        subtype=row["subtype"],
        audio_fake=audio_fake,
        identity=source.unique(row["identity"]),
        target_id=source.unique(row["target_id"]),
        source_id=source.unique(row["source_id"]),
        pair_id=source.unique(row["pair_id"]),
        leak_group=source.unique(row["group"] or row["identity"]),
        compression=row["compression"],
        media=_media(file),
        segments_s=_parts(row, where),
        pair=_reference(source, root, row["pair_path"], where),
        mask=_reference(source, root, row["mask_path"], where),
    )


def _media(file: Path) -> str:
    """What a path is, by its suffix; without a known one, it should be a folder of pictures."""
    suffix = file.suffix.strip().lower()
    return (
        "video" if suffix in VIDEO_SUFFIXES else "image" if suffix in IMAGE_SUFFIXES else "frames"
    )


def _reference(source: Source, root: Path, text: str, where: str) -> Reference | None:
    """Another file of the root that a line names."""
    if not text:
        return None
    relative = _relative(text, root, where)
    index = source.roots.index(root)
    return Reference(root / relative, source.path(index, relative))


def _one_of(row: Mapping[str, str], column: str, among: tuple[str, ...], where: str) -> str:
    if row[column] not in among:
        allowed = ", ".join(word for word in among if word)
        raise UserError(
            f"{where}: {column} is {row[column]!r}, but must be empty or one of {allowed}."
        )
    return row[column]


def _parts(row: Mapping[str, str], where: str) -> tuple[float, ...]:
    """Start, end, start, end … of the labelled parts of a line; () = the whole file."""
    single = _segment(row["start_s"], row["end_s"], where)
    if single and row["parts"]:
        raise UserError(f"{where}: it has start_s or end_s, and parts too. Keep one of the two.")
    if not row["parts"]:
        return single
    bounds: list[float] = []
    for text in row["parts"].split(";"):
        match = _PART.fullmatch(text.strip())
        if match is None or not float(match[1]) < float(match[2]) < math.inf:
            raise UserError(
                f"{where}: parts is {row['parts']!r}, but must be times in seconds, such as "
                "'1.5-2.25;3-3.5', each end after its start."
            )
        bounds += (float(match[1]), float(match[2]))
    return tuple(bounds)


def _segment(start: str, end: str, where: str) -> tuple[float, ...]:
    if not start and not end:
        return ()
    try:
        first, last = float(start or 0), float(end)
    except ValueError:
        first, last = math.nan, math.nan
    if not 0 <= first < last < math.inf:
        raise UserError(
            f"{where}: start_s {start!r} and end_s {end!r} are not two times in seconds with "
            "0 <= start_s < end_s (start_s alone may be empty)."
        )
    return (first, last)


ADAPTER = Adapter(
    name="csv",
    expects=(
        "the CSV file that option manifest names, relative to the root, with columns path and label"
    ),
    read=_read,
    options={
        "manifest": Option("the CSV file, relative to the root or absolute, such as wild.csv"),
        "label_one_is": Option("what the label 1 means", "fake", ("fake", "real")),
    },
)
