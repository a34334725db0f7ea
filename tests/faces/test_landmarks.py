import io
import json
import pickle

import numpy as np
import pytest
import skimage.data

from faceshards import images, keys, tar
from pipeline import weights
from pipeline.config.params import FacesParams, LandmarksParams
from pipeline.config.values import Weights
from pipeline.errors import Reject, UserError
from pipeline.faces import landmarks
from pipeline.faces.crop import boxes_in_crop, crop, map_points
from pipeline.faces.detect import make_detector
from pipeline.faces.fan import MIRRORED
from pipeline.faces.landmarks import FAN_MODEL, LandmarksTask, landmarker_settings, make_landmarker

EYES_AND_MOUTH = ([36, 39], [42, 45], [48, 48], [54, 54])
"""Points whose middle is an eye or a mouth corner."""


@pytest.fixture(scope="module")
def face():
    """The astronaut's face: crop, affine, box in the crop."""
    frame = skimage.data.astronaut()
    detector = make_detector(FacesParams(detector="dlib", input_size_px="full"))
    (found,) = detector.detect(frame)
    cut = crop(frame, found.box, size_px=224)
    return cut.image, cut.affine, boxes_in_crop(found.box, cut.affine)[0]


@pytest.fixture(scope="module")
def dlib_landmarker():
    return make_landmarker(LandmarksParams())


def eye_distance(points):
    return float(np.linalg.norm(points[36:42].mean(axis=0) - points[42:48].mean(axis=0)))


# dlib


def test_dlib_points_are_a_face(face, dlib_landmarker):
    image, _, box = face
    points, score = dlib_landmarker.points(image, box, "dlib")
    assert points.shape == (68, 2)
    assert points.dtype == np.float32
    assert score == -1
    assert (points * 64 == np.round(points * 64)).all()
    x, y = points.T
    assert x[0] < x[36] < x[39] < x[42] < x[45] < x[16]
    assert y[19] < y[37] < y[30] < y[51] < y[57] < y[8]


def test_dlib_sees_the_mirror_image_mirrored(face, dlib_landmarker):
    image, _, box = face
    points, _ = dlib_landmarker.points(image, box, "dlib")
    mirror = np.ascontiguousarray(image[:, ::-1])
    turned = [223 - box[2], box[1], 223 - box[0], box[3]]
    back = dlib_landmarker.points(mirror, turned, "dlib")[0][list(MIRRORED)] * (-1, 1) + (223, 0)
    assert np.linalg.norm(back - points, axis=1).mean() < 0.06 * eye_distance(points)


class Peppa:
    """An independent 68-point network."""

    def __init__(self, path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options)

    def points(self, image, box):
        around = crop(image, box, size_px=160, margin=0.2)
        bgr = around.image[:, :, ::-1].astype(np.float32) / 127.5 - 1
        output = self._session.run(None, {"input1": bgr.transpose(2, 0, 1)[None]})[0][0]
        a, _, c, _, e, f = around.affine
        return (output[:136].reshape(68, 2) * 160 - (c, f)) / (a, e)


def images_with_faces(assets):
    import insightface

    yield skimage.data.astronaut()
    where = next(iter(insightface.__path__))
    with open(f"{where}/data/images/t1.jpg", "rb") as file:  # noqa: PTH123
        yield images.decode_rgb(file.read())
    for name in ("biden", "obama", "obama2"):
        yield images.decode_rgb((assets / f"images/{name}.jpg").read_bytes())


@pytest.mark.parametrize("detector", ["dlib", "scrfd", "retinaface"])
def test_dlib_agrees_with_another_network_and_with_the_detector(assets, one_thread, detector):
    """Mean distance to a network's 68 points and to the detector's own five, in eye distances."""
    files = {"scrfd": "det_2.5g.onnx", "retinaface": "retinaface_mobilenet0.25.pth"}
    params = {"input_size_px": "full"}  # doubled, the astronaut has a second face for dlib
    if detector in files:
        path = assets / "weights" / files[detector]
        params = {"weights": Weights(str(path), weights.sha256(path))}
    if detector == "retinaface":
        params["backbone"] = "mobilenet0.25"
    finder = make_detector(FacesParams(detector=detector, **params))
    landmarker = make_landmarker(LandmarksParams())
    other = Peppa(assets / "weights/peppa_slim_160.onnx")
    errors, five_errors = [], []
    for frame in images_with_faces(assets):
        for found in finder.detect(frame):
            cut = crop(frame, found.box, size_px=224)
            box = boxes_in_crop(found.box, cut.affine)[0]
            points, _ = landmarker.points(cut.image, box, detector)
            scale = eye_distance(points)
            distances = np.linalg.norm(points - other.points(cut.image, box), axis=1)
            errors.append(distances.mean() / scale)
            if found.landmarks5:
                five = map_points(cut.affine, np.reshape(found.landmarks5, (5, 2)))[[0, 1, 3, 4]]
                own = np.array([points[pair].mean(axis=0) for pair in EYES_AND_MOUTH])
                five_errors.append(np.linalg.norm(own - five, axis=1).mean() / scale)
    assert len(errors) >= 10
    assert np.median(errors) < 0.08
    assert sum(error > 0.2 for error in errors) <= 1  # a face in profile is beyond dlib
    if detector != "dlib":
        assert np.median(five_errors) < 0.1
        assert sum(error > 0.2 for error in five_errors) <= 1


@pytest.fixture
def one_thread():
    """As in a worker; on a busy machine several threads also wait for one another."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fan_params(path, digest=None):
    found = weights.sha256(path) if digest is None else digest
    return LandmarksParams(landmarker="fan", weights=Weights(str(path), found))


@pytest.fixture
def fan_file(tmp_path):
    """Something under the official name; its digest is all that is looked at here."""
    path = tmp_path / FAN_MODEL
    path.write_bytes(b"weights")
    return path


def test_fan_weights_must_be_there(tmp_path, fan_file):
    with pytest.raises(UserError, match=r"landmarks\.weights"):
        landmarker_settings(LandmarksParams(landmarker="fan"))
    with pytest.raises(UserError, match=f"{FAN_MODEL}.*sample"):
        landmarker_settings(fan_params(tmp_path / "gone" / FAN_MODEL, "0" * 64))
    with pytest.raises(UserError, match="0" * 64):
        landmarker_settings(fan_params(fan_file, "0" * 64))


# Settings and the task


def test_settings_hold_digests_and_no_paths(fan_file):
    for params in (LandmarksParams(), fan_params(fan_file)):
        made = landmarker_settings(params)
        assert json.loads(json.dumps(made)) == made
        assert not any("/" in str(value) for value in made.values())
    assert landmarker_settings(fan_params(fan_file))["weights"] == weights.sha256(fan_file)


def test_dlib_landmarks_have_no_cuda():
    with pytest.raises(UserError, match=r"landmarks\.provider"):
        landmarker_settings(LandmarksParams(provider="cuda"))


class FakeLandmarker:
    def __init__(self, points):
        self._points = np.asarray(points, np.float32)

    def points(self, _image, _box, _boxes_of):
        return self._points, 0.5


@pytest.fixture
def stored(tmp_path):
    """A crop in a tar and the plan row that points at it."""
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    data = images.encode_png(image)
    file = io.BytesIO()
    tar.append(file, "before.png", b"another member")
    offset, size = tar.append(file, "face.png", data)
    tar.finish(file)
    path = tmp_path / "faces.tar"
    path.write_bytes(file.getvalue())
    return {
        "digest": keys.digest128(data),
        "box_in_crop": [4.0, 4.0, 28.0, 28.0],
        "detector": "dlib",
        "tar": str(path),
        "offset": offset,
        "size": size,
    }


def opened(monkeypatch, points):
    monkeypatch.setattr(landmarks, "make_landmarker", lambda *_: FakeLandmarker(points))
    task = LandmarksTask(LandmarksParams())
    task.open()
    return task


def test_a_row_gives_its_points(stored, monkeypatch):
    points = np.arange(136).reshape(68, 2) % 32
    task = opened(monkeypatch, points)
    result = task.work(stored)
    assert (result.done, result.left_out, list(result.rejects)) == (1, 0, [])
    (output,) = result.outputs
    assert output.fields == {"points": points.ravel().tolist(), "score": 0.5}
    assert output.members == ()
    assert list(task.units(stored)) == [""]
    assert task.identify("d/m/v/00000-0", output.fields) == {"face_id": "d/m/v/00000-0"}


@pytest.mark.parametrize(("inside", "usable"), [(34, True), (33, False)])
def test_points_outside_the_crop_are_no_landmarks(stored, monkeypatch, inside, usable):
    points = np.full((68, 2), 31.0)
    points[inside:] = (31.5, 10)
    task = opened(monkeypatch, points)
    if usable:
        assert task.work(stored).done == 1
    else:
        with pytest.raises(Reject, match="no_landmarks"):
            task.work(stored)


def test_a_store_that_is_not_the_tables_is_the_users_to_mend(stored, monkeypatch, tmp_path):
    task = opened(monkeypatch, np.zeros((68, 2)))
    with pytest.raises(UserError, match="dvc repro"):
        task.work({**stored, "tar": str(tmp_path / "gone.tar")})
    with pytest.raises(UserError, match="dvc repro"):
        task.work({**stored, "digest": "0" * 32})
    with pytest.raises(UserError, match="dvc repro"):
        task.work({**stored, "size": 10**6})


def test_the_task_travels_to_a_worker():
    task = pickle.loads(pickle.dumps(LandmarksTask(LandmarksParams())))  # noqa: S301 - ours
    assert list(task.units({})) == [""]


def test_the_whole_task_on_a_real_face(face, tmp_path):
    image, _, box = face
    data = images.encode_png(image)
    file = io.BytesIO()
    offset, size = tar.append(file, "face.png", data)
    tar.finish(file)
    path = tmp_path / "faces.tar"
    path.write_bytes(file.getvalue())
    task = LandmarksTask(LandmarksParams())
    task.open()
    place = {"tar": str(path), "offset": offset, "size": size}
    row = {**place, "digest": keys.digest128(data), "box_in_crop": box.tolist()}
    row["detector"] = "dlib"
    first, second = task.work(row), task.work(row)
    assert first == second
    assert len(first.outputs[0].fields["points"]) == 136
