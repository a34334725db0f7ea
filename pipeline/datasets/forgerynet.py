"""ForgeryNet, its videos or its images.

Rules:

- Training is train, Validation is test: labels of the public test were never released. About one in
  eight groups of Training becomes val (option ``val: ours``), drawn by ``datasets.split_seed``;
  videos made of the same real ones stay together.
- Of a fake video, only the parts that video_list.txt labels as fake are looked at. The list counts
  them in frames. Folders 2 (FS-GAN) and 8 (ATVG-Net) are absent from some lists; their videos are
  fake as a whole and come from the folder. Anything else that is not listed is rejected.
- The method is the folder's number, also where the list says another one (the authors: the folder
  wins). Folders 16 to 19 are real. A list that contradicts this rejects the file.
- ``<method>/<hash1>/<hash2>``: which is the target is not documented; by analogy with methods 7 and
  8, where hash1 is never a real video of the dataset, hash2 is taken to be it.
- Method 6 (DeepFakes, then StarGAN) is RE or FS by ``datasets.forgerynet_6``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.datasets import folders, lists, splits
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
from pipeline.datasets.lists import CrossCheck
from pipeline.datasets.shared_ids import leak_group

METHODS = {
    1: "FaceShifter",
    2: "FS-GAN",
    3: "DeepFakes",
    4: "BlendFace",
    5: "MMReplacement",
    6: "DeepFakes-StarGAN-Stack",
    7: "Talking-Head-Video",
    8: "ATVG-Net",
    9: "StarGAN-BlendFace-Stack",
    10: "First-Order-Motion",
    11: "StyleGAN2",
    12: "MaskGAN",
    13: "StarGAN2",
    14: "SC-FEGAN",
    15: "DiscoFaceGAN",
}
REALS = {16: "RAVDESS", 17: "CREMA-D", 18: "AVSpeech", 19: "VoxCeleb2"}

_SPLITS = {"Training": "train", "Validation": "test"}
_PARTS = ("video", "image")
_UNLISTED = (2, 8)
_DRIVEN = (7, 8)
"""Their hash1 is driving material, which ties thousands of otherwise unrelated videos together."""
_STACK = 6
_STACK_CATEGORY = {"paper": "RE", "official": "FS"}
_VAL_SHARES = (7, 1, 0)
_BOTH = -1
"""Label of a file that two lines disagree about."""
_DEPTH = 7


@dataclass(frozen=True)
class _Line:
    """What a list says about one file."""

    where: str
    label: int
    segments_frames: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Place:
    """What a path says: ``<folders>/<method>/<hashes>/<file>``."""

    folder: str
    """Up to the method's number, included."""
    method: int
    hashes: tuple[str, ...]


def _read(source: Source) -> Iterator[Video | Rejected]:
    found: dict[str, list[tuple[int, str]]] = {}
    for index, root in enumerate(source.roots):
        names = [name for name in _SPLITS if (root / name).is_dir()]
        if not names:
            raise wrong_root(source, root, ADAPTER)
        for name in names:
            inside = folders.subfolders(root / name)
            if source.options["part"] in inside:
                found.setdefault(name, []).append((index, f"{name}/{source.options['part']}"))
            elif not set(_PARTS) & set(inside):
                found.setdefault(name, []).append((index, name))
    train: list[tuple[Video, tuple[str, ...]]] = []
    for name, places in found.items():
        for item, ties in _part(source, name, places):
            if isinstance(item, Video) and item.split == "train":
                train.append((item, ties))
            else:
                yield item
    group = splits.components(ties for _, ties in train)
    for video, ties in train:
        split = "train"
        if source.options["val"] == "ours":
            split = splits.draw(source.params.split_seed, group[ties[0]], _VAL_SHARES)
        yield replace(video, split=split)


def _part(
    source: Source, name: str, places: list[tuple[int, str]]
) -> Iterator[tuple[Video | Rejected, tuple[str, ...]]]:
    """Every file of Training or Validation, and what ties it to others."""
    kind = source.options["part"]
    lines, damaged = _lines(source, name, places)
    for one in damaged:
        yield one, ()
    methods = {_place(path).method for path in lines}
    unlisted = [m for m in _UNLISTED if kind == "video" and m not in methods]
    whole = CrossCheck[str, _Line]({}, None)
    check = CrossCheck(lines, ("inconsistent", f"not in {kind}_list.txt of {name}"))
    above: dict[str, str] = {}
    for index, below in places:
        for relative in folders.files(source.roots[index] / below, _DEPTH):
            path, place = source.path(index, f"{below}/{relative}"), _place(relative)
            if not place.method:
                continue  # lists, and annotations of where a forgery is
            above.setdefault(place.folder, source.path(index, below))
            used = whole if place.method in unlisted else check
            if rejected := used.reject(path, relative, relative, kind):
                yield rejected, ()
                continue
            line = lines.get(relative, _Line("the folder", 1))
            file = f"{source.roots[index]}/{below}/{relative}"
            yield _item(source, file, path, place, line, _SPLITS[name])
    for relative, line in check.missing():
        folder = _place(relative).folder
        if folder in above:
            yield Rejected(f"{above[folder]}/{relative}", "missing", line.where), ()


def _place(path: str) -> _Place:
    parts = path.split("/")
    for at, part in enumerate(parts[:-1]):
        if re.fullmatch("[0-9]{1,2}", part) and int(part) in (*METHODS, *REALS):
            return _Place("/".join(parts[: at + 1]), int(part), tuple(parts[at + 1 : -1]))
    return _Place("/".join(parts[:-1]), 0, ())


def _item(
    source: Source, file: str, path: str, place: _Place, line: _Line, split: str
) -> tuple[Video | Rejected, tuple[str, ...]]:
    label = int(place.method in METHODS)
    if line.label != label:
        said = {0: "real", 1: "fake", _BOTH: "one thing and a later line another"}[line.label]
        return Rejected(path, "inconsistent", f"{line.where} says {said}, its folder not"), ()
    hashes = place.hashes or (folders.stem(path),)
    tied = tuple(source.unique(one) for one in (hashes[-1:] if place.method in _DRIVEN else hashes))
    video = source.options["part"] == "video"
    return Video(
        file=file,
        path=path,
        split=split,
        label=label,
        method=METHODS.get(place.method, REAL_METHOD),
        category=_STACK_CATEGORY[source.params.forgerynet_6] if place.method == _STACK else "",
        target_id=source.unique(hashes[-1]) if label else "",
        source_id=source.unique(hashes[0]) if label and len(hashes) > 1 else "",
        pair_id=source.unique(hashes[-1]),
        leak_group=leak_group(*tied),
        media="video" if video else "image",
        segments_frames=line.segments_frames,
    ), tied


def _lines(
    source: Source, name: str, places: list[tuple[int, str]]
) -> tuple[dict[str, _Line], list[Rejected]]:
    """What the lists of a part say by path, and lines that say nothing."""
    kind = source.options["part"]
    files = [
        (source.path(index, place), source.roots[index] / place)
        for index, below in places
        for place in dict.fromkeys((f"{name}/{kind}_list.txt", f"{below}/{kind}_list.txt"))
        if (source.roots[index] / place).is_file()
    ]
    if not files:
        otherwise = f", or take {name} out of the root"
        raise lists.absent(source, f"{name}/{kind}_list.txt", "what is fake", otherwise)
    lines: dict[str, _Line] = {}
    damaged: list[Rejected] = []
    for path, file in files:
        for number, text in lists.read_lines(source, file, "Take the official file."):
            try:
                relative, label, segments = _VIDEO_OR_IMAGE[kind](text.split())
            except (ValueError, IndexError):
                damaged.append(Rejected(path, "inconsistent", f"line {number} is damaged"))
                continue
            line = _Line(f"line {number} of {path}", label, segments)
            before = lines.setdefault(relative, line)
            if (before.label, before.segments_frames) != (line.label, line.segments_frames):
                lines[relative] = replace(before, label=_BOTH)
    return lines, damaged


def _video_line(cells: list[str]) -> tuple[str, int, tuple[int, ...]]:
    """``<n> <path> [start frames fake]*n <binary> <3-way> <16-way>``; segments that are fake."""
    n = int(cells[0])
    numbers = [int(cell) for cell in cells[2:]]
    if len(numbers) != 3 * n + 3 or numbers[-3] not in (0, 1):
        raise ValueError("another number of cells")
    label = numbers[-3]
    segments: list[int] = []
    for start, frames, fake in zip(*(numbers[i : 3 * n : 3] for i in range(3)), strict=True):
        if start < 0 or frames < 1 or fake not in (0, 1):
            raise ValueError("an impossible segment")
        segments += [start, start + frames] if fake else []
    if bool(segments) != bool(label):
        raise ValueError("label and segments differ")
    return cells[1], label, tuple(segments)


def _image_line(cells: list[str]) -> tuple[str, int, tuple[int, ...]]:
    """``<path> <binary> <3-way> <16-way>``."""
    if len(cells) != 4 or cells[1] not in ("0", "1"):
        raise ValueError("another number of cells")
    return cells[0], int(cells[1]), ()


_VIDEO_OR_IMAGE = {"video": _video_line, "image": _image_line}
_NOTE = "of all three parts; the public test has no labels"

ADAPTER = Adapter(
    name="forgerynet",
    expects=(
        "Training/ and Validation/ (one is enough) below the root, each with video_list.txt and "
        "video/<release>/<1 to 8, 16 to 19>/<hash>/…/video.mp4, or with image_list.txt and image/"
    ),
    read=_read,
    options={
        "part": Option("which part of the dataset is read", "video", _PARTS),
        "val": Option(
            "ours = about an eighth of Training; none = Training is all train",
            "ours",
            ("ours", "none"),
        ),
    },
    title="ForgeryNet",
    licence="non-commercial research",
    access="https://github.com/yinanhe/ForgeryNet: a form",
    expected=(
        Total(99_630, {"label": 0}, {"part": "video"}, note=_NOTE),
        Total(121_617, {"label": 1}, {"part": "video"}, note=_NOTE),
        Total(1_438_201, {"label": 0}, {"part": "image"}, note=_NOTE),
        Total(1_457_861, {"label": 1}, {"part": "image"}, note=_NOTE),
    ),
)
