import hashlib
import itertools
import shutil
from fractions import Fraction

import cv2
import insightface.model_zoo
import numpy as np
import onnx
import onnxruntime
import pytest
import skimage.data
from insightface.app.common import Face
from onnx import TensorProto, helper, numpy_helper

from pipeline.config.params import FacesParams
from pipeline.config.values import Weights
from pipeline.errors import UserError
from pipeline.faces import identity
from pipeline.faces.detect import Detection, make_detector
from pipeline.faces.dlib_models import model_path
from pipeline.faces.extract import FacesTask
from pipeline.faces.identity import cosine, identity_settings, make_embedder, unit
from tests.faces import real_images
from tests.video.clips import write_clip

FIVE = (30.0, 40.0, 62.0, 42.0, 45.0, 60.0, 33.0, 75.0, 60.0, 77.0)
FACE = Detection((20.0, 20.0, 75.0, 90.0), 0.9, FIVE)


def test_vectors_have_length_one():
    vectors = np.random.default_rng(0).normal(size=(5, 7)) * 9
    made = unit(vectors)
    assert made.dtype == np.float32
    np.testing.assert_allclose((made**2).sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(made, vectors / ((vectors**2).sum(axis=1) ** 0.5)[:, None], 1e-6)
    assert (unit(np.zeros((1, 3))) == 0).all()


@pytest.mark.parametrize("length", [1.0, 1.45])
def test_a_distance_between_equally_long_vectors_is_a_cosine(length):
    angle = 0.4
    a, b = length * np.array([1, 0]), length * np.array([np.cos(angle), np.sin(angle)])
    distance = float(np.linalg.norm(a - b))
    assert cosine(distance, length) == pytest.approx(np.cos(angle), abs=5e-4)


def test_none_is_nothing():
    assert identity_settings(FacesParams()) == {}
    with pytest.raises(ValueError, match="identity: none"):
        make_embedder(FacesParams())


# dlib's network on people that are known


@pytest.fixture(scope="module")
def dlib_embedder():
    return make_embedder(FacesParams(identity="dlib"))


def faces_of(assets, embedder, file, count, params):
    """Embeddings of all faces of the first images, float32 (N, 128), and their boxes."""
    shown = real_images.images(assets, f"videos/real/{file}", count)
    found = [make_detector(params).detect(image) for image in shown]
    looks = [embedder.embed(image, row) for image, row in zip(shown, found, strict=True)]
    return np.concatenate(looks), [face.box for row in found for face in row]


def test_dlib_settings_hold_both_files():
    names = ("dlib_face_recognition_resnet_model_v1.dat", "shape_predictor_5_face_landmarks.dat")
    digests = [hashlib.sha256(model_path(name).read_bytes()).hexdigest() for name in names]
    assert identity_settings(FacesParams(identity="dlib")) == {
        "identity": "dlib",
        "identity_weights": digests,
    }


def test_dlib_thresholds_are_its_distances(dlib_embedder):
    # Vectors of length 1.45 that are 0.56 and 0.6 apart.
    half_angles = np.arcsin(np.array([0.56, 0.6]) / 2 / 1.45)
    expected = np.cos(2 * half_angles)
    assert (dlib_embedder.same, dlib_embedder.different) == tuple(np.round(expected, 3))


def test_vectors_are_dlibs_own(dlib_embedder):
    import dlib

    image = skimage.data.astronaut()
    (box,) = dlib.get_frontal_face_detector()(image, 0)
    points = dlib.shape_predictor(str(model_path("shape_predictor_5_face_landmarks.dat")))
    network = dlib.face_recognition_model_v1(
        str(model_path("dlib_face_recognition_resnet_model_v1.dat"))
    )
    chip = dlib.get_face_chip(image, points(image, box), size=150, padding=0.25)
    expected = np.array(network.compute_face_descriptor(chip))
    sides = (box.left(), box.top(), box.right(), box.bottom())
    (made,) = dlib_embedder.embed(image, [Detection(tuple(map(float, sides)), 1.0, ())])
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, expected / np.linalg.norm(expected), atol=1e-5)


def test_no_faces_give_no_vectors(dlib_embedder):
    assert dlib_embedder.embed(np.zeros((9, 9, 3), np.uint8), []).shape == (0, 128)


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (-40, -40, -20, -20), (50, 50, 900, 900)])
def test_boxes_that_hold_no_face_do_no_harm(dlib_embedder, box):
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    (made,) = dlib_embedder.embed(image, [Detection(tuple(map(float, box)), 1.0, ())])
    assert np.linalg.norm(made) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["dlib", "scrfd"])
def test_the_same_person_is_alike_and_others_are_not(assets, detector):
    params = real_images.scrfd(assets) if detector == "scrfd" else FacesParams()
    params = FacesParams(**{**vars(params), "identity": "dlib"})
    embedder = make_embedder(params)
    man, again, woman, third = (
        faces_of(assets, embedder, *clip, params)[0]
        for clip in (
            ("asl_again.mkv", 3),
            ("asl_brother_vfr.mkv", 2),
            ("asl_book.mkv", 3),
            ("lp_d18.mp4", 3),
        )
    )
    assert len(man) == len(woman) == len(third) == 3
    assert (man @ again.T).min() > embedder.same
    assert (man @ man.T).min() > embedder.same
    for one, other in itertools.combinations((man, woman, third), 2):
        means = unit(np.stack([one.mean(axis=0), other.mean(axis=0)]).astype(np.float64))
        assert means[0] @ means[1] < embedder.different


def test_a_woman_is_told_from_the_man_beside_her(assets, dlib_embedder):
    params = FacesParams()
    alone, _ = faces_of(assets, dlib_embedder, "head_pose_female.gif", 2, params)
    two, boxes = faces_of(assets, dlib_embedder, "head_pose_two.gif", 1, params)
    assert len(alone) == len(two) == 2
    likely = alone @ two.T
    beside = int(np.argmax(likely[0]))
    assert likely[:, beside].min() > dlib_embedder.same
    assert likely[:, 1 - beside].max() < dlib_embedder.different
    assert boxes[beside] != boxes[1 - beside]


@pytest.mark.slow
def test_the_length_of_dlibs_vectors(assets):
    """The conversion of its distances rests on it."""
    import dlib

    points = dlib.shape_predictor(str(model_path(identity.DLIB_POINTS)))
    network = dlib.face_recognition_model_v1(str(model_path(identity.DLIB_NETWORK)))
    found = []
    for file in ("asl_again.mkv", "asl_book.mkv", "lp_d18.mp4", "vr_face5.mp4", "lp_d20.mp4"):
        for image in real_images.images(assets, f"videos/real/{file}", 3):
            for box in dlib.get_frontal_face_detector()(image, 1):
                found.append(np.array(network.compute_face_descriptor(image, points(image, box))))
    lengths = np.linalg.norm(found, axis=1)
    assert len(lengths) >= 12
    assert np.median(lengths) == pytest.approx(identity.DLIB_LENGTH, abs=0.05)
    assert 1.25 < lengths.min() < lengths.max() < 1.7
    # So the cosine says what dlib's rule says, but for few pairs.
    cosines = np.round(unit(np.array(found)) @ unit(np.array(found)).T, 3)
    distances = np.linalg.norm(np.array(found)[:, None] - np.array(found), axis=2)
    assert ((cosines >= 0.914) == (distances < 0.6)).mean() > 0.95


ONE_SECOND = Fraction(1)


def tracks_of(path, params, count):
    task = FacesTask({"": params}, 8192)
    task.open()
    inputs = {"fingerprint": "f", "times_s": [float(t) for t in range(count)], "encoding": "png"}
    inputs |= {"media": "video", "file": str(path), "rules": "", "min_frames": 1, "shipped": ""}
    inputs |= {"altered": "", "reference": ""}
    result = task.work(inputs)
    assert [o.fields["sample"] for o in result.outputs] == list(range(count))
    return [o.fields["track"] for o in result.outputs]


@pytest.mark.slow
def test_a_person_who_comes_back_keeps_their_track(assets, tmp_path):
    man, again = (
        real_images.images(assets, f"videos/real/{file}", 2)
        for file in ("asl_again.mkv", "asl_brother_vfr.mkv")
    )
    woman = real_images.images(assets, "videos/real/asl_book.mkv", 2)
    shown = [*man, *woman, *again]
    clip = write_clip(tmp_path / "a.mp4", range(6), ONE_SECOND, frames=shown, options={"crf": "12"})
    plain = tracks_of(clip, FacesParams(size_px=64), 6)
    assert plain in ([0] * 6, [0, 0, 1, 1, 2, 2])
    known = tracks_of(clip, FacesParams(size_px=64, identity="dlib"), 6)
    assert known == [0, 0, 1, 1, 0, 0]


@pytest.mark.slow
def test_heads_that_leave_their_places_keep_their_tracks(assets):
    """Three people who walk in: overlap alone loses two of them at the first step."""
    path = assets / "videos/real/walking_group.gif"
    numbers = {}
    for kind in ("none", "dlib"):
        task = FacesTask({"": real_images.scrfd(assets, identity=kind, size_px=64)}, 8192)
        task.open()
        inputs = {"times_s": [0.0, 1.0, 2.0, 3.0], "encoding": "png", "rules": ""}
        inputs |= {"media": "video", "file": str(path), "min_frames": 1}
        inputs |= {"altered": "", "reference": ""}
        numbers[kind] = {o.fields["track"] for o in task.work(inputs).outputs}
    assert numbers == {"none": {0, 1, 2, 3, 4}, "dlib": {0, 1, 2}}


# A made network in ArcFace's layout: means of 16 px cells, then a matrix


CELL_PX, CELLS, SIZE = 16, 7, 8
MATRIX = np.random.default_rng(3).normal(size=(3 * CELLS * CELLS, SIZE)).astype(np.float32)


def save(path, nodes, takes, gives, constants=()):
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(*value) for value in takes],
        [helper.make_tensor_value_info(*value) for value in gives],
        [numpy_helper.from_array(value, name) for name, value in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return Weights(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def made_network(path, count="N"):
    nodes = [
        helper.make_node(
            "AveragePool",
            ["picture"],
            ["cells"],
            kernel_shape=[CELL_PX, CELL_PX],
            strides=[CELL_PX, CELL_PX],
        ),
        helper.make_node("Flatten", ["cells"], ["row"]),
        helper.make_node("MatMul", ["row", "matrix"], ["vector"]),
    ]
    takes = [("picture", TensorProto.FLOAT, [count, 3, 112, 112])]
    gives = [("vector", TensorProto.FLOAT, [count, SIZE])]
    return save(path, nodes, takes, gives, [("matrix", MATRIX)])


def arcface(given, **changes):
    usual = {"detector": "scrfd", "identity": "arcface", "identity_weights": given}
    return FacesParams(**usual | changes)


@pytest.mark.parametrize("count", [1, "N"])
def test_arcface_sees_the_upright_face(tmp_path, count):
    embedder = make_embedder(arcface(made_network(tmp_path / "a.onnx", count)))
    image = np.random.default_rng(1).integers(0, 256, (112, 112, 3), np.uint8)
    # A face that lies on the template already: the image as it is goes in.
    template = (38.2946, 51.6963, 73.5318, 51.5014, 56.0252, 71.7366)
    template += (41.5493, 92.3655, 70.7299, 92.2041)
    faces = [Detection((0.0, 0.0, 112.0, 112.0), 1.0, template)] * 2
    made = embedder.embed(image, faces)
    cells = image.reshape(CELLS, CELL_PX, CELLS, CELL_PX, 3).mean(axis=(1, 3))  # (7, 7, 3)
    plain = ((cells - 127.5) / 127.5).transpose(2, 0, 1).reshape(-1) @ MATRIX
    np.testing.assert_allclose(made[0], plain / np.linalg.norm(plain), atol=1e-4)
    assert (made[0] == made[1]).all()
    assert embedder.embed(image, []).shape == (0, SIZE)
    assert (embedder.same, embedder.different) == (0.28, 0.2)


def test_arcface_gives_what_insightface_gives(tmp_path):
    given = made_network(tmp_path / "a.onnx")
    image = cv2.GaussianBlur(skimage.data.astronaut()[:250, 100:350], (0, 0), 2)
    plain = insightface.model_zoo.get_model(given.path, providers=["CPUExecutionProvider"])
    assert plain.taskname == "recognition"
    inside = np.array(FIVE) + 80  # away from the border, beyond which insightface has black
    face = Face(kps=inside.reshape(5, 2))
    expected = plain.get(np.ascontiguousarray(image[:, :, ::-1]), face)
    found = Detection(FACE.box, 0.9, tuple(inside))
    (made,) = make_embedder(arcface(given)).embed(image, [found])
    np.testing.assert_allclose(made, expected / np.linalg.norm(expected), atol=0.005)


def test_arcface_settings_hold_the_digest_and_not_the_place(tmp_path):
    given = made_network(tmp_path / "a.onnx")
    shutil.copyfile(given.path, tmp_path / "b.onnx")
    moved = Weights(str(tmp_path / "b.onnx"), given.sha256.upper())
    expected = {"identity": "arcface", "identity_weights": [given.sha256]}
    assert identity_settings(arcface(given)) == identity_settings(arcface(moved)) == expected


def test_arcface_is_found_in_a_pack_by_digest(tmp_path, monkeypatch):
    pack = tmp_path / "packs/buffalo_made"
    pack.mkdir(parents=True)
    given = made_network(pack / "w.onnx")
    (pack / "other.onnx").write_bytes(b"nothing")
    monkeypatch.setattr(identity, "INSIGHTFACE_PACKS", tmp_path / "packs")
    assert make_embedder(arcface(Weights("buffalo_made", given.sha256))).same == 0.28


def test_one_thread(tmp_path):
    session = make_embedder(arcface(made_network(tmp_path / "a.onnx"))).session
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def test_arcface_needs_points(tmp_path):
    embedder = make_embedder(arcface(made_network(tmp_path / "a.onnx")))
    with pytest.raises(UserError, match=r"needs five points.*identity: dlib, or choose a detector"):
        embedder.embed(np.zeros((99, 99, 3), np.uint8), [Detection(FACE.box, 0.9, ())])


FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


@pytest.mark.parametrize(
    ("takes", "gives", "kind"),
    [
        (["N", 3, 96, 96], ["N", 3 * 96 * 96], FLOAT),  # another size
        (["N", 112, 112, 3], ["N", 3 * 112 * 112], FLOAT),  # channels last
        ([4, 3, 112, 112], [4, 3 * 112 * 112], FLOAT),  # four at once
        (["N", 3, 112, 112], ["N", 3 * 112 * 112], HALF),
    ],
)
def test_a_network_that_takes_another_image_is_refused(tmp_path, takes, gives, kind):
    nodes = [helper.make_node("Flatten", ["x"], ["y"])]
    given = save(tmp_path / "a.onnx", nodes, [("x", kind, takes)], [("y", kind, gives)])
    with pytest.raises(UserError, match=r"a\.onnx is no ArcFace network: it takes .* Name the rec"):
        make_embedder(arcface(given))


def test_a_network_that_gives_something_else_is_refused(tmp_path):
    image = ("x", FLOAT, [1, 3, 112, 112])
    same = save(
        tmp_path / "same.onnx",
        [helper.make_node("Identity", ["x"], ["y"])],
        [image],
        [("y", FLOAT, [1, 3, 112, 112])],
    )
    two = save(
        tmp_path / "two.onnx",
        [helper.make_node("Flatten", ["x"], [name]) for name in "yz"],
        [image],
        [(name, FLOAT, [1, 3 * 112 * 112]) for name in "yz"],
    )
    for given in (same, two):
        with pytest.raises(UserError, match="is no ArcFace network"):
            make_embedder(arcface(given))


def test_a_detection_network_is_refused(assets):
    given = real_images.weights(assets, *real_images.SCRFD)
    with pytest.raises(UserError, match=r"det_2\.5g\.onnx is no ArcFace network"):
        make_embedder(arcface(given))


def test_files_that_are_missing_wrong_or_no_network(tmp_path):
    given = made_network(tmp_path / "a.onnx")
    with pytest.raises(UserError, match=r"b\.onnx .*does not exist.*faces\.identity_weights\.path"):
        identity_settings(arcface(Weights(str(tmp_path / "b.onnx"), given.sha256)))
    with pytest.raises(UserError, match=r"faces\.identity_weights\.sha256 is 0000"):
        make_embedder(arcface(Weights(given.path, "0" * 64)))
    (tmp_path / "c.onnx").write_bytes(b"nothing")
    nothing = Weights(str(tmp_path / "c.onnx"), hashlib.sha256(b"nothing").hexdigest())
    with pytest.raises(UserError, match="is not an ONNX model that onnxruntime can read"):
        make_embedder(arcface(nothing))


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(),
    reason="this onnxruntime is built with CUDA",
)
def test_a_provider_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"faces\.provider is cuda, but onnxruntime offers only"):
        make_embedder(arcface(made_network(tmp_path / "a.onnx"), provider="cuda"))
