"""FaceForensics++ as its download script lays it out, with FaceShifter and DeepFakeDetection.

Rules (stated in the dataset's README and split files):

- A split file lists pairs of ids. Pair (a, b) puts the originals a and b and the fakes ``a_b`` and
  ``b_a`` of every method in that split. A video that no pair covers is rejected, not guessed.
- In ``a_b``, a is the target (whose video it is), b the source (whose face or motion went in). Face
  swaps show b; reenactment shows a.
- DeepFakeDetection has no official split: all of it is test.
- Of a partial copy, what the split files list and the disk lacks is rejected as ``missing``, but
  only in folders that are there: a method that was never downloaded is no fault.
- Masks are never looked at, nor are hidden files.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.datasets.base import (
    REAL_METHOD,
    VIDEO_SUFFIXES,
    Adapter,
    Option,
    Rejected,
    Source,
    Video,
    suggest,
    wrong_root,
)
from pipeline.errors import UserError
from pipeline.tables import SPLITS

SHOWN = {
    "Deepfakes": "source",
    "FaceSwap": "source",
    "FaceShifter": "source",
    "Face2Face": "target",
    "NeuralTextures": "target",
}
"""Whose identity a manipulation shows."""

DFD = "DeepFakeDetection"
_YOUTUBE = "original_sequences/youtube"
_ACTORS = "original_sequences/actors"
_METHODS = {f"manipulated_sequences/{m}": m for m in (*SHOWN, DFD)} | {
    _YOUTUBE: REAL_METHOD,
    _ACTORS: REAL_METHOD,
}
_PARENTS = ("original_sequences", "manipulated_sequences")
_SPLIT_FOLDERS = ("splits", "dataset/splits", ".")
_FOLDERS_OF = {"raw": ("raw", "c0"), "c0": ("raw", "c0"), "c23": ("c23",), "c40": ("c40",)}
_MAX_SPLIT_FILE_BYTES = 1 << 20

_DFD_REAL = re.compile(r"(\d{2})__([a-z_]+)")
_DFD_FAKE = re.compile(r"(\d{2})_(\d{2})__([a-z_]+?)__([A-Z0-9]{8})")


@dataclass(frozen=True)
class _Splits:
    """Split of each id, and the other id of its pair."""

    split: Mapping[str, str]
    partner: Mapping[str, str]

    def names(self, method: str) -> list[str]:
        """Every video name that a method must have."""
        if method == REAL_METHOD:
            return sorted(self.split)
        return [f"{a}_{b}" for a, b in sorted(self.partner.items())]


@dataclass(frozen=True)
class _Folder:
    """One ``…/<compression>/videos`` on disk."""

    root_index: int
    part: str
    relative: str


def _read(source: Source) -> Iterator[Video | Rejected]:
    folders: list[_Folder] = []
    for index, root in enumerate(source.roots):
        if not any((root / parent).is_dir() for parent in _PARENTS):
            raise wrong_root(source, root, ADAPTER)
        for part in _parts(root):
            if part in _METHODS:
                folders += _video_folders(source, index, part)
            else:
                nearest = suggest(part, _METHODS)
                detail = f"not a folder of FaceForensics++. {nearest}"
                yield Rejected(source.path(index, part), "unsupported_media", detail)
    if not folders:
        raise _no_compression(source)
    parts = sorted({folder.part for folder in folders})
    pairs = _read_splits(source) if any(not _is_dfd(part) for part in parts) else None
    for part in parts:
        of_part = [folder for folder in folders if folder.part == part]
        if _is_dfd(part):
            yield from _list(source, of_part, None)
        else:
            yield from _list(source, of_part, pairs)


def _is_dfd(part: str) -> bool:
    return part == _ACTORS or _METHODS[part] == DFD


def _parts(root: Path) -> list[str]:
    """Folders of videos by method: ``original_sequences/youtube`` …, sorted."""
    parents = [parent for parent in _PARENTS if (root / parent).is_dir()]
    return sorted(
        f"{parent}/{folder.name}"
        for parent in parents
        for folder in (root / parent).iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
    )


def _video_folders(source: Source, index: int, part: str) -> list[_Folder]:
    for compression in _FOLDERS_OF[source.options["compression"]]:
        relative = f"{part}/{compression}/videos"
        if (source.roots[index] / relative).is_dir():
            return [_Folder(index, part, relative)]
    return []


def _no_compression(source: Source) -> UserError:
    there = sorted(
        {
            compression
            for root in source.roots
            for part in _parts(root)
            for compression in _FOLDERS_OF
            if (root / part / compression / "videos").is_dir()
        }
    )
    wanted = source.options["compression"]
    found = f"only {', '.join(there)}" if there else "no other compression either"
    return UserError(
        f"Dataset {source.name}: there are no {wanted} videos below "
        f"{', '.join(map(str, source.roots))}, {found}. Adapter {ADAPTER.name} expects "
        f"{ADAPTER.expects}. Set option compression or root in manifests/datasets.yaml."
    )


def _list(
    source: Source, folders: list[_Folder], pairs: _Splits | None
) -> Iterator[Video | Rejected]:
    """The videos of one method, and what its split files list beyond them."""
    method = _METHODS[folders[0].part]
    compression = "raw" if source.options["compression"] == "c0" else source.options["compression"]
    seen: set[str] = set()
    for folder in folders:
        root = source.roots[folder.root_index]
        for file in sorted((root / folder.relative).iterdir()):
            if file.name.startswith("."):
                continue
            path = source.path(folder.root_index, f"{folder.relative}/{file.name}")
            if file.suffix.lower() not in VIDEO_SUFFIXES:
                yield Rejected(path, "unsupported_media", "not the suffix of a video")
            elif file.stem in seen:
                yield Rejected(path, "duplicate", f"{method} {file.stem} is there already")
            else:
                seen.add(file.stem)
                blank = Video(file, path, "test", 0, method, compression=compression)
                yield _dfd_video(source, blank) if pairs is None else _video(source, blank, pairs)
    if pairs is not None:
        for name in pairs.names(method):
            if name not in seen:
                path = source.path(folders[0].root_index, f"{folders[0].relative}/{name}.mp4")
                yield Rejected(path, "missing", f"listed in {pairs.split[name[:3]]}.json")


def _video(source: Source, blank: Video, pairs: _Splits) -> Video | Rejected:
    """A video of one of the youtube clips or of the five manipulations of them."""
    name = PurePosixPath(blank.path).stem
    real = blank.method == REAL_METHOD
    if not re.fullmatch(r"\d{3}" if real else r"\d{3}_\d{3}", name, re.ASCII):
        form = "three digits" if real else "target_source, three digits each"
        return Rejected(blank.path, "inconsistent", f"the name is not {form}")
    target, _, donor = name.partition("_")
    if target not in pairs.split:
        return Rejected(blank.path, "inconsistent", f"{target} is in no split file")
    if donor and pairs.partner[target] != donor:
        return Rejected(blank.path, "inconsistent", f"{target}, {donor} is no pair of a split file")
    shown = donor if SHOWN.get(blank.method) == "source" else target
    return Video(
        file=blank.file,
        path=blank.path,
        split=pairs.split[target],
        label=0 if real else 1,
        method=blank.method,
        identity=source.unique(shown),
        target_id="" if real else source.unique(target),
        source_id=source.unique(donor),
        pair_id=source.unique(target),
        leak_group=source.unique("+".join(sorted((target, pairs.partner[target])))),
        compression=blank.compression,
    )


def _dfd_video(source: Source, blank: Video) -> Video | Rejected:
    """A video of DeepFakeDetection; its fakes are face swaps between actors."""
    name = PurePosixPath(blank.path).stem
    real = blank.method == REAL_METHOD
    match = (_DFD_REAL if real else _DFD_FAKE).fullmatch(name)
    if match is None:
        form = "actor__scene" if real else "target_source__scene__id"
        return Rejected(blank.path, "inconsistent", f"the name is not {form}")
    target, donor, scene = (match[1], "", match[2]) if real else (match[1], match[2], match[3])
    target_id, donor_id = f"actor{target}", f"actor{donor}" if donor else ""
    return Video(
        file=blank.file,
        path=blank.path,
        split="test",
        label=0 if real else 1,
        method=blank.method,
        identity=source.unique(donor_id or target_id),
        target_id="" if real else source.unique(target_id),
        source_id=source.unique(donor_id),
        pair_id=source.unique(f"{target}__{scene}"),
        leak_group=source.unique("actors"),
        compression=blank.compression,
    )


def _read_splits(source: Source) -> _Splits:
    for root in source.roots:
        for folder in _SPLIT_FOLDERS:
            files = {split: root / folder / f"{split}.json" for split in SPLITS}
            if all(file.is_file() for file in files.values()):
                return _parse_splits(source, files)
    searched = ", ".join(str(root / folder) for root in source.roots for folder in _SPLIT_FOLDERS)
    raise UserError(
        f"Dataset {source.name}: train.json, val.json and test.json lie together in none of "
        f"{searched}. Copy them there from dataset/splits of the official FaceForensics repository."
    )


def _parse_splits(source: Source, files: Mapping[str, Path]) -> _Splits:
    splits: dict[str, str] = {}
    partner: dict[str, str] = {}
    for split, file in files.items():
        for a, b in _parse_pairs(source, file):
            for one, other in ((a, b), (b, a)):
                if one in splits:
                    raise UserError(
                        f"Dataset {source.name}: id {one} is twice in the split files ({file} and "
                        f"{files[splits[one]]}). Take the official files."
                    )
                splits[one], partner[one] = split, other
    return _Splits(splits, partner)


def _parse_pairs(source: Source, file: Path) -> list[tuple[str, str]]:
    wrong = UserError(
        f"Dataset {source.name}: {file} is not a JSON list of pairs of three-digit ids, such as "
        '[["071", "054"]]. Take the official file.'
    )
    if file.stat().st_size > _MAX_SPLIT_FILE_BYTES:
        raise wrong
    try:
        pairs = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise wrong from error
    if not isinstance(pairs, list) or not all(map(_is_pair, pairs)):
        raise wrong
    return [(a, b) for a, b in pairs]


def _is_pair(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(one, str) and re.fullmatch(r"\d{3}", one, re.ASCII) for one in pair)
    )


ADAPTER = Adapter(
    name="faceforensics",
    expects=(
        "original_sequences/youtube/<compression>/videos/000.mp4 and "
        "manipulated_sequences/<method>/<compression>/videos/000_003.mp4 below the root, with the "
        "split files train.json, val.json, test.json in splits/, dataset/splits/ or the root itself"
    ),
    read=_read,
    options={
        "compression": Option(
            "which copy is read; c0 is another name of raw", "c23", tuple(_FOLDERS_OF)
        ),
    },
)
