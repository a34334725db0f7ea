"""A contact sheet of a shard folder: what the samples look like, at a glance."""

from pathlib import Path

import cv2
import numpy as np

from pipeline import images, keys, tables
from pipeline.errors import UserError
from pipeline.images import Image
from pipeline.shards.read import Sample, Shards

CELL_PX = 144
"""Side of one picture on the sheet."""
BORDER_PX = 3
TEXT_PX = 18
JPEG_QUALITY = 90

_REAL_RGB, _FAKE_RGB = (40, 160, 70), (205, 50, 45)
_PAPER_RGB, _INK_RGB = (255, 255, 255), (40, 40, 40)
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42


def contact_sheet(folder: Path, out: Path, per_row: int = 8, rows: int = 6) -> None:
    """Writes a JPEG grid of up to ``per_row`` x ``rows`` samples, taken evenly from a shard folder.

    Reals have a green border, fakes a red one; the method stands below. Raises UserError where the
    folder is none or has no samples.
    """
    shards = Shards(folder)
    if not len(shards):
        raise UserError(f"{folder} has no samples to show.")
    n = min(per_row * rows, len(shards))
    places = np.arange(n) * len(shards) // n
    cells = [_cell(sample) for sample in shards.samples(places.tolist())]
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-n % per_row)
    grid = [np.hstack(cells[at : at + per_row]) for at in range(0, len(cells), per_row)]
    _write(out, images.encode_jpeg(np.vstack(grid), JPEG_QUALITY, "4:4:4"))


def _cell(sample: Sample) -> Image:
    """One sample, framed, with its method below: uint8 RGB, the same size for all."""
    picture = cv2.resize(
        images.decode_rgb(sample.jpg), (CELL_PX, CELL_PX), interpolation=cv2.INTER_AREA
    )
    color = _FAKE_RGB if sample.about["label"] else _REAL_RGB
    framed = np.full((CELL_PX + 2 * BORDER_PX, CELL_PX + 2 * BORDER_PX, 3), color, np.uint8)
    framed[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = picture
    cell = cv2.copyMakeBorder(framed, 2, TEXT_PX, 2, 2, cv2.BORDER_CONSTANT, value=_PAPER_RGB)
    # The font knows ASCII only; it draws "?" for anything else.
    text = sample.about["method"]
    (width, _), _ = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)
    scale = _FONT_SCALE * min(1.0, CELL_PX / max(width, 1))
    at = (BORDER_PX, cell.shape[0] - 5)
    cv2.putText(cell, text, at, _FONT, scale, _INK_RGB, 1, cv2.LINE_AA)
    return np.asarray(cell, np.uint8)


def _write(out: Path, data: bytes) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".tmp-{out.name}-{keys.attempt()}")
    try:
        temporary.write_bytes(data)
        tables.replace_durably(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
