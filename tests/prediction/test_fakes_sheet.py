"""Which fakes a sheet shows, and how."""

import pyarrow as pa
import torch

from faceshards import images
from faceshards.reading import Shards
from pipeline import models
from pipeline.config.run_params import ModelParams
from pipeline.prediction import fakes_sheet
from pipeline.prediction.picture import SIDE_PX
from tests.training import made

VIT = models.build(ModelParams("vit", "tiny"), None).eval()


def _index(rows):
    return pa.table(
        dict(zip(("label", "dataset", "method"), map(list, zip(*rows, strict=True)), strict=True))
    )


def test_faces_come_in_turn_from_every_kind_of_fakes():
    rows = [(0, "a", "real")] * 5 + [(1, "a", "swap")] * 30 + [(1, "b", "swap")] * 2
    assert fakes_sheet.chosen(_index(rows)) == [5, 35, 6, 36, 7, 8, 9, 10]
    assert fakes_sheet.chosen(_index(rows[:5])) == []


def test_a_sheet_shows_faces_above_their_maps(tmp_path):
    folder = made.shards(tmp_path, "test", made.planted(0, 8))
    jpeg = fakes_sheet.sheet(VIT, Shards(folder), torch.device("cpu"))
    height, width = images.decode_rgb(jpeg).shape[:2]
    assert width // SIDE_PX == 4  # the fakes
    assert height // SIDE_PX == 2
    assert fakes_sheet.sheet(VIT, Shards(folder), torch.device("cpu")) == jpeg
    reals = made.shards(tmp_path, "val", [s for s in made.planted(50, 8) if not s.label])
    assert fakes_sheet.sheet(VIT, Shards(reals), torch.device("cpu")) == b""
