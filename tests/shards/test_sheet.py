from pathlib import Path

import numpy as np
import pytest

from pipeline import images
from pipeline.errors import UserError
from pipeline.shards.read import Shards
from pipeline.shards.sheet import contact_sheet


def test_borders_tell_real_from_fake(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheets" / "train.jpg"
    contact_sheet(shards / "train", out, per_row=6, rows=4)
    sheet = images.decode_rgb(out.read_bytes()).astype(int)
    labels = [sample.about["label"] for sample in Shards(shards / "train").samples()]
    height, width = sheet.shape[0] // 4, sheet.shape[1] // 6
    for place, label in enumerate(labels):
        row, column = divmod(place, 6)
        # Two pixels of paper, then three of border; the middle of the left border.
        red, green, _ = sheet[row * height + height // 2, column * width + 3]
        assert (red > green) == bool(label)
    assert set(labels) == {0, 1}


def test_samples_are_taken_evenly_and_the_rest_is_white(shards: Path, tmp_path: Path) -> None:
    contact_sheet(shards / "val", tmp_path / "few.jpg", per_row=3, rows=1)
    contact_sheet(shards / "expanded", tmp_path / "gap.jpg", per_row=5, rows=9)
    few, gap = (images.decode_rgb((tmp_path / f"{n}.jpg").read_bytes()) for n in ("few", "gap"))
    assert few.shape[1] * 5 == gap.shape[1] * 3
    assert few.shape[0] * 2 == gap.shape[0]  # 8 samples: two rows of five
    blank = gap[few.shape[0] :, -few.shape[1] // 3 + 8 :]
    assert np.all(blank > 250)


def test_same_bytes_again(shards: Path, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        contact_sheet(shards / "train", tmp_path / name)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()


def test_nothing_to_show_is_told(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no samples to show"):
        contact_sheet(shards / "test", tmp_path / "x.jpg")
