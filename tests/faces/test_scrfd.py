import hashlib
import shutil

import insightface.model_zoo
import numpy as np
import onnxruntime
import pytest

from pipeline.config.params import FacesParams
from pipeline.config.values import Weights
from pipeline.errors import UserError
from pipeline.faces import detect
from pipeline.faces.detect import make_detector
from tests.faces import real_images


@pytest.mark.slow
def test_face_counts_are_the_published_ones(assets):
    detector = make_detector(real_images.scrfd(assets, input_size_px=640))
    known = real_images.known_faces(assets, "det_2.5g")
    compared = 0
    for file in [f for f in known if f.startswith("images/rot_")] + list(real_images.SHORT_CLIPS):
        for image, count in zip(real_images.images(assets, file, 3), known[file], strict=False):
            assert len(detector.detect(image)) == count, file
            compared += 1
    assert compared > 25


PLAIN_FILES = ("images/biden.jpg", "images/rot_0.jpg", "videos/real/walking_group.gif")


def by_insightface(assets, image, side_px, width_px, height_px):
    """Boxes, points and scores of insightface's own code, largest first."""
    path = assets / "weights" / real_images.SCRFD[0]
    plain = insightface.model_zoo.get_model(str(path), providers=["CPUExecutionProvider"])
    size = (width_px, height_px)
    found, points = plain.detect(image[:, :, ::-1], input_size=size, det_thresh=0.5)
    largest_first = np.argsort(-np.prod(found[:, 2:4] - found[:, :2], axis=1))
    # insightface divides x by the scale of y; ours divides it by its own.
    scale_x, scale_y = (side * side_px // max(image.shape) / side for side in image.shape[1::-1])
    boxes = found[largest_first, :4] * np.tile([scale_y / scale_x, 1], 2)
    landmarks = points[largest_first].reshape(-1, 10) * np.tile([scale_y / scale_x, 1], 5)
    return boxes, landmarks, found[largest_first, 4]


@pytest.mark.parametrize("file", PLAIN_FILES)
def test_a_fixed_size_gives_what_insightface_gives_in_the_same_shape(assets, file):
    image = real_images.images(assets, file, 1)[0]
    width, height = (-(-(side * 320 // max(image.shape)) // 32) * 32 for side in image.shape[1::-1])
    boxes, landmarks, scores = by_insightface(assets, image, 320, width, height)
    faces = make_detector(real_images.scrfd(assets, input_size_px=320)).detect(image)
    np.testing.assert_allclose([f.box for f in faces], boxes, atol=0.05)
    np.testing.assert_allclose([f.landmarks5 for f in faces], landmarks, atol=0.05)
    np.testing.assert_allclose([f.score for f in faces], scores, atol=1e-4)


@pytest.mark.parametrize("file", [*PLAIN_FILES, "videos/real/lp_s32_wide.mp4"])
def test_boxes_are_those_of_a_square_to_a_hundredth_of_the_face(assets, file):
    image = real_images.images(assets, file, 1)[0]
    assert image.shape[0] != image.shape[1]
    boxes, landmarks, scores = by_insightface(assets, image, 640, 640, 640)
    faces = make_detector(real_images.scrfd(assets, input_size_px=640)).detect(image)
    assert len(faces) == len(boxes) > 0
    for face, box, points, score in zip(faces, boxes, landmarks, scores, strict=True):
        tolerance = 0.01 * max(box[2:] - box[:2])
        np.testing.assert_allclose(face.box, box, atol=tolerance)
        np.testing.assert_allclose(face.landmarks5, points, atol=tolerance)
        assert face.score == pytest.approx(score, abs=0.01)


def test_tight_head_crops_need_the_small_size_of_auto(assets):
    image = real_images.images(assets, "videos/fake/sadtalker_art0.mp4", 1)[0]
    assert make_detector(real_images.scrfd(assets, input_size_px=640)).detect(image) == []
    (face,) = make_detector(real_images.scrfd(assets, input_size_px="auto")).detect(image)
    assert real_images.overlap(face.box, (0, 0, 256, 256)) > 0.3


def test_two_sizes_do_not_give_a_face_twice(assets):
    detector = make_detector(real_images.scrfd(assets))
    known = real_images.known_faces(assets, "det_2.5g")
    for file in ("images/two_people.jpg", "videos/real/lp_d18.mp4"):
        image = real_images.images(assets, file, 1)[0]
        assert len(detector.detect(image)) == known[file][0]


def test_as_decoded_finds_the_same_boxes(assets):
    image = real_images.images(assets, "videos/real/lp_d18.mp4", 1)[0]
    (fixed,) = make_detector(real_images.scrfd(assets, input_size_px=640)).detect(image)
    (full,) = make_detector(real_images.scrfd(assets, input_size_px="full")).detect(image)
    assert real_images.overlap(fixed.box, full.box) > 0.85


def test_small_faces_can_be_dropped(assets):
    image = real_images.images(assets, "videos/real/head_pose_two.gif", 1)[0]
    faces = make_detector(real_images.scrfd(assets)).detect(image)
    sides = [max(f.box[2] - f.box[0], f.box[3] - f.box[1]) for f in faces]
    limit = int(min(sides)) + 1
    kept = make_detector(real_images.scrfd(assets, min_face_px=limit)).detect(image)
    assert kept == [f for f, side in zip(faces, sides, strict=True) if side >= limit]
    assert 0 < len(kept) < len(faces)


def test_one_thread(assets):
    options = make_detector(real_images.scrfd(assets)).raw.session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def test_a_folder_and_a_pack_are_looked_through_by_digest(assets, tmp_path, monkeypatch):
    pack = tmp_path / "packs" / "buffalo_made"
    pack.mkdir(parents=True)
    for name in (real_images.SCRFD[0], "peppa_slim_160.onnx"):
        shutil.copyfile(assets / "weights" / name, pack / name)
    monkeypatch.setattr(detect, "INSIGHTFACE_PACKS", tmp_path / "packs")
    for path in (str(pack), "buffalo_made"):
        params = FacesParams(detector="scrfd", weights=Weights(path, real_images.SCRFD[1]))
        assert detect.weights_file(params) == pack / real_images.SCRFD[0]


@pytest.mark.parametrize("name", ["peppa_slim_160.onnx", "face_detection_yunet_2023mar.onnx"])
def test_another_model_is_refused(assets, name):
    digest = hashlib.sha256((assets / "weights" / name).read_bytes()).hexdigest()
    with pytest.raises(UserError, match=f"{name} is no SCRFD detector"):
        make_detector(real_images.scrfd(assets, weights=real_images.weights(assets, name, digest)))


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    given = Weights(str(tmp_path / "a.onnx"), hashlib.sha256(b"nothing").hexdigest())
    with pytest.raises(UserError, match="is not an ONNX model that onnxruntime can read"):
        make_detector(FacesParams(detector="scrfd", weights=given))


def test_a_size_the_network_cannot_take(assets):
    with pytest.raises(UserError, match="input_size_px is 500, but scrfd needs a multiple of 32"):
        make_detector(real_images.scrfd(assets, input_size_px=500))


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(),
    reason="this onnxruntime is built with CUDA",
)
def test_a_provider_that_is_not_there_is_an_error(assets):
    with pytest.raises(UserError, match=r"faces.provider is cuda, but onnxruntime offers only"):
        make_detector(real_images.scrfd(assets, provider="cuda"))
