"""FaceForensics++ with FaceShifter and DeepFakeDetection.

Read as the official script lays it out, as videos or as folders of pictures, and as the flat copy
that is passed around with one folder per method. Rules (stated in the dataset's README and split
files):

- A split file lists pairs of ids. Pair (a, b) puts the originals a and b and the fakes ``a_b`` and
  ``b_a`` of every method in that split. A video that no pair covers is rejected, not guessed.
- In ``a_b``, a is the target (whose video it is), b the source (whose face or motion went in). Face
  swaps show b; reenactment shows a.
- DeepFakeDetection has no official split: all of it is test.
- Of a partial copy, what the split files list and the disk lacks is rejected as ``missing``, but
  only in folders that are there: a method that was never downloaded is no fault.
- A fake's pictures are those of its target, altered; where masks/ lies beside its compressions,
  its mask is the video of the same name there. FaceShifter has none. Masks are never rows.
- Landmarks are never looked at, nor are hidden files.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from faceshards.wording import suggestion
from pipeline.datasets import ff_splits, folders, shared_ids
from pipeline.datasets.base import (
    REAL_METHOD,
    Adapter,
    Option,
    Reference,
    Rejected,
    Source,
    Total,
    Video,
    wrong_root,
)
from pipeline.errors import UserError

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
_PARENTS = ("original_sequences", "manipulated_sequences")
_METHODS = {**{m: m for m in (*SHOWN, DFD)}, "DeepFakes": "Deepfakes"}
_OFFICIAL = {f"manipulated_sequences/{name}": m for name, m in _METHODS.items()} | {
    _YOUTUBE: REAL_METHOD,
    _ACTORS: REAL_METHOD,
}
_FLAT = _METHODS | {"original": REAL_METHOD, "Original": REAL_METHOD}
_OFFICIAL_DEPTH = 4
"""Folders above a video: manipulated_sequences, method, compression, videos."""
_NO_METHOD = ("csv", "splits", "dataset")
"""Folders of a flat copy that hold no videos."""
_COMPRESSIONS = {"raw": ("raw", "c0"), "c0": ("raw", "c0"), "c23": ("c23",), "c40": ("c40",)}

_DFD_REAL = re.compile(r"(\d{2})__([a-z_]+)", re.ASCII)
_DFD_FAKE = re.compile(r"(\d{2})_(\d{2})__([a-z_]+?)__([A-Z0-9]{8})", re.ASCII)


@dataclass(frozen=True)
class _Folder:
    """One folder of videos, or of folders of pictures, of one method."""

    root_index: int
    relative: str
    method: str
    dfd: bool
    media: str

    @property
    def group(self) -> tuple[bool, str]:
        """Folders of a group hold videos of the same names."""
        return (self.dfd, self.method)


@dataclass(frozen=True)
class _Splits:
    """The split files, and what each id is related to."""

    pairs: ff_splits.Pairs
    leak_groups: dict[str, str]

    def names(self, method: str) -> list[str]:
        """Every video name that a method must have."""
        if method == REAL_METHOD:
            return sorted(self.pairs.split)
        return [f"{a}_{b}" for a, b in sorted(self.pairs.partner.items())]


def _read(source: Source) -> Iterator[Video | Rejected]:
    found: list[_Folder] = []
    for index, root in enumerate(source.roots):
        official = any((root / parent).is_dir() for parent in _PARENTS)
        for item in _official(source, index) if official else _flat(source, index):
            if isinstance(item, Rejected):
                yield item
            else:
                found.append(item)
    if not found:
        raise _no_compression(source)
    splits = None
    if not all(folder.dfd for folder in found):
        pairs = ff_splits.find(source, source.roots)
        splits = _Splits(pairs, ff_splits.leak_groups(source, pairs))
    for group in sorted({folder.group for folder in found}):
        yield from _list(source, [f for f in found if f.group == group], splits)


def _official(source: Source, index: int) -> Iterator[_Folder | Rejected]:
    root = source.roots[index]
    parts = [f"{p}/{name}" for p in _PARENTS for name in folders.subfolders(root / p)]
    for part in parts:
        if part not in _OFFICIAL:
            yield _unknown(source, index, part, _OFFICIAL)
            continue
        wanted = [
            (f"{part}/{compression}/{name}", media)
            for compression in _COMPRESSIONS[source.options["compression"]]
            for name, media in folders.MEDIA.items()
        ]
        there = [(path, media) for path, media in wanted if (root / path).is_dir()]
        for path, media in there[:1]:
            method = _OFFICIAL[part]
            yield _Folder(index, path, method, part == _ACTORS or method == DFD, media)


def _flat(source: Source, index: int) -> Iterator[_Folder | Rejected]:
    names = folders.subfolders(source.roots[index])
    if not set(names) & set(_FLAT):
        raise wrong_root(source, source.roots[index], ADAPTER)
    for name in names:
        if name in _FLAT:
            yield _Folder(index, name, _FLAT[name], name == DFD, "video")
        elif name not in _NO_METHOD:
            yield _unknown(source, index, name, _FLAT)


def _unknown(source: Source, index: int, part: str, known: Iterable[str]) -> Rejected:
    detail = f"not a folder of FaceForensics++. {suggestion(part, known)}"
    return Rejected(source.path(index, part), "unsupported_media", detail)


def _no_compression(source: Source) -> UserError:
    there = sorted(
        {
            compression
            for root in source.roots
            for part in _OFFICIAL
            for compression in _COMPRESSIONS
            for name in folders.MEDIA
            if (root / part / compression / name).is_dir()
        }
    )
    found = f"only {', '.join(there)}" if there else "no other compression either"
    return UserError(
        f"Dataset {source.name}: there are no {source.options['compression']} videos below "
        f"{', '.join(map(str, source.roots))}, {found}. Adapter {ADAPTER.name} expects "
        f"{ADAPTER.expects}. Set option compression or root in manifests/datasets.yaml."
    )


def _list(
    source: Source, same: list[_Folder], splits: _Splits | None
) -> Iterator[Video | Rejected]:
    """The videos of one method, and what its split files list beyond them."""
    compression = "raw" if source.options["compression"] == "c0" else source.options["compression"]
    seen: set[str] = set()
    for folder in same:
        frames = folder.media == "frames"
        for entry in folders.entries(source.roots[folder.root_index] / folder.relative):
            path = source.path(folder.root_index, f"{folder.relative}/{entry.name}")
            name = entry.name if frames else folders.stem(entry.name)
            if not (folders.is_dir(entry) if frames else folders.is_video(entry.name)):
                wanted = "a folder of pictures" if frames else "the suffix of a video"
                yield Rejected(path, "unsupported_media", f"not {wanted}")
            elif name in seen:
                yield Rejected(path, "duplicate", f"{folder.method} {name} is there already")
            else:
                seen.add(name)
                label = int(folder.method != REAL_METHOD)
                blank = Video(
                    *(entry.path, path, "test", label, folder.method),
                    compression=compression,
                    media=folder.media,
                    aligned=bool(label),
                    mask=_mask(source, folder, entry.name) if label else None,
                )
                if splits is None or folder.dfd:
                    yield _dfd_video(source, blank, name)
                else:
                    yield _video(source, blank, name, splits)
    if splits is not None and not same[0].dfd:
        suffix = "" if same[0].media == "frames" else ".mp4"
        for name in splits.names(same[0].method):
            if name not in seen:
                path = source.path(same[0].root_index, f"{same[0].relative}/{name}{suffix}")
                split = splits.pairs.split[name[:3]]
                yield Rejected(path, "missing", f"listed in {split}.json")


def _mask(source: Source, folder: _Folder, name: str) -> Reference | None:
    """Where the mask of a fake lies in the official layout; whether it does, ``scan`` looks."""
    parts = folder.relative.split("/")
    if len(parts) != _OFFICIAL_DEPTH:
        return None
    method, compression, level = "/".join(parts[:2]), parts[2], parts[3]
    below = (
        f"{method}/masks/{level}" if folder.media == "video" else f"{method}/{compression}/masks"
    )
    relative = f"{below}/{name}"
    file = source.roots[folder.root_index] / relative
    return Reference(file, source.path(folder.root_index, relative))


def _video(source: Source, blank: Video, name: str, splits: _Splits) -> Video | Rejected:
    """A video of one of the youtube clips or of the five manipulations of them."""
    pairs, real = splits.pairs, blank.method == REAL_METHOD
    if not re.fullmatch(r"\d{3}" if real else r"\d{3}_\d{3}", name, re.ASCII):
        form = "three digits" if real else "target_source, three digits each"
        return Rejected(blank.path, "inconsistent", f"the name is not {form}")
    target, _, donor = name.partition("_")
    if target not in pairs.split:
        return Rejected(blank.path, "inconsistent", f"{target} is in no split file")
    if donor and pairs.partner[target] != donor:
        return Rejected(blank.path, "inconsistent", f"{target}, {donor} is no pair of a split file")
    shown = donor if SHOWN.get(blank.method) == "source" else target
    return replace(
        blank,
        split=pairs.split[target],
        identity=shared_ids.ffpp(shown),
        target_id="" if real else shared_ids.ffpp(target),
        source_id=shared_ids.ffpp(donor) if donor else "",
        real_of=tuple(SHOWN) if real else (),
        pair_id=source.unique(target),
        leak_group=splits.leak_groups[target],
    )


def _dfd_video(source: Source, blank: Video, name: str) -> Video | Rejected:
    """A video of DeepFakeDetection; its fakes are face swaps between actors."""
    real = blank.method == REAL_METHOD
    match = (_DFD_REAL if real else _DFD_FAKE).fullmatch(name)
    if match is None:
        form = "actor__scene" if real else "target_source__scene__id"
        return Rejected(blank.path, "inconsistent", f"the name is not {form}")
    target, donor, scene = (match[1], "", match[2]) if real else (match[1], match[2], match[3])
    target_id, donor_id = (source.unique(f"actor{one}" if one else "") for one in (target, donor))
    return replace(
        blank,
        identity=donor_id or target_id,
        target_id="" if real else target_id,
        source_id=donor_id,
        real_of=(DFD,) if real else (),
        pair_id=source.unique(f"{target}__{scene}"),
        leak_group=shared_ids.leak_group(target_id, donor_id),
    )


_YOUTUBE_PATHS, _ACTORS_PATHS = r"(^|/)(youtube|[Oo]riginal)/", r"(^|/)actors/"
_COUNTS = (("train", 720), ("val", 140), ("test", 140))

ADAPTER = Adapter(
    name="faceforensics",
    expects=(
        "original_sequences/youtube/<compression>/videos/000.mp4 and "
        "manipulated_sequences/<method>/<compression>/videos/000_003.mp4 below the root (or folders"
        " of pictures in images/ or frames/ instead of videos/; or a flat copy, original/000.mp4 "
        "and <method>/000_003.mp4), with the split files train.json, val.json, test.json in "
        "splits/, dataset/splits/ or the root itself"
    ),
    read=_read,
    options={
        "compression": Option(
            "which copy is read; c0 is another name of raw", "c23", tuple(_COMPRESSIONS)
        ),
    },
    title="FaceForensics++, with FaceShifter and DeepFakeDetection",
    licence="FaceForensics Terms of Use: research and education only, no redistribution",
    access="https://github.com/ondyari/FaceForensics: a form, then a script by mail",
    expected=(
        *(
            Total(
                count,
                {"method": REAL_METHOD, "split": split},
                path=_YOUTUBE_PATHS,
                real_of=tuple(SHOWN),
            )
            for split, count in _COUNTS
        ),
        *(
            Total(count, {"method": method, "split": split})
            for method in SHOWN
            for split, count in _COUNTS
        ),
        Total(
            363,
            {"method": REAL_METHOD, "split": "test"},
            path=_ACTORS_PATHS,
            note="actors of DeepFakeDetection; the flat copy has none",
            real_of=(DFD,),
        ),
        Total(3_068, {"method": DFD, "split": "test"}, note="the flat copy is cut to 1,000"),
    ),
)
