import cv2
import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.faces.quality import brightness, measure, phash, sharpness

pictures = arrays(np.uint8, st.tuples(st.integers(2, 12), st.integers(2, 12)))


@pytest.fixture(scope="module")
def face():
    return np.ascontiguousarray(skimage.data.astronaut()[0:224, 110:334])


def grey_of(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


@given(pictures)
def test_sharpness_is_the_variance_of_the_laplacian(grey):
    # Mirrored without repeating the edge, as OpenCV does by default.
    laplacian = scipy.ndimage.laplace(grey.astype(float), mode="mirror")
    assert sharpness(grey) == pytest.approx(laplacian.var(), abs=0.0051)


@given(pictures)
def test_brightness_is_the_mean(grey):
    assert brightness(grey) == pytest.approx(grey.astype(float).mean(), abs=0.0051)


def test_blur_lowers_sharpness_and_light_raises_brightness(face):
    plain = measure(face)
    assert measure(cv2.GaussianBlur(face, (0, 0), 2)).sharpness < plain.sharpness / 4
    assert measure(cv2.convertScaleAbs(face, beta=40)).brightness > plain.brightness + 20


def test_luma_weights_are_those_of_bt601():
    for channel, weight in enumerate((0.299, 0.587, 0.114)):
        image = np.zeros((8, 8, 3), np.uint8)
        image[..., channel] = 200
        assert measure(image).brightness == pytest.approx(200 * weight, abs=0.51)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_phash_is_the_sign_of_scipys_dct(seed):
    grey = np.random.default_rng(seed).integers(0, 256, (32, 32), np.uint8)
    low = scipy.fft.dctn(grey.astype(float), type=2)[:8, :8]
    expected = low > np.median(low)
    clear = np.abs(low - np.median(low)) > 1.0  # fixed point may tell ties apart differently
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(phash(grey)), np.uint8)).reshape(8, 8)
    assert clear.sum() > 60
    assert (bits == expected)[clear].all()


def distance(a, b):
    return (int(a, 16) ^ int(b, 16)).bit_count()


def test_phash_is_near_for_the_same_picture_and_far_for_another(face):
    of = phash(grey_of(face))
    assert len(of) == 16
    changed = cv2.convertScaleAbs(cv2.GaussianBlur(face, (0, 0), 1), alpha=0.9, beta=10)
    assert distance(of, phash(grey_of(changed))) <= 6
    other = np.ascontiguousarray(skimage.data.astronaut()[256:480, 0:224])
    assert distance(of, phash(grey_of(other))) >= 20
    assert distance(of, phash(grey_of(face[:, ::-1]))) >= 20


def test_phash_halves_the_bits(face):
    assert int(phash(grey_of(face)), 16).bit_count() == 32
