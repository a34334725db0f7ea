"""One named training run, by one process or by several."""

import os
import sys
from pathlib import Path

from pipeline import config
from pipeline.commands.entry import run_main
from pipeline.config import run_params
from pipeline.engine.process import die_with
from pipeline.engine.progress import timed
from pipeline.training.launch import start_ranks
from pipeline.training.rank_names import OWNER, RANK


def main() -> int:
    """Writes ``models/<run>`` and ``plots/<run>.csv``."""
    if owner := os.environ.get(OWNER):
        die_with(int(owner))
    params = config.load()
    name = run_params.chosen(params.runs, sys.argv[1:])
    if params.engine.gpus > 1 and RANK not in os.environ:
        return start_ranks([sys.executable, "-m", "stages.train", name], params.engine.gpus)
    from pipeline.training.inputs import run_of
    from pipeline.training.loop import train

    run = run_of(params, name)
    out, history = Path("models") / name, Path(f"plots/{name}.csv")
    board = Path("logs/tensorboard") / name if params.engine.tensorboard else None
    if int(os.environ.get(RANK, "0")):
        train(run, Path("data/shards"), out, history)
    else:
        with timed(f"train@{name}") as count:
            count(train(run, Path("data/shards"), out, history, board))
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
