"""One named training run."""

import sys
from pathlib import Path

from pipeline import config
from pipeline.commands.entry import run_main
from pipeline.config import run_params
from pipeline.engine.progress import timed
from pipeline.labels import semantics
from pipeline.training.inputs import Run
from pipeline.training.loop import train
from pipeline.versions import version


def main() -> None:
    """Writes ``models/<run>`` and ``plots/<run>.csv``."""
    params = config.load()
    name = run_params.chosen(params.runs, sys.argv[1:])
    wanted = params.runs[name]
    graph = semantics.load().graph(wanted.objective.graph) if wanted.objective.graph else None
    run = Run(name, wanted, params.seed, version("train"), graph)
    out, history = Path("models") / name, Path(f"plots/{name}.csv")
    with timed(f"train@{name}") as count:
        count(train(run, Path("data/shards"), out, history))


if __name__ == "__main__":
    raise SystemExit(run_main(main))
