"""DFDC, the DeepFake Detection Challenge dataset: train, validation, test, and Kaggle's sample set.

Rules:

- The split is the folder. Kaggle's train_sample_videos are part of train; its test_videos have no
  labels, and each is rejected as ``unknown_label``.
- A root may be one of these folders itself, such as the unpacked test set alone: videos and
  labels.csv. It is validation or a part of train where its name says so, else test.
- Labels: metadata.json beside the videos of a part of train; labels.csv of validation and test, and
  metadata.json (``is_fake``) of test where that is absent. Without its file, every video of the
  folder is rejected as ``unknown_label`` and the file as ``missing``.
- A file that is listed but not there is rejected as ``missing``, only in folders that are there.
- A video whose label is no known word, or that labels.csv lists twice with two labels, is
  ``unknown_label``.
- FAKE may mean the face, the voice or both, and which is not said: ``audio_fake`` is unknown for
  fakes. So is the method. The only people known are clips: ``original`` of a fake.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.datasets import folders, lists
from pipeline.datasets.base import REAL_METHOD, Adapter, Rejected, Source, Total, Video, wrong_root
from pipeline.datasets.lists import CrossCheck
from pipeline.files import strict_text

METHOD = "dfdc_unknown"

_PART = re.compile(r"dfdc_train_part_\d+", re.ASCII)
_SAMPLE, _UNLABELLED = "train_sample_videos", "test_videos"
_HELD_OUT = {"validation": "val", "test": "test"}
_DEPTH = 3
"""Levels below test: its videos may lie in numbered folders or in ori_videos."""
METADATA, LABELS = "metadata.json", "labels.csv"
_LISTINGS = (METADATA, LABELS)
_WORDS = {"REAL": 0, "FAKE": 1, "0": 0, "1": 1, "FALSE": 0, "TRUE": 1}


@dataclass(frozen=True)
class _Label:
    label: int
    """1 = fake; -1 = neither word that is known."""
    word: str
    """What the list says."""
    original: str = ""
    """Name of the clip a fake was made of."""


@dataclass(frozen=True)
class _Folder:
    """Videos of one split, and what says their labels."""

    root_index: int
    relative: str
    split: str
    depth: int = 1


def _read(source: Source) -> Iterator[Video | Rejected]:
    seen: set[str] = set()
    for index, root in enumerate(source.roots):
        found = list(_folders(root, index)) or list(_root_itself(root, index))
        if not found:
            raise wrong_root(source, root, ADAPTER)
        for folder in found:
            yield from _videos(source, folder, seen)


def _folders(root: Path, index: int) -> Iterator[_Folder]:
    for above in ("", "train/"):
        for name in folders.subfolders(root / above):
            if _PART.fullmatch(name):
                # The zip of a part unpacks into a folder, which may lie in one of the zip's name.
                inside = [
                    sub for sub in folders.subfolders(root / above / name) if _PART.fullmatch(sub)
                ]
                for part in inside or [""]:
                    yield _Folder(index, f"{above}{name}/{part}".rstrip("/"), "train")
    if (root / _SAMPLE).is_dir():
        yield _Folder(index, _SAMPLE, "train")
    for name, split in _HELD_OUT.items():
        if (root / name).is_dir():
            yield _Folder(index, name, split, _DEPTH)
    if (root / _UNLABELLED).is_dir():
        yield _Folder(index, _UNLABELLED, "")


def _root_itself(root: Path, index: int) -> Iterator[_Folder]:
    """A root that holds the videos of one folder and the file that says their labels."""
    if _PART.fullmatch(root.name) or root.name == _SAMPLE:
        if (root / METADATA).is_file():
            yield _Folder(index, "", "train")
    elif any((root / listing).is_file() for listing in _LISTINGS):
        yield _Folder(index, "", _HELD_OUT.get(root.name, "test"), _DEPTH)


def _videos(source: Source, folder: _Folder, seen: set[str]) -> Iterator[Video | Rejected]:
    root = source.roots[folder.root_index] / folder.relative
    prefix = f"{folder.relative}/" if folder.relative else ""
    above = source.path(folder.root_index, prefix)
    on_disk = {
        relative: relative[relative.rfind("/") + 1 :]
        for relative in folders.files(root, folder.depth)
    }
    labels: dict[str, _Label] = {}
    unusable: dict[str, _Label] = {}
    listing = ""
    why = "Kaggle's test set has no labels"
    if folder.split:
        found, listing, problem = _labels(root, folder.split, set(on_disk.values()))
        labels = {name: about for name, about in found.items() if about.label >= 0}
        unusable = {name: about for name, about in found.items() if about.label < 0}
        why = f"not in {listing}"
        if problem:
            reason, detail = problem
            yield Rejected(f"{above}{listing}", reason, f"it says which videos are fake{detail}")
            why = f"no {listing} in {above.rstrip('/')}"
    check = CrossCheck(labels, ("unknown_label", why), counted=seen)
    for relative, name in on_disk.items():
        if name in _LISTINGS:
            continue
        path = f"{above}{relative}"
        if name in unusable:
            yield _unlabelled(path, listing, unusable.pop(name))
            continue
        yield check.reject(path, name, name) or _video(
            source, f"{root}/{relative}", path, folder.split, labels[name]
        )
    for name, about in unusable.items():
        yield _unlabelled(f"{above}{name}", listing, about)
    for name, _ in check.missing():
        yield Rejected(f"{above}{name}", "missing", f"listed in {listing}")


def _unlabelled(path: str, listing: str, about: _Label) -> Rejected:
    return Rejected(path, "unknown_label", f"{listing} says {about.word[:40]!r}")


def _video(source: Source, file: str, path: str, split: str, label: _Label) -> Video:
    clip = source.unique(folders.stem(label.original or path))
    return Video(
        file=file,
        path=path,
        split=split,
        label=label.label,
        method=METHOD if label.label else REAL_METHOD,
        audio_fake=-1 if label.label else 0,
        target_id=clip if label.original else "",
        pair_id=clip,
        leak_group=clip,
        aligned=bool(label.original),
    )


def _labels(
    root: Path, split: str, on_disk: Collection[str]
) -> tuple[dict[str, _Label], str, tuple[str, str] | None]:
    """Labels by file name, the file they come from, and reason and detail if it is of no use."""
    listing = METADATA if split == "train" else LABELS
    if split == "test" and not (root / LABELS).is_file() and (root / METADATA).is_file():
        listing = METADATA
    if not (root / listing).is_file():
        return {}, listing, ("missing", "")
    try:
        data = lists.read_bytes(root / listing, lists.MAX_JSON_BYTES)
        return _json(data) if listing == METADATA else _csv(data, on_disk), listing, None
    except ValueError as error:
        return {}, listing, ("unreadable", f"; {lists.in_words(error)}")


def _json(data: bytes) -> dict[str, _Label]:
    """``{"a.mp4": {"label": "FAKE", "original": "b.mp4"}}``, or ``{"a.mp4": {"is_fake": 1}}``."""
    facts = lists.parse_json(data)
    if not isinstance(facts, dict):
        raise ValueError("not a JSON object")
    labels = {}
    for name, about in facts.items():
        if not isinstance(about, dict):
            labels[name] = _Label(-1, str(about))
            continue
        labels[name] = label = _label(about.get("label", about.get("is_fake")))
        if label.label == 1 and isinstance(original := about.get("original"), str):
            labels[name] = replace(label, original=original)
    return labels


def _label(word: object) -> _Label:
    return _Label(_WORDS.get(str(word).strip().upper(), -1), str(word))


def _csv(data: bytes, on_disk: Collection[str]) -> dict[str, _Label]:
    """Lines ``a.mp4,1`` below the header ``filename,label``."""
    labels: dict[str, _Label] = {}
    columns = ("filename", "label")
    for _, row in strict_text.table(data, lists.MAX_TEXT_BYTES, columns, verbatim=("filename",)):
        name = lists.as_on_disk(row["filename"], on_disk.__contains__)
        said = _label(row["label"])
        before = labels.setdefault(name, said)
        if before.label != said.label:
            labels[name] = _Label(-1, f"{before.word} and {said.word}")
    return labels


ADAPTER = Adapter(
    name="dfdc",
    expects=(
        "dfdc_train_part_<n>/ (maybe in train/) with videos and metadata.json, validation/ and "
        "test/ with videos and labels.csv, or Kaggle's train_sample_videos/ with metadata.json; "
        "any of them is enough, and the root may be one of them itself"
    ),
    read=_read,
    title="DFDC, DeepFake Detection Challenge dataset",
    licence="DFDC dataset terms: research on detection only, no redistribution",
    access="https://ai.meta.com/datasets/dfdc (account), or Kaggle deepfake-detection-challenge",
    expected=tuple(
        Total(count, {"split": split, "label": label})
        for split, counts in (
            ("train", (19_154, 100_000)),
            ("val", (2_000, 2_000)),
            ("test", (2_500, 2_500)),
        )
        for label, count in enumerate(counts)
    ),
)
