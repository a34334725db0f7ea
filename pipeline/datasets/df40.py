"""DF40: face crops of 40 methods, as folders of frames or still pictures.

Rules:

- ``<method>/ff`` and ``<method>/cdf`` are the test tree, with material of FaceForensics++ and of
  Celeb-DF; ``<method>/fake`` and ``<method>/real`` are methods of other material, test only; any
  other folder of a method is the train tree, FaceForensics++ only. Names of methods are compared
  without case, ``_``, ``-`` and ``.``; two spellings side by side are one method, and a video that
  both have is ``duplicate``.
- A folder of pictures is one row; pictures that lie in ``frames``, ``inversions``, ``fake`` and the
  like are one row each. ``landmarks`` and ``masks`` are never looked at.
- Splits are those of FaceForensics++, since the published train lists hold test ids: both ids of a
  video of the train tree must be train ids; those of the test tree val or test ids, and of the same
  split. What breaks this is ``inconsistent``. Material of Celeb-DF and others is test.
- Which id of a name is the target differs between methods and is documented nowhere, so ids are in
  ``leak_group`` alone.
- Reals are the folders DF40 publishes: of Celeb-DF and of FaceForensics++. Where Celeb-DF's
  ``List_of_testing_videos.txt`` is there, its reals that are not listed are ``excluded``.
- JSON lists, where there are any, are checked against the folders: what they name in a folder that
  is there, and the disk lacks, is ``missing``.
- ``protocol: paper`` reads what the metric-learning paper tests on: Celeb-DF material of the 9 face
  swaps without deepfacelab and the 12 reenactments without heygen.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from faceshards.fields import SPLITS
from faceshards.wording import suggestion
from pipeline.datasets import (
    celeb_df,
    deepfakebench,
    df40_names,
    ff_splits,
    folders,
    shared_ids,
)
from pipeline.datasets.base import (
    REAL_METHOD,
    Adapter,
    Option,
    Rejected,
    Source,
    Total,
    Video,
    wrong_root,
)
from pipeline.datasets.celeb_df import LIST
from pipeline.datasets.df40_names import METHODS, PAPER_METHODS
from pipeline.datasets.lists import CrossCheck

_REALS: dict[str, Literal["ff", "cdf"]] = {
    "Celeb-real/frames": "cdf",
    "YouTube-real/frames": "cdf",
    "original_sequences/youtube/c23/frames": "ff",
}
_REAL_TOPS = frozenset(path.split("/")[0].casefold() for path in _REALS)
_CONTAINERS = frozenset({"frames", "inversions", "images", "fake", "real", "ff", "cdf"})
_CELEB_FOLDERS = ("celeb-real", "youtube-real")
_OF_METHODS = {"ff", "cdf", "frames"}
_BESIDE = frozenset({"landmarks", "masks"})
_DEPTH = 4


@dataclass(frozen=True)
class _Place:
    """A folder whose videos and pictures have the same origin."""

    root_index: int
    relative: str
    method: str
    domain: Literal["ff", "cdf", "other"]
    train_tree: bool = False


@dataclass(frozen=True)
class _Leaf:
    """One row's folder of pictures, or picture, below a root."""

    relative: str
    media: Literal["frames", "image"]

    @property
    def folder(self) -> str:
        """The folder that the pictures lie in."""
        if self.media == "frames":
            return self.relative
        return _parent(self.relative)

    @property
    def name(self) -> str:
        """What the ids are in."""
        frames = self.media == "frames"
        return PurePosixPath(self.relative).name if frames else folders.stem(self.relative)


@dataclass(frozen=True)
class _Known:
    """What other files say about the rows."""

    pairs: ff_splits.Pairs | None
    listed: Mapping[str, deepfakebench.Entry]
    test_reals: frozenset[str]
    """``celeb-real/id0_0000`` …; empty where there is no list."""


def _read(source: Source) -> Iterator[Video | Rejected]:
    paper = source.options["protocol"] == "paper"
    found = list(_places(source))
    places = [place for place in found if not paper or _in_paper(place)]
    if not places:
        raise wrong_root(source, source.roots[0], ADAPTER)
    yield from _unknown(source)
    for place in found:
        if place not in places:
            path = source.path(place.root_index, place.relative)
            yield Rejected(path, "excluded", "the whole folder, by option protocol")
    known = _Known(_pairs(source, places), _listed(source), _test_reals(source))
    on_disk = CrossCheck(known.listed, None)
    first: dict[tuple[bool, str], str] = {}
    repeats = CrossCheck[tuple[bool, str], None]({}, None)
    for place in places:
        for leaf in _leaves(source.roots[place.root_index], place.relative):
            path = source.path(place.root_index, leaf.relative)
            on_disk.note(_key(leaf.folder))
            place_key = (place.train_tree, _key(leaf.relative))
            before = first.setdefault(place_key, path)
            repeat = repeats.reject(path, place_key, before, leaf.media)
            yield repeat or _row(source, place, leaf, known)
    parents = {_parent(key) for key in on_disk.on_disk}
    for key, entry in on_disk.missing():
        if _parent(key) in parents:
            yield Rejected(entry.where, "missing", entry.folder)


def _in_paper(place: _Place) -> bool:
    return place.domain == "cdf" and place.method in (*PAPER_METHODS, REAL_METHOD)


def _places(source: Source) -> Iterator[_Place]:
    """Folders with rows in them: below a root, or below a folder of it such as DF40_train."""
    for index, root in enumerate(source.roots):
        tops = [name for name in folders.subfolders(root) if not df40_names.method(name)]
        for prefix in ("", *(f"{name}/" for name in tops)):
            for relative, domain in _REALS.items():
                if (root / prefix / relative).is_dir():
                    yield _Place(index, f"{prefix}{relative}", REAL_METHOD, domain)
            for name in folders.subfolders(root / prefix):
                if method := df40_names.method(name):
                    yield from _of_method(root, index, f"{prefix}{name}", method)


def _unknown(source: Source) -> Iterator[Rejected]:
    """Folders that look like a method's and have the name of none."""
    for index, root in enumerate(source.roots):
        for prefix in ("", *(f"{name}/" for name in folders.subfolders(root))):
            for name in folders.subfolders(root / prefix):
                if df40_names.method(name) or name.casefold() in (*_CONTAINERS, *_CELEB_FOLDERS):
                    continue
                if _OF_METHODS & set(folders.subfolders(root / prefix / name)):
                    detail = f"not a method of DF40. {suggestion(name, METHODS)}"
                    path = source.path(index, f"{prefix}{name}")
                    yield Rejected(path, "unsupported_media", detail)


def _of_method(root: Path, index: int, folder: str, method: str) -> Iterator[_Place]:
    inside = {name.casefold(): name for name in folders.subfolders(root / folder)}
    if "ff" in inside or "cdf" in inside:
        for domain in ("ff", "cdf"):
            if domain in inside:
                yield _Place(index, f"{folder}/{inside[domain]}", method, domain)
    elif "fake" in inside or "real" in inside:
        if "fake" in inside:
            yield _Place(index, f"{folder}/{inside['fake']}", method, "other")
        if "real" in inside:
            yield _Place(index, f"{folder}/{inside['real']}", REAL_METHOD, "other")
    else:
        yield _Place(index, folder, method, "ff", train_tree=True)


def _leaves(root: Path, folder: str, depth: int = _DEPTH, top: bool = True) -> Iterator[_Leaf]:
    """Rows below a folder, sorted."""
    found = folders.entries(root / folder)
    pictures = [e.name for e in found if folders.is_image(e.name)]
    below = [e.name for e in found if e.name.casefold() not in _BESIDE and folders.is_dir(e)]
    if top or _is_container(PurePosixPath(folder).name):
        for name in pictures:
            yield _Leaf(f"{folder}/{name}", "image")
    elif pictures or not below:
        yield _Leaf(folder, "frames")
    for name in below if depth else ():
        yield from _leaves(root, f"{folder}/{name}", depth - 1, top=False)


def _is_container(name: str) -> bool:
    plain = name.casefold()
    return plain in _CONTAINERS or plain.endswith(_CELEB_FOLDERS)


def _row(source: Source, place: _Place, leaf: _Leaf, known: _Known) -> Video | Rejected:
    path = source.path(place.root_index, leaf.relative)
    real = place.method == REAL_METHOD
    entry = known.listed.get(_key(leaf.folder))
    if entry and (deepfakebench.method_of(entry.label) == REAL_METHOD) != real:
        return Rejected(path, "inconsistent", f"the label in {entry.where} is {entry.label}")
    if real and place.domain == "cdf" and known.test_reals:
        name = f"{PurePosixPath(place.relative).parent.name.lower()}/{leaf.name}"
        if name not in known.test_reals:
            return Rejected(path, "excluded", f"not in {LIST}")
    ids = _ids(leaf.name)
    split = _ff_split(place, ids, known.pairs) if place.domain == "ff" else "test"
    if split not in SPLITS:
        return Rejected(path, "inconsistent", split)
    return Video(
        file=source.roots[place.root_index] / leaf.relative,
        path=path,
        split=split,
        label=0 if real else 1,
        method=place.method,
        identity=ids[0] if real and ids else "",
        leak_group=shared_ids.leak_group(*ids),
        compression="c23" if place.domain == "ff" else "",
        media=leaf.media,
    )


def _ids(name: str) -> tuple[str, ...]:
    """Clips and people in a name; a still picture may have its number behind them."""
    return shared_ids.ids_in(name) or shared_ids.ids_in(name.rpartition("_")[0])


def _ff_split(place: _Place, ids: tuple[str, ...], pairs: ff_splits.Pairs | None) -> str:
    """The split, or why there is none."""
    clips = [one.removeprefix(shared_ids.ffpp("")) for one in ids]
    if not clips or pairs is None or not all(clip in pairs.split for clip in clips):
        return "no clip of the split files of FaceForensics++ is in its name"
    of_clips = {pairs.split[clip] for clip in clips}
    if len(of_clips) > 1:
        return "its clips are in several splits of FaceForensics++"
    (split,) = of_clips
    # Reals have one folder for all splits.
    if place.method != REAL_METHOD and (split == "train") != place.train_tree:
        tree = "train" if place.train_tree else "test"
        return f"in the {tree} tree, but its clips are {split} in FaceForensics++"
    return split


def _pairs(source: Source, places: Iterable[_Place]) -> ff_splits.Pairs | None:
    if not any(place.domain == "ff" for place in places):
        return None
    named = source.options["ffpp_splits"]
    return ff_splits.find(source, [root / named for root in source.roots])


def _test_reals(source: Source) -> frozenset[str]:
    for root in source.roots:
        for prefix in ("", *folders.subfolders(root)):
            file = root / prefix / LIST
            if file.is_file():
                labels = celeb_df.read_list(source, file)
                return frozenset(f"{folder}/{name}" for folder, name in labels)
    return frozenset()


def _listed(source: Source) -> dict[str, deepfakebench.Entry]:
    """Every folder that a JSON list names, by :func:`_key`."""
    entries = (
        entry
        for file in deepfakebench.lists(source)
        for entry in deepfakebench.read_list(source, file)
    )
    return {_key(entry.folder): entry for entry in entries if entry.frames}


def _key(path: str) -> str:
    """A path from the method's folder on, spelled alike however disk and lists spell it."""
    parts = path.casefold().split("/")
    for at, part in enumerate(parts):
        if method := df40_names.method(part):
            return "/".join((method, *parts[at + 1 :]))
        if part in _REAL_TOPS:
            return "/".join(parts[at:])
    return "/".join(parts)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


ADAPTER = Adapter(
    name="df40",
    title="DF40",
    expects=(
        "folders of methods below the root or one folder deeper, such as simswap/cdf/frames/"
        "id0_id1_0000/ and DF40_train/simswap/frames/001_870/, and the reals in "
        "Celeb-DF-v2/Celeb-real/frames/ and FaceForensics++/original_sequences/youtube/c23/frames/"
    ),
    read=_read,
    options={
        "protocol": Option(
            "all, or what the metric-learning paper tests on: 21 methods, Celeb-DF material",
            "all",
            ("all", "paper"),
        ),
        "ffpp_splits": Option(
            "folder of FaceForensics++'s train.json, val.json, test.json, relative to a root or "
            "absolute; needed for its material",
            ".",
        ),
        "lists": Option("a JSON list or a folder of them, relative to a root or absolute", ""),
    },
    licence="CC BY-NC 4.0",
    access="https://github.com/YZY-stack/DF40 (open links)",
    expected=(
        Total(178, {"label": 0}, {"protocol": "paper"}),
        Total(11_366, {"label": 1}, {"protocol": "paper"}),
    ),
)
