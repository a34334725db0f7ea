"""WildDeepfake: sequences of face crops, in the tars as they are downloaded or unpacked.

Rules:

- One row is one sequence: a folder of pictures, in a tar ``<top folder>/<n>.tar.gz`` or unpacked
  beside it. Nothing is unpacked; despite their name the tars may be plain or gzipped, which the
  first two bytes tell.
- Label and split are those of the top folder (``real_train``, ``fake_test`` …) alone: the folder
  inside a tar may say otherwise. There is no val.
- Sequences have no source video, method or person. Tars with the same number and label probably
  come from the same source video, so ``leak_group`` is that number and label.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pipeline.datasets import folders, tar_names
from pipeline.datasets.base import REAL_METHOD, Adapter, Rejected, Source, Total, Video, wrong_root

_TOPS = {
    f"{label}_{split}": (label, split) for label in ("real", "fake") for split in ("train", "test")
}
_UNKNOWN_METHOD = "unknown"
_TAR_SUFFIXES = (".tar.gz", ".tgz", ".tar")
_DEPTH = 4
"""Levels below an unpacked tar: ``<n>/<real|fake>/<sequence>``, maybe with ``<n>`` twice."""


@dataclass(frozen=True)
class _Found:
    """One sequence: where it is, and its place inside the tar."""

    file: Path
    path: str
    inside: str
    media: Literal["tar", "frames"]


def _read(source: Source) -> Iterator[Video | Rejected]:
    seen: set[tuple[str, str, str]] = set()
    for index, root in enumerate(source.roots):
        tops = [top for top in folders.subfolders(root) if top in _TOPS]
        if not tops:
            raise wrong_root(source, root, ADAPTER)
        for top in tops:
            for entry in folders.entries(root / top):
                path = source.path(index, f"{top}/{entry.name}")
                folder = folders.is_dir(entry)
                shard = entry.name if folder else _shard(entry.name)
                if not shard or not (folder or Path(entry.path).is_file()):
                    yield Rejected(path, "unsupported_media", "neither a tar nor a folder")
                    continue
                found = _in_folder if folder else _in_tar
                for one in found(Path(entry.path), path):
                    if isinstance(one, Rejected):
                        yield one
                        continue
                    key = (top, shard, one.inside)
                    if key in seen:
                        yield Rejected(one.path, "duplicate", f"{top} {shard} has it already")
                    else:
                        seen.add(key)
                        yield _video(source, top, shard, one)


def _video(source: Source, top: str, shard: str, found: _Found) -> Video:
    label, split = _TOPS[top]
    return Video(
        file=found.file,
        path=found.path,
        split=split,
        label=0 if label == "real" else 1,
        method=REAL_METHOD if label == "real" else _UNKNOWN_METHOD,
        leak_group=source.unique(f"{label}_{shard}"),
        media=found.media,
    )


def _shard(name: str) -> str:
    """Number of a tar; "" where the name is no tar's."""
    ending = next((end for end in _TAR_SUFFIXES if name.lower().endswith(end)), "")
    return name[: -len(ending)] if ending else ""


def _in_folder(folder: Path, path: str) -> Iterator[_Found]:
    for inside in dict.fromkeys(
        str(PurePosixPath(file).parent)
        for file in folders.files(folder, _DEPTH)
        if folders.is_image(file)
    ):
        # Unpacked in place, the number of the tar is there once or twice.
        name = inside if inside.startswith(f"{folder.name}/") else f"{folder.name}/{inside}"
        where = path if inside == "." else f"{path}/{inside}"
        yield _Found(folder / inside, where, name, "frames")


def _in_tar(tar: Path, path: str) -> Iterator[_Found | Rejected]:
    """Sequences of a tar, by its headers; what comes before a damaged place still counts."""
    inside: dict[str, None] = {}
    problem = ""
    try:
        for member in tar_names.images(tar, path):
            if isinstance(member, Rejected):
                yield member
            else:
                inside[member.name.rpartition("/")[0] or "."] = None
    except (EOFError, OSError, zlib.error, ValueError) as error:
        problem = str(error) or type(error).__name__
    for one in sorted(inside):
        yield _Found(tar, f"{path}!{one}", one, "tar")
    if problem:
        yield Rejected(path, "unreadable", f"damaged after {len(inside)} sequences: {problem}")
    elif not inside:
        yield Rejected(path, "empty", "a tar without pictures")


ADAPTER = Adapter(
    name="wilddeepfake",
    title="WildDeepfake",
    expects=(
        "the folders real_train, real_test, fake_train and fake_test, with <n>.tar.gz in them or "
        "the same unpacked, <n>/<real or fake>/<sequence>/<frame>.png"
    ),
    read=_read,
    licence="non-commercial research",
    access="https://huggingface.co/datasets/xingjunm/WildDeepfake (gated)",
    expected=(
        Total(3_409, {"split": "train", "label": 0}),
        Total(396, {"split": "test", "label": 0}),
        Total(3_099, {"split": "train", "label": 1}),
        Total(410, {"split": "test", "label": 1}),
    ),
)
