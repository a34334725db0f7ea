"""What is seen of a face in evaluation, against Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.models.view import seen
from tests.training import made


def test_the_whole_face_is_its_pixels():
    images = torch.from_numpy(np.stack([made.face(n) for n in range(2)]))
    assert seen(images, "whole").permute(0, 2, 3, 1).equal(images.float())


@pytest.mark.parametrize("side", [64, 224])
def test_resized_and_cropped_it_is_pillows(side):
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (side, side, 3), np.uint8)
    larger = round(side * 8 / 7)
    start = (larger - side) // 2
    pillows = Image.fromarray(image).resize((larger, larger), Image.Resampling.BICUBIC)
    expected = np.asarray(pillows.crop((start, start, start + side, start + side)))
    found = seen(torch.from_numpy(image)[None], "resize_crop")[0].permute(1, 2, 0).numpy()
    assert found.dtype == np.float32
    # Pillow's weights are whole numbers of 22 bits.
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.01
