"""The history of a run for TensorBoard, where a user asks for it."""

import math
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.training.history import Row


def add_epoch(folder: Path, row: Row) -> None:
    """Adds an epoch to the event files of a run; later ones of an earlier attempt are hidden.

    Args:
        folder: of the run.
        row: as people see it.
    """
    # By name: where the package is installed, it has no types.
    torchs: Any = import_module("torch.utils.tensorboard")
    epoch = int(row["epoch"])
    board = torchs.SummaryWriter(str(folder), purge_step=epoch)
    for name, value in row.items():
        if name != "epoch" and not math.isnan(value):
            board.add_scalar(name, value, epoch)
    board.close()
