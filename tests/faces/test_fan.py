"""2DFAN-4 with made weights of the official shapes: what it finds is nonsense, where it looks and
how its maps are read is not."""

import socket

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline import weights
from pipeline.config.params import LandmarksParams
from pipeline.config.values import Weights
from pipeline.errors import UserError
from pipeline.faces.crop import Window
from pipeline.faces.fan import LOOSE_PX, MIRRORED, TIGHT_PX, FanLandmarker, cut, read_maps, square
from pipeline.faces.landmarks import FAN_MODEL, make_landmarker


@pytest.fixture(autouse=True)
def one_thread():
    """As in a worker; on a busy machine several threads also wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def fan_file(tmp_path_factory):
    """Random weights under the official name, where face-alignment itself would look."""
    from face_alignment.models import FAN

    folder = tmp_path_factory.mktemp("hub") / "checkpoints"
    folder.mkdir()
    torch.manual_seed(0)
    torch.save(FAN(4).state_dict(), folder / FAN_MODEL)
    return folder / FAN_MODEL


def params(path):
    return LandmarksParams(landmarker="fan", weights=Weights(str(path), weights.sha256(path)))


@pytest.mark.slow
def test_it_finds_what_the_package_finds(fan_file, offline, monkeypatch):
    """face-alignment itself with the same file, where both look at the very same pixels."""
    import face_alignment
    from face_alignment import utils

    image = np.ascontiguousarray(skimage.data.astronaut()[:224, 110:334])
    # A square of 256.2 px about (128.9, 128.9): the package cuts [1, 257) out of it, and so do we.
    side = 256.2 * 195 / 200 / 2
    centre = (128.9, 128.9 + 0.12 * side)
    box = [centre[0] - side / 2, centre[1] - side / 2, centre[0] + side / 2, centre[1] + side / 2]
    points, score = make_landmarker(params(fan_file)).points(image, box, "dlib")
    assert points.shape == (68, 2)
    assert points.dtype == np.float32
    assert (points * 64 == np.round(points * 64)).all()

    monkeypatch.setattr(torch.hub, "_hub_dir", str(fan_file.parents[1]))
    for name in ("_get_preds_fromhm", "transform_np"):  # compiling them takes longer than the test
        monkeypatch.setattr(utils, name, getattr(utils, name).py_func)
    package = face_alignment.FaceAlignment(
        face_alignment.LandmarksType.TWO_D, device="cpu", face_detector="folder", compile=False
    )
    expected, peaks, _ = package.get_landmarks_from_image(
        image, [np.array(box)], return_landmark_score=True
    )
    # The package cuts its points down to whole pixels.
    assert np.abs(points - expected[0]).max() <= 1.0
    assert score == pytest.approx(float(np.mean(peaks[0])) / 2, abs=1e-4)


class BrightSpot(torch.nn.Module):
    """Every map is the image's brightness."""

    def forward(self, x):
        maps = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), 4)
        return [maps.expand(-1, 68, -1, -1)]


@pytest.mark.parametrize(("detector", "reference_px"), [("dlib", LOOSE_PX), ("scrfd", TIGHT_PX)])
@pytest.mark.parametrize("box", [(60, 60, 160, 180), (-30, 10, 90, 140), (150.5, 120.25, 230, 219)])
def test_a_bright_spot_is_found_where_it_is(fan_file, detector, reference_px, box):
    landmarker = FanLandmarker(fan_file, "cpu")
    landmarker._network = BrightSpot()
    image = np.zeros((224, 224, 3), np.uint8)
    y, x = np.mgrid[0:224, 0:224]
    spot = (min(200, box[0] + 50), box[1] + 60)
    image[:] = (255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 200))[..., None]
    points, _ = landmarker.points(image, box, detector)
    map_pixel = square(box, reference_px).width / 64
    assert map_pixel > 2
    # A map has 64 pixels and the peak is known to a quarter of one: at worst half a pixel off.
    assert np.abs(points - spot).max() <= 0.5 * map_pixel


@given(
    st.tuples(*[st.integers(-50, 250)] * 2, *[st.integers(2, 200)] * 2),
    st.sampled_from([LOOSE_PX, TIGHT_PX]),
)
def test_the_square_lies_about_the_raised_box(box, reference_px):
    x, y, w, h = box
    window = square((x, y, x + w, y + h), reference_px)
    assert abs(window.width - 200 * (w + h) / reference_px) <= 0.5
    assert window.height == window.width
    assert abs(window.left + (window.width - 1) / 2 - (x + w / 2)) <= 0.5 + 1e-9
    assert abs(window.top + (window.height - 1) / 2 - (y + 0.38 * h)) <= 0.5 + 1e-9


def test_outside_the_image_is_black():
    image = np.full((100, 100, 3), 200, np.uint8)
    seen = cut(image, Window(-128, 50, 256, 256))
    assert (seen[:50, 128:228] == 200).all()
    assert seen.sum() == 50 * 100 * 3 * 200
    assert not cut(image, Window(100, 0, 256, 256)).any()
    assert not cut(image, Window(-500, -500, 256, 256)).any()


@given(st.integers(0, 63), st.integers(0, 63), st.data())
def test_peaks_lean_towards_the_higher_neighbour(x, y, data):
    grey = np.zeros((2, 64, 64), np.float32)
    grey[0, y, x] = grey[1, 20, 30] = 1
    step_x, step_y = (data.draw(st.sampled_from([-1, 0, 1])) for _ in range(2))
    for step, at in ((step_x, (y, x + step_x)), (step_y, (y + step_y, x))):
        if step and 0 <= at[0] < 64 and 0 <= at[1] < 64:
            grey[0, at[0], at[1]] = 0.5
    places, peaks = read_maps(grey)
    inner = 0 < x < 63 and 0 < y < 63
    assert places[0].tolist() == [x + inner * step_x / 4, y + inner * step_y / 4]
    assert places[1].tolist() == [30, 20]
    assert peaks.tolist() == [1, 1]


def test_the_mirror_order_is_its_own_inverse():
    assert [MIRRORED[i] for i in MIRRORED] == list(range(68))


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / FAN_MODEL
    torch.save({"conv1.weight": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="2DFAN-4"):
        make_landmarker(params(path))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_an_error(fan_file):
    with pytest.raises(UserError, match=r"landmarks\.provider: cpu"):
        FanLandmarker(fan_file, "cuda")
