"""Damage in JPEGs: told where the bytes tell it, and never where there is none."""

import io
import itertools

import numpy as np
import PIL.Image
import pytest
import simplejpeg

from pipeline.errors import Reject
from pipeline.video.jpeg import damage
from pipeline.video.reader import decode

PIXELS = 1 << 24
LOST_BYTES = 64


def jpeg_of(image, **options) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", **options)
    return data.getvalue()


def without(data: bytes, at: int) -> bytes:
    return data[:at] + data[at + LOST_BYTES :]


def libjpeg_tells(data: bytes) -> bool:
    try:
        simplejpeg.decode_jpeg(data, strict=True)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(("subsampling", "told"), [(0, False), (1, True), (2, True)])
def test_sampling_of_which_damage_cannot_be_told_is_no_damage(subsampling, told):
    """OpenCV decodes it all the same."""
    levels = np.random.default_rng(0).integers(0, 255, (60, 80, 4), np.uint8)
    image = PIL.Image.fromarray(levels, "CMYK")
    data = jpeg_of(image, subsampling=subsampling)
    if not told:
        assert decode(data, PIXELS).shape == (60, 80, 3)
        return
    with pytest.raises(Reject, match="CMYK") as caught:
        decode(data, PIXELS)
    assert caught.value.reason == "unsupported_media"
    theirs = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert np.abs(decode(data, PIXELS, keep_damaged=True) - theirs).mean() < 2


@pytest.mark.parametrize("kind", ["photo", "noise", "stripes", "white", "black", "blue"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_sound_jpegs_of_every_kind(assets, kind, mode):
    random = np.random.Generator(np.random.Philox(key=1))
    stripes = (np.indices((60, 107)).sum(0) // 9 % 2 * 255).astype(np.uint8)
    image = {
        "photo": lambda: PIL.Image.open(assets / "images/obama_240p.jpg"),
        "noise": lambda: PIL.Image.fromarray(random.choice([0, 255], (60, 107, 3)).astype("u1")),
        "stripes": lambda: PIL.Image.fromarray(stripes),
    }.get(kind, lambda: PIL.Image.new("RGB", (107, 60), kind))()
    image = image.convert(mode)
    for quality, progressive, subsampling, restart in itertools.product(
        (1, 30, 75, 100), (False, True), (0, 1, 2), (0, 3)
    ):
        data = jpeg_of(
            image,
            quality=quality,
            progressive=progressive,
            subsampling=subsampling,
            restart_marker_blocks=restart,
        )
        assert damage(data, PIXELS) == ""


def test_sound_jpegs_of_cameras_and_of_the_web(assets):
    for path in sorted((assets / "images").glob("*.jpg")):
        assert damage(path.read_bytes(), PIXELS) == "", path.name


@pytest.mark.parametrize("name", ["rot_0.jpg", "obama_240p.jpg", "two_people.jpg", "biden.jpg"])
def test_missing_bytes_are_mostly_told(assets, name):
    """What is left over may be a JPEG as an encoder writes it; then nobody can know."""
    data = (assets / "images" / name).read_bytes()
    first = data.rindex(b"\xff\xda") + 20
    places = np.linspace(first, len(data) - LOST_BYTES - 2, 50).astype(int)
    told = [bool(damage(without(data, at), PIXELS)) for at in places]
    by_libjpeg = [libjpeg_tells(without(data, at)) for at in places]
    assert all(ours >= theirs for ours, theirs in zip(told, by_libjpeg, strict=True))
    assert sum(told) >= 30
    assert name == "biden.jpg" or sum(told) > sum(by_libjpeg)


@pytest.mark.parametrize(
    ("name", "at", "said"),
    [("rot_0.jpg", 23484, "brighter than white"), ("two_people.jpg", 279238, "error")],
)
def test_what_libjpeg_takes_for_whole(assets, name, at, said):
    data = without((assets / "images" / name).read_bytes(), at)
    assert not libjpeg_tells(data)
    assert said in damage(data, PIXELS)


def test_no_bytes_make_it_fail(assets):
    """Headers included; what is no JPEG any more is told or not, but never a traceback."""
    data = (assets / "images/obama_240p.jpg").read_bytes()
    random = np.random.Generator(np.random.Philox(key=2))
    for at in [*range(2, 600, 3), *random.integers(600, len(data), 50)]:
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(random.integers(8))
        damage(bytes(damaged), PIXELS)
        damage(data[:at], PIXELS)
