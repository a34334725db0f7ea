"""DeepfakeBench's lists and folders of frames, so that its detectors train on our samples.

What its loader asks for, which decides the form:

- A list is ``<NAME>.json`` with NAME as its only key, then label, mode, compression (only for the
  lists of FaceForensics++), video. Every label has all three modes, since a missing one stops it.
- A path is taken as it is only where it begins with a dot, and must hold ``frames`` exactly once,
  since masks are found by replacing that word. Names of frames are whole numbers and PNGs.
- Videos are told apart by the name of the frames' folder alone, so every folder has its own name.
- A label must stand in the configuration: ``label_dict.yaml`` has the lines to add.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from faceshards import fields, images
from faceshards.errors import UserError
from faceshards.export.csv_lists import table
from faceshards.export.forms import Files, Form, TarSamples, checked_path, rows
from faceshards.keys import digest128
from faceshards.reading import Shards

PREFIX = "./datasets/faceshards"
"""Where the lists say that the export is, seen from the folder that DeepfakeBench runs in."""

FF_LABELS = {
    "Deepfakes": "FF-DF",
    "Face2Face": "FF-F2F",
    "FaceSwap": "FF-FS",
    "NeuralTextures": "FF-NT",
}
FF_REAL = "FF-real"
OTHER_LABELS = {
    "FaceShifter": ("FF-FH", FF_REAL),
    "Celeb-synthesis": ("CelebDFv2_fake", "CelebDFv2_real"),
    "method_A": ("DFDCP_FakeA", "DFDCP_Real"),
    "method_B": ("DFDCP_FakeB", "DFDCP_Real"),
    "dfdc_unknown": ("DFDC_Fake", "DFDC_Real"),
    "end_to_end": ("DF_fake", "DF_real"),
    "UADFV": ("UADFV_Fake", "UADFV_Real"),
}
"""Label of a method and of the reals beside it, where DeepfakeBench has one."""
_MODES = fields.SPLITS
_PER_FRAME = 100
"""Faces of one frame, and swaps of one face, that names of frames can tell apart."""


class DeepfakeBench(Form):
    """``rgb/<dataset>/<method>/frames/<video>/<number>.png`` and lists in ``dataset_json/``."""

    name: ClassVar[str] = "deepfakebench"
    about: ClassVar[str] = "frames and JSON lists as DeepfakeBench and ForensicHub read them"
    copies: ClassVar[bool] = False

    def of_tar(self, part: TarSamples) -> Files:
        """The pictures, decoded and stored as PNG; masks of expanded samples beside them."""
        for sample_id, sample in part.samples:
            path = _path({**sample.about, "sample_id": sample_id})
            yield path, images.encode_png(images.decode_rgb(sample.jpg))
            if "mask.png" in sample.members:
                yield _mask(path), sample.members["mask.png"]

    def lists(self, folders: Sequence[Shards]) -> Files:
        """The lists, the labels they use, and which file is which sample."""
        found = [row | {"path": _path(row), "split": row["split"]} for _, row in rows(folders)]
        labels: dict[str, int] = {}
        of_dataset: dict[tuple[str, bool], list[dict[str, Any]]] = {}
        for row in found:
            key = (row["dataset"], bool(row["generator"]))
            of_dataset.setdefault(key, []).append(row)
        for (dataset, expanded), of_list in sorted(of_dataset.items()):
            for name, entries in _lists(dataset, expanded, of_list):
                labels |= {label: int(label != real) for label, real, _ in entries}
                yield f"dataset_json/{name}.json", _json(name, entries)
        lines = [f"  {label}: {number}" for label, number in sorted(labels.items())]
        yield "label_dict.yaml", "\n".join(["label_dict:", *lines, ""]).encode()
        named = ("path", "sample_id", "video_id", "dataset", "method", "label", "split")
        yield "samples.csv", table({name: row[name] for name in named} for row in found)


Entry = tuple[str, str, dict[str, Any]]
"""A sample's label, the label of the reals of its dataset, and its row."""


def _lists(
    dataset: str, expanded: bool, found: Sequence[dict[str, Any]]
) -> Iterable[tuple[str, list[Entry]]]:
    """Name and entries of the lists of one dataset."""
    methods = {row["method"] for row in found if row["label"]}
    named = _plain(dataset)
    if expanded:
        real = f"{named}_Real"
        yield f"{named}-expanded", [(f"{_plain(r['method'])}_Fake", real, r) for r in found]
        return
    compressed = all(row["compression"] for row in found)
    if methods & set(FF_LABELS) and methods <= {*FF_LABELS, "FaceShifter"} and compressed:
        entries = [
            (FF_LABELS.get(row["method"], FF_REAL), FF_REAL, row)
            for row in found
            if row["method"] in FF_LABELS or not row["label"]
        ]
        yield "FaceForensics++", entries
        for label in sorted({e[0] for e in entries} - {FF_REAL}):
            yield label, [e for e in entries if e[0] in (label, FF_REAL)]
        if "FaceShifter" in methods:
            shifted = [r for r in found if r["method"] == "FaceShifter" or not r["label"]]
            yield "FaceShifter", [("FF-FH" if r["label"] else FF_REAL, FF_REAL, r) for r in shifted]
        return
    reals = {OTHER_LABELS[m][1] for m in methods if m in OTHER_LABELS} - {FF_REAL}
    known = len(reals) == 1 and methods <= set(OTHER_LABELS)
    real = reals.pop() if known else f"{named}_Real"
    yield (
        named,
        [
            (
                real
                if not row["label"]
                else OTHER_LABELS[row["method"]][0]
                if known
                else f"{_plain(row['method'])}_Fake",
                real,
                row,
            )
            for row in found
        ],
    )


def _json(name: str, entries: Sequence[Entry]) -> bytes:
    compressed = name in ("FaceForensics++", "FaceShifter", *FF_LABELS.values())
    labels: dict[str, Any] = {}
    for label, _, row in sorted(entries, key=lambda e: (e[0], e[2]["path"])):
        modes = labels.setdefault(label, {mode: {} for mode in _MODES})
        videos = modes[row["split"]]
        if compressed:
            videos = videos.setdefault(row["compression"], {})
        video = row["path"].split("/")[-2]
        record = videos.setdefault(video, {"label": label, "frames": []})
        record["frames"].append(f"{PREFIX}/{row['path']}")
        if row["generator"]:
            record.setdefault("masks", []).append(f"{PREFIX}/{_mask(row['path'])}")
    if compressed:  # a mode without videos still has its compressions
        every = {row["compression"] for _, _, row in entries}
        for modes in labels.values():
            for mode in _MODES:
                modes[mode] = {c: modes[mode].get(c, {}) for c in sorted(every)}
    return json.dumps({name: labels}, indent=1, ensure_ascii=False).encode()


def _path(row: Mapping[str, Any]) -> str:
    """Where a sample's frame lies; the folder's name is the video's, made unique by its id."""
    dataset, method, rest = row["sample_id"].split("/", 2)
    video, _, last = rest.rpartition("/")
    number = 0
    for at, part in enumerate(map(int, last.split("-"))):  # sample, rank, count of an expanded one
        if at and part >= _PER_FRAME:
            raise UserError(f"{row['sample_id']}: a frame has at most {_PER_FRAME} samples here.")
        number = number * _PER_FRAME + part
    short = f"{_plain(method)}_{_plain(video.rpartition('/')[2])}"
    unique = digest128(f"{dataset}/{method}/{video}".encode())[:8]
    folder = f"{short[:80]}_{unique}"
    return checked_path(f"rgb/{_plain(dataset)}/{_plain(method)}/frames/{folder}/{number:07d}.png")


def _mask(path: str) -> str:
    return path.replace("/frames/", "/masks/")


def _plain(name: str) -> str:
    """A name with plain characters only, and without the word ``frames``."""
    return re.sub("frames", "frame-s", re.sub(r"[^A-Za-z0-9_+.-]", "_", name)).lstrip(".") or "_"
