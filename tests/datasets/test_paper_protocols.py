"""The papers' protocols, from the datasets that their profiles list and full-size made trees."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import config
from pipeline.commands.contradictions import contradictions, read_by
from pipeline.config import profiles
from pipeline.datasets import shared_ids
from tests.datasets import full_copies
from tests.datasets.trees import run

pytestmark = pytest.mark.slow

FF = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")


def scanned(name, roots, cache, **params):
    """What `scan` finds where a user does no more than write the roots."""
    entries = config.load_datasets(profiles.datasets(name))
    assert set(roots) == set(entries)
    entries = {n: replace(one, roots=tuple(roots[n])) for n, one in entries.items()}
    return run(entries, cache, **params), entries


def counts(videos):
    """Videos by dataset, split and whether they are fake."""
    columns = (videos[name].to_pylist() for name in ("dataset", "split", "label"))
    return Counter(zip(*columns, strict=True))


def methods(videos, dataset, split):
    mine = [
        row["method"]
        for row in videos.select(["dataset", "split", "method", "label"]).to_pylist()
        if (row["dataset"], row["split"], row["label"]) == (dataset, split, 1)
    ]
    return Counter(mine)


def clips(videos, split):
    """Clips of FaceForensics++ that the rows of a split were made of."""
    of = shared_ids.ffpp("")
    names = ("identity", "target_id", "source_id", "leak_group")
    rows = videos.select(["split", *names]).to_pylist()
    words = {w for r in rows if r["split"] == split for n in names for w in r[n].split("+")}
    return {word for word in words if word.startswith(of)}


def made(folder: Path, names):
    roots = {}
    for name, maker in names.items():
        maker(folder / name)
        roots[name] = [folder / name]
    return roots


def test_metric_learning(fast_tmp):
    roots = made(
        fast_tmp,
        {
            "ffpp": full_copies.faceforensics,
            "celebdf": full_copies.celeb_df_v2,
            "dfdc": full_copies.dfdc,
            "fakeavceleb": full_copies.fakeavceleb,
            "forgerynet": full_copies.forgerynet,
            "wilddeepfake": full_copies.wilddeepfake,
            "deepfake-eval-2024": full_copies.deepfake_eval,
            "df40": full_copies.df40_paper,
        },
    )
    found, entries = scanned("paper-metric-learning", roots, fast_tmp / "cache")
    there = counts(found.videos)
    trained = {dataset for dataset, split, _ in there if split in ("train", "val")}
    assert trained == {"ffpp", "celebdf", "dfdc", "fakeavceleb", "forgerynet"}
    ffpp = {s: [there["ffpp", s, label] for label in (0, 1)] for s in ("train", "val", "test")}
    assert ffpp == {"train": [720, 3_600], "val": [140, 700], "test": [140, 700]}
    assert set(methods(found.videos, "ffpp", "train")) == {*FF, "FaceShifter"}
    assert sum(n for (d, s, _), n in there.items() if (d, s) == ("celebdf", "test")) == 518
    assert sum(n for (d, s, _), n in there.items() if (d, s) == ("celebdf", "train")) == 6_011
    dfdc = {s: [there["dfdc", s, label] for label in (0, 1)] for s in ("train", "val", "test")}
    assert dfdc == {"train": [19_154, 100_000], "val": [2_000] * 2, "test": [2_500] * 2}
    assert sum(n for (d, *_), n in there.items() if d == "fakeavceleb") == 21_044
    # Only tested: WildDeepfake whole, and the other two as the paper's Table 2 counts them.
    assert [there["wilddeepfake", "test", label] for label in (0, 1)] == [3_805, 3_509]
    assert [there["deepfake-eval-2024", "test", label] for label in (0, 1)] == [112, 964]
    assert [there["df40", "test", label] for label in (0, 1)] == [178, 11_366]
    assert len(methods(found.videos, "df40", "test")) == 21
    tested = clips(found.videos, "test")
    assert len(tested) == 140
    assert not tested & (clips(found.videos, "train") | clips(found.videos, "val"))
    params = config.load(profiles.find("paper-metric-learning"))
    assert contradictions(params, entries, found.videos) == []


def test_sjedd(fast_tmp):
    roots = made(
        fast_tmp,
        {
            "ffpp": full_copies.faceforensics,
            "celebdf": full_copies.celeb_df_v2,
            "dfdc": full_copies.dfdc,
            "deeperforensics": full_copies.deeperforensics,
            "ffsc": full_copies.ffsc,
            "diffusionface": full_copies.diffusionface,
            "diff": full_copies.diff,
        },
    )
    roots["faceshifter"] = roots["ffpp"]
    roots["deeperforensics"] += roots["ffpp"]
    found, entries = scanned("paper-sjedd", roots, fast_tmp / "cache")
    there = counts(found.videos)
    splits = {}
    for dataset, split, _ in there:
        splits.setdefault(dataset, set()).add(split)
    trained_on = {name for name, there_in in splits.items() if there_in == {"train", "val", "test"}}
    assert trained_on == {"ffpp"}
    assert {name for name, there_in in splits.items() if there_in == {"test"}} == (
        set(entries) - trained_on
    )
    assert methods(found.videos, "ffpp", "train") == dict.fromkeys(FF, 720)
    assert methods(found.videos, "ffpp", "test") == dict.fromkeys(FF, 140)
    assert there["ffpp", "train", 0] == 720
    assert [there["celebdf", "test", label] for label in (0, 1)] == [178, 340]
    assert [there["dfdc", "test", label] for label in (0, 1)] == [2_500, 2_500]
    assert [there["faceshifter", "test", label] for label in (0, 1)] == [140, 140]
    assert [there["deeperforensics", "test", label] for label in (0, 1)] == [140, 140]
    assert [there["diffusionface", "test", label] for label in (0, 1)] == [30_000, 30_000]
    assert methods(found.videos, "diff", "test") == {"DiffFace": 20, "DCFace": 20}
    assert there["diff", "test", 0] == 30
    params = config.load(profiles.find("paper-sjedd"))
    assert contradictions(params, entries, found.videos, ["ffpp"]) == []
    reads = {name: counts(read_by(one.data, found.videos)) for name, one in params.runs.items()}
    trained = {
        name: {dataset for dataset, split, _ in kinds if split != "test"}
        for name, kinds in reads.items()
    }
    assert trained == {"sjedd": {"ffpp"}}
    assert profiles.datasets("paper-sjedd").read_bytes() == (
        profiles.datasets("paper-sjedd-ablations").read_bytes()
    )
    # No clip of FaceForensics++ that is tested, under whichever dataset's name, is trained on.
    tested = clips(found.videos, "test")
    assert len(tested) == 140
    assert not tested & (clips(found.videos, "train") | clips(found.videos, "val"))

    on_ffsc = {n: roots[n] for n in ("ffsc", "ffpp", "celebdf", "dfdc", "deeperforensics")}
    found, entries = scanned("paper-sjedd-ffsc", on_ffsc, fast_tmp / "cache")
    splits = {(dataset, split) for dataset, split, _ in counts(found.videos)}
    others = on_ffsc.keys() - {"ffsc"}
    assert splits == {("ffsc", s) for s in ("train", "val", "test")} | {(n, "test") for n in others}
    params = config.load(profiles.find("paper-sjedd-ffsc"))
    assert contradictions(params, entries, found.videos, ["ffsc"]) == []
    for one in params.runs.values():
        read = counts(read_by(one.data, found.videos))
        assert {dataset for dataset, split, _ in read if split != "test"} == {"ffsc"}
