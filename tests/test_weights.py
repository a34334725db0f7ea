import argparse
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import weights
from pipeline.config.values import Weights
from pipeline.errors import UserError

WHERE = "faces.weights"
PURPOSE = "The detector retinaface"


def _write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def test_the_file_with_the_right_digest_is_found_whatever_case_the_digest_is_written_in(tmp_path):
    digest = _write(tmp_path / "a.pth", b"weights")
    given = Weights(str(tmp_path / "a.pth"), digest.upper())
    assert weights.find(given, WHERE, PURPOSE) == tmp_path / "a.pth"


def test_published_digest(assets):
    path = assets / "weights" / "retinaface_mobilenet0.25.pth"
    published = "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220"
    assert weights.sha256(path) == published


def test_a_file_of_the_same_name_and_other_contents_is_refused_and_both_digests_named(tmp_path):
    digest = _write(tmp_path / "a.pth", b"other anchors")
    wanted = hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(UserError) as error:
        weights.find(Weights(str(tmp_path / "a.pth"), wanted), WHERE, PURPOSE)
    assert digest in str(error.value)
    assert wanted in str(error.value)


def test_a_missing_file_is_one_error_that_says_all_there_is_to_do(tmp_path):
    path = tmp_path / "weights" / "a.pth"
    with pytest.raises(UserError) as error:
        weights.find(Weights(str(path), "ab" * 32), WHERE, PURPOSE)
    message = str(error.value)
    assert PURPOSE in message
    assert str(path) in message
    assert "ab" * 32 in message
    assert "Put it there" in message
    assert "faceshards profile sample" in message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Weights("", ""), "set faces.weights.path and faces.weights.sha256"),
        (Weights("", "ab" * 32), "set faces.weights.path and faces.weights.sha256"),
        (Weights("buffalo_l", "ab" * 32), r"a folder .*buffalo_l or .*packs/buffalo_l"),
    ],
)
def test_nothing_to_find(given, message, tmp_path):
    with pytest.raises(UserError, match=message):
        weights.find(given, WHERE, PURPOSE, "*.onnx", tmp_path / "packs")


def test_a_digest_that_is_not_given_is_told_so_that_it_can_be_written_down(tmp_path):
    digest = _write(tmp_path / "a.pth", b"weights")
    with pytest.raises(UserError, match=rf"faces.weights.sha256 is empty; .*a.pth has {digest}"):
        weights.find(Weights(str(tmp_path / "a.pth")), WHERE, PURPOSE)


def test_in_a_folder_the_digest_says_which_file(tmp_path):
    _write(tmp_path / "a.onnx", b"landmarks")
    digest = _write(tmp_path / "b.onnx", b"detector")
    _write(tmp_path / "c.onnx", b"recognition")
    assert weights.find(Weights(str(tmp_path), digest), WHERE, PURPOSE, "*.onnx").name == "b.onnx"


def test_a_folder_without_such_a_file(tmp_path):
    digest = _write(tmp_path / "a.onnx", b"landmarks")
    with pytest.raises(UserError, match=rf"a file \*\.pth in {tmp_path}"):
        weights.find(Weights(str(tmp_path), digest), WHERE, PURPOSE, "*.pth")


def test_a_pack_is_a_folder_among_the_packs(tmp_path):
    digest = _write(tmp_path / "buffalo_l" / "det_10g.onnx", b"detector")
    found = weights.find(Weights("buffalo_l", digest), WHERE, PURPOSE, "*.onnx", tmp_path)
    assert found == tmp_path / "buffalo_l" / "det_10g.onnx"


def test_a_file_that_cannot_be_read_is_a_user_error():
    # A regular file by its facts; reading its beginning fails.
    with pytest.raises(UserError, match=r"/proc/self/mem cannot be read"):
        weights.find(Weights("/proc/self/mem", "ab" * 32), WHERE, PURPOSE)


def test_digests_are_taken_from_elsewhere_only_where_asked_for(tmp_path):
    digest = _write(tmp_path / "a.pth", b"weights")
    given = Weights(str(tmp_path / "a.pth"), "ab" * 32)
    with weights.digests_by(lambda path: "ab" * 32):
        assert weights.find(given, WHERE, PURPOSE) == tmp_path / "a.pth"
        assert weights.sha256(tmp_path / "a.pth") == "ab" * 32
        assert weights.read_sha256(tmp_path / "a.pth") == digest
    assert weights.sha256(tmp_path / "a.pth") == digest
    with pytest.raises(UserError, match=digest):
        weights.find(given, WHERE, PURPOSE)


@pytest.mark.parametrize("zipped", [True, False])
def test_states_load_from_both_of_torchs_formats_without_the_parallel_prefix(tmp_path, zipped):
    state = {"module.a.weight": torch.arange(6.0).reshape(2, 3), "module.b": torch.zeros(1)}
    torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    loaded = weights.load_state(tmp_path / "a.pth")
    assert sorted(loaded) == ["a.weight", "b"]
    assert torch.equal(loaded["a.weight"], state["module.a.weight"])


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(tmp_path):
    trap = tmp_path / "trapped"
    torch.save({"a": _Trap(trap)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps({"a": _Trap(trap)}))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(UserError, match=f"{name} cannot be loaded as plain torch weights"):
            weights.load_state(tmp_path / name)
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x02", b"PK\x03\x04" + b"\0" * 60])
def test_a_file_that_is_no_checkpoint(tmp_path, content):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(UserError, match="cannot be loaded as plain torch weights"):
        weights.load_state(tmp_path / "a.pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_checkpoint_is_never_more_than_a_user_error(tmp_path, zipped):
    path = tmp_path / "a.pth"
    state = {"a": torch.zeros(30), "b": torch.ones(3)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    random = np.random.Generator(np.random.Philox(3))
    refused = 0
    for n in range(200):
        damaged = bytearray(whole)
        if n % 4 == 0:
            damaged = damaged[: random.integers(len(whole) - 1)]
        else:
            for at in random.integers(0, 400, 3):
                damaged[at] = random.integers(256)
        path.write_bytes(damaged)
        try:
            weights.load_state(path)
        except UserError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("content", [{"model": {"a": torch.zeros(1)}}, [torch.zeros(1)]])
def test_a_checkpoint_that_is_no_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(UserError, match="is not a state dict"):
        weights.load_state(tmp_path / "a.pth")


def test_a_state_goes_into_the_model_it_fits(tmp_path):
    source, target = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    torch.save(source.state_dict(), tmp_path / "a.pth")
    weights.load_into(target, tmp_path / "a.pth", "a layer", "Use another.")
    assert torch.equal(source.weight, target.weight)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": torch.zeros(3, 2)}, r"1 key missing \(first: bias\)"),
        (
            {"weight": torch.zeros(3, 2), "bias": torch.zeros(3), "x": torch.zeros(1)},
            r"1 key unknown \(first: x\)",
        ),
        (
            {"weight": torch.zeros(4, 2), "bias": torch.zeros(3)},
            r"1 shape differs \(first: weight\)",
        ),
    ],
)
def test_a_state_that_does_not_fit(tmp_path, state, message):
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(UserError, match=rf"does not fit a layer: .*{message}.*Use another"):
        weights.load_into(torch.nn.Linear(2, 3), tmp_path / "a.pth", "a layer", "Use another.")


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_both_formats_of_a_state_load_alike(tmp_path, name):
    from safetensors.torch import save_file

    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(1, dtype=torch.float16)}
    (save_file if name.endswith("safetensors") else torch.save)(state, tmp_path / name)
    loaded = weights.load_state(tmp_path / name)
    assert sorted(loaded) == sorted(state)
    assert all(torch.equal(loaded[key], state[key]) for key in state)


@pytest.mark.parametrize(
    "content", [b"", b"not weights", b"\xff" * 64, b"\x02" + b"\0" * 7 + b"{}"]
)
def test_a_damaged_safetensors_file_is_a_user_error(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content + b"x")
    with pytest.raises(UserError, match="cannot be loaded as plain torch weights"):
        weights.load_state(tmp_path / "a.safetensors")


def test_a_training_checkpoint_gives_its_section_only_where_its_classes_are_allowed(tmp_path):
    checkpoint = {"model": {"a": torch.ones(2)}, "epoch": 3, "args": argparse.Namespace(lr=0.1)}
    torch.save(checkpoint, tmp_path / "a.pth")
    loaded = weights.load_state(tmp_path / "a.pth", "model", (argparse.Namespace,))
    assert list(loaded) == ["a"]
    with pytest.raises(UserError, match="holds more than tensors"):
        weights.load_state(tmp_path / "a.pth", "model")
    with pytest.raises(UserError, match="is not a state dict"):
        weights.load_state(tmp_path / "a.pth", "weights", (argparse.Namespace,))
    # The permission ends with the call.
    with pytest.raises(UserError, match="holds more than tensors"):
        weights.load_state(tmp_path / "a.pth", "model")


def test_a_state_dict_without_the_section_is_taken_as_it_is(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pth")
    assert list(weights.load_state(tmp_path / "a.pth", "model")) == ["a"]


def test_a_weight_by_two_names_is_refused(tmp_path):
    path = tmp_path / "both.pth"
    torch.save({"a": torch.zeros(2), "module.a": torch.ones(2), "module.b": torch.ones(1)}, path)
    with pytest.raises(UserError, match=r"both\.pth holds a and module\.a"):
        weights.load_state(path)
