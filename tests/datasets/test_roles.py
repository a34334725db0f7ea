from collections import Counter
from dataclasses import replace

import pytest

from pipeline.config.dataset_entries import SPLIT_RULES, Roles
from pipeline.datasets import catalogue, roles
from pipeline.datasets.base import Total
from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_ffpp, rejects, rows, run


def with_roles(entries, **given):
    rule = SPLIT_RULES[given.pop("splits", "official")]
    return {name: replace(one, roles=Roles(rule, **given)) for name, one in entries.items()}


@pytest.fixture
def ffpp(tmp_path):
    """One pair per split, five methods, and DeepFakeDetection with its own actors."""
    root = put_ffpp(tmp_path / "ffpp")
    put(root / "original_sequences/actors/c23/videos/01__kitchen.mp4", b"actor")
    fakes = root / "manipulated_sequences/DeepFakeDetection/c23/videos"
    put(fakes / "01_02__kitchen__ABCDEFGH.mp4", b"swap")
    return entry("faceforensics", root)


def kinds(found):
    table = found.videos
    return Counter(zip(table["split"].to_pylist(), table["method"].to_pylist(), strict=True))


def test_without_roles_nothing_changes(tmp_path, ffpp):
    found = run(ffpp, tmp_path / "cache")
    assert found == run(with_roles(ffpp), tmp_path / "cache")
    assert found.videos.num_rows == 36 + 2
    assert found.rejected.num_rows == 0


def test_test_only_leaves_out_the_rest_and_says_why(tmp_path, ffpp):
    found = run(with_roles(ffpp, splits="test_only"), tmp_path / "cache")
    assert set(found.videos["split"].to_pylist()) == {"test"}
    assert found.videos.num_rows == 12 + 2
    assert found.metrics["rejects_excluded"] == 24
    assert found.metrics["inputs"] == found.metrics["outputs"] + found.metrics["rejects"] == 38
    assert Counter(found.rejected["detail"].to_pylist()) == {
        "split train, but the entry has splits: test_only": 12,
        "split val, but the entry has splits: test_only": 12,
    }


def test_left_out_files_are_not_looked_at(tmp_path, ffpp, monkeypatch):
    looked = []

    def fingerprint(file, mode):
        looked.append(str(file))
        return "0" * 32

    monkeypatch.setattr("pipeline.datasets.fingerprint.fingerprint", fingerprint)
    found = run(with_roles(ffpp, splits="test_only"), tmp_path / "cache")
    assert found.videos.num_rows == 14
    root = tmp_path / "ffpp"
    listed = {str(root / path) for path in found.videos["path"].to_pylist()}
    # And the pristine film of a fake, whose content decides which face was altered.
    pairs = {str(root / path) for path in found.videos["pair_path"].to_pylist() if path}
    assert set(looked) == listed | pairs


def test_all_test_moves_every_row(tmp_path, ffpp):
    before = rows(run(ffpp, tmp_path / "cache"))
    after = rows(run(with_roles(ffpp, splits="all_test"), tmp_path / "cache"))
    assert after == {one: row | {"split": "test"} for one, row in before.items()}


def test_a_mapping_moves_the_splits_that_it_names(tmp_path, ffpp):
    mapped = {
        "ds": replace(ffpp["ds"], roles=Roles({"train": "train", "val": "train", "test": "test"}))
    }
    found = run(mapped, tmp_path / "cache")
    assert Counter(found.videos["split"].to_pylist()) == {"train": 24, "test": 14}


def test_methods_are_those_of_fakes_and_actors_belong_to_deepfakedetection(tmp_path, ffpp):
    found = run(with_roles(ffpp, methods=("Deepfakes", "FaceSwap")), tmp_path / "cache")
    assert kinds(found) == {
        (split, method): 2
        for split in ("train", "val", "test")
        for method in ("real", "Deepfakes", "FaceSwap")
    }
    told = dict(
        zip(found.rejected["id"].to_pylist(), found.rejected["detail"].to_pylist(), strict=True)
    )
    actor = "ds/original_sequences/actors/c23/videos/01__kitchen.mp4"
    assert told[actor] == "a real of DeepFakeDetection alone, which does not count"
    assert set(rejects(found).values()) == {"excluded"}


def test_deepfakedetection_alone_has_its_actors_and_no_youtube_clip(tmp_path, ffpp):
    found = run(with_roles(ffpp, methods=("DeepFakeDetection",)), tmp_path / "cache")
    assert kinds(found) == {("test", "real"): 1, ("test", "DeepFakeDetection"): 1}


def test_excluded_methods_take_their_reals_along(tmp_path, ffpp):
    excluded = ("FaceShifter", "DeepFakeDetection")
    found = run(with_roles(ffpp, exclude_methods=excluded), tmp_path / "cache")
    methods = {method for _, method in kinds(found)}
    assert methods == {"real", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"}
    assert not any("actors" in path for path in found.videos["path"].to_pylist())


def test_a_method_that_was_not_downloaded_may_be_named(tmp_path):
    entries = entry("faceforensics", put_ffpp(tmp_path / "ffpp"))
    found = run(with_roles(entries, exclude_methods=("DeepFakeDetection",)), tmp_path / "cache")
    assert found.videos.num_rows == 36


@pytest.mark.parametrize("key", ["methods", "exclude_methods"])
def test_an_unknown_method_is_answered_with_the_right_one(tmp_path, ffpp, key):
    with pytest.raises(UserError, match=rf"{key} .*names FaceSwop, .*Did you mean FaceSwap\?"):
        run(with_roles(ffpp, **{key: ("FaceSwop",)}), tmp_path / "cache")


def test_any_adapter_takes_roles(tmp_path):
    put(tmp_path / "own/a.mp4", b"a")
    put(tmp_path / "own/b.mp4", b"b")
    put(
        tmp_path / "own/own.csv",
        b"path,label,split,method\na.mp4,real,train,\nb.mp4,fake,val,magic\n",
    )
    entries = entry("csv", tmp_path / "own", manifest="own.csv")
    found = run(with_roles(entries, splits="all_test"), tmp_path / "cache")
    assert kinds(found) == {("test", "real"): 1, ("test", "magic"): 1}
    found = run(with_roles(entries, exclude_methods=("magic",)), tmp_path / "cache")
    assert kinds(found) == {("train", "real"): 1}
    with pytest.raises(UserError, match=r"names magick, .*Did you mean magic\?"):
        run(with_roles(entries, methods=("magick",)), tmp_path / "cache")


def test_a_dataset_of_which_nothing_is_left_is_one_sentence(tmp_path):
    put(tmp_path / "own/a.mp4", b"a")
    put(tmp_path / "own/own.csv", b"path,label,split\na.mp4,real,train\n")
    entries = entry("csv", tmp_path / "own", manifest="own.csv")
    with pytest.raises(UserError, match=r"no usable video .*split train, but .*test_only"):
        run(with_roles(entries, splits="test_only"), tmp_path / "cache")


def test_a_dataset_without_a_root_is_listed_and_not_read(tmp_path, ffpp):
    absent = entry("celeb_df", name="later")
    assert run(ffpp | absent, tmp_path / "cache") == run(ffpp, tmp_path / "cache")
    with pytest.raises(UserError, match="has a root"):
        run(absent, tmp_path / "cache")
    with pytest.raises(UserError, match="unknown option rot"):
        run(ffpp | entry("celeb_df", name="later", rot="/x"), tmp_path / "cache")


def test_the_catalogue_counts_what_was_left_out(tmp_path, ffpp):
    entries = with_roles(ffpp, splits="test_only", exclude_methods=("DeepFakeDetection",))
    entries |= entry("celeb_df", name="later")
    found = run(entries, tmp_path / "cache")
    text = catalogue.overview(entries, found.videos, found.rejected)
    assert "  splits: test_only; exclude_methods: DeepFakeDetection" in text
    assert "  left out: 12 (split train, but the entry has splits: test_only)" in text
    assert "  left out: 1 (DeepFakeDetection is in exclude_methods)" in text
    assert "no root yet" in text
    counted = [line.split()[:3] for line in text.splitlines()]
    assert ["FaceShifter", "test", "2"] in counted
    assert not any(line[:2] == ["FaceShifter", "train"] for line in counted)


TOTALS = (
    Total(3, {"split": "train", "label": 0}),
    Total(1, {"split": "test", "label": 0}),
    Total(7, {"split": "train", "method": "a"}),
    Total(5, {"split": "test", "method": "a"}),
    Total(4, {"split": "test", "method": "b"}),
    Total(20),
)


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        (Roles(), [3, 1, 7, 5, 4, 20]),
        (Roles(SPLIT_RULES["test_only"]), [1, 5, 4]),
        (Roles(SPLIT_RULES["all_test"]), [4, 12, 4, 20]),
        (Roles(methods=("a",)), [3, 1, 7, 5]),
        (Roles(exclude_methods=("a",)), [3, 1, 4]),
    ],
)
def test_totals_that_still_hold(given, counts):
    assert [total.count for total in roles.expected(TOTALS, given)] == counts
