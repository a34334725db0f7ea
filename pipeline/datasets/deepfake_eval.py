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

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.datasets import folders, lists
from pipeline.datasets.base import REAL_METHOD, Adapter, Option, Rejected, Source, Total, Video
from pipeline.datasets.lists import CrossCheck

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
_REMEDY = "Take the official file."


@dataclass(frozen=True)
class _Row:
    """What the list says about one video."""

    line: int
    video: str
    audio: str
    split: str


def _read(source: Source) -> Iterator[Video | Rejected]:
    file = lists.find(source, _LISTS, "which videos there are, and which are fake")
    on_disk = list(_on_disk(source))
    rows, repeated = _listed(source, file, {name for _, _, name in on_disk})
    yield from repeated
    check = CrossCheck(rows, ("inconsistent", f"not in {file.name}"))
    for video, path, name in on_disk:
        if folders.is_video(name) or name in rows:
            yield check.reject(path, name, name) or _video(source, video, path, rows[name])
    for name, row in check.missing():
        absent = _video(source, "", source.path(0, f"{_FOLDERS[0]}/{name}"), row)
        if isinstance(absent, Video):
            absent = Rejected(absent.path, "missing", f"line {row.line}")
        yield absent


def _on_disk(source: Source) -> Iterator[tuple[str, str, str]]:
    """File, column ``path`` and name of everything where videos may be."""
    for index, root in enumerate(source.roots):
        for folder in _FOLDERS:
            for name in folders.files(root / folder):
                relative = name if folder == "." else f"{folder}/{name}"
                yield f"{root}/{relative}", source.path(index, relative), name


def _listed(
    source: Source, file: Path, on_disk: Collection[str]
) -> tuple[dict[str, _Row], list[Rejected]]:
    """Rows of the list by name, and a reject for each that is there again or names no file."""
    rows: dict[str, _Row] = {}
    rejected = []
    columns = (_NAME, _VIDEO, _AUDIO, _SPLIT)
    for line, cells in lists.read_csv(source, file, columns, _REMEDY, verbatim=(_NAME,)):
        name = lists.as_on_disk(cells[_NAME], on_disk.__contains__)
        path = source.path(0, f"{_FOLDERS[0]}/{name}")
        if not name:
            rejected.append(Rejected(path, "inconsistent", f"line {line} names no file"))
        elif name in rows:
            rejected.append(Rejected(path, "duplicate", f"line {line}: it is listed before"))
        else:
            rows[name] = _Row(line, cells[_VIDEO], cells[_AUDIO], cells[_SPLIT])
    return rows, rejected


def _video(source: Source, file: str, path: str, row: _Row) -> Video | Rejected:
    label, audio, split = row.video.lower(), row.audio.lower(), row.split.lower()
    if label not in _LABELS:
        return Rejected(path, "unknown_label", f"line {row.line}: {_VIDEO} is {row.video!r}")
    if audio not in _AUDIO_FAKE:
        return Rejected(path, "inconsistent", f"line {row.line}: {_AUDIO} is {row.audio!r}")
    if split not in ("train", "test"):
        return Rejected(path, "inconsistent", f"line {row.line}: {_SPLIT} is {row.split!r}")
    return Video(
        file=file,
        path=path,
        split="test" if source.options["split"] == "test" else split,
        label=_LABELS[label],
        method=_UNKNOWN_METHOD if _LABELS[label] else REAL_METHOD,
        audio_fake=_AUDIO_FAKE[audio],
    )


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
