"""The epochs of a run in numbers: means over faces, rows, and the file of them."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from faceshards.replace import replacing

Row = dict[str, float]
"""One finished epoch: ``epoch`` (from 1), ``learning_rate``, losses, ``val_auc``,
``val_accuracy``."""


class Means:
    """Means of named losses over faces; read back from the device once."""

    def __init__(self, faces: int = 0, sums: Mapping[str, Tensor] | None = None) -> None:
        self.faces = faces
        self.sums = dict(sums or {})
        """By name: of the losses of all faces."""

    def add(self, losses: Mapping[str, Tensor], faces: int) -> None:
        """Counts a batch's mean losses as often as it has faces."""
        self.faces += faces
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())) + loss.double() * faces

    def means(self) -> dict[str, float]:
        """By name."""
        return {name: float(total) / self.faces for name, total in self.sums.items()}


def kept_epoch(rows: Sequence[Row], rule: str, primary: str) -> tuple[int, str]:
    """The epoch whose model is kept: its place among the rows, and the column that says so.

    Args:
        rows: one or more finished epochs.
        rule: ``lowest_val_primary``, ``highest_val_accuracy`` or ``last``. Of equally good epochs
            it is the first.
        primary: name of the primary loss.
    """
    places = range(len(rows))
    match rule:
        case "lowest_val_primary":
            column = f"val_{primary}"
            return min(places, key=lambda n: rows[n][column]), column
        case "highest_val_accuracy":
            return max(places, key=lambda n: rows[n]["val_accuracy"]), "val_accuracy"
        case "last":
            return places[-1], "epoch"
    raise ValueError(f"there is no rule {rule}")


def write(path: Path, rows: Sequence[Row]) -> None:
    """Writes a CSV of epochs, by rename; all rows have the same columns."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(rows[0])
    for row in rows:
        table.writerow([_number(value) for value in row.values()])
    with replacing(path) as temporary:
        temporary.write_text(text.getvalue())


def _number(value: float) -> str:
    """Shortest text of a number to six digits; empty for NaN, which means there is none."""
    return "" if math.isnan(value) else f"{value:.6g}"
