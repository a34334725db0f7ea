"""Which videos there are: every dataset through its adapter. Cheap; runs every time."""

import sys
from pathlib import Path

from faceshards.wording import counted
from pipeline import config, tables
from pipeline.audit.findings import in_short
from pipeline.commands import contradictions
from pipeline.commands.entry import run_main
from pipeline.datasets.scan import STAT_CACHE, scan
from pipeline.engine.retry import heal
from pipeline.engine.sound import SoundTars
from pipeline.engine.stage import STORES, write_metrics
from pipeline.labels import semantics
from pipeline.stage_list import WITH_STORE
from pipeline.versions import publish


def main() -> None:
    """Writes ``videos``, its rejects and its metrics; then stops where a later stage would.

    The tables are there in any case, so that `faceshards audit` and `datasets` can answer.
    """
    params = config.load()
    entries = config.load_datasets()
    known = semantics.load()
    found = scan(entries, params.datasets, known, STAT_CACHE)
    tables.write(Path("manifests/videos.parquet"), "videos", found.videos)
    tables.write(Path("manifests/rejected/scan.parquet"), "rejected", found.rejected)
    write_metrics("scan", found.metrics)
    publish()
    for stage, count in heal(set(found.videos.column("video_id").to_pylist())).items():
        print(f"{counted(count, 'unit')} of {stage} will be tried again: the file is there now.")
    for path in [path for stage in WITH_STORE for path in SoundTars.of(STORES / stage.name).wake()]:
        print(f"{path} is damaged; its stage runs again.")
    if found.unsure:
        print(found.unsure)
    if absent := [name for name, entry in entries.items() if not entry.roots]:
        print(f"Not read, since manifests/datasets.yaml gives no root: {', '.join(absent)}.")
    if found.findings:
        print(f"Audit: {in_short(found.findings)}. See `faceshards audit`.")
    if lacking := contradictions.check(params, entries, found.videos, known.graphs):
        print(f"Before training: {lacking}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
