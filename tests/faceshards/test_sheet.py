from pathlib import Path

import numpy as np
import pytest

from faceshards.reading import Shards
from faceshards.sheet import contact_sheet
from pipeline.errors import UserError


def test_borders_tell_real_from_fake(shards: Path) -> None:
    sheet = contact_sheet(shards / "train", per_row=6, rows=4).astype(int)
    labels = [sample.about["label"] for sample in Shards(shards / "train").samples()]
    height, width = sheet.shape[0] // 4, sheet.shape[1] // 6
    for place, label in enumerate(labels):
        row, column = divmod(place, 6)
        # Two pixels of paper, then three of border; the middle of the left border.
        red, green, _ = sheet[row * height + height // 2, column * width + 3]
        assert (red > green) == bool(label)
    assert set(labels) == {0, 1}


def test_samples_are_taken_evenly_and_the_rest_is_white(shards: Path) -> None:
    few = contact_sheet(shards / "val", per_row=3, rows=1)
    gap = contact_sheet(shards / "expanded", per_row=5, rows=9)
    assert few.shape[1] * 5 == gap.shape[1] * 3
    assert few.shape[0] * 2 == gap.shape[0]  # 8 samples: two rows of five
    blank = gap[few.shape[0] :, -few.shape[1] // 3 + 8 :]
    assert np.all(blank == 255)


def test_same_picture_again(shards: Path) -> None:
    one, other = (contact_sheet(shards / "train") for _ in range(2))
    assert np.array_equal(one, other)


def test_nothing_to_show_is_told(shards: Path) -> None:
    with pytest.raises(UserError, match="no samples to show"):
        contact_sheet(shards / "test")
