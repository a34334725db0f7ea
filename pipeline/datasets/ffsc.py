"""FFSC: still frames, each with the attributes and regions that were altered.

Rules:

- Split and method are folders: ``Train``, ``Val``, ``Test``; below Test there may be ``Protocol-1``
  and ``Protocol-2``. A method alters one attribute, which fixes its label vector in the graph
  ``ffsc`` (manifests/semantics.yaml); :data:`CODES` has them as the authors write them.
- Lists of ``path digits`` in the root or in ``lists/`` are checked against the folders: a picture
  whose digits are not those of its method is rejected as ``inconsistent``, one that is listed and
  not there as ``missing``. Without lists the folders alone decide.
- Clips are named by a YouTube id and a number (``fsgan``: and two times), or by the number of a
  YouTube clip of Celeb-DF. In ``A_<frame>_by_B_<frame>``, ``A_2_B`` and ``A_To_B``, A is the target
  and B the source. A name that tells no clip gives no ids.
- Clips of one YouTube video are related, however they are numbered: ``leak_group`` names the video.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from faceshards.wording import suggestion
from pipeline.datasets import folders, path_lists, shared_ids
from pipeline.datasets.base import (
    REAL_METHOD,
    Adapter,
    Rejected,
    Source,
    Video,
    wrong_root,
)
from pipeline.datasets.lists import CrossCheck

CODES = {
    "age": "110000100001",
    "smile": "101000001100",
    "surprised": "101000101111",
    "gender": "120110111101",
    "identity": "120010111111",
    "pose": "100001111111",
}
"""Labels of an attribute in the order of the graph ``ffsc``, as in the authors' lists; 2 = none."""

ATTRIBUTES = {
    "diffae-age": "age",
    "StyleRes-age": "age",
    "HFGI-age": "age",
    "diffae-gender": "gender",
    "StyleGAN2_dis-gender": "gender",
    "StyleCLIP-gender": "gender",
    "simswap": "identity",
    "fsgan": "identity",
    "BlendFace": "identity",
    "InfoSwap": "identity",
    "StyleRes-expr": "smile",
    "HFGI-smile": "smile",
    "fomm-expr": "surprised",
    "TPS-pose": "pose",
    "fomm-pose": "pose",
    "FNeVR": "pose",
}
"""What each method alters."""

CATEGORIES = {
    "age": "FE",
    "gender": "FE",
    "smile": "FE",
    "identity": "FS",
    "surprised": "RE",
    "pose": "RE",
}

_REAL = "Real"
_REAL_CODE = "0" * 12
_SPLITS = {"Train": "train", "Val": "val", "Test": "test"}
_PROTOCOLS = ("Protocol-1", "Protocol-2")
_METHODS = {name.casefold(): name for name in (*ATTRIBUTES, _REAL)}
_DEPTH = 4
_LISTS = ("*SLH*.txt", "lists/*SLH*.txt")

# A YouTube id may itself hold "_2_", so it is told by its eleven characters. Behind it comes a
# number, or in the folder of fsgan the times in seconds between which the clip was cut.
_TIMES = r"[0-9]+(?:\.[0-9]+_[0-9]+(?:\.[0-9]+)?|_[0-9]+\.[0-9]+)"
_CLIP = rf"(?:[A-Za-z0-9_-]{{11}}_(?:{_TIMES}|[0-9]+)|[0-9]{{5}})"
_YOUTUBE_CHARS = 11
_SWAP = re.compile(rf"({_CLIP})(?:_([0-9]{{4}}))?_(?:by|2|To)_({_CLIP})(?:_[0-9]{{4}})?")
_ONE = re.compile(rf"({_CLIP})(?:_([0-9]{{4}}))?(?=_|$)")


@dataclass(frozen=True)
class _Folder:
    """One folder of a method (or of reals) in one split."""

    root_index: int
    relative: str
    split: str
    method: str


@dataclass(frozen=True)
class _Clips:
    """What a picture was made of, as far as its name tells."""

    target: str = ""
    frame: str = ""
    donor: str = ""


def _read(source: Source) -> Iterator[Video | Rejected]:
    listed = _listed(source)
    check = CrossCheck(listed, None)
    for index in range(len(source.roots)):
        for folder in _method_folders(source, index):
            if isinstance(folder, Rejected):
                yield folder
                continue
            top = source.roots[index] / folder.relative
            for name in folders.files(top, _DEPTH):
                path = source.path(index, f"{folder.relative}/{name}")
                key = _key(path) if listed else path
                _, digits = listed.get(key, ("", ""))
                yield check.reject(path, key, path, "image") or _image(
                    source, folder, f"{top}/{name}", path, name, digits
                )
    for _, (path, _) in check.missing():
        yield Rejected(source.path(0, path), "missing", "in a list")


def _method_folders(source: Source, index: int) -> Iterator[_Folder | Rejected]:
    root = source.roots[index]
    prefix = "FFSC/" if (root / "FFSC").is_dir() else ""
    tops = [top for top in folders.subfolders(root / prefix) if top.capitalize() in _SPLITS]
    if not tops:
        raise wrong_root(source, root, ADAPTER)
    for top in tops:
        for name in _below(root / prefix / top):
            relative = f"{prefix}{top}/{name}"
            method = _METHODS.get(PurePosixPath(name).name.casefold())
            if method is None:
                detail = f"not a method of FFSC. {suggestion(name, _METHODS.values())}"
                yield Rejected(source.path(index, relative), "unsupported_media", detail)
            else:
                yield _Folder(index, relative, _SPLITS[top.capitalize()], method)


def _below(top: Path) -> Iterator[str]:
    for name in folders.subfolders(top):
        if name in _PROTOCOLS:
            yield from (f"{name}/{below}" for below in folders.subfolders(top / name))
        else:
            yield name


def _image(
    source: Source, folder: _Folder, file: str, path: str, name: str, digits: str
) -> Video | Rejected:
    real = folder.method == _REAL
    code = _REAL_CODE if real else CODES[ATTRIBUTES[folder.method]]
    if digits and digits != code:
        return Rejected(path, "inconsistent", f"{folder.method} is {code}, a list says {digits}")
    attribute = "" if real else ATTRIBUTES[folder.method]
    clips = _clips(name)
    target, donor = _id(source, clips.target), _id(source, clips.donor)
    return Video(
        file=file,
        path=path,
        split=folder.split,
        label=0 if real else 1,
        method=REAL_METHOD if real else folder.method,
        category="" if real else CATEGORIES[attribute],
        subtype=attribute,
        identity=donor if attribute == "identity" else target,
        target_id="" if real else target,
        source_id=donor,
        pair_id=f"{target}/{clips.frame}" if target and clips.frame else target,
        leak_group=shared_ids.leak_group(_origin(clips.target), _origin(clips.donor)),
        media="image",
    )


def _clips(name: str) -> _Clips:
    """Clips in the path of a picture below its method, and the target's frame."""
    parts = [*PurePosixPath(name).parts[:-1], folders.stem(name)]
    start = re.match(r"[0-9]{4}(?![0-9])", parts[-1])
    frame = start.group() if start else ""
    for part in parts:
        if swap := _SWAP.fullmatch(part):
            return _Clips(swap[1], swap[2] or frame, swap[3])
        if one := _ONE.match(part):
            return _Clips(one[1], one[2] or frame)
    return _Clips()


def _id(source: Source, clip: str) -> str:
    """Five digits are a YouTube clip of Celeb-DF, which that dataset has as well."""
    return shared_ids.celeb_df_youtube(clip) if len(clip) == 5 else source.unique(clip)


def _origin(clip: str) -> str:
    """What clips share: the number of Celeb-DF, or the YouTube video; "" where none is known."""
    if len(clip) <= _YOUTUBE_CHARS:
        return shared_ids.celeb_df_youtube(clip) if clip else ""
    return shared_ids.youtube(clip[:_YOUTUBE_CHARS])


def _key(path: str) -> str:
    return path_lists.tail(path, lambda part: part.capitalize() in _SPLITS)


def _listed(source: Source) -> dict[str, tuple[str, str]]:
    """Path as listed and digits of each picture in a list, by :func:`_key`."""
    lines = (
        line
        for root in source.roots
        for file in sorted(file for pattern in _LISTS for file in root.glob(pattern))
        if file.is_file()
        for line in path_lists.read(source, file, "[012]{12}")
    )
    return path_lists.by_key(lines, _key)


ADAPTER = Adapter(
    name="ffsc",
    title="FFSC (Semantic Contextualization of Face Forgery)",
    expects=(
        "Train, Val and Test below the root or below FFSC/, each with Real/ and the folders of "
        "methods, such as Train/simswap/<target>_2_<source>/0007.png"
    ),
    read=_read,
    licence="research only",
    access="https://github.com/MZMMSEC/SO-DFD (its authors publish no totals)",
)
