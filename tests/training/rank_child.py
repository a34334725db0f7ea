"""What one of two processes does in test_ranks.py: trains some runs, one after the other."""

import os
import sys
from pathlib import Path

import pytest
import torch

from pipeline.engine.process import die_with
from pipeline.training import ranks
from pipeline.training.loop import train
from pipeline.training.rank_names import OWNER
from tests.training import made
from tests.training.two_runs import RUNS, in_float64


def main() -> None:
    die_with(int(os.environ[OWNER]))
    in_float64(pytest.MonkeyPatch())
    root = Path(sys.argv[1])
    with ranks.joined(torch.device("cpu")):
        for name, params in RUNS.items():
            train(made.run(params), root, root / f"two/{name}", root / f"two/{name}.csv")


if __name__ == "__main__":
    main()
