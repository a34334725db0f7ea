import math
import subprocess
import sys
from pathlib import Path

import cv2
import dlib
import insightface
import numpy as np
import pytest
import skimage.data
import skimage.feature

from pipeline.config.params import FacesParams
from pipeline.errors import UserError
from pipeline.faces.detect import make_detector
from pipeline.faces.dlib_models import LANDMARKS_68, model_path
from tests.faces import real_images


@pytest.fixture(scope="module")
def astronaut():
    return skimage.data.astronaut()


def _insightface_image(name):
    folder = Path(insightface.__file__).parent / "data" / "images"
    (path,) = folder.glob(f"{name}*")
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])


def test_the_threshold_of_one_half_is_dlibs_own(astronaut):
    detector = make_detector(FacesParams(input_size_px="full", score_threshold=0.5))
    for image in (astronaut, _insightface_image("t1")):
        plain = dlib.get_frontal_face_detector()(image, 0)
        expected = {(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in plain}
        assert {f.box for f in detector.detect(image)} == expected


def test_scores_are_the_logistic_function_of_the_margin(astronaut):
    (face,) = make_detector(FacesParams(input_size_px="full")).detect(astronaut)
    _, (margin,), _ = dlib.get_frontal_face_detector().run(astronaut, 0, 0.0)
    assert face.score == pytest.approx(1 / (1 + math.exp(-margin)), abs=5e-5)
    assert face.landmarks5 == ()


def test_lower_thresholds_find_more_and_higher_ones_less():
    image = _insightface_image("t1")
    at = {
        t: make_detector(FacesParams(input_size_px="full", score_threshold=t)).detect(image)
        for t in (0.4, 0.5, 0.8)
    }
    assert len(at[0.4]) >= len(at[0.5]) > len(at[0.8]) > 0
    for threshold, faces in at.items():
        assert all(face.score >= threshold for face in faces)
    assert [f for f in at[0.5] if f.score >= 0.8] == at[0.8]


@pytest.mark.parametrize(("name", "count"), [("t1", 6), ("Tom_Hanks", 1)])
def test_known_faces_are_found(name, count):
    assert len(make_detector(FacesParams()).detect(_insightface_image(name))) == count


def test_a_box_agrees_with_another_kind_of_detector(astronaut):
    cascade = skimage.feature.Cascade(skimage.data.lbp_frontal_face_cascade_filename())
    found = cascade.detect_multi_scale(
        astronaut, scale_factor=1.2, step_ratio=1, min_size=(60, 60), max_size=(200, 200)
    )
    others = [(f["c"], f["r"], f["c"] + f["width"], f["r"] + f["height"]) for f in found]
    face = max(make_detector(FacesParams()).detect(astronaut), key=lambda f: f.score)
    assert max(real_images.overlap(face.box, other) for other in others) > 0.5


def test_small_images_are_doubled_by_auto_only(astronaut):
    small = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    assert make_detector(FacesParams(input_size_px="full")).detect(small) == []
    faces = make_detector(FacesParams(input_size_px="auto")).detect(small)
    fixed = make_detector(FacesParams(input_size_px=512)).detect(small)
    (large,) = make_detector(FacesParams(input_size_px="full")).detect(astronaut)
    for found in (faces, fixed):
        assert any(real_images.overlap(f.box, tuple(v / 2 for v in large.box)) > 0.6 for f in found)


def test_faces_of_real_clips(assets):
    detector = make_detector(FacesParams())
    for file in ("videos/real/lp_d18.mp4", "videos/fake/sadtalker_art0.mp4"):
        assert [len(detector.detect(i)) for i in real_images.images(assets, file, 2)] == [1, 1]
    (without,) = real_images.images(assets, "images/grass_noface.jpg", 1)
    assert detector.detect(without) == []


def test_model_files_are_found_without_importing_their_package():
    script = (
        "import sys; from pipeline.faces.dlib_models import LANDMARKS_68, model_path;"
        "print(model_path(LANDMARKS_68)); print('face_recognition_models' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    path, imported = result.stdout.decode().split()
    assert imported == "False"
    assert (
        dlib.shape_predictor(path)(np.zeros((9, 9, 3), np.uint8), dlib.rectangle()).num_parts == 68
    )


def test_a_model_file_that_is_not_installed(monkeypatch):
    with pytest.raises(UserError, match=r"absent\.dat of the package face_recognition_models"):
        model_path("absent.dat")
    monkeypatch.setattr("pipeline.faces.dlib_models.MODELS_PACKAGE", "not_installed_models")
    with pytest.raises(UserError, match="pip install not_installed_models"):
        model_path(LANDMARKS_68)
