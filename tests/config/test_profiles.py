import re
import subprocess
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import get_type_hints

import pytest

from pipeline import config
from pipeline.config import profiles
from pipeline.config.clip_params import ClipParams
from pipeline.config.objectives import OBJECTIVES, SjeddParams
from pipeline.config.params import Params
from pipeline.config.run_params import OptimizerParams, RunParams
from pipeline.datasets.base import check
from pipeline.errors import UserError

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "profiles"
NAMES = profiles.names(PROFILES)


def checked_in(name):
    """A file as git has it: users edit these."""
    shown = subprocess.run(["git", "show", f":{name}"], cwd=ROOT, capture_output=True, check=False)
    if shown.returncode:
        pytest.skip("not a git repository")
    return shown.stdout


def _keys(cls):
    """What a mapping of a dataclass looks like: names to None or to the mapping below."""
    hints = get_type_hints(cls)
    return {
        f.name: _keys(hints[f.name]) if is_dataclass(hints[f.name]) else None for f in fields(cls)
    }


def _shape(data, keys):
    """What a section spells, as far down as it has keys of its own."""
    return {
        k: _shape(v, keys[k]) if isinstance(v, dict) and keys.get(k) else None
        for k, v in data.items()
    }


def test_the_profiles_that_the_documents_name_exist():
    of_sjedd = {"paper-sjedd", "paper-sjedd-ffsc", "paper-sjedd-ablations"}
    assert {"sample", "paper-metric-learning", *of_sjedd} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_loads_and_spells_every_key(name):
    path = PROFILES / f"{name}.yaml"
    config.load(path)
    data = config.read_yaml(path)
    runs = data["runs"].values()
    assert runs
    for run in runs:
        of_kind = _keys(OBJECTIVES[run["objective"]["kind"]])
        wanted = _keys(RunParams) | {"objective": of_kind}
        assert _shape(run, wanted) == wanted
    assert _shape(data | {"runs": None}, _keys(Params)) == _keys(Params)


def test_params_as_checked_in_is_the_sample_profile():
    assert checked_in("params.yaml") == checked_in("profiles/sample.yaml")


def test_the_datasets_of_the_sample_load(tmp_path):
    listed = tmp_path / "datasets.yaml"
    listed.write_bytes(checked_in("manifests/datasets.yaml"))
    entries = config.load_datasets(listed)
    sample = config.load(PROFILES / "sample.yaml")
    assert set(sample.faces.lossless) <= set(entries) == {"ffpp", "wild"}


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("paper-")])
def test_every_value_of_a_paper_profile_says_where_it_comes_from(name):
    lines = (PROFILES / f"{name}.yaml").read_text().splitlines()
    marks = ("# paper", "# public code", "# our choice", "# not used")
    unmarked, depth = [], 0
    for before, line in zip(["", *lines], lines, strict=False):
        inside, depth = depth > 0, depth + line.count("{") - line.count("}")
        if inside:  # of a mapping that begins on a line before
            continue
        if line.lstrip().startswith("{"):
            unmarked += [] if before.strip().startswith(marks) else [line]
        match = re.match(r"^ *[a-z0-9_]+: *([^# ][^#]*)?(#.*)?$", line)
        if match and match[1]:
            comment = match[2] or before.strip()
            unmarked += [] if comment.startswith(marks) else [line]
    assert unmarked == []


def test_metric_learning_holds_the_papers_constants():
    p = config.load(PROFILES / "paper-metric-learning.yaml")
    assert (p.frames.fps, p.faces.margin, p.faces.size_px) == (1.0, 0.3, 224)  # section 4.1
    assert (p.faces.detector, p.balance.train, p.expand.datasets) == ("retinaface", "balanced", ())
    for run in p.runs.values():
        # Section 4.3, but for the least rate, which is FSFM's.
        assert run.optimizer == OptimizerParams(1e-4, 0.05, 30, 64, 5, "lr", 1e-6, 0.75)
        assert run.augmentation == "fsfm"


def test_metric_learning_has_the_rows_of_table_3():
    runs = config.load(PROFILES / "paper-metric-learning.yaml").runs
    rows = {name: (run.objective.triplet, run.objective.attribution) for name, run in runs.items()}
    assert rows == {
        "imagenet": ("none", "none"),
        "fsfm": ("none", "none"),
        "fsfm-ba": ("batch_all", "none"),
        "fsfm-hphn": ("hard_positive_hard_negative", "none"),
        "fsfm-ephn": ("easy_positive_hard_negative", "none"),
        "fsfm-att-category": ("none", "category"),
        "fsfm-att-category-ba": ("batch_all", "category"),
        "fsfm-att-dataset": ("none", "dataset"),
        "fsfm-att-dataset-ba": ("batch_all", "dataset"),
        "sbi": ("none", "none"),
    }
    fakes = {name for name, run in runs.items() if run.data.fakes == "self_blended"}
    assert fakes == {"sbi"}
    starts = {name: run.model.weights.path.rpartition("/")[2] for name, run in runs.items()}
    assert starts.pop("imagenet") == "vit-base-patch16-224"
    assert set(starts.values()) == {"checkpoint-400.pth"}


def test_sjedd_holds_the_papers_constants():
    p = config.load(PROFILES / "paper-sjedd.yaml")
    assert p.expand.regions == ("eye", "lip", "mouth", "nose")  # section III-A
    assert p.expand.source_methods == ("Deepfakes", "FaceSwap")
    assert (p.expand.per_region, p.expand.color) == ("match", "after")
    assert p.landmarks.landmarker == "fan"
    assert (p.faces.score_threshold, p.faces.margin, p.balance.choose) == (0.8, 0.3, "largest")


def _sjedd(which):
    return config.load(PROFILES / f"paper-sjedd{which}.yaml")


def test_sjedd_trains_with_the_papers_constants():
    both = {"ffpp": _sjedd("").runs["sjedd"], "ffsc": _sjedd("-ffsc").runs["sjedd-ffsc"]}
    for graph, run in both.items():
        assert run.model.size == "clip-vit-b32"  # V-A2
        assert run.model.clip == ClipParams()  # IV-A and IV-B
        # IV-C: the fidelity loss on observed labels, and weights learnt from 1 on.
        assert run.objective == SjeddParams("sjedd", graph=graph, weighting="bilevel")
        # V-A2; the numbers are the public code's.
        assert run.optimizer == OptimizerParams(
            6e-7, 0.001, 20, 32, 0, decay_exempt="none", schedule="restarting", restart_epochs=5,
            kept_epoch="highest_val_accuracy",
        )  # fmt: skip
        assert run.data.datasets == (graph,)
    assert (both["ffpp"].also, both["ffsc"].also) == ("expanded", "train")
    assert (both["ffpp"].augmentation, both["ffsc"].augmentation) == ("sjedd", "sjedd-ffsc")
    assert _sjedd("-ffsc").expand.datasets == ()


def test_sjedds_ablations_differ_from_the_full_method_as_its_tables_say():
    """What each row of Tables VI, VII, VIII, X and XI changes, and nothing else."""
    ffpp, ffsc = _sjedd("-ablations"), _sjedd("-ffsc")
    assert ffpp.runs["sjedd"] == _sjedd("").runs["sjedd"]
    only = {"expand": replace(_sjedd("").expand, generators=("swap", "xray"))}
    assert replace(_sjedd(""), runs=ffpp.runs, **only) == ffpp

    def changed(run, full):
        found = {}
        for part in ("model", "objective", "data", "optimizer"):
            one, other = asdict(getattr(run, part)), asdict(getattr(full, part))
            one |= one.pop("clip", {})
            other |= other.pop("clip", {})
            found |= {key: value for key, value in one.items() if value != other[key]}
        assert run.augmentation == full.augmentation
        return found | ({"also": run.also} if run.also != full.also else {})

    of_ffsc = {n: changed(run, ffsc.runs["sjedd-ffsc"]) for n, run in ffsc.runs.items()}
    entropy = {"loss": "cross_entropy"}
    assert of_ffsc == {
        "sjedd-ffsc": {},
        "joint-cross-entropy": entropy,
        "image-cross-entropy": entropy | {"head": "linear"},
    }
    found = {name: changed(run, ffpp.runs["sjedd"]) for name, run in ffpp.runs.items()}
    large = found.pop("clip-vit-l14")
    assert large.pop("weights")["path"].endswith("clip-vit-large-patch14")
    face_only = {"labels": "face_only", "generators": (), "also": "train"}
    assert large == face_only | entropy | {
        "size": "clip-vit-l14", "head": "linear", "freeze": "both", "weighting": "fixed",
        "learning_rate": 1e-3, "schedule": "cosine",
    }  # fmt: skip
    tenth = {"root": 1.0, "global_attributes": 0.1, "local_regions": 0.1}
    assert found == {
        "sjedd": {},
        "frozen-text": {"freeze": "text"},
        "frozen-both": {"freeze": "both"},
        "simplified-templates": {"templates": "simplified"},
        "normalised-similarity": {"score": "cosine"},
        "weights-one-tenth": {"weighting": "fixed", "loss_weights": tenth},
        "weights-equal": {"weighting": "fixed"},
        "weights-averaged": {"weighting": "dwa"},
        "neither": face_only,
        "relabelling-alone": {"generators": (), "also": "train"},
        "augmentation-alone": {"labels": "face_only"},
        "face-xray": {"generators": ("xray",)},
    }


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with profiles a and b (sample with another seed) and a as params.yaml."""
    (tmp_path / "profiles").mkdir()
    sample = (PROFILES / "sample.yaml").read_text()
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / f"profiles/{name}.yaml").write_text(
            sample.replace("\nseed: 0", f"\nseed: {seed}")
        )
    (tmp_path / "params.yaml").write_bytes((tmp_path / "profiles/a.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_profile_is_put_in_place_byte_for_byte(place):
    assert profiles.in_place() == "a"
    profiles.put_in_place("b", force=False)
    assert (place / "params.yaml").read_bytes() == (place / "profiles/b.yaml").read_bytes()
    assert profiles.in_place() == "b"
    assert sorted(p.name for p in place.iterdir()) == ["params.yaml", "profiles"]


def test_difference_is_a_unified_diff_from_params_to_profile(place):
    lines = profiles.difference("b").splitlines()
    assert lines[:2] == ["--- params.yaml", "+++ profiles/b.yaml"]
    changed = [line[:8] for line in lines[2:] if line[0] in "+-"]
    assert changed == ["-seed: 1", "+seed: 2"]
    assert profiles.difference("a") == ""


def test_hand_edits_are_kept_unless_forced(place):
    edited = (place / "params.yaml").read_text().replace("fps: 1.0", "fps: 2.0")
    (place / "params.yaml").write_text(edited)
    with pytest.raises(UserError, match=r"holds edits of yours.*cp params.yaml.*profile b --force"):
        profiles.put_in_place("b", force=False)
    assert (place / "params.yaml").read_text() == edited
    profiles.put_in_place("b", force=True)
    assert profiles.in_place() == "b"


def test_edits_that_are_a_profile_of_their_own_may_be_replaced(place):
    edited = (place / "params.yaml").read_text().replace("fps: 1.0", "fps: 2.0")
    (place / "params.yaml").write_text(edited)
    (place / "profiles/mine.yaml").write_text(edited)
    profiles.put_in_place("b", force=False)
    assert profiles.in_place() == "b"


def test_without_params_any_profile_goes_in_place(place):
    (place / "params.yaml").unlink()
    assert profiles.difference("a").startswith("--- params.yaml\n+++ profiles/a.yaml\n")
    profiles.put_in_place("a", force=False)
    assert profiles.in_place() == "a"


def test_unknown_or_broken_profiles_are_users_mistakes(place):
    with pytest.raises(UserError, match=r"no profile 'zzzz'.*There are: a, b"):
        profiles.difference("zzzz")
    with pytest.raises(UserError, match=r"no profile '../params'"):
        profiles.difference("../params")
    (place / "profiles/c.yaml").write_text("frames: {fps: 0}\n")
    with pytest.raises(UserError, match=r"profiles/c\.yaml: frames\.fps is 0"):
        profiles.difference("c")


def test_outside_a_clone_there_are_those_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert profiles.names() == NAMES
    profiles.put_in_place("sample", force=False)
    assert (tmp_path / "params.yaml").read_bytes() == (PROFILES / "sample.yaml").read_bytes()
    assert profiles.in_place() == "sample"


def test_a_profile_of_the_user_counts_before_one_of_the_package(place):
    mine = (place / "profiles/b.yaml").read_bytes()
    (place / "profiles/sample.yaml").write_bytes(mine)
    assert profiles.names() == sorted({"a", "b", *NAMES})
    profiles.put_in_place("sample", force=False)
    assert (place / "params.yaml").read_bytes() == mine


def test_the_clone_and_the_package_have_the_same_profiles():
    assert {p.name: p.read_bytes() for p in PROFILES.iterdir()} == {
        p.name: p.read_bytes() for p in profiles.SHIPPED.iterdir()
    }


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("paper-")])
def test_the_datasets_of_a_paper_are_those_that_its_parameters_name(name):
    params = config.load(PROFILES / f"{name}.yaml")
    entries = config.load_datasets(profiles.datasets(name))
    assert not any(entry.roots for entry in entries.values())
    for entry in entries.values():
        check(entry)
    config.check_datasets(params, entries)
    named = {dataset for run in params.runs.values() for dataset in run.data.datasets}
    assert named | set(params.expand.datasets) <= set(entries)


def test_edits_in_a_clone_stay_and_the_sample_comes_back(tmp_path):
    """The clone's own list is what a user edits: no profile may take it for one of its own."""
    shipped = profiles.datasets("sample")
    listed = Path(__file__).parents[2] / "manifests/datasets.yaml"
    assert not shipped.samefile(listed)
    mine = tmp_path / "datasets.yaml"
    mine.write_bytes(shipped.read_bytes() + b"mine: {adapter: csv, root: /x, manifest: x.csv}\n")
    assert "so it stays" in profiles.put_datasets_in_place("paper-sjedd", mine)
    mine.write_bytes(shipped.read_bytes())
    assert profiles.ROOTS in profiles.put_datasets_in_place("paper-sjedd", mine)
    assert profiles.ROOTS not in profiles.put_datasets_in_place("sample", mine)
    assert mine.read_bytes() == shipped.read_bytes()


def test_the_datasets_of_a_profile_replace_those_of_another_and_nobody_elses(tmp_path):
    listed = tmp_path / "datasets.yaml"
    assert profiles.put_datasets_in_place("own-data", listed) == ""
    assert not listed.exists()
    assert profiles.ROOTS in profiles.put_datasets_in_place("paper-sjedd", listed)
    assert listed.read_bytes() == profiles.datasets("paper-sjedd").read_bytes()
    assert profiles.put_datasets_in_place("paper-sjedd", listed) == ""
    assert profiles.ROOTS in profiles.put_datasets_in_place("paper-metric-learning", listed)
    mine = listed.read_text().replace("root: # /data/dfdc", "root: /data/dfdc")
    listed.write_text(mine)
    told = profiles.put_datasets_in_place("paper-sjedd", listed)
    assert "holds datasets of yours, so it stays" in told
    assert str(profiles.datasets("paper-sjedd")) in told
    assert listed.read_text() == mine
