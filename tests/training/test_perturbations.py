"""SJEDD's perturbations against OpenCV, Pillow and the formulas of BT.601, on fixed draws."""

import io
from collections import Counter

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from faceshards.order import generator
from pipeline.training.augmentation import changed, changes
from pipeline.training.perturbations import STRENGTHS, Perturbation, perturbed
from tests.training import made

SIDE_PX = 224


def _face():
    small = np.random.default_rng(4).integers(60, 196, (9, 9, 3), np.uint8)
    return cv2.resize(small, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)


def _changed(name, strength, image):
    x = torch.from_numpy(image).permute(2, 0, 1).float()
    got = perturbed(x, Perturbation(name, strength, "a/key"))
    assert got.shape == x.shape
    assert got.dtype == torch.float32
    assert torch.equal(got, got.round().clamp(0, 255))
    return got.permute(1, 2, 0).numpy()


def _expected(name, strength, image):
    """The same by other code: what the public code calls for each, on the same draws."""
    side = image.shape[0]
    if name == "blur":
        return cv2.GaussianBlur(image, (strength, strength), strength / 6)
    if name == "pixelation":
        small = cv2.resize(image, (side // strength, side // strength))
        return cv2.resize(small, (side, side))
    if name == "jpeg":
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=strength, subsampling="4:2:0")
        return np.asarray(Image.open(file))
    if name == "noise":
        draws = generator("a/key/noise").standard_normal((3, side, side), np.float32)
        r, g, b = (image[..., i].astype(np.float64) for i in range(3))
        y = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255
        cb = 128 + (-37.797 * r - 74.203 * g + 112.0 * b) / 255
        cr = 128 + (112.0 * r - 93.786 * g - 18.214 * b) / 255
        y, cb, cr = (
            (plane / 255 + strength**0.5 * noise) * 255
            for plane, noise in zip((y, cb, cr), draws, strict=True)
        )
        y, cb, cr = 1.164383 * (y - 16), cb - 128, cr - 128
        rgb = [y + 1.596027 * cr, y - 0.391762 * cb - 0.812968 * cr, y + 2.017232 * cb]
        return np.clip(np.stack(rgb, axis=2).round(), 0, 255)
    picture = Image.fromarray(image)
    for top, left in generator("a/key/patches").integers(0, side - 7, (strength, 2)).tolist():
        picture.paste((128, 128, 128), (left, top, left + 8, top + 8))
    return np.asarray(picture)


@pytest.mark.parametrize(
    ("name", "strength"), [(name, one) for name, of in STRENGTHS.items() for one in of]
)
def test_a_perturbation_is_that_of_plain_libraries(name, strength):
    image = _face()
    got = _changed(name, strength, image)
    off = np.abs(got - _expected(name, strength, image).astype(np.float64))
    # OpenCV filters in fixed point, twice for pixelation; there may be two builds of libjpeg.
    assert off.max() <= {"jpeg": 6, "blur": 1, "pixelation": 2, "noise": 1}.get(name, 0)
    assert off.mean() < 0.3
    assert np.abs(got - image).max() > 0


@pytest.mark.parametrize("count", STRENGTHS["patches"])
def test_patches_are_there_at_the_side_that_models_see_and_as_small_a_part_elsewhere(count):
    black = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    share = (_changed("patches", count, black) == 128).mean()
    most = count * 64 / SIDE_PX**2
    assert 0.8 * most < share <= most  # some may lie upon each other
    small = (_changed("patches", count, black[:64, :64]) == 128).mean()
    assert 0 < small <= 2 * most


@pytest.mark.parametrize(("strength", "y", "c"), [(0.001, 9.4, 9.2), (0.002, 13.3, 13.0)])
def test_noise_has_the_deviation_of_the_public_code(strength, y, c):
    grey = np.full((SIDE_PX, SIDE_PX, 3), 128, np.uint8)
    r, g, b = np.moveaxis(_changed("noise", strength, grey) - 128.0, 2, 0)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    assert luma.std() == pytest.approx(y, rel=0.02)
    assert ((b - luma) / 1.772).std() == pytest.approx(c, rel=0.02)
    assert ((r - luma) / 1.402).std() == pytest.approx(c, rel=0.02)


@pytest.mark.parametrize(("policy", "share"), [("sjedd", 0.3), ("sjedd-ffsc", 0.36)])
def test_one_of_five_at_the_stated_share_and_no_mirror(policy, share):
    drawn = changes(policy, "0/run/1/2", range(3000), SIDE_PX)
    hit = [change.perturbation for change in drawn if change.perturbation]
    assert len(hit) / 3000 == pytest.approx(share, abs=0.03)
    names = Counter(one.name for one in hit)
    assert set(names) == set(STRENGTHS)
    assert all(abs(n / len(hit) - 0.2) < 0.06 for n in names.values())
    for name, of in STRENGTHS.items():
        found = Counter(one.strength for one in hit if one.name == name)
        assert set(found) == set(of)
        assert all(abs(n / names[name] - 1 / len(of)) < 0.15 for n in found.values())
    assert not any(c.mirrored or c.crop or c.operations or c.erased for c in drawn)
    assert len({one.key for one in hit}) == len(hit)


def test_a_face_is_perturbed_by_its_key_and_place_alone():
    whole = changes("sjedd", "k", range(64), 64)
    assert whole[32:] == changes("sjedd", "k", range(32, 64), 64)
    assert whole != changes("sjedd", "l", range(64), 64)


def test_in_a_batch_the_other_faces_stay_as_they_are():
    images = torch.from_numpy(np.stack([made.face(n) for n in range(16)]))
    each = changes("sjedd", "k", range(16), 64)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.2, 0.2)
    got = changed(images, each, mean, std)
    plain = changed(images, changes("none", "k", range(16), 64), mean, std)
    for place, change in enumerate(each):
        assert torch.equal(got[place], plain[place]) == (change.perturbation is None)
        if change.perturbation:
            x = perturbed(images[place].permute(2, 0, 1).float(), change.perturbation)
            expected = (x / 255 - torch.tensor(mean)[:, None, None]) / 0.2
            torch.testing.assert_close(got[place], expected, rtol=0, atol=1e-5)
