import pickle
from pathlib import Path

import cv2
import insightface
import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.faces.detect import make_detector
from pipeline.faces.quality import brightness, measure, phash, pose, sharpness
from tests.faces import real_images as real

images = arrays(np.uint8, st.tuples(st.integers(2, 12), st.integers(2, 12)))


@pytest.fixture(scope="module")
def face():
    return np.ascontiguousarray(skimage.data.astronaut()[0:224, 110:334])


def grey_of(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


@given(images)
def test_sharpness_is_the_variance_of_the_laplacian(grey):
    # Mirrored without repeating the edge, as OpenCV does by default.
    laplacian = scipy.ndimage.laplace(grey.astype(float), mode="mirror")
    assert sharpness(grey) == pytest.approx(laplacian.var(), abs=0.0051)


@given(images)
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


def test_phash_is_near_for_the_same_image_and_far_for_another(face):
    of = phash(grey_of(face))
    assert len(of) == 16
    changed = cv2.convertScaleAbs(cv2.GaussianBlur(face, (0, 0), 1), alpha=0.9, beta=10)
    assert distance(of, phash(grey_of(changed))) <= 6
    other = np.ascontiguousarray(skimage.data.astronaut()[256:480, 0:224])
    assert distance(of, phash(grey_of(other))) >= 20
    assert distance(of, phash(grey_of(face[:, ::-1]))) >= 20


def test_phash_halves_the_bits(face):
    assert int(phash(grey_of(face)), 16).bit_count() == 32


def seen_from_afar(yaw, pitch, roll):
    """Five points of insightface's mean 3D face, turned by angles in degrees: right, up, clockwise.

    The mean face looks down a little; which pitch counts as 0 is a convention.
    """
    path = Path(insightface.__file__).parent / "data/objects/meanshape_68.pkl"
    mean = np.asarray(pickle.loads(path.read_bytes()))  # noqa: S301 - of an installed package
    five = [mean[36:42].mean(axis=0), mean[42:48].mean(axis=0), mean[30], mean[48], mean[54]]
    x, y, z = (np.array(five) - five[2]).T
    a, b, c = np.radians([yaw, pitch, roll])
    x, z = x * np.cos(a) + z * np.sin(a), z * np.cos(a) - x * np.sin(a)
    y = y * np.cos(b) - z * np.sin(b)
    turned = np.stack([x * np.cos(c) - y * np.sin(c), x * np.sin(c) + y * np.cos(c)], axis=1)
    return turned.ravel().tolist()


@pytest.mark.parametrize("yaw", [-45, -30, -15, 0, 15, 30, 45])
def test_yaw_is_good_to_ten_degrees(yaw):
    assert abs(pose(seen_from_afar(yaw, 0, 0))[0] - yaw) < 10


@pytest.mark.parametrize("pitch", [-20, -10, 10, 20])
@pytest.mark.parametrize("yaw", [-20, 0, 20])
def test_a_change_of_pitch_is_good_to_ten_degrees(yaw, pitch):
    level, turned = (pose(seen_from_afar(yaw, p, 0))[1] for p in (0, pitch))
    assert abs(turned - level - pitch) < 10


@pytest.mark.parametrize("roll", [-170, -45, 0, 30, 90, 135])
def test_roll_is_exact_and_changes_nothing_else(roll):
    found = pose(seen_from_afar(20, 0, roll))
    assert found[2] == pytest.approx(roll, abs=1)
    assert found[:2] == pytest.approx(pose(seen_from_afar(20, 0, 0))[:2], abs=0.11)


def test_a_mirrored_face_looks_the_other_way():
    points = np.reshape(seen_from_afar(25, 8, 12), (5, 2))
    mirror = ((-1, 1) * points)[[1, 0, 2, 4, 3]]
    yaw, pitch, roll = pose(points.ravel().tolist())
    assert pose(mirror.ravel().tolist()) == pytest.approx([-yaw, pitch, -roll], abs=0.11)


def test_pose_of_real_faces(assets):
    detector = make_detector(real.scrfd(assets))
    upright, turned = (
        pose(detector.detect(real.images(assets, f"images/rot_{n}.jpg", 1)[0])[0].landmarks5)
        for n in (0, 90)
    )
    assert max(map(abs, upright)) < 30
    assert abs(abs(turned[2] - upright[2]) - 90) < 25


@pytest.mark.parametrize(
    "points",
    [
        (),
        (5, 5, 5, 5, 5, 9, 4, 12, 6, 12),  # one eye
        (0, 5, 9, 5, 5, 2, 1, 0, 8, 0),  # the mouth above the eyes
    ],
)
def test_where_there_is_no_pose(points):
    assert pose(points) == []
