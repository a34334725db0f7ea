"""Trees with as many files as the full datasets have, under names of the same forms.

Every file is a link to one of a few bytes, in memory where the system offers that.
"""

from dataclasses import replace

import pytest

from pipeline.config.dataset_entries import SPLIT_RULES, Roles
from pipeline.datasets import base
from tests.datasets import full_copies
from tests.datasets.sketches import tar
from tests.datasets.trees import entry, run

pytestmark = pytest.mark.slow


def differences(found, entries):
    """Totals of a full copy that are not there, as (kind, path, expected, found)."""
    (one,) = entries.values()
    compared = base.compare(one, found.videos)
    assert compared
    return [(t.kind, t.path, t.count, n) for t, n in compared if t.count != n]


def test_faceforensics(fast_tmp):
    root = fast_tmp / "ffpp"
    full_copies.faceforensics(root)
    entries = entry("faceforensics", root)
    found = run(entries, fast_tmp / "cache")
    assert differences(found, entries) == []
    assert found.metrics == {
        "inputs": 9_431,
        "outputs": 9_431,
        "rejects": 0,
        "left_out": 0,
        "train_real": 720,
        "train_fake": 3_600,
        "val_real": 140,
        "val_fake": 700,
        "test_real": 140 + 363,
        "test_fake": 700 + 3_068,
    }


def test_celeb_df_v2(fast_tmp):
    root = fast_tmp / "cdf"
    full_copies.celeb_df_v2(root)
    entries = entry("celeb_df", root)
    found = run(entries, fast_tmp / "cache")
    assert differences(found, entries) == []
    assert found.metrics["outputs"] == 6_529
    assert found.metrics["test_real"] + found.metrics["test_fake"] == 518
    assert found.metrics["val_real"] == found.metrics["val_fake"] == 0


def test_dfdc(fast_tmp):
    root = fast_tmp / "dfdc"
    full_copies.dfdc(root)
    entries = entry("dfdc", root)
    found = run(entries, fast_tmp / "cache")
    assert differences(found, entries) == []
    assert (found.metrics["outputs"], found.metrics["rejects"]) == (128_154, 0)


def test_fakeavceleb(fast_tmp):
    root = fast_tmp / "fav"
    full_copies.fakeavceleb(root)
    entries = entry("fakeavceleb", root)
    found = run(entries, fast_tmp / "cache", audio_only="real")
    assert differences(found, entries) == []
    assert found.metrics["outputs"] == 21_544
    assert found.metrics["rejects"] == found.metrics["rejects_duplicate"] == 22
    without = run(entries, fast_tmp / "cache")
    assert [(d[2], d[3]) for d in differences(without, entries)] == [(500, 0)]
    assert without.metrics["outputs"] == 21_044  # as many as metric learning, but for three


def test_wilddeepfake(fast_tmp):
    """All 7,314 sequences of the in-the-wild test of metric learning are rows, 806 of them test."""
    root = fast_tmp / "wdf"
    counts = {"real_train": 3_409, "real_test": 396, "fake_train": 3_099, "fake_test": 410}
    for top, count in counts.items():
        label = top.partition("_")[0]
        # 707 source videos have a tar each; sequences of all tars are numbered from 0.
        tars = [range(start, min(start + 10, count)) for start in range(0, count, 10)]
        for number, sequences in enumerate(tars):
            names = [f"./{number}/{label}/{i}/{i}.png" for i in range(len(sequences))]
            tar(root / f"{top}/{number}.tar.gz", names)
    entries = entry("wilddeepfake", root)
    found = run(entries, fast_tmp / "cache")
    assert differences(found, entries) == []
    assert found.metrics["outputs"] == 7_314
    assert found.metrics["rejects"] == 0
    labels = found.videos["label"].to_pylist()
    assert (labels.count(0), labels.count(1)) == (3_805, 3_509)
    assert found.metrics["test_real"] + found.metrics["test_fake"] == 806
    roles = Roles(SPLIT_RULES["all_test"])
    whole = {name: replace(one, roles=roles) for name, one in entries.items()}
    metrics = run(whole, fast_tmp / "cache").metrics
    assert (metrics["test_real"], metrics["test_fake"]) == (3_805, 3_509)
