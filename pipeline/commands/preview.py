"""What `dvc repro` would have to do, before any of it is done."""

import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceshards import keys
from pipeline import config
from pipeline.audit import parts
from pipeline.commands import contradictions, run_counts, runs_ahead
from pipeline.commands.foresight import Before, foresee
from pipeline.config.params import Params
from pipeline.datasets.scan import STAT_CACHE, scan
from pipeline.engine import disk, partition
from pipeline.engine.partition import Committed
from pipeline.engine.progress import last_seconds_per_row
from pipeline.engine.stage import STORES, Stage
from pipeline.engine.survey import Store, survey
from pipeline.errors import UserError
from pipeline.expansion.notes import RegionCounts, by_region
from pipeline.labels import semantics
from pipeline.stage_list import WITH_STORE
from pipeline.tables.sources import Stored
from pipeline.versions import version


@dataclass(frozen=True)
class Preview:
    """What one stage would do, in rows of its plan."""

    stage: str
    to_do: int
    keep: int
    drop: int
    estimated: bool
    """An earlier stage changes the plan first, see :mod:`pipeline.commands.foresight`."""
    seconds: float | None
    """By the rate of the largest of the last runs; None before there was one."""
    disk_bytes: float | None
    """What the rows to do would take in the store; None before there is a store."""


def preview(params: Params) -> tuple[list[Preview], list[str]]:
    """Looks at every heavy stage in order, up to the first whose input tables do not exist yet.

    Datasets are scanned; nothing is written but what is remembered of files.

    Returns:
        The stages, and sentences on what else there is to know: what training will lack, and which
        datasets are stored in another encoding.

    Raises:
        UserError: as the stages themselves: bad parameters, missing roots or weights.
    """
    entries = config.load_datasets()
    known = semantics.load()
    scanned = scan(entries, params.datasets, known, STAT_CACHE)
    videos = scanned.videos
    lacking = contradictions.check(params, entries, videos, known.graphs)
    found: list[Preview] = []
    expansion: list[str] = []
    before = Before()
    for name, needs in ((stage.name, stage.reads) for stage in WITH_STORE):
        if not all(Path(f"manifests/{table}.parquet").is_file() for table in needs):
            break
        stage = _prepare(name, params, videos)
        expansion += [_expansion(one) for one in by_region(stage.counts)]
        with disk.explained(stage.store.folder):
            sound = stage.store.sound()
            now = survey(stage.task, stage.plan, stage.store, version(name), sound)
            sound.save()
        old_ids = _ids(stage.store, now.old)
        estimated = any(one.to_do or one.drop for one in found)
        rows = foresee(stage, now, old_ids, before)
        before = rows.after
        rate, size = last_seconds_per_row(name), _bytes_per_row(now.old.values(), len(old_ids))
        found.append(
            Preview(
                stage=name,
                to_do=rows.to_do,
                keep=rows.keep,
                drop=rows.drop,
                estimated=estimated,
                seconds=None if rate is None else rate * rows.to_do,
                disk_bytes=None if size is None else size * rows.to_do,
            )
        )
    notes = [f"before training: {lacking}"] if lacking else []
    notes += [scanned.unsure] if scanned.unsure else []
    working = {one.stage for one in found if one.to_do or one.drop}
    working |= {stage.name for stage in WITH_STORE} - {one.stage for one in found}
    try:
        later = runs_ahead.text(runs_ahead.ahead(params.runs, runs_ahead.out_of_date(), working))
    except UserError as error:
        later = f"train, evaluate, report: not known. {error}"
    ahead = [later, *run_counts.lines(params.runs, videos), *parts.in_words(videos)]
    notes = [*expansion, *ahead, *notes]
    return found, [*_encoded_anew(params.faces.lossless, entries), *notes]


def text(stages: list[Preview], notes: Sequence[str]) -> str:
    """The preview as an aligned table, then the free disk and what else there is to know."""
    lines = [f"{'stage':<10} {'to do':>9} {'keep':>9} {'drop':>9} {'time':>9} {'disk':>10}"]
    for one in stages:
        to_do = f"{'~' if one.estimated else ''}{one.to_do}"
        time = "unknown" if one.seconds is None else f"{one.seconds:.0f} s"
        disk = "unknown" if one.disk_bytes is None else f"{one.disk_bytes / 1e6:.1f} MB"
        lines.append(f"{one.stage:<10} {to_do:>9} {one.keep:>9} {one.drop:>9} {time:>9} {disk:>10}")
    known = {one.stage for one in stages}
    missing = [stage.name for stage in WITH_STORE if stage.name not in known]
    if missing:
        lines.append(f"{', '.join(missing)}: not known before the stages above have run")
    if any(one.estimated for one in stages):
        lines.append("~ estimated, since an earlier stage changes first")
    lines.append(f"free in {STORES}: {free_bytes() / 1e9:.1f} GB")
    return "\n".join([*lines, *notes])


def _expansion(one: RegionCounts) -> str:
    """What is planned of one region."""
    replaced = f", {one.replaced} of them in place of refused ones" if one.replaced else ""
    refused = f". Refused: {one.refused}" if one.refused else ""
    return (
        f"expand {one.dataset}, {one.generator}_{one.region}: {one.planned} of {one.wanted} wanted "
        f"are planned{replaced}{refused}"
    )


def free_bytes() -> int:
    """Bytes free where the stores lie, or will lie."""
    return shutil.disk_usage(STORES if STORES.exists() else Path()).free


def _encoded_anew(lossless: Collection[str], entries: Iterable[str]) -> list[str]:
    """Sentences on datasets whose faces are stored otherwise than `faces.lossless` asks."""
    path = Path("manifests/faces.parquet")
    if not path.is_file():
        return []
    stored: set[tuple[str, str]] = set()
    for part in Stored(path, "faces").batches(["video_id", "encoding"]):
        names = pc.replace_substring_regex(part["video_id"], "/.*$", "")
        pairs = pa.table({"dataset": names, "encoding": part["encoding"]})
        kinds = pairs.group_by(["dataset", "encoding"]).aggregate([]).to_pylist()
        stored |= {(kind["dataset"], kind["encoding"]) for kind in kinds}
    told = []
    for name in sorted(entries):
        have = {encoding for dataset, encoding in stored if dataset == name}
        wanted = "png" if name in lossless else "jpg"
        if have and wanted not in have:
            told.append(
                f"faces.lossless: faces of {name} are stored as {have.pop()} and will be as "
                f"{wanted}, so all its videos are decoded again"
            )
    return told


def _prepare(name: str, params: Params, videos: pa.Table) -> Stage:
    from stages import expand, faces, frames, landmarks, shard

    modules: dict[str, ModuleType] = {
        "frames": frames,
        "faces": faces,
        "landmarks": landmarks,
        "expand": expand,
        "shard": shard,
    }
    prepared: Stage = modules[name].prepare(params, videos)
    return prepared


def _ids(store: Store, old: Iterable[str]) -> NDArray[np.uint64]:
    """Distinct hashes (n,) of the ids that a store holds."""
    return np.unique(
        np.array(
            [
                keys.hash64(row_id)
                for name in old
                for row_id in partition.read_rows(store.folder / name, ["id"]).column(0).to_pylist()
            ],
            np.uint64,
        )
    )


def _bytes_per_row(old: Iterable[Committed], rows: int) -> float | None:
    return sum(facts.tar_bytes for facts in old) / rows if rows else None
