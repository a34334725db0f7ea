"""Which faces become samples: as many real as fake, equal over videos, at least one per video."""

from pathlib import Path

from pipeline import config, tables
from pipeline.commands.entry import run_main
from pipeline.engine.stage import write_metrics
from pipeline.selection.balance import FACE_COLUMNS, balance


def main() -> None:
    """Writes ``samples`` and its metrics."""
    params = config.load()
    videos = tables.read(Path("manifests/videos.parquet"), "videos")
    faces = tables.read(Path("manifests/faces.parquet"), "faces", FACE_COLUMNS)
    chosen = balance(videos, faces, params.balance, params.seed)
    tables.write(Path("manifests/samples.parquet"), "samples", chosen.samples)
    write_metrics("balance", chosen.metrics)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
