"""From dataset folders to the table ``videos``: walks every dataset and makes its rows."""

import contextlib
import gc
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from tqdm import tqdm

from faceshards import fields, keys
from faceshards.wording import counted
from pipeline import tables
from pipeline.audit import drop
from pipeline.audit.findings import Finding
from pipeline.config.dataset_entries import DatasetEntry
from pipeline.config.params import DatasetsParams
from pipeline.datasets import folders, outside, pairs, roles
from pipeline.datasets.base import Reference, Rejected, Video, adapters, check, read
from pipeline.datasets.fingerprint import Mode, StatCache, inside_fingerprint
from pipeline.errors import UserError
from pipeline.labels.semantics import Semantics
from pipeline.tables import schemas

STAT_CACHE = Path(".cache/stat.json")
"""What is remembered of files: local to one machine, never tracked."""
_READERS = 8
"""Threads that look at files; they wait for disks, not for a processor."""
_LOOK_DEPTH = 6
"""Levels below a root in which media are looked for that an adapter did not find."""
_CHUNK = 64
"""Files that a thread is given at once: handing over costs more than a look."""

PACKED = ("tar", "tar_image", "parquet")
"""Media that are in a file with others: what follows ``!`` in a path says where in it."""

_PLAIN = (
    *("path", "media", "split", "label", "method", "audio_fake", "identity", "target_id"),
    *("source_id", "pair_id", "leak_group", "compression", "segments_s", "segments_frames"),
    "outside",
)
"""Columns of ``videos`` that are the adapter's words."""


class _Facts(NamedTuple):
    """What the disk says about a row."""

    size: int
    fingerprint: str
    pair: str = ""
    """Fingerprint; "" where there is none, or it cannot be read."""
    mask: str = ""


@dataclass(frozen=True)
class Scan:
    """What ``scan`` found: tables ``videos`` and ``rejected``, flat numbers, and the audit."""

    videos: pa.Table
    rejected: pa.Table
    metrics: dict[str, int]
    findings: list[Finding]
    """Of the audit, after what it dropped; the worst first."""
    alike: int = 0
    """Files that were written since the last scan and look as before, by size and both ends."""

    @property
    def unsure(self) -> str:
        """A sentence on files of which nobody knows whether they changed; "" for none."""
        if not self.alike:
            return ""
        return (
            f"{counted(self.alike, 'file')} written since the last scan, with the same size, first "
            "and last 64 KiB: taken for unchanged. Where that is not so, set "
            "`datasets.fingerprint: full`, which reads every byte."
        )


def scan(
    entries: Mapping[str, DatasetEntry],
    params: DatasetsParams,
    semantics: Semantics,
    stat_cache: Path,
) -> Scan:
    """Walks every dataset and describes its videos.

    Args:
        entries: datasets.yaml by dataset name; those without a root are listed and not read.
        params: how files are fingerprinted, and what is done about findings of the audit.
        semantics: category and subtype of each manipulation.
        stat_cache: an untracked file (see :class:`StatCache`), made where absent.

    Returns:
        ``videos`` and ``rejected`` sorted by id. Metrics: ``inputs`` (files listed or found),
        ``outputs``, ``rejects``, ``left_out`` (0), ``<split>_real``, ``<split>_fake`` (videos) and
        ``rejects_<reason>`` where there are any.

    Raises:
        UserError: an unknown adapter, a wrong option, a root that is absent or of another layout, a
            method that is named and not known, a dataset without one usable video, no dataset with
            a root; a finding of a kind that is to ``fail``.
    """
    if not entries:
        raise UserError("No dataset is listed. Add one to manifests/datasets.yaml.")
    with _collector_paused():
        return _scan(entries, params, semantics, stat_cache)


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Spares the walks over all living rows that the collector makes while they are made."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _scan(
    entries: Mapping[str, DatasetEntry],
    params: DatasetsParams,
    semantics: Semantics,
    stat_cache: Path,
) -> Scan:
    listed = {}
    for name, entry in sorted(entries.items()):
        if entry.roots:
            found = pairs.apply(read(entry, params))
            listed[name] = list(outside.apply(entry, roles.apply(entry, found, semantics)))
        else:
            check(entry)
    if not listed:
        raise UserError(
            "No dataset in manifests/datasets.yaml has a root. Give those that you have the "
            "folders where they lie."
        )
    seen = StatCache(stat_cache)
    videos = []
    rejects: list[dict[str, str]] = []
    total = sum(map(len, listed.values()))
    with tqdm(total=total, desc="scan", unit="file", disable=None) as bar:
        for name, items in listed.items():
            good, bad = _describe(entries[name], items, params.fingerprint, semantics, seen, bar)
            if not good.num_rows:
                raise UserError(_no_video(entries[name], bad))
            videos.append(good)
            rejects += bad
    seen.save()
    table = pa.concat_tables(videos).combine_chunks().sort_by("video_id")
    rejects.sort(key=lambda row: (row["id"], row["reason"], row["detail"]))
    done = drop.apply(table, tables.from_rows("rejected", rejects), params.audit)
    metrics = _metrics(done.videos, done.rejected)
    return Scan(done.videos, done.rejected, metrics, done.findings, seen.alike)


def _describe(
    entry: DatasetEntry,
    items: Iterable[Video | Rejected],
    mode: Mode,
    semantics: Semantics,
    seen: StatCache,
    bar: Any,
) -> tuple[pa.Table, list[dict[str, str]]]:
    """Tables ``videos``, unsorted, and rows of ``rejected`` of one dataset."""
    found: list[Video] = []
    rejected: list[Rejected] = []
    for item in items:
        if isinstance(item, Video):
            found.append(item)
        else:
            rejected.append(item)
    bar.update(len(rejected))

    def inspect(videos: list[Video]) -> list[_Facts | Rejected]:
        return [_inspect(video, mode, seen) for video in videos]

    good: list[tuple[str, Video, _Facts]] = []
    ids = iter(_video_ids(entry.name, found))
    chunks = [found[i : i + _CHUNK] for i in range(0, len(found), _CHUNK)]
    with ThreadPoolExecutor(_READERS) as pool:
        for chunk, facts in zip(chunks, pool.map(inspect, chunks), strict=True):
            bar.update(len(chunk))
            for video, video_id, fact in zip(chunk, ids, facts, strict=False):
                if isinstance(fact, Rejected):
                    rejected.append(fact)
                else:
                    good.append((video_id, video, fact))
    return _table(entry, good, semantics), [
        {
            "id": _printable(f"{entry.name}/{r.path}"),
            "reason": r.reason,
            "detail": _printable(r.detail),
        }
        for r in rejected
    ]


def _inspect(video: Video, mode: Mode, seen: StatCache) -> _Facts | Rejected:
    """What the disk says about a row; Rejected where there is nothing to read."""
    if _printable(video.path) != video.path:
        return Rejected(video.path, "unreadable", "its name is not valid UTF-8")
    try:
        facts = os.stat(video.file)  # noqa: PTH116 - a million times
        if video.media == "frames":
            if not stat.S_ISDIR(facts.st_mode):
                detail = "no folder of pictures, and no suffix of a picture or video"
                return Rejected(video.path, "unsupported_media", detail)
            size, fingerprint = seen.folder(video.file, mode)
            if not size:
                return Rejected(video.path, "empty", "a folder without pictures")
            return _Facts(size, fingerprint, *_references(video, mode, seen))
        if not stat.S_ISREG(facts.st_mode):
            return Rejected(video.path, "unsupported_media", "it is not a regular file")
        if facts.st_size == 0:
            return Rejected(video.path, "empty")
        if video.media in PACKED:
            whole = seen.shared(video.file, facts, mode)
            inside = video.path.partition(f"{os.path.basename(video.file)}!")[2]  # noqa: PTH119
            fingerprint = inside_fingerprint(whole, inside)
        else:
            fingerprint = seen.fingerprint(video.file, facts, mode)
        size = facts.st_size if video.size_bytes < 0 else video.size_bytes
        return _Facts(size, fingerprint, *_references(video, mode, seen))
    except (FileNotFoundError, NotADirectoryError):
        return Rejected(video.path, "missing")
    except OSError as error:
        return Rejected(video.path, "unreadable", error.strerror or type(error).__name__)


def _references(video: Video, mode: Mode, seen: StatCache) -> tuple[str, str]:
    """Fingerprints of a row's pair and mask; "" for what is not there or cannot be read."""
    if video.pair is None and video.mask is None:
        return "", ""
    return _reference(video.pair, mode, seen), _reference(video.mask, mode, seen)


def _reference(reference: Reference | None, mode: Mode, seen: StatCache) -> str:
    if reference is None or _printable(reference.path) != reference.path:
        return ""
    try:
        facts = os.stat(reference.file)  # noqa: PTH116 - a million times
        if stat.S_ISDIR(facts.st_mode):
            size, fingerprint = seen.folder(reference.file, mode)
            return fingerprint if size else ""
        if not stat.S_ISREG(facts.st_mode):
            return ""
        return seen.fingerprint(reference.file, facts, mode) if facts.st_size else ""
    except OSError:
        return ""


def _video_ids(dataset: str, videos: list[Video]) -> list[str]:
    """Ids as stated, else without the suffix, except where two would be the same: those keep it."""
    full = [keys.video_id(dataset, v.method, v.name or v.path) for v in videos]
    if len(set(full)) < len(full):
        twice = Counter(full).most_common(1)[0][0]
        if any(v.name for v, f in zip(videos, full, strict=True) if f == twice):
            raise UserError(f"Dataset {dataset}: two rows have the id {twice}. Give each its own.")
        raise ValueError(f"the adapter of {dataset} gave {twice} twice; a repeat is a reject")
    ids = [
        f if v.name or v.media in ("frames", *PACKED) else folders.without_suffix(f)
        for f, v in zip(full, videos, strict=True)
    ]
    while len(set(ids)) < len(ids):
        count = Counter(ids)
        ids = [f if count[i] > 1 else i for i, f in zip(ids, full, strict=True)]
    return ids


def _table(
    entry: DatasetEntry, rows: list[tuple[str, Video, _Facts]], semantics: Semantics
) -> pa.Table:
    """Table ``videos`` of one dataset, in the order of ``rows``."""
    kind = cache(partial(_kind, entry, semantics))
    ids = [video_id for video_id, _, _ in rows]
    videos = [video for _, video, _ in rows]
    facts = [fact for _, _, fact in rows]
    kinds = [kind(v.label, v.method, v.category, v.subtype) for v in videos]
    columns: dict[str, list[Any]] = {name: list(map(attrgetter(name), videos)) for name in _PLAIN}
    columns |= {
        "video_id": ids,
        "dataset": [entry.name] * len(ids),
        "category": [category for category, _ in kinds],
        "subtype": [subtype for _, subtype in kinds],
        "bytes": [fact.size for fact in facts],
        "fingerprint": [fact.fingerprint for fact in facts],
    }
    for name, of in (("pair", attrgetter("pair")), ("mask", attrgetter("mask"))):
        marks = list(map(of, facts))
        columns[f"{name}_fingerprint"] = marks
        columns[f"{name}_path"] = [
            reference.path if mark else ""
            for mark, reference in zip(marks, map(of, videos), strict=True)
        ]
    return tables.from_columns("videos", columns)


def _kind(
    entry: DatasetEntry, semantics: Semantics, label: int, method: str, category: str, subtype: str
) -> tuple[str, str]:
    """Category and subtype: the adapter's own, else those of the method."""
    if label == 0:
        return "real", ""
    known = semantics.manipulation(entry.name, entry.adapter, method)
    category = category or known.category
    subtype = subtype or (known.subtype if category == known.category else "")
    if category not in fields.CATEGORIES:
        raise UserError(
            f"Dataset {entry.name}: {method} is the name of a method whose images this program "
            "makes itself. Give the method of the dataset another name."
        )
    return category, subtype


def _no_video(entry: DatasetEntry, rejects: list[dict[str, str]]) -> str:
    where = ", ".join(map(str, entry.roots))
    if not rejects:
        return f"Dataset {entry.name}: there is no video below {where}{_elsewhere(entry)}"
    first = rejects[0]
    detail = f" ({first['detail']})" if first["detail"] else ""
    return (
        f"Dataset {entry.name}: no usable video below {where}; "
        f"{counted(len(rejects), 'file was', 'files were')} rejected, such as {first['id']}: "
        f"{schemas.REJECT_REASONS[first['reason']]}{detail}."
    )


def _elsewhere(entry: DatasetEntry) -> str:
    """The next step where an adapter found nothing; it depends on what the roots hold."""
    for root in entry.roots:
        for relative in folders.files(root, _LOOK_DEPTH):
            if folders.is_video(relative) or folders.is_image(relative):
                return (
                    f" where adapter {entry.adapter} looks, though {root / relative} is there. It "
                    f"expects {adapters()[entry.adapter].expects}. Correct adapter or root in "
                    "manifests/datasets.yaml."
                )
    return ", nor any other video or picture. Put some there, or take the dataset out."


def _printable(text: str) -> str:
    """Text that UTF-8 can hold: bytes of a file name that are not UTF-8 are spelled out."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _metrics(videos: pa.Table, rejects: pa.Table) -> dict[str, int]:
    metrics = {
        "inputs": videos.num_rows + rejects.num_rows,
        "outputs": videos.num_rows,
        "rejects": rejects.num_rows,
        "left_out": 0,
    }
    kinds = Counter(zip(videos["split"].to_pylist(), videos["label"].to_pylist(), strict=True))
    for split in fields.SPLITS:
        metrics |= {f"{split}_real": kinds[split, 0], f"{split}_fake": kinds[split, 1]}
    reasons = Counter(rejects["reason"].to_pylist())
    return metrics | {f"rejects_{reason}": n for reason, n in sorted(reasons.items())}
