"""Copies that DeepfakeBench has preprocessed: folders of face crops, and JSON lists of them.

Rules:

- A list is ``{name: {label: {split: {[compression:] {video: {"label": …, "frames": […]}}}}}}``.
  One row is one video: the folder that its frames lie in. Everything in that folder is read, also
  what the list does not name; ``landmarks`` and ``masks`` beside it are never looked at.
- Paths may have backslashes and begin anywhere: leading folders are dropped until the rest is below
  a root. A video without frames, or of which no listed frame is on disk, is ``missing``.
- A video that a list has in several splits counts once: in test before val before train, since
  those lists put test videos into train (Celeb-DF) or give one set three names (UADFV). The others
  are ``duplicate``. The lists are no official splits; the adapter of the dataset itself has those.
- ``samples.csv`` in a root, which ``faceshards export`` writes, tells the ids that videos had.
- A split is train, val or test; a video of another one is ``inconsistent``.
- A label is one of the known ones, or ends in ``_real`` or ``_fake`` in any case; another is
  ``unknown_label``. Methods get the names that the datasets' own adapters give them. A label of
  DF40 that stands for several methods (``FSAll_Fake``) is told by the folder.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.datasets import df40_names, folders, shared_ids
from pipeline.datasets import lists as list_files
from pipeline.datasets.base import REAL_METHOD, Adapter, Option, Rejected, Source, Video
from pipeline.errors import Reject, UserError

METHODS = {
    "FF-DF": "Deepfakes",
    "FF-F2F": "Face2Face",
    "FF-FS": "FaceSwap",
    "FF-NT": "NeuralTextures",
    "FF-SH": "FaceShifter",
    "FF-FH": "FaceShifter",
    "DFD_fake": "DeepFakeDetection",
    "CelebDFv1_fake": "Celeb-synthesis",
    "CelebDFv2_fake": "Celeb-synthesis",
    "DFDCP_FakeA": "method_A",
    "DFDCP_FakeB": "method_B",
    "DFDC_Fake": "dfdc_unknown",
    "DF_fake": "end_to_end",
    "UADFV_Fake": "UADFV",
    "FF-real": REAL_METHOD,
}
"""Method of each label whose name does not tell it."""

COLLECTIVE = ("FSAll", "FRAll", "EFSAll", "DF40_train", "roop")
"""Names in labels of DF40 that stand for several methods; a video's folder tells which."""

_PLUS_FAKE = "CelebDFv3_fake"
"""Celeb-DF++, whose lists have the methods where others have the compression."""
_PLUS_ORIGINAL = ("Celeb-DF", "Celeb-DF-v2")

SHOWN = {
    "Deepfakes": 1,
    "FaceSwap": 1,
    "FaceShifter": 1,
    "Celeb-synthesis": 1,
    "Face2Face": 0,
    "NeuralTextures": 0,
}
"""Which person of ``target_source`` a method shows; others are not known."""

_ORDER = ("test", "val", "train")
_LISTS = ("preprocessing/dataset_json", "dataset_json", ".")
_NO_LISTS = ("train.json", "val.json", "test.json", "conversion_dict.json")
"""Files of FaceForensics++ that may lie in a root too."""
_MAX_BYTES = 1 << 30
_MAX_DEPTH = 16
_RECORD = ("label", "frames")
_EXPORTED = "samples.csv"


@dataclass(frozen=True)
class Entry:
    """One video of a list."""

    where: str
    """The list and the keys that lead to it, for messages."""
    label: str
    split: str
    compression: str
    name: str
    frames: tuple[str, ...]
    """Paths as the list has them, with slashes."""

    @property
    def folder(self) -> str:
        """The folder of the first frame; "" without frames."""
        return str(PurePosixPath(self.frames[0]).parent) if self.frames else ""


def method_of(label: str, level: str = "", folder: str = "") -> str:
    """Method of a label, ``real`` for reals, "" where it is not known to be either.

    Args:
        label: as the list has it.
        level: the key between split and video, if there is one.
        folder: where the frames are; it tells the method where a label stands for several.
    """
    if label == _PLUS_FAKE and level:
        return METHODS["CelebDFv2_fake"] if level in _PLUS_ORIGINAL else level
    if label in METHODS:
        return METHODS[label]
    match = re.fullmatch(r"(.+)_(real|fake)", label, re.IGNORECASE)
    if not match:
        return ""
    if match[2].lower() == "real":
        return REAL_METHOD
    if match[1] in COLLECTIVE:
        told = [df40_names.method(part) for part in PurePosixPath(folder).parts]
        return next(filter(None, told), match[1])
    return df40_names.method(match[1]) or match[1]


def read_list(source: Source, file: Path) -> Iterator[Entry]:
    """The videos of one list, in its order, those of a split without a known name too.

    Raises UserError where the file is not a list of this form.
    """
    form, remedy = "is no list of DeepfakeBench", "Take the file as its authors publish it."
    data = list_files.read_json(source, file, form, remedy, _MAX_BYTES)
    for name, labels in _mapping(source, file, data, name="the file"):
        for label, of_label in _mapping(source, file, labels, name=name):
            for split, of_split in _mapping(source, file, of_label, name=label):
                where = f"{file.name}: {name}/{label}/{split}"
                yield from _entries(source, file, where, label, split, of_split)


def _entries(
    source: Source, file: Path, where: str, label: str, split: str, videos: object
) -> Iterator[Entry]:
    """Videos of one split; the first level may be the compression, or a single bare video."""
    if isinstance(videos, Mapping) and all(key in videos for key in _RECORD):
        yield _entry(source, file, where, label, split, "", "", videos)
        return
    for name, video in _mapping(source, file, videos, name=where):
        if isinstance(video, Mapping) and "frames" in video:
            yield _entry(source, file, where, label, split, "", name, video)
        else:
            for below, inner in _mapping(source, file, video, name=f"{where}/{name}"):
                yield _entry(source, file, where, label, split, name, below, inner)


def _entry(
    source: Source,
    file: Path,
    where: str,
    label: str,
    split: str,
    compression: str,
    name: str,
    video: object,
) -> Entry:
    frames = video.get("frames") if isinstance(video, Mapping) else None
    if not isinstance(frames, list) or not all(isinstance(frame, str) for frame in frames):
        raise _wrong(source, file, f"{where}/{name} has no list of frames")
    paths = tuple(frame.replace("\\", "/") for frame in frames)
    name = name or (PurePosixPath(paths[0]).parent.name if paths else "")
    return Entry(f"{where}/{name}", label, split, compression, name, paths)


def _mapping(source: Source, file: Path, data: object, name: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(data, Mapping):
        raise _wrong(source, file, f"{name} is not a mapping")
    yield from data.items()


def _wrong(source: Source, file: Path, problem: str) -> UserError:
    return UserError(
        f"Dataset {source.name}: {file} is no list of DeepfakeBench: {problem}. Take the file as "
        "its authors publish it."
    )


class Locator:
    """Finds folders of a list below the roots, whatever folders they begin with there."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self._dropped: list[tuple[int, int]] = []

    def find(self, folder: str) -> tuple[int, str] | None:
        """Root index and path below it of an existing folder; None where there is none."""
        parts = [part for part in folder.split("/") if part not in ("", ".")]
        if ".." in parts:
            parts = parts[len(parts) - parts[::-1].index("..") :]
        every = [
            (root, drop)
            for drop in range(min(len(parts), _MAX_DEPTH))
            for root in range(len(self._roots))
        ]
        # Folders of one list begin alike, so what fitted last is tried first.
        for root, drop in [*self._dropped, *every]:
            relative = "/".join(parts[drop:])
            # Unlike Path.is_dir, it takes a listed name that is too long for a disk.
            if relative and os.path.isdir(self._roots[root] / relative):  # noqa: PTH112
                self._dropped = [(root, drop)]
                return root, relative
        return None


def lists(source: Source) -> list[Path]:
    """JSON files of option ``lists`` (a file or a folder), or those in the usual folders.

    Raises UserError where the option names nothing that is there.
    """
    named = source.options["lists"]
    for root in source.roots:
        for folder in [named] if named else _LISTS:
            place = root / folder
            found = [place] if place.is_file() else sorted(place.glob("*.json"))
            if wanted := [f for f in found if f.name not in _NO_LISTS and f.is_file()]:
                return wanted
    if named:
        raise list_files.absent(
            source, named, "which videos there are", ", or correct option lists"
        )
    return []


def _read(source: Source) -> Iterator[Video | Rejected]:
    files = lists(source)
    if not files:
        where = ", ".join(map(str, source.roots))
        raise UserError(
            f"Dataset {source.name}: there is no JSON list below {where}. Adapter {ADAPTER.name} "
            f"expects {ADAPTER.expects}. Name the lists with option lists."
        )
    entries = [entry for file in files for entry in read_list(source, file)]
    for entry in entries:
        if entry.split not in _ORDER:
            detail = f"its split is none of {', '.join(_ORDER)}"
            yield Rejected(entry.where, "inconsistent", detail)
    entries = [entry for entry in entries if entry.split in _ORDER]
    # Stable: within a split the order of the lists stays.
    entries.sort(key=lambda entry: _ORDER.index(entry.split))
    locator = Locator(source.roots)
    ids = _ids(source)
    seen: dict[str, Entry] = {}
    for entry in entries:
        found = locator.find(entry.folder)
        if found is None:
            detail = "its folder is not on disk" if entry.frames else "its list of frames is empty"
            yield Rejected(entry.where, "missing", detail)
            continue
        path = source.path(*found)
        first = seen.setdefault(path, entry)
        if first is entry:
            yield _video(source, entry, source.roots[found[0]] / found[1], path, ids.get(path, ""))
        elif _is_fake(first) != _is_fake(entry):
            yield Rejected(entry.where, "inconsistent", f"{first.where} has another label")
        elif (first.split, first.label) != (entry.split, entry.label):
            yield Rejected(entry.where, "duplicate", f"{first.where} counts")


def _is_fake(entry: Entry) -> bool:
    return method_of(entry.label) != REAL_METHOD


def _ids(source: Source) -> dict[str, str]:
    """Ids of videos by their folder's path, where an export of ours tells them."""
    found: dict[str, str] = {}
    for index, root in enumerate(source.roots):
        if not (root / _EXPORTED).is_file():
            continue
        remedy = "Export anew, or take it away."
        for _, row in list_files.read_csv(source, root / _EXPORTED, ("path", "video_id"), remedy):
            folder = row["path"].rpartition("/")[0]
            found.setdefault(source.path(index, folder), row["video_id"])
    return found


def _video(
    source: Source, entry: Entry, folder: Path, path: str, video_id: str
) -> Video | Rejected:
    method = method_of(entry.label, entry.compression, entry.folder)
    if not method:
        return Rejected(path, "unknown_label", f"{entry.where}: the label is {entry.label}")
    on_disk = {found.name for found in folders.entries(folder)}
    if not any(PurePosixPath(frame).name in on_disk for frame in entry.frames):
        return Rejected(path, "missing", f"{entry.where}: none of its frames is on disk")
    try:
        name = source.own_name(method, video_id)
    except Reject as reject:
        return Rejected(path, reject.reason, reject.detail)
    ids = shared_ids.ids_in(entry.name) if _has_shared_ids(entry) else ()
    fake = method != REAL_METHOD
    shown = SHOWN.get(method) if fake else 0
    swap = fake and len(ids) == 2
    return Video(
        file=folder,
        path=path,
        split=entry.split,
        label=int(fake),
        name=name,
        method=method,
        identity=ids[shown] if shown is not None and shown < len(ids) else "",
        target_id=ids[0] if swap else "",
        source_id=ids[1] if swap else "",
        pair_id=source.unique(entry.name.split("_")[0]) if entry.label.startswith("FF-") else "",
        leak_group=shared_ids.leak_group(*ids),
        compression="" if entry.label == _PLUS_FAKE else entry.compression,
        media="frames",
    )


def _has_shared_ids(entry: Entry) -> bool:
    """Names of other datasets may look like ids of these two."""
    return entry.label.startswith(("FF-", "CelebDF"))


ADAPTER = Adapter(
    name="deepfakebench",
    title="a dataset as DeepfakeBench has preprocessed it",
    expects=(
        "DeepfakeBench's JSON lists in preprocessing/dataset_json, dataset_json or the root, and "
        "below the root the folders frames/<video>/ that they name"
    ),
    read=_read,
    options={
        "lists": Option("a JSON list or a folder of them, relative to a root or absolute", ""),
    },
    licence="that of the dataset; DeepfakeBench's own lists are CC BY-NC 4.0",
    access="https://github.com/SCLBD/DeepfakeBench",
)
