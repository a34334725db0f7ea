"""From dataset folders to the table ``videos``: walks every dataset and makes its rows."""

import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from pipeline import keys, tables
from pipeline.config import DatasetEntry, DatasetsParams
from pipeline.datasets.base import Rejected, Video, read
from pipeline.datasets.fingerprint import Mode, StatCache
from pipeline.errors import Reject, UserError
from pipeline.semantics import Semantics

_READERS = 8
"""Threads that read ends of files; they wait for disks, not for a processor."""


@dataclass(frozen=True)
class Scan:
    """What ``scan`` found: tables ``videos`` and ``rejected``, and flat numbers."""

    videos: pa.Table
    rejected: pa.Table
    metrics: dict[str, int]


def scan(
    entries: Mapping[str, DatasetEntry],
    params: DatasetsParams,
    semantics: Semantics,
    stat_cache: Path,
) -> Scan:
    """Walks every dataset and describes its videos.

    Args:
        entries: datasets.yaml by dataset name.
        params: how files are fingerprinted.
        semantics: category and subtype of each manipulation.
        stat_cache: an untracked file (see :class:`StatCache`), made where absent.

    Returns:
        ``videos`` and ``rejected`` sorted by id. Metrics: ``inputs`` (files listed or found),
        ``outputs``, ``rejects``, ``left_out`` (0), ``<split>_real``, ``<split>_fake`` (videos) and
        ``rejects_<reason>`` where there are any.

    Raises:
        UserError: an unknown adapter, a wrong option, a root that is absent or of another layout, a
            dataset without one usable video.
    """
    if not entries:
        raise UserError("No dataset is listed. Add one to manifests/datasets.yaml.")
    listed = {name: list(read(entries[name])) for name in sorted(entries)}
    seen = StatCache(stat_cache)
    rows: list[dict[str, Any]] = []
    rejects: list[dict[str, str]] = []
    total = sum(map(len, listed.values()))
    with tqdm(total=total, desc="scan", unit="file", disable=None) as bar:
        for name, items in listed.items():
            good, bad = _describe(entries[name], items, params.fingerprint, semantics, seen, bar)
            if not good:
                raise UserError(_no_video(entries[name], bad))
            rows += good
            rejects += bad
    seen.save()
    rows.sort(key=lambda row: row["video_id"])
    rejects.sort(key=lambda row: (row["id"], row["reason"], row["detail"]))
    videos = tables.from_rows("videos", rows)
    return Scan(videos, tables.from_rows("rejected", rejects), _metrics(rows, rejects))


def _describe(
    entry: DatasetEntry,
    items: Iterable[Video | Rejected],
    mode: Mode,
    semantics: Semantics,
    seen: StatCache,
    bar: Any,
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Rows of ``videos`` and of ``rejected`` for one dataset."""
    found: list[Video] = []
    rejected: list[Rejected] = []
    for item in items:
        if isinstance(item, Video):
            found.append(item)
        else:
            rejected.append(item)
    bar.update(len(rejected))

    def inspect(video: Video) -> tuple[int, str] | Rejected:
        try:
            return _inspect(video, mode, seen)
        except Reject as reject:
            return Rejected(video.path, reject.reason, reject.detail)

    rows = []
    ids = _video_ids(entry.name, found)
    with ThreadPoolExecutor(_READERS) as pool:
        for video, video_id, fact in zip(found, ids, pool.map(inspect, found), strict=True):
            bar.update()
            if isinstance(fact, Rejected):
                rejected.append(fact)
            else:
                rows.append(_row(entry, video, video_id, *fact, semantics))
    return rows, [
        {
            "id": _printable(f"{entry.name}/{r.path}"),
            "reason": r.reason,
            "detail": _printable(r.detail),
        }
        for r in rejected
    ]


def _inspect(video: Video, mode: Mode, seen: StatCache) -> tuple[int, str]:
    """Size and fingerprint of a file; raises Reject where it is not a file with bytes."""
    if _printable(video.path) != video.path:
        raise Reject("unreadable", "its name is not valid UTF-8")
    try:
        facts = video.file.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise Reject("unsupported_media", "it is not a regular file")
        if facts.st_size == 0:
            raise Reject("empty")
        return facts.st_size, seen.fingerprint(video.file, facts, mode)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Reject("missing") from error
    except OSError as error:
        raise Reject("unreadable", error.strerror or type(error).__name__) from error


def _video_ids(dataset: str, videos: list[Video]) -> list[str]:
    """Ids without the suffix, except where two would be the same: those keep it."""
    full = [keys.video_id(dataset, v.method, v.path) for v in videos]
    ids = [
        keys.video_id(dataset, v.method, str(PurePosixPath(v.path).with_suffix(""))) for v in videos
    ]
    while len(set(ids)) < len(ids):
        count = Counter(ids)
        ids = [f if count[i] > 1 else i for i, f in zip(ids, full, strict=True)]
    return ids


def _row(
    entry: DatasetEntry,
    video: Video,
    video_id: str,
    size: int,
    fingerprint: str,
    semantics: Semantics,
) -> dict[str, Any]:
    category, subtype = "real", ""
    if video.label == 1:
        known = semantics.manipulation(entry.name, entry.adapter, video.method)
        category, subtype = video.category or known.category, video.subtype or known.subtype
        if category not in tables.CATEGORIES:
            raise UserError(
                f"Dataset {entry.name}: {video.method} is the name of a method whose images this "
                "program makes itself. Give the method of the dataset another name."
            )
    return {
        "video_id": video_id,
        "dataset": entry.name,
        "path": video.path,
        "media": "video",
        "split": video.split,
        "label": video.label,
        "method": video.method,
        "category": category,
        "subtype": subtype,
        "audio_fake": video.audio_fake,
        "identity": video.identity,
        "target_id": video.target_id,
        "source_id": video.source_id,
        "pair_id": video.pair_id,
        "leak_group": video.leak_group,
        "compression": video.compression,
        "segments_s": list(video.segments_s),
        "bytes": size,
        "fingerprint": fingerprint,
    }


def _no_video(entry: DatasetEntry, rejects: list[dict[str, str]]) -> str:
    where = ", ".join(map(str, entry.roots))
    if not rejects:
        return (
            f"Dataset {entry.name}: there is no video below {where}. Put some there or remove it."
        )
    first = rejects[0]
    detail = f" ({first['detail']})" if first["detail"] else ""
    return (
        f"Dataset {entry.name}: no usable video below {where}; all {len(rejects)} files were "
        f"rejected, such as {first['id']}: {tables.REJECT_REASONS[first['reason']]}{detail}."
    )


def _printable(text: str) -> str:
    """Text that UTF-8 can hold: bytes of a file name that are not UTF-8 are spelled out."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _metrics(rows: list[dict[str, Any]], rejects: list[dict[str, str]]) -> dict[str, int]:
    metrics = {
        "inputs": len(rows) + len(rejects),
        "outputs": len(rows),
        "rejects": len(rejects),
        "left_out": 0,
    }
    kinds = Counter((row["split"], row["label"]) for row in rows)
    for split in tables.SPLITS:
        metrics |= {f"{split}_real": kinds[split, 0], f"{split}_fake": kinds[split, 1]}
    reasons = Counter(reject["reason"] for reject in rejects)
    return metrics | {f"rejects_{reason}": n for reason, n in sorted(reasons.items())}
