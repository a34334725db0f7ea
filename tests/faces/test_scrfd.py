import hashlib
import shutil

import insightface.model_zoo
import numpy as np
import onnxruntime
import pytest

from pipeline.config import FacesParams, Weights
from pipeline.errors import UserError
from pipeline.faces import detect
from pipeline.faces.detect import make_detector
from tests.faces import pictures


def test_face_counts_are_the_published_ones(assets):
    detector = make_detector(pictures.scrfd(assets, input_size_px=640))
    known = pictures.known_faces(assets, "det_2.5g")
    compared = 0
    for file in [f for f in known if f.startswith("images/rot_")] + list(pictures.SHORT_CLIPS):
        for image, count in zip(pictures.pictures(assets, file, 3), known[file], strict=False):
            assert len(detector.detect(image)) == count, file
            compared += 1
    assert compared > 25


def test_a_fixed_size_gives_what_insightface_gives(assets):
    path = assets / "weights" / pictures.SCRFD[0]
    plain = insightface.model_zoo.get_model(str(path), providers=["CPUExecutionProvider"])
    detector = make_detector(pictures.scrfd(assets, input_size_px=320))
    for file in ("images/biden.jpg", "images/rot_0.jpg", "videos/real/walking_group.gif"):
        image = pictures.pictures(assets, file, 1)[0]
        found, points = plain.detect(image[:, :, ::-1], input_size=(320, 320), det_thresh=0.5)
        largest_first = np.argsort(-np.prod(found[:, 2:4] - found[:, :2], axis=1))
        # insightface divides x by the scale of y; ours divides it by its own.
        height, width = image.shape[:2]
        longer = max(height, width)
        scale_x, scale_y = (side * 320 // longer / side for side in (width, height))
        boxes = found[largest_first, :4] * np.tile([scale_y / scale_x, 1], 2)
        landmarks = points[largest_first].reshape(-1, 10) * np.tile([scale_y / scale_x, 1], 5)
        faces = detector.detect(image)
        np.testing.assert_allclose([f.box for f in faces], boxes, atol=0.05)
        np.testing.assert_allclose([f.landmarks5 for f in faces], landmarks, atol=0.05)
        np.testing.assert_allclose([f.score for f in faces], found[largest_first, 4], atol=1e-4)


def test_tight_head_crops_need_the_small_size_of_auto(assets):
    image = pictures.pictures(assets, "videos/fake/sadtalker_art0.mp4", 1)[0]
    assert make_detector(pictures.scrfd(assets, input_size_px=640)).detect(image) == []
    (face,) = make_detector(pictures.scrfd(assets, input_size_px="auto")).detect(image)
    assert pictures.overlap(face.box, (0, 0, 256, 256)) > 0.3


def test_two_sizes_do_not_give_a_face_twice(assets):
    detector = make_detector(pictures.scrfd(assets))
    known = pictures.known_faces(assets, "det_2.5g")
    for file in ("images/two_people.jpg", "videos/real/lp_d18.mp4"):
        image = pictures.pictures(assets, file, 1)[0]
        assert len(detector.detect(image)) == known[file][0]


def test_as_decoded_finds_the_same_boxes(assets):
    image = pictures.pictures(assets, "videos/real/lp_d18.mp4", 1)[0]
    (fixed,) = make_detector(pictures.scrfd(assets, input_size_px=640)).detect(image)
    (full,) = make_detector(pictures.scrfd(assets, input_size_px="full")).detect(image)
    assert pictures.overlap(fixed.box, full.box) > 0.85


def test_small_faces_can_be_dropped(assets):
    image = pictures.pictures(assets, "videos/real/head_pose_two.gif", 1)[0]
    faces = make_detector(pictures.scrfd(assets)).detect(image)
    sides = [max(f.box[2] - f.box[0], f.box[3] - f.box[1]) for f in faces]
    limit = int(min(sides)) + 1
    kept = make_detector(pictures.scrfd(assets, min_face_px=limit)).detect(image)
    assert kept == [f for f, side in zip(faces, sides, strict=True) if side >= limit]
    assert 0 < len(kept) < len(faces)


def test_one_thread(assets):
    options = make_detector(pictures.scrfd(assets)).raw.model.session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def test_a_folder_and_a_pack_are_looked_through_by_digest(assets, tmp_path, monkeypatch):
    pack = tmp_path / "packs" / "buffalo_made"
    pack.mkdir(parents=True)
    for name in (pictures.SCRFD[0], "peppa_slim_160.onnx"):
        shutil.copyfile(assets / "weights" / name, pack / name)
    monkeypatch.setattr(detect, "INSIGHTFACE_PACKS", tmp_path / "packs")
    for path in (str(pack), "buffalo_made"):
        params = FacesParams(detector="scrfd", weights=Weights(path, pictures.SCRFD[1]))
        assert detect.weights_file(params) == pack / pictures.SCRFD[0]


@pytest.mark.parametrize("name", ["peppa_slim_160.onnx", "face_detection_yunet_2023mar.onnx"])
def test_another_model_is_refused(assets, name):
    digest = hashlib.sha256((assets / "weights" / name).read_bytes()).hexdigest()
    with pytest.raises(UserError, match=f"{name} is no SCRFD detector"):
        make_detector(pictures.scrfd(assets, weights=pictures.weights(assets, name, digest)))


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    given = Weights(str(tmp_path / "a.onnx"), hashlib.sha256(b"nothing").hexdigest())
    with pytest.raises(UserError, match="is not an ONNX model that onnxruntime can read"):
        make_detector(FacesParams(detector="scrfd", weights=given))


def test_a_size_the_network_cannot_take(assets):
    with pytest.raises(UserError, match="input_size_px is 500, but scrfd needs a multiple of 32"):
        make_detector(pictures.scrfd(assets, input_size_px=500))


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(),
    reason="this onnxruntime is built with CUDA",
)
def test_a_provider_that_is_not_there_is_an_error(assets):
    with pytest.raises(UserError, match=r"faces.provider is cuda, but onnxruntime offers only"):
        make_detector(pictures.scrfd(assets, provider="cuda"))
