"""How many videos and faces there are, and which of them were chosen: balance before and after."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from faceshards import fields
from pipeline import tables
from pipeline.labels.semantics import LOCAL, REAL
from pipeline.report.cells import Cell, Share, Table, in_bytes, limited
from pipeline.tables import schemas

KINDS = {
    "real": "pristine",
    "FS": "face swap",
    "RE": "reenactment",
    "EFS": "entire face synthesis",
    "FE": "face editing",
    LOCAL: "region swap",
    "unknown": "unknown",
}
"""Categories in words."""


class Counts:
    """Videos, faces found and faces chosen by dataset, split and method.

    Args:
        manifests: holds ``videos.parquet`` and ``faces.parquet``.
        shards: holds the shard folders, which have exactly the chosen faces.

    Raises:
        UserError: a table is absent or damaged.
    """

    def __init__(self, manifests: Path, shards: Path) -> None:
        about = ["dataset", "split", "method", "category", "label"]
        wanted = ["video_id", *about, "bytes"]
        videos = tables.read(manifests / "videos.parquet", "videos", wanted)
        faces = tables.read(manifests / "faces.parquet", "faces", ["video_id"])
        videos = videos.append_column("faces", _times(videos["video_id"], faces["video_id"]))
        sums = [("video_id", "count"), ("bytes", "sum"), ("faces", "sum")]
        self.found = videos.group_by(about).aggregate(sums).to_pylist()
        self.chosen = []
        for folder in fields.FOLDERS:
            path = shards / folder / "index.parquet"
            index = tables.read(path, schemas.index_table(folder), about)
            counted = index.group_by(about).aggregate([([], "count_all")]).to_pylist()
            self.chosen += [row | {"folder": folder} for row in counted]

    def total(self, what: str) -> int:
        """Sum over everything of ``video_id_count``, ``bytes_sum`` or ``faces_sum``."""
        return int(sum(row[what] for row in self.found))

    def samples(self, expanded: bool) -> Share:
        """Samples in the shards: those of the splits, or the expanded ones."""
        return _share([r for r in self.chosen if (r["folder"] == fields.EXPANDED) == expanded])

    @property
    def datasets(self) -> list[str]:
        """Names of the datasets that have videos, sorted."""
        return sorted({row["dataset"] for row in self.found})

    def per_dataset(self) -> Table:
        """Videos by dataset."""
        rows: list[tuple[Cell, ...]] = []
        for dataset in self.datasets:
            mine = [row for row in self.found if row["dataset"] == dataset]
            splits = [_videos([r for r in mine if r["split"] == s]) for s in fields.SPLITS]
            classes = [_videos([r for r in mine if r["label"] == label]) for label in (0, 1)]
            size = in_bytes(sum(row["bytes_sum"] for row in mine))
            rows.append((dataset, _videos(mine), *splits, *classes, size))
        head = ("dataset", "videos", *fields.SPLITS, "real", "fake", "size")
        return limited("Videos by dataset, split and label", head, "lrrrrrrr", rows)

    def per_method(self) -> Table:
        """Videos by dataset, method and split."""
        rows: list[tuple[Cell, ...]] = []
        for key, mine in _by_method(self.found).items():
            splits = [_videos([r for r in mine if r["split"] == s]) for s in fields.SPLITS]
            rows.append((*_named(key), *splits))
        head = ("dataset", "method", "kind", *fields.SPLITS)
        return limited("Videos by method and split", head, "lllrrr", rows)

    def balance_per_split(self) -> Table:
        """Faces found and faces chosen, real and fake, by dataset and split."""
        rows: list[tuple[Cell, ...]] = []
        for dataset in self.datasets:
            for split in fields.SPLITS:
                place = {"dataset": dataset, "split": split}
                before = _share([r for r in self.found if place.items() <= r.items()])
                place["folder"] = split
                after = _share([r for r in self.chosen if place.items() <= r.items()])
                counts = [(s.real, s.fake, s) for s in (before, after)]
                rows.append((dataset, split, *counts[0], *counts[1]))
        caption = "Faces found and faces chosen, by dataset and split"
        head = ["dataset", "split", "real found", "fake found", "found"]
        head += ["real chosen", "fake chosen", "chosen"]
        return limited(caption, head, "llrrlrrl", rows)

    def balance_per_method(self) -> Table:
        """Faces found and samples in the shards by dataset, method and split."""
        found, chosen = _by_method(self.found), _by_method(self.chosen)
        rows: list[tuple[Cell, ...]] = []
        for key in sorted({*found, *chosen}, key=_order):
            cells: list[Cell] = []
            for split in fields.SPLITS:
                before = [r for r in found.get(key, ()) if r["split"] == split]
                after = [r for r in chosen.get(key, ()) if r["split"] == split]
                # Region swaps are made, not found, and for train only.
                made = key[2] == LOCAL
                cells.append("" if made else sum(r["faces_sum"] for r in before))
                cells.append("" if made and not after else sum(r["count_all"] for r in after))
            rows.append((*_named(key), *cells))
        each = [f"{split} {what}" for split in fields.SPLITS for what in ("found", "chosen")]
        caption = "Faces found and faces chosen, by method and split"
        return limited(caption, ("dataset", "method", "kind", *each), "lllrrrrrr", rows)


def _times(wanted: pa.ChunkedArray, names: pa.ChunkedArray) -> pa.Array:
    """How often each of the wanted names occurs; int64 (wanted,)."""
    counted = pc.value_counts(names)
    place = pc.index_in(wanted, value_set=counted.field("values")).combine_chunks()
    return pc.fill_null(counted.field("counts").take(place), 0)


def _by_method(rows: list[dict[str, Any]]) -> Mapping[tuple[str, str, str], list[dict[str, Any]]]:
    """Rows by dataset, method and category, reals first."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["dataset"], row["method"], row["category"]].append(row)
    return {key: groups[key] for key in sorted(groups, key=_order)}


def _order(key: tuple[str, str, str]) -> tuple[str, int, str]:
    dataset, method, category = key
    return dataset, 0 if category == REAL else 2 if category == LOCAL else 1, method


def _named(key: tuple[str, str, str]) -> tuple[str, str, str]:
    dataset, method, category = key
    return dataset, method, KINDS[category]


def _videos(rows: list[dict[str, Any]]) -> int:
    return int(sum(row["video_id_count"] for row in rows))


def _share(rows: list[dict[str, Any]]) -> Share:
    """Faces found, or samples, by label."""
    of = [
        sum(row.get("faces_sum", row.get("count_all", 0)) for row in rows if row["label"] == label)
        for label in (0, 1)
    ]
    return Share(*of)
