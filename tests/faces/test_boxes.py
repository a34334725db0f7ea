import numpy as np
import pytest

from faceshards import images
from pipeline import weights
from pipeline.config.params import FacesParams
from pipeline.config.values import Weights
from pipeline.faces.boxes import hog_box
from pipeline.faces.detect import make_detector
from pipeline.faces.track import overlap


def test_boxes_of_cnn_detectors_become_those_of_dlib(assets):
    path = assets / "weights/det_2.5g.onnx"
    cnn = make_detector(
        FacesParams(detector="scrfd", weights=Weights(str(path), weights.sha256(path)))
    )
    hog = make_detector(FacesParams(detector="dlib"))
    gain = []
    for name in ("biden", "obama", "obama2", "rot_0"):
        image = images.decode_rgb((assets / f"images/{name}.jpg").read_bytes())
        expected, box = hog.detect(image)[0].box, cnn.detect(image)[0].box
        made = overlap(hog_box(box, "scrfd"), expected)
        assert made > 0.7
        gain.append(made - overlap(box, expected))
    assert np.mean(gain) > 0.05


def test_boxes_of_dlib_stay_and_cropped_faces_have_a_border():
    assert hog_box((1, 2, 3, 4), "dlib") == (1, 2, 3, 4)
    # An image of 130 px that is a cropped face shows a face of 100 px.
    assert hog_box((0, 0, 130, 130), "none") == pytest.approx(hog_box((15, 15, 115, 115), "scrfd"))
