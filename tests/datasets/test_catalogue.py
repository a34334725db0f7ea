from pathlib import Path

import pytest

from pipeline.datasets import catalogue
from pipeline.datasets.base import adapters
from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_ffpp, run


@pytest.fixture
def two(tmp_path):
    """A tiny copy of FaceForensics++ and a CSV dataset, scanned."""
    put(tmp_path / "own/a.mp4")
    put(tmp_path / "own/own.csv", b"path,label\na.mp4,real\n")
    entries = entry("faceforensics", put_ffpp(tmp_path / "ffpp"), name="ffpp")
    entries |= entry("csv", tmp_path / "own", name="own", manifest="own.csv")
    return entries, run(entries, tmp_path / "cache").videos


def cells(text):
    return [line.split() for line in text.splitlines()]


def test_overview_holds_what_was_found_against_a_full_copy(two):
    rows = cells(catalogue.overview(*two))
    assert ["ffpp", "faceforensics", "36", "6", "30", "20", "of", "20", "totals", "differ"] in rows
    assert ["own", "csv", "1", "1", "0", "no", "official", "totals"] in rows
    assert ["Deepfakes", "train", "2", "720", "-718"] in rows


def test_a_full_copy_has_no_differences(two):
    entries, videos = two
    deepfakes = videos.filter([v == "Deepfakes" and s == "train" for v, s in _pairs(videos)])
    full = deepfakes.take([n % deepfakes.num_rows for n in range(720)])
    rows = cells(catalogue.detail("ffpp", entries, full))
    assert ["Deepfakes", "train", "720", "720"] in rows


def _pairs(videos):
    return zip(videos["method"].to_pylist(), videos["split"].to_pylist(), strict=True)


@pytest.mark.parametrize("name", sorted(adapters()))
def test_every_adapter_in_detail(name):
    text = catalogue.detail(name, {}, None)
    adapter = adapters()[name]
    assert text.startswith(f"{name}: ")
    assert max(map(len, text.splitlines())) <= catalogue.WIDTH
    assert all(f"  {option} " in text for option in adapter.options)
    assert ("\na full copy has  " in text) == bool(adapter.expected)
    words = " ".join(text.split())
    assert " ".join(adapter.access.split()) in words


@pytest.mark.parametrize("name", sorted(adapters()))
def test_the_documents_describe_every_adapter(name):
    lines = (Path(__file__).parents[2] / "docs/datasets.md").read_text().splitlines()
    assert sum(line.startswith(f"| `{name}` | [") for line in lines) == 1
    # The guide describes CSV files.
    assert lines.count(f"## {name}") == (0 if name == "csv" else 1)


def test_a_dataset_that_was_listed_after_the_last_scan(two):
    entries, videos = two
    others = videos.filter([name != "own" for name in videos["dataset"].to_pylist()])
    rows = cells(catalogue.overview(entries, others))
    assert ["own", "csv", "0", "0", "0", "none", "known;", "run", "`dvc", "repro", "scan`"] in rows
    assert "known after `dvc repro scan`" in catalogue.detail("own", entries, others)


def test_before_the_first_scan(two):
    text = catalogue.overview(two[0], None)
    assert "ffpp (faceforensics), own (csv)" in text
    assert "dvc repro scan" in text
    assert "dvc repro scan" in catalogue.detail("own", two[0], None)


def test_a_dataset_wins_over_an_adapter_of_its_name(two):
    entries, videos = two
    renamed = entry("csv", *entries["own"].roots, name="dfdc", manifest="own.csv")
    assert catalogue.detail("dfdc", renamed, videos).startswith("csv: ")


def test_an_unknown_name(two):
    with pytest.raises(UserError, match=r"'fppp'.*Did you mean ffpp"):
        catalogue.detail("fppp", *two)
