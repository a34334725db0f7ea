"""What the terms of a project allow."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import config
from pipeline.commands.licences import LATER, Commercial, parts, text, verdict
from pipeline.config import profiles
from pipeline.config.run_params import DataParams
from pipeline.config.values import Weights
from pipeline.datasets.base import adapters
from tests.datasets.trees import entry

PROFILES = Path(__file__).parents[2] / "profiles"
NAMES = profiles.names(PROFILES)
OWN = entry("csv", Path("own"), name="own", manifest="own.csv")
YES, NO, UNKNOWN, OWNER = Commercial.YES, Commercial.NO, Commercial.UNKNOWN, Commercial.OWNER


def profile(name):
    return config.load(PROFILES / f"{name}.yaml")


def verdicts(entries, params):
    return {part.name: part.terms.commercial for part in parts(entries, params)}


def test_every_part_of_commercial_safe_allows_it():
    found = verdicts(OWN, profile("commercial-safe"))
    made = ("own", "data/shards", "models/metric-learning")
    assert {found.pop(name) for name in made} == {OWNER}
    assert set(found.values()) == {YES}
    assert set(found) == {"faces.detector: centerface", "runs.metric-learning.model: tiny"}
    told = text(parts(OWN, profile("commercial-safe")))
    assert "No part excludes commercial use." in told
    assert "Yours to say is: own, data/shards, models/metric-learning." in told


# It needs no points, and its weights are RetinaFace's and CLIP's: FFSC's own terms decide.
ALLOWING = ("commercial-safe", "paper-sjedd-ffsc")


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ALLOWING])
def test_no_other_profile_does(name):
    assert set(verdicts(OWN, profile(name)).values()) & {NO, UNKNOWN}


def test_on_ffsc_the_datasets_terms_decide():
    params = profile("paper-sjedd-ffsc")
    assert not set(verdicts(OWN, params).values()) & {NO, UNKNOWN}
    found = verdicts(entry("ffsc", Path("ffsc"), name="ffsc"), params)
    assert found["data/shards"] in (NO, UNKNOWN)
    assert found["models/sjedd-ffsc"] in (NO, UNKNOWN)


def test_dlibs_points_exclude_it_and_bind_what_is_made_with_them():
    found = verdicts(OWN, profile("own-data"))
    assert found["faces.detector: dlib"] is YES
    assert found["landmarks.landmarker: dlib"] is NO
    assert found["data/shards"] is found["models/metric-learning"] is NO
    told = text(parts(OWN, profile("own-data")))
    assert "iBUG 300-W, exclude commercial use" in told
    assert "Commercial use is excluded by: landmarks.landmarker: dlib, data/shards" in told


def test_the_papers_weights():
    found = verdicts({}, profile("paper-metric-learning"))
    assert found["faces.detector: retinaface"] is YES
    assert found["runs.imagenet.model: vit-b16"] is YES
    assert found["runs.fsfm-ba.model: vit-b16"] is NO
    found = verdicts({}, profile("paper-sjedd"))
    assert found["landmarks.landmarker: fan"] is UNKNOWN
    assert found["runs.sjedd.model: clip-vit-b32"] is YES
    found = verdicts({}, profile("paper-sjedd-ablations"))
    assert found["runs.clip-vit-l14.model: clip-vit-l14"] is YES


def test_weights_that_nobody_knows_are_not_taken_to_be_free():
    params = profile("commercial-safe")
    weights = Weights("x.pth", "ab" * 32)
    faces = replace(params.faces, detector="retinaface", backbone="resnet50", weights=weights)
    found = verdicts(OWN, replace(params, faces=faces))
    assert found["faces.detector: retinaface"] is UNKNOWN
    assert found["data/shards"] is UNKNOWN


def test_exceptions_count_where_their_dataset_is_there():
    params = profile("commercial-safe")
    faces = replace(params.faces, per_dataset={"own": {"detector": "scrfd"}, "else": {}})
    found = verdicts(OWN, replace(params, faces=faces))
    assert found["faces.detector: scrfd"] is NO
    assert "faces.detector: scrfd" not in verdicts({}, replace(params, faces=faces))


def test_a_model_is_bound_by_what_it_reads():
    params = profile("commercial-safe")
    entries = OWN | entry("celeb_df", Path("cdf"), name="cdf")
    run = params.runs["metric-learning"]
    runs = {"all": run, "mine": replace(run, data=DataParams(datasets=("own",)))}
    found = verdicts(entries, replace(params, runs=runs))
    assert (found["cdf"], found["data/shards"]) == (NO, NO)
    assert (found["models/all"], found["models/mine"]) == (NO, OWNER)


def test_datasets_that_are_only_listed_are_told_and_bind_nothing():
    params = profile("commercial-safe")
    entries = OWN | entry("celeb_df", name="cdf")
    found = {part.name: part for part in parts(entries, params)}
    assert found["cdf"].what == LATER
    assert found["cdf"].terms.commercial is NO
    assert found["data/shards"].terms.commercial is OWNER
    told = text(parts(entries, params))
    assert "cdf: dataset without a root" in told
    assert "with one they would exclude it: cdf." in told
    assert "No part excludes commercial use." in told


@pytest.mark.parametrize("name", ["paper-metric-learning", "paper-sjedd"])
def test_the_papers_datasets_are_told_before_anybody_has_them(name):
    entries = config.load_datasets(profiles.datasets(name))
    found = {part.name for part in parts(entries, profile(name))}
    assert set(entries) <= found


@pytest.mark.parametrize("name", sorted(adapters()))
def test_every_adapter_states_licence_and_access_or_is_for_data_of_ones_own(name):
    adapter = adapters()[name]
    assert bool(adapter.licence) == bool(adapter.access)
    if not adapter.title:
        assert not adapter.licence


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC BY-NC 4.0", NO),
        ("CC BY 4.0", YES),
        ("CC BY-SA 4.0", YES),
        ("MIT", YES),
        ("research only", NO),
        ("non-commercial research", NO),
        ("as its authors' form says", UNKNOWN),
    ],
)
def test_words_of_a_licence(licence, expected):
    assert verdict(licence) is expected
