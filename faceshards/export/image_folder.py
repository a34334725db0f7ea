"""A folder per split and class, as torchvision's ``ImageFolder`` and many trainers read them."""

from collections.abc import Sequence
from typing import ClassVar

from faceshards.export.csv_lists import table
from faceshards.export.forms import LABEL_NAMES, Files, Form, TarSamples, checked_path, rows
from faceshards.reading import Shards


class ImageFolder(Form):
    """``<folder>/<real|fake>/<id>.jpg``, and ``samples.csv`` with all that is known of each."""

    name: ClassVar[str] = "folder"
    about: ClassVar[str] = "pictures in folders by split and class, and samples.csv"

    def of_tar(self, part: TarSamples) -> Files:
        """The pictures, byte for byte."""
        for sample_id, sample in part.samples:
            yield _path(part.folder, sample.about["label"], sample_id), sample.jpg

    def lists(self, folders: Sequence[Shards]) -> Files:
        """One CSV of all samples."""
        found = (
            {"path": _path(shards.name, row["label"], row["sample_id"])} | row
            for shards, row in rows(folders)
        )
        yield "samples.csv", table(found)


def _path(folder: str, label: int, sample_id: str) -> str:
    return checked_path(f"{folder}/{LABEL_NAMES[label]}/{sample_id}.jpg")
