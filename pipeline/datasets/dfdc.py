"""DFDC, the DeepFake Detection Challenge dataset: train, validation, test, and Kaggle's sample set.

Rules:

- The split is the folder. Kaggle's train_sample_videos are part of train; its test_videos have no
  labels, and each is rejected as ``unknown_label``.
- Labels: metadata.json beside the videos of a part of train; labels.csv of validation and test, and
  metadata.json (``is_fake``) of test where that is absent. Without its file, every video of the
  folder is rejected as ``unknown_label`` and the file as ``missing``.
- A file that is listed but not there is rejected as ``missing``, only in folders that are there.
- FAKE may mean the face, the voice or both, and which is not said: ``audio_fake`` is unknown for
  fakes. So is the method. The only people known are clips: ``original`` of a fake.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.datasets import folders
from pipeline.datasets.base import REAL_METHOD, Adapter, Rejected, Source, Total, Video, wrong_root

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
    """1 = fake."""
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
        found = list(_folders(root, index))
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


def _videos(source: Source, folder: _Folder, seen: set[str]) -> Iterator[Video | Rejected]:
    root = source.roots[folder.root_index] / folder.relative
    above = source.path(folder.root_index, folder.relative)
    labels: dict[str, _Label] = {}
    listing = ""
    why = "Kaggle's test set has no labels"
    if folder.split:
        labels, listing, problem = _labels(root, folder.split)
        why = f"not in {listing}"
        if problem:
            yield Rejected(f"{above}/{listing}", problem, "it says which videos are fake")
            why = f"no {listing} in {above}"
    here: set[str] = set()
    for relative in folders.files(root, folder.depth):
        name = relative[relative.rfind("/") + 1 :]
        if name in _LISTINGS:
            continue
        path = f"{above}/{relative}"
        here.add(name)
        if not folders.is_video(name):
            yield Rejected(path, "unsupported_media", "not the suffix of a video")
        elif name in seen:
            yield Rejected(path, "duplicate", f"{name} is there already")
        elif name not in labels:
            yield Rejected(path, "unknown_label", why)
        else:
            seen.add(name)
            yield _video(source, f"{root}/{relative}", path, folder.split, labels[name])
    for name in sorted(set(labels) - here):
        yield Rejected(f"{above}/{name}", "missing", f"listed in {listing}")


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
    )


def _labels(root: Path, split: str) -> tuple[dict[str, _Label], str, str]:
    """Labels by file name, the file they come from, and the reason why it cannot be used."""
    listing = METADATA if split == "train" else LABELS
    if split == "test" and not (root / LABELS).is_file() and (root / METADATA).is_file():
        listing = METADATA
    try:
        text = (root / listing).read_text("utf-8-sig")
        return (_json(text) if listing == METADATA else _csv(text)), listing, ""
    except FileNotFoundError:
        return {}, listing, "missing"
    except (ValueError, RecursionError, csv.Error):
        return {}, listing, "unreadable"


def _json(text: str) -> dict[str, _Label]:
    """``{"a.mp4": {"label": "FAKE", "original": "b.mp4"}}``, or ``{"a.mp4": {"is_fake": 1}}``."""
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    labels = {}
    for name, about in data.items():
        if not isinstance(about, dict):
            continue
        label = _label(about.get("label", about.get("is_fake")))
        original = about.get("original") if label == 1 else ""
        if label >= 0:
            labels[name] = _Label(label, original if isinstance(original, str) else "")
    return labels


def _label(word: object) -> int:
    return _WORDS.get(str(word).strip().upper(), -1)


def _csv(text: str) -> dict[str, _Label]:
    """Lines ``a.mp4,1`` below the header ``filename,label``."""
    rows = csv.DictReader(io.StringIO(text))
    if not {"filename", "label"} <= set(rows.fieldnames or ()):
        raise ValueError("no columns filename and label")
    labels = {row["filename"]: _label(row["label"]) for row in rows}
    return {name: _Label(label) for name, label in labels.items() if label >= 0}


ADAPTER = Adapter(
    name="dfdc",
    expects=(
        "dfdc_train_part_<n>/ (maybe in train/) with videos and metadata.json, validation/ and "
        "test/ with videos and labels.csv, or Kaggle's train_sample_videos/ with metadata.json; "
        "any of them is enough"
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
