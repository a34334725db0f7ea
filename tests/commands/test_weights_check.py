import hashlib
import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pytest

from pipeline import weights
from pipeline.commands import weights_check
from pipeline.config.objectives import MetricLearningParams
from pipeline.config.params import FacesParams, LandmarksParams, Params
from pipeline.config.run_params import ModelParams, RunParams
from pipeline.config.values import Weights
from pipeline.errors import UserError

GONE = Weights("gone.pth", "ab" * 32)
VIT = ModelParams("vit", "vit-b16", GONE)
CLIP = ModelParams("joint_embedding", "clip-vit-b32", GONE)
TINY = ModelParams("vit", "tiny")
RETINAFACE = FacesParams(detector="retinaface", backbone="resnet50", weights=GONE)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def videos(*groups):
    """The columns of ``videos`` that say which datasets and splits there are."""
    datasets, splits = zip(*(groups or [("ffpp", "train")]), strict=True)
    return pa.table({"dataset": datasets, "split": splits})


def run(model):
    return RunParams(model, MetricLearningParams("metric_learning"), also="train")


def write(path, content=b"weights", age_s=60):
    """Writes a file that was changed some time ago; returns what is to be given for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = path.stat().st_mtime_ns - age_s * 10**9
    os.utime(path, ns=(then, then))
    return Weights(str(path), hashlib.sha256(content).hexdigest())


def refused(params, *groups):
    with pytest.raises(UserError) as error:
        weights_check.check(params, videos(*groups))
    return str(error.value)


def lacking(model):
    """What is said of a run's model."""
    return weights_check.check(Params(runs={"a": run(model)}), videos())


def test_parameters_that_need_no_weights_pass():
    assert lacking(TINY) == ""


def test_all_that_is_missing_is_named_at_once_each_with_its_parameter():
    params = Params(
        faces=replace(RETINAFACE, weights=Weights("one.pth", "ab" * 32)),
        landmarks=LandmarksParams("fan", Weights("two.pth", "ab" * 32)),
        runs={"a": run(VIT), "b": run(TINY), "c": run(CLIP)},
    )
    said = refused(params)
    first, *lines, last = said.splitlines()
    assert first == "4 weights are missing or wrong."
    named = ["faces.weights.path", "landmarks.weights.path"]
    named += ["runs.a.model.weights.path", "runs.c.model.weights.path"]
    assert all(name in line for name, line in zip(named, lines, strict=True))
    assert last.startswith("The sample profile needs no weights")
    assert said.count("sample profile") == 1
    assert all("`" not in line for line in lines)


def test_what_belongs_to_shards_alone_says_nothing_of_runs():
    landmarks = LandmarksParams("fan", GONE)
    said = refused(Params(faces=replace(RETINAFACE, identity="arcface"), landmarks=landmarks))
    assert said.startswith("3 weights are missing or wrong.\n")
    assert "faces.identity_weights" in said
    assert "runs" not in said


def test_one_that_is_missing_is_one_line():
    said = lacking(VIT)
    assert "\n" not in said
    assert said.startswith("The model vit-b16 needs ")
    assert "runs.a.model.weights.path" in said


def test_weights_that_many_datasets_need_are_named_once():
    groups = itertools.product(("ffpp", "wild"), ("train", "val", "test"))
    assert "\n" not in refused(Params(faces=RETINAFACE), *groups)


@pytest.mark.parametrize(
    ("exceptions", "where"),
    [
        ({"per_dataset": {"wild": {"detector": "scrfd"}}}, "with faces.per_dataset.wild: "),
        ({"per_split": {"test": {"detector": "scrfd"}}}, "with faces.per_split.test: "),
        (
            {
                "per_split": {"test": {"detector": "scrfd"}},
                "per_dataset": {"wild": {"weights": GONE}},
            },
            "with faces.per_dataset.wild and faces.per_split.test: ",
        ),
        ({"detector": "scrfd", "per_split": {"test": {"min_face_px": 9}}}, ""),
    ],
)
def test_exceptions_that_ask_for_weights_are_named(exceptions, where):
    params = Params(faces=FacesParams(**exceptions))
    said = refused(params, ("ffpp", "train"), ("wild", "test"))
    assert said.startswith(f"{where}The detector scrfd needs ")


@pytest.mark.parametrize(
    "exceptions",
    [
        {"per_dataset": {"wild": {"detector": "scrfd"}}},
        {"per_split": {"val": {"detector": "scrfd"}}},
        {"detector": "scrfd", "per_dataset": {"ffpp": {"detect": False}}},
        {"detector": "scrfd", "per_dataset": {"ffpp": {"detector": "precomputed"}}},
        {"detector": "scrfd", "per_split": {"train": {"detector": "dlib"}}},
    ],
)
def test_weights_that_no_video_needs_may_be_missing(exceptions):
    weights_check.check(Params(faces=FacesParams(**exceptions)), videos(("ffpp", "train")))


def test_right_weights_pass_and_wrong_ones_are_refused(tmp_path):
    given = write(tmp_path / "a.pth")
    params = Params(faces=replace(RETINAFACE, weights=given))
    weights_check.check(params, videos())
    write(tmp_path / "a.pth", b"other weights")
    said = refused(params)
    assert hashlib.sha256(b"other weights").hexdigest() in said
    assert "correct faces.weights.sha256" in said


def test_a_file_is_read_again_only_when_size_times_or_inode_say_so(tmp_path, monkeypatch):
    path = tmp_path / "a.pth"
    params = Params(faces=replace(RETINAFACE, weights=write(path)))
    read = []
    honest = weights.read_sha256
    monkeypatch.setattr(weights, "read_sha256", lambda file: read.append(file) or honest(file))
    weights_check.check(params, videos())
    weights_check.check(params, videos())
    assert read.count(path) == 1
    before = path.stat()

    def change(at_ns):
        path.write_bytes(b"changed")
        os.utime(path, ns=(at_ns, at_ns))

    change(before.st_mtime_ns)  # same length, same inode: the time of the inode's change tells
    assert "faces.weights.sha256 is" in refused(params)
    change(before.st_mtime_ns + 1)
    assert "faces.weights.sha256 is" in refused(params)
    path.write_bytes(b"weights")
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    weights_check.check(params, videos())
    (tmp_path / "b.pth").write_bytes(b"changed")
    os.utime(tmp_path / "b.pth", ns=(before.st_mtime_ns, before.st_mtime_ns))
    (tmp_path / "b.pth").replace(path)  # another inode
    assert "faces.weights.sha256 is" in refused(params)


def test_a_file_that_changed_just_now_is_not_remembered(tmp_path):
    path = tmp_path / "a.pth"
    params = Params(faces=replace(RETINAFACE, weights=write(path, age_s=0)))
    weights_check.check(params, videos())
    assert str(path) not in json.loads(weights_check.CACHE.read_text())


def test_the_cache_is_found_again_from_any_folder_and_holds_what_was_asked_for(tmp_path):
    given = write(tmp_path / "a.pth")
    relative = Params(faces=replace(RETINAFACE, weights=replace(given, path="a.pth")))
    weights_check.check(relative, videos())
    assert str(tmp_path / "a.pth") in json.loads(weights_check.CACHE.read_text())
    weights_check.check(Params(), videos())
    assert str(tmp_path / "a.pth") not in json.loads(weights_check.CACHE.read_text())


@pytest.mark.parametrize("damage", ["", "{", "[1]", "[" * 10**5, '{"PATH": [1, 2]}', "wrong"])
def test_a_damaged_cache_counts_as_empty(tmp_path, damage):
    path = tmp_path / "a.pth"
    params = Params(faces=replace(RETINAFACE, weights=write(path)))
    weights_check.check(params, videos())
    sound = weights_check.CACHE.read_text()
    facts = path.stat()
    if damage == "wrong":
        stamp = [facts.st_size, facts.st_mtime_ns, facts.st_ino]
        damage = json.dumps({str(path): [*stamp, "sha256", None]})
    weights_check.CACHE.write_text(damage.replace("PATH", str(path)))
    weights_check.check(params, videos())
    assert weights_check.CACHE.read_text() == sound


TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt")


@pytest.mark.parametrize("model", [VIT, CLIP])
@pytest.mark.parametrize(
    "beside", [c for n in range(4) for c in itertools.combinations(TOKENIZER, n)]
)
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors", "tf_model.h5", ""])
def test_a_folder_passes_where_its_run_takes_it(tmp_path, model, beside, name):
    """The run's own function is asked, which the check replaces to do without torch."""
    from pipeline import models

    folder = tmp_path / "pretrained"
    folder.mkdir()
    for other in beside:
        (folder / other).write_text("{}")
    digest = write(folder / name).sha256 if name else "ab" * 32
    given = replace(model, weights=Weights(str(folder), digest))
    try:
        models.settings(given)
    except UserError as error:
        expected = str(error)
    else:
        expected = ""
    said = lacking(given)
    if expected:
        if "tokenizer" not in expected:
            assert said == expected.replace("model.weights", "runs.a.model.weights")
        assert "runs.a.model.weights.path" in said
        assert str(folder) in said
    else:
        assert said == ""


def test_a_package_without_its_file_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = refused(Params())
    assert said.startswith("shape_predictor_68_face_landmarks.dat of the package")


def test_looking_imports_no_torch(tmp_path):
    given = write(tmp_path / "model.safetensors")
    write(tmp_path / "tokenizer.json", b"{}")
    code = (
        "import sys; from pipeline.commands import weights_check; import pyarrow as pa\n"
        "from pipeline.config.params import *\n"
        f"given = Weights({given.path!r}, {given.sha256!r})\n"
        "from pipeline.config.objectives import SjeddParams\n"
        "from pipeline.config.run_params import *\n"
        "run = RunParams(ModelParams('joint_embedding', 'clip-vit-b32', given),\n"
        "                SjeddParams('sjedd'), also='train')\n"
        "params = Params(runs={'a': run}, faces=FacesParams(detector='scrfd',\n"
        "                       weights=given), landmarks=LandmarksParams('fan', given))\n"
        "weights_check.check(params, pa.table({'dataset': ['a'], 'split': ['train']}))\n"
        "assert not {'torch', 'transformers', 'onnxruntime', 'dask'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
