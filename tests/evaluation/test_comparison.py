"""Runs compared on the videos that all of them scored."""

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.evaluation import comparison, uncertainty
from pipeline.evaluation.aggregate import per_video
from tests.evaluation import made


def runs(n=60, seed=0):
    """Three runs on two datasets: a good one, the same again, and one that guesses."""
    draw = np.random.default_rng(seed)
    names = [(f"{'a' if i % 3 else 'b'}/{('real', 'DF')[i % 2]}/{i:03}", i % 2) for i in range(n)]
    good = {name: float(np.clip(0.5 * label + draw.uniform(0, 0.6), 0, 1)) for name, label in names}
    guess = {name: float(draw.uniform(0, 1)) for name, _ in names}
    videos = made.videos([(name, "test", label) for name, label in names])
    tables = {}
    for run, scores in {"good": good, "again": good, "guess": guess}.items():
        rows = [(name, "test", label, scores[name]) for name, label in names]
        tables[run] = per_video(made.faces(rows), videos)
    return tables, videos, names, good, guess


def test_every_pair_on_every_set():
    tables, videos, names, good, guess = runs()
    found = comparison.compare(tables, videos, "test")
    assert [(d.where, d.first, d.second) for d in found] == [
        (where, *pair)
        for where in (comparison.OVERALL, "a", "b")
        for pair in (("good", "again"), ("good", "guess"), ("again", "guess"))
    ]
    labels = np.array([label for _, label in sorted(names)])
    by = {run: np.array([s[name] for name, _ in sorted(names)]) for run, s in
          {"good": good, "guess": guess}.items()}  # fmt: skip
    overall = {(d.first, d.second): d for d in found if d.where == comparison.OVERALL}
    same, apart = overall["good", "again"], overall["good", "guess"]
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)
    wins = [
        np.mean([(f > r) + (f == r) / 2 for f in s[labels == 1] for r in s[labels == 0]])
        for s in by.values()
    ]
    assert apart.difference == pytest.approx(wins[0] - wins[1], abs=1e-12)
    assert 0 < apart.low < apart.difference < apart.high
    alone = uncertainty.delong_p(labels, by["good"], by["guess"])
    assert alone <= apart.p <= 9 * alone
    assert apart.p < 0.01
    assert "good minus guess +" in comparison.text(found)


def test_only_what_all_have_scored_counts():
    tables, videos, *_ = runs()
    kept = tables["guess"].slice(0, 40)
    found = comparison.compare({"good": tables["good"], "guess": kept}, videos, "test")
    assert found[0].videos == 40


def test_what_cannot_be_compared():
    tables, videos, *_ = runs()
    with pytest.raises(UserError, match="two runs or more"):
        comparison.compare({"good": tables["good"]}, videos, "test")
    with pytest.raises(UserError, match="No set of val"):
        comparison.compare(tables, videos, "val")
