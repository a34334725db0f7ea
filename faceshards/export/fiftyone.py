"""Pictures with ``samples.json`` and ``metadata.json``: FiftyOne's own form on disk.

FiftyOne imports it as ``fiftyone.types.LegacyFiftyOneDataset``: label, face box and detector score,
the video, and everything else of the index as fields to filter and colour by.
"""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from faceshards import fields, images
from faceshards.export.forms import LABEL_NAMES, Files, Form, TarSamples, checked_path, rows
from faceshards.reading import Shards


class FiftyOne(Form):
    """``data/<folder>/<key>.jpg``, ``samples.json`` and ``metadata.json``."""

    name: ClassVar[str] = "fiftyone"
    about: ClassVar[str] = "pictures with labels, boxes and videos for FiftyOne"

    def of_tar(self, part: TarSamples) -> Files:
        """The pictures, byte for byte."""
        for _, sample in part.samples:
            yield _path(part.folder, sample.key), sample.jpg

    def lists(self, folders: Sequence[Shards]) -> Files:
        """All samples, and what the dataset is."""
        found = [
            _sample(shards.name, row, box, side_px)
            for shards in folders
            for (_, row), (box, side_px) in zip(rows([shards]), _boxes(shards), strict=True)
        ]
        yield "samples.json", json.dumps({"samples": found}, ensure_ascii=False).encode()
        about = {
            "media_type": "image",
            "info": {"made_by": "faceshards", "classes": list(LABEL_NAMES)},
            "default_classes": list(LABEL_NAMES),
        }
        yield "metadata.json", json.dumps(about).encode()


def _path(folder: str, key: str) -> str:
    return checked_path(f"data/{folder}/{key}.jpg")


def _boxes(shards: Shards) -> Any:
    """Box and side of every sample's picture. They stand in its json alone."""
    for sample in shards.samples():
        yield sample.about["box"], images.dimensions(sample.jpg)[0]


def _sample(folder: str, row: dict[str, Any], box: Sequence[float], side_px: int) -> dict[str, Any]:
    label = LABEL_NAMES[row["label"]]
    x1, y1, x2, y2 = (value / side_px for value in box)
    detection = {
        "_cls": "Detection",
        "label": "face",
        "bounding_box": [x1, y1, x2 - x1, y2 - y1],
        "confidence": row["score"],
    }
    about = {name: row[name] for name in ("sample_id", "key", *fields.scalars(folder), "vector")}
    about["label_id"] = about.pop("label")
    return {
        "filepath": _path(folder, row["key"]),
        "tags": [folder],
        "ground_truth": {"_cls": "Classification", "label": label},
        "face": {"_cls": "Detections", "detections": [detection]},
        **about,
    }
