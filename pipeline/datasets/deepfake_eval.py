"""Deepfake-Eval-2024: the video part, labelled by its metadata file.

Rules:

- The label is ``Video Ground Truth``. ``Unknown`` is rejected as ``unknown_label``.
- ``Audio Ground Truth`` gives ``audio_fake``. A real picture with a fake sound is a real, since
  labels are about what is visible.
- The official split is ``Finetuning Set``; option ``split: test`` makes all of it test, as the
  metric-learning paper does.
- Methods and people are not known.
- Videos are taken down now and then: what the file lists and the disk lacks is ``missing``.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.datasets import folders
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
from pipeline.errors import UserError

_LISTS = ("video-metadata-publish.csv", "video-metadata-publish-with-links.csv")
_FOLDERS = ("video-data", ".")
_NAME, _VIDEO, _AUDIO, _SPLIT = (
    "Filename",
    "Video Ground Truth",
    "Audio Ground Truth",
    "Finetuning Set",
)
_LABELS = {"real": 0, "fake": 1}
_AUDIO_FAKE = {"real": 0, "fake": 1, "unknown": -1, "": -1}
_UNKNOWN_METHOD = "unknown"


def _read(source: Source) -> Iterator[Video | Rejected]:
    lists = [root / name for root in source.roots for name in _LISTS if (root / name).is_file()]
    if not lists:
        raise wrong_root(source, source.roots[0], ADAPTER)
    on_disk: dict[str, tuple[Path, str]] = {}
    for index, root in enumerate(source.roots):
        for folder in _FOLDERS:
            for name in folders.files(root / folder):
                if folders.is_video(name):
                    relative = name if folder == "." else f"{folder}/{name}"
                    on_disk.setdefault(name, (root / relative, source.path(index, relative)))
    listed: set[str] = set()
    for line, row in _rows(source, lists[0]):
        name = row[_NAME]
        absent = source.path(0, f"{_FOLDERS[0]}/{name}")
        file, path = on_disk.get(name, (None, absent))
        if name in listed:
            yield Rejected(path, "duplicate", f"line {line}: it is listed before")
            continue
        listed.add(name)
        yield _video(source, file, path, line, row)
    for name in sorted(on_disk.keys() - listed):
        yield Rejected(on_disk[name][1], "inconsistent", f"not in {lists[0].name}")


def _video(
    source: Source, file: Path | None, path: str, line: int, row: Mapping[str, str]
) -> Video | Rejected:
    label, audio, split = (row[key].lower() for key in (_VIDEO, _AUDIO, _SPLIT))
    if label not in _LABELS:
        return Rejected(path, "unknown_label", f"line {line}: {_VIDEO} is {row[_VIDEO]!r}")
    if audio not in _AUDIO_FAKE:
        return Rejected(path, "inconsistent", f"line {line}: {_AUDIO} is {row[_AUDIO]!r}")
    if split not in ("train", "test"):
        return Rejected(path, "inconsistent", f"line {line}: {_SPLIT} is {row[_SPLIT]!r}")
    if file is None:
        return Rejected(path, "missing", f"line {line}")
    return Video(
        file=file,
        path=path,
        split="test" if source.options["split"] == "test" else split,
        label=_LABELS[label],
        method=_UNKNOWN_METHOD if _LABELS[label] else REAL_METHOD,
        audio_fake=_AUDIO_FAKE[audio],
    )


def _rows(source: Source, file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and the four cells of each row, stripped."""
    where = f"Dataset {source.name}: {file}"
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        try:
            for key in (_NAME, _VIDEO, _AUDIO, _SPLIT):
                if key not in (reader.fieldnames or ()):
                    raise UserError(f"{where} has no column {key!r}. Take the official file.")
            for row in reader:
                cells = {key: (row[key] or "").strip() for key in (_NAME, _VIDEO, _AUDIO, _SPLIT)}
                yield reader.line_num, cells
        except (csv.Error, UnicodeDecodeError) as error:
            raise UserError(
                f"{where}, near line {reader.line_num}: not a CSV file in UTF-8 ({error}). Take "
                "the official file."
            ) from error


ADAPTER = Adapter(
    name="deepfake_eval",
    title="Deepfake-Eval-2024",
    expects="video-metadata-publish.csv, and the videos it lists in video-data/",
    read=_read,
    options={
        "split": Option(
            "official = train and test by its column Finetuning Set; test = all of it is test",
            "official",
            ("official", "test"),
        ),
    },
    licence="CC BY-SA 4.0",
    access="https://huggingface.co/datasets/nuriachandra/Deepfake-Eval-2024 (gated)",
    expected=(
        Total(1_076, note="960 more have the label Unknown; videos are taken down now and then"),
        Total(112, {"label": 0}),
        Total(964, {"label": 1}),
        Total(64, {"split": "train", "label": 0}, {"split": "official"}),
        Total(578, {"split": "train", "label": 1}, {"split": "official"}),
        Total(48, {"split": "test", "label": 0}, {"split": "official"}),
        Total(386, {"split": "test", "label": 1}, {"split": "official"}),
        Total(38, {"label": 0, "audio_fake": 1}, note="fake sound, real picture"),
    ),
)
