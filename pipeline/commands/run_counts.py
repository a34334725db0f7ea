"""What every run reads, for `faceshards plan`: faces of the shards there are, else videos."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.commands.contradictions import read_by
from pipeline.config.run_params import RunParams
from pipeline.errors import UserError
from pipeline.shards import run_data

SHARDS = Path("data/shards")


def lines(runs: Mapping[str, RunParams], videos: pa.Table, shards: Path = SHARDS) -> list[str]:
    """One line per run.

    Args:
        runs: by name.
        videos: table ``videos``, as it would be now.
        shards: the shard folders; they may be absent, and are as of the last `dvc repro`.
    """
    return [_line(name, run, videos, shards) for name, run in runs.items()]


def _line(name: str, run: RunParams, videos: pa.Table, shards: Path) -> str:
    if all((shards / folder / "shards.json").is_file() for folder in run_data.folders(run)):
        try:
            counts = ", ".join(map(str, run_data.counts(name, run, shards)))
        except UserError as error:
            return f"run {name}: {error}"
        return f"run {name} reads these faces of the shards that are there: {counts}"
    found = []
    for split in ("train", "val"):
        mine = read_by(run.data, videos.filter(pc.equal(videos["split"], split)))
        found.append(str(run_data.count(split, run.data, mine)))
    return f"run {name} will read faces of these videos: {', '.join(found)}"
