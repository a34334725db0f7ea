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
- ``start_s`` and ``end_s`` limit a video to one labelled part.
- ``category`` and ``subtype`` are those of the method in semantics.yaml where absent.
- ``notes`` is for people and not read.
- A file that is listed twice counts once; with two labels it is an error.
"""

import math
import os
from collections.abc import Iterator, Mapping
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
    Rejected,
    Source,
    Video,
)
from pipeline.errors import Reject, UserError

REQUIRED = ("path", "label")
COLUMNS = (
    *REQUIRED,
    *("split", "method", "category", "subtype", "source_id", "target_id", "identity", "audio_fake"),
    *("compression", "start_s", "end_s", "group", "pair_id", "notes"),
)

UNKNOWN_METHOD = "unknown"
_REMEDY = "Correct it, and save it as CSV in UTF-8 with commas."
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
        first: dict[str, tuple[int, int]] = {}
        rows = lists.read_csv(source, manifest, REQUIRED, _REMEDY, COLUMNS, verbatim=("path",))
        for line, row in rows:
            row = dict.fromkeys(COLUMNS, "") | row
            where = f"Dataset {source.name}: {manifest}, line {line}"
            written = lists.as_on_disk(row["path"], partial(_is_there, root))
            relative = _relative(written, root, where)
            path = source.path(index, relative)
            try:
                label = _label(row["label"], source.options["label_one_is"])
                before, label_before = first.setdefault(relative, (line, label))
                if label != label_before:
                    raise UserError(
                        f"{where}: {relative} has another label than in line {before}. Keep one."
                    )
                if line != before:
                    raise Reject("duplicate", f"it is in line {before} already")
                yield _video(source, root / relative, path, label, row, where)
            except Reject as reject:
                yield Rejected(path, reject.reason, f"line {line}: {reject.detail}")


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
    source: Source, file: Path, path: str, label: int, row: Mapping[str, str], where: str
) -> Video:
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
        segments_s=_segment(row["start_s"], row["end_s"], where),
    )


def _media(file: Path) -> str:
    """What a path is, by its suffix; without a known one, it should be a folder of pictures."""
    suffix = file.suffix.strip().lower()
    return (
        "video" if suffix in VIDEO_SUFFIXES else "image" if suffix in IMAGE_SUFFIXES else "frames"
    )


def _one_of(row: Mapping[str, str], column: str, among: tuple[str, ...], where: str) -> str:
    if row[column] not in among:
        allowed = ", ".join(word for word in among if word)
        raise UserError(
            f"{where}: {column} is {row[column]!r}, but must be empty or one of {allowed}."
        )
    return row[column]


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
