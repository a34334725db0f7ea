"""What shard folders hold, as text: counts, and one sample in full."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from faceshards.errors import UserError
from faceshards.fields import FOLDERS
from faceshards.reading import Sample, Shards, no_shards
from faceshards.wording import counted

_BY = ("split", "dataset", "method", "label")
_LABELS = ("real", "fake")


def shard_folders(path: Path) -> list[Path]:
    """The shard folder at a path, or those in it (``data/shards`` holds four).

    Raises UserError where there is none.
    """
    if (path / "shards.json").is_file():
        return [path]
    found = [path / name for name in FOLDERS if (path / name / "shards.json").is_file()]
    if not found:
        raise no_shards(path, f"{path} is no shard folder and holds none.")
    return found


def text(folders: Sequence[Shards]) -> str:
    """Counts by split, dataset, method and label, and what the folders hold in all."""
    lines = []
    for shards in folders:
        size_gb = sum(about["bytes"] for about in shards.tars.values()) / 1e9
        videos = shards.index.column("video_id").unique()
        lines.append(
            f"{shards.folder}: {counted(len(shards), 'sample')} of {counted(len(videos), 'video')} "
            f"in {counted(len(shards.tars), 'tar')}, {size_gb:.3f} GB"
        )
    lines += ["", *_table([_BY_HEADER, *counts(folders)])]
    return "\n".join(lines)


_BY_HEADER = (*_BY, "samples", "videos")


def counts(folders: Sequence[Shards]) -> list[tuple[str, ...]]:
    """Rows of split, dataset, method, label, samples and videos, in this order, as text."""
    index = pa.concat_tables(s.index.select([*_BY, "video_id"]) for s in folders)
    grouped = index.group_by(list(_BY)).aggregate(
        [("video_id", "count"), ("video_id", "count_distinct")]
    )
    rows = [
        (
            *(row[name] for name in _BY[:3]),
            _LABELS[row["label"]],
            str(row["video_id_count"]),
            str(row["video_id_count_distinct"]),
        )
        for row in grouped.to_pylist()
    ]
    return sorted(rows)


def find_sample(folders: Sequence[Shards], name: str) -> tuple[Shards, Sample]:
    """The sample with this key or id. Raises UserError where no folder has it."""
    for shards in folders:
        for column in ("key", "sample_id"):
            place = shards.index.column(column).index(name).as_py()
            if place >= 0:
                return shards, next(shards.samples([place]))
    where = ", ".join(str(shards.folder) for shards in folders)
    raise UserError(f"No sample in {where} has the key or id {name!r}.")


def sample_text(shards: Shards, sample: Sample) -> str:
    """One sample: where it lies, its members, and its json in full."""
    place = shards.index.column("key").index(sample.key).as_py()
    tar = shards.index.column("tar")[place].as_py()
    members = ", ".join(f"{e} ({len(data)} bytes)" for e, data in sorted(sample.members.items()))
    about = json.dumps(sample.about, indent=1, sort_keys=True, ensure_ascii=False)
    return f"{sample.key}\nin {shards.folder / tar}; members: {members}\n{about}"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns of text, numbers to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if at >= len(_BY) else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
