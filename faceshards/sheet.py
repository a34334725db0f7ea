"""A contact sheet of a shard folder: what the samples look like, at a glance."""

from pathlib import Path

import cv2
import numpy as np

from faceshards import images
from faceshards.errors import UserError
from faceshards.images import Image
from faceshards.reading import Sample, Shards

CELL_PX = 144
"""Side of one image on the sheet."""
BORDER_PX = 3
TEXT_PX = 18

_REAL_RGB, _FAKE_RGB = (40, 160, 70), (205, 50, 45)
_PAPER_RGB, _INK_RGB = (255, 255, 255), (40, 40, 40)
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42


def contact_sheet(folder: Path, per_row: int = 8, rows: int = 6) -> Image:
    """Grid of up to ``per_row`` x ``rows`` samples, taken evenly from a shard folder.

    Reals have a green border, fakes a red one; the method stands below. Returns uint8 (H, W, 3)
    RGB. Raises UserError where the folder is none or has no samples.
    """
    shards = Shards(folder)
    if not len(shards):
        raise UserError(f"{folder} has no samples to show.")
    n = min(per_row * rows, len(shards))
    places = np.arange(n) * len(shards) // n
    cells = [_cell(sample) for sample in shards.samples(places.tolist())]
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-n % per_row)
    return np.vstack([np.hstack(cells[at : at + per_row]) for at in range(0, len(cells), per_row)])


def _cell(sample: Sample) -> Image:
    """One sample, framed, with its method below: uint8 RGB, the same size for all."""
    image = cv2.resize(
        images.decode_rgb(sample.jpg), (CELL_PX, CELL_PX), interpolation=cv2.INTER_AREA
    )
    color = _FAKE_RGB if sample.about["label"] else _REAL_RGB
    framed = np.full((CELL_PX + 2 * BORDER_PX, CELL_PX + 2 * BORDER_PX, 3), color, np.uint8)
    framed[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = image
    cell = cv2.copyMakeBorder(framed, 2, TEXT_PX, 2, 2, cv2.BORDER_CONSTANT, value=_PAPER_RGB)
    # The font knows ASCII only; it draws "?" for anything else.
    text = sample.about["method"]
    (width, _), _ = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)
    scale = _FONT_SCALE * min(1.0, CELL_PX / max(width, 1))
    at = (BORDER_PX, cell.shape[0] - 5)
    cv2.putText(cell, text, at, _FONT, scale, _INK_RGB, 1, cv2.LINE_AA)
    return np.asarray(cell, np.uint8)
