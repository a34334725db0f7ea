"""Which videos there are: every dataset through its adapter. Cheap; runs every time."""

import sys
from pathlib import Path

import pyarrow.compute as pc

from pipeline import config, tables
from pipeline.audit.findings import in_short
from pipeline.commands import weights_check
from pipeline.commands.entry import run_main
from pipeline.datasets.scan import scan
from pipeline.engine.stage import write_metrics
from pipeline.labels import semantics
from pipeline.versions import publish

STAT_CACHE = Path(".cache/stat.json")


def main() -> None:
    """Writes ``videos``, its rejects and its metrics; says which weights later stages lack."""
    params = config.load()
    entries = config.load_datasets()
    config.check_datasets(params, entries)
    found = scan(entries, params.datasets, semantics.load(), STAT_CACHE)
    tables.write(Path("manifests/videos.parquet"), "videos", found.videos)
    tables.write(Path("manifests/rejected/scan.parquet"), "rejected", found.rejected)
    write_metrics("scan", found.metrics)
    publish()
    if found.findings:
        print(f"Audit: {in_short(found.findings)}. See `faceshards audit`.")
    train = found.videos.filter(pc.equal(found.videos["split"], "train"))
    if not train.num_rows:
        print("No video is in the split train, so there will be nothing to train on.")
    for name in sorted(set(params.expand.datasets) - set(train["dataset"].to_pylist())):
        print(
            f"No video of {name} is in the split train, but expand.datasets names it, and expand "
            "will refuse it. Take it out there; `datasets: []` expands nothing."
        )
    if lacking := weights_check.check(params, found.videos):
        print(f"Before training: {lacking}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
