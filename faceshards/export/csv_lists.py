"""A folder per dataset with its pictures and a CSV, which the adapter ``csv`` reads.

Pictures lie in ``<dataset>/<method>/``, below it as their ids say; the column ``id`` has the ids.
Expanded samples are listed apart, in ``expanded.csv``: the pipeline makes them itself, and takes no
others.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from faceshards.export.forms import LABEL_NAMES, Files, Form, TarSamples, checked_path, rows
from faceshards.reading import Shards

_SAME = ("split", "method", "category", "subtype", "compression", "audio_fake", "pair_id")
_IDS = ("identity", "source_id", "target_id")


class CsvLists(Form):
    """``<id>.jpg``, ``<dataset>/samples.csv`` and ``<dataset>/expanded.csv``."""

    name: ClassVar[str] = "csv"
    about: ClassVar[str] = "pictures and one CSV per dataset, as the adapter csv reads them"

    def of_tar(self, part: TarSamples) -> Files:
        """The pictures, byte for byte."""
        for sample_id, sample in part.samples:
            yield _path(sample_id), sample.jpg

    def lists(self, folders: Sequence[Shards]) -> Files:
        """One CSV per dataset, and one of its expanded samples."""
        of_list: dict[str, list[dict[str, Any]]] = {}
        for _, row in rows(folders):
            path = _path(row["sample_id"]).removeprefix(f"{row['dataset']}/")
            label = LABEL_NAMES[row["label"]]
            line = {"path": path, "label": label} | {name: row[name] for name in (*_SAME, *_IDS)}
            line |= {"group": row["leak_group"], "id": row["sample_id"]}
            name = "expanded" if row["generator"] else "samples"
            of_list.setdefault(f"{row['dataset']}/{name}.csv", []).append(line)
        for path, lines in sorted(of_list.items()):
            yield checked_path(path), table(lines)


def _path(sample_id: str) -> str:
    return checked_path(f"{sample_id}.jpg")


def table(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """A CSV of rows that all have the columns of the first; lists are joined by blanks."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for at, line in enumerate(lines):
        if not at:
            writer.writerow(line)
        writer.writerow(map(_cell, line.values()))
    return text.getvalue().encode()


def _cell(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, list) else value
