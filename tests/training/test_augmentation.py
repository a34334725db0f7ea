"""Augmentation against Pillow on fixed draws, and what is drawn."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from pipeline.training import rand_augment
from pipeline.training.augmentation import Box, Change, changed, changes, cropped
from pipeline.training.rand_augment import OPERATIONS, Operation
from tests.training import made

MEAN, STD = (0.55, 0.42, 0.37), (0.28, 0.24, 0.23)
FILL = (140, 107, 94)
"""255 times the mean, rounded."""


def _pillow(image: Image.Image, name: str, value: float) -> Image.Image:
    """An operation as timm does it, on a picture of Pillow."""
    w, h = image.size

    def moved(*matrix):
        how = Image.Transform.AFFINE
        return image.transform((w, h), how, matrix, Image.Resampling.BICUBIC, fillcolor=FILL)

    enhance = {"color": "Color", "contrast": "Contrast", "brightness": "Brightness"}
    enhance["sharpness"] = "Sharpness"
    if name in enhance:
        return getattr(ImageEnhance, enhance[name])(image).enhance(value)
    match name:
        case "auto_contrast":
            return ImageOps.autocontrast(image)
        case "equalize":
            return ImageOps.equalize(image)
        case "invert":
            return ImageOps.invert(image)
        case "rotate":
            return image.rotate(value, Image.Resampling.BICUBIC, fillcolor=FILL)
        case "posterize":
            return ImageOps.posterize(image, int(value))
        case "solarize":
            return ImageOps.solarize(image, int(value))
        case "solarize_add":
            return image.point([min(255, v + int(value)) if v < 128 else v for v in range(256)] * 3)
        case "shear_x":
            return moved(1, value, 0, 0, 1, 0)
        case "shear_y":
            return moved(1, 0, 0, value, 1, 0)
        case "translate_x":
            return moved(1, 0, value * w, 0, 1, 0)
        case "translate_y":
            return moved(1, 0, 0, 0, 1, value * h)
    raise AssertionError(name)


def _faces():
    noise = np.random.default_rng(3).integers(0, 256, (made.SIDE_PX, made.SIDE_PX, 3), np.uint8)
    flat = np.full_like(noise, 77)
    dark = made.face(8) // 3 + 20
    return np.stack([made.face(1), noise, flat, dark])  # (4, 64, 64, 3)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_gives_pillows_pixels(name):
    images = _faces()
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    for magnitude, sign in ((0.9, 1.0), (0.9, -1.0), (0.73, 1.0), (1.0, -1.0)):
        value = rand_augment._VALUES[name](magnitude, sign)
        values = torch.full((len(images),), value, dtype=torch.float64)
        got = rand_augment.applied(x, name, values, torch.tensor(FILL).float())
        expected = [np.asarray(_pillow(Image.fromarray(image), name, value)) for image in images]
        off = np.abs(got.permute(0, 2, 3, 1).numpy() - np.stack(expected).astype(np.float32))
        # Where Pillow cuts a float off, one of another order of sums may lie on the other side.
        assert off.max() <= 1
        assert (off > 0).mean() < 0.002


def test_an_operation_takes_each_picture_at_its_own_value():
    x = torch.from_numpy(_faces()).permute(0, 3, 1, 2).float()
    fill = torch.tensor(FILL).float()
    for name in OPERATIONS:
        values = [rand_augment._VALUES[name](m / 10, 1.0) for m in range(4, 8)]
        together = rand_augment.applied(x, name, torch.tensor(values, dtype=torch.float64), fill)
        for n, value in enumerate(values):
            one = torch.tensor([value], dtype=torch.float64)
            assert torch.equal(together[n], rand_augment.applied(x[n : n + 1], name, one, fill)[0])


BOXES = [Box(3, 9, 40, 31), Box(0, 0, 64, 64), Box(20, 1, 17, 60), Box(40, 33, 18, 19)]


def test_a_crop_is_pillows_bicubic_of_the_part():
    images = _faces()
    got = cropped(torch.from_numpy(images).permute(0, 3, 1, 2).float(), BOXES)
    for n, (image, b) in enumerate(zip(images, BOXES, strict=True)):
        part = Image.fromarray(image).crop((b.left, b.top, b.left + b.width, b.top + b.height))
        expected = np.asarray(part.resize((64, 64), Image.Resampling.BICUBIC)).astype(np.float32)
        off = np.abs(got[n].permute(1, 2, 0).numpy() - expected)
        assert off.max() <= 1
        assert (off > 0).mean() < 0.002


def test_a_whole_change_is_that_of_pillow_in_the_same_order():
    images = _faces()
    each = [
        Change(BOXES[0], True, (Operation("rotate", -21.0), Operation("color", 1.7))),
        Change(BOXES[2], False, (Operation("equalize", 0.0),), Box(5, 6, 20, 30), "a"),
        Change(None, True),
        Change(BOXES[3], True, (Operation("shear_x", 0.2), Operation("solarize", 30.0))),
    ]
    got = changed(torch.from_numpy(images), each, MEAN, STD)
    assert got.dtype == torch.float32
    for n, (image, change) in enumerate(zip(images, each, strict=True)):
        picture = Image.fromarray(image)
        if b := change.crop:
            picture = picture.crop((b.left, b.top, b.left + b.width, b.top + b.height))
            picture = picture.resize((64, 64), Image.Resampling.BICUBIC)
        if change.mirrored:
            picture = ImageOps.mirror(picture)
        for name, value in change.operations:
            picture = _pillow(picture, name, value)
        expected = (np.asarray(picture) / 255 - MEAN) / STD
        off = np.abs(got[n].permute(1, 2, 0).numpy() - expected)
        if change.erased:
            noise = got[1, :, 5:25, 6:36]
            assert abs(noise.mean()) < 0.1
            assert abs(noise.std() - 1) < 0.1
            off[5:25, 6:36] = 0
        assert np.median(off) < 1e-5
        # A level that is off by one before an operation of steps may be a step apart after it.
        assert (off > 1.5 / 255 / min(STD)).mean() < 0.002


def test_without_augmentation_only_the_normalisation_is_left_and_flip_mirrors_half():
    images = torch.from_numpy(np.stack([made.face(n) for n in range(100)]))
    plain = changed(images, changes("none", "k", range(100), 64), MEAN, STD)
    expected = (images.permute(0, 3, 1, 2).double() / 255 - torch.tensor(MEAN)[:, None, None]) / (
        torch.tensor(STD)[:, None, None]
    )
    torch.testing.assert_close(plain.double(), expected, rtol=0, atol=1e-5)
    seen = changed(images, changes("flip", "k", range(100), 64), MEAN, STD)
    same = [torch.equal(a, b) for a, b in zip(seen, plain, strict=True)]
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(seen, plain, strict=True)]
    assert same == [not m for m in mirrored]
    assert 30 < sum(mirrored) < 70


def test_a_face_is_changed_by_its_key_and_place_alone():
    whole = changes("fsfm", "0/run/3/7", range(64), 224)
    assert whole == changes("fsfm", "0/run/3/7", range(64), 224)
    assert whole[32:] == changes("fsfm", "0/run/3/7", range(32, 64), 224)
    assert len(set(whole)) == 64
    assert whole != changes("fsfm", "0/run/3/8", range(64), 224)


def test_fsfms_draws_have_its_shares():
    drawn = changes("fsfm", "k", range(1000), 224)
    crops = [change.crop for change in drawn if change.crop]
    assert len(crops) > 990
    areas = np.array([b.height * b.width / 224**2 for b in crops])
    assert 0.078 < areas.min() < 0.1
    assert areas.max() <= 1
    ratios = np.array([b.width / b.height for b in crops])
    assert ratios.min() > 0.74
    assert ratios.max() < 1.36
    assert all(b.top + b.height <= 224 and b.left + b.width <= 224 for b in crops)
    assert np.mean([c.mirrored for c in drawn]) == pytest.approx(0.5, abs=0.06)
    assert np.mean([c.erased is not None for c in drawn]) == pytest.approx(0.25, abs=0.06)
    holes = [c.erased.height * c.erased.width / 224**2 for c in drawn if c.erased]
    assert 0.018 < min(holes) < max(holes) < 0.34
    names = Counter(op.name for c in drawn for op in c.operations)
    assert set(names) == set(OPERATIONS)
    # Two of fifteen, each half of the time.
    assert sum(names.values()) / 1000 == pytest.approx(1, abs=0.1)
    assert max(abs(count - 1000 / 15) for count in names.values()) < 6 * math.sqrt(1000 / 15)
    angles = np.array([op.value for c in drawn for op in c.operations if op.name == "rotate"])
    assert np.abs(angles).mean() == pytest.approx(27, abs=1)
    assert np.abs(angles).max() <= 30
    assert abs((angles > 0).mean() - 0.5) < 0.3


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="mixed"):
        changes("mixed", "k", range(2), 64)


def test_smoothing_is_the_filter_that_pillow_calls_smooth():
    image = _faces()[1]
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    got = rand_augment._sharpness(x, torch.zeros(1, dtype=torch.float64), torch.zeros(3))
    expected = np.asarray(Image.fromarray(image).filter(ImageFilter.SMOOTH))
    assert np.array_equal(got[0].permute(1, 2, 0).numpy(), expected)
