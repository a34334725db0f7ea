"""Which faces become samples: as many real as fake, equal over videos, at least one per video."""

from pathlib import Path

from pipeline import config, tables
from pipeline.commands.entry import run_main
from pipeline.config.params import BalanceParams
from pipeline.engine.stage import write_metrics
from pipeline.selection.balance import VIDEO_COLUMNS, BalancedSamples, balance, columns
from pipeline.tables.ahead import one_ahead

IDS_AT_ONCE = 1 << 17
"""Faces whose ids are in memory together."""


def write_samples(folder: Path, params: BalanceParams, seed: int) -> BalancedSamples:
    """Writes ``samples`` from the tables ``videos`` and ``faces`` of a folder."""
    videos = tables.read(folder / "videos.parquet", "videos", VIDEO_COLUMNS)
    path = folder / "faces.parquet"
    # Not held here, so that it is gone as soon as it has been looked at.
    chosen = balance(
        videos, tables.read(path, "faces", columns(params), encoded=("video_id",)), params, seed
    )
    batches = tables.read_batches(path, "faces", ["face_id"], IDS_AT_ONCE)
    ids = (batch.column("face_id") for batch in one_ahead(batches))
    tables.write(folder / "samples.parquet", "samples", chosen.samples(ids))
    return chosen


def main() -> None:
    """Writes ``samples`` and its metrics."""
    params = config.load()
    chosen = write_samples(Path("manifests"), params.balance, params.seed)
    write_metrics("balance", chosen.metrics)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
