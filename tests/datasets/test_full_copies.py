"""Trees with as many files as the full datasets have, under names of the same forms.

Every file is a link to one of a few bytes, in memory where the system offers that.
"""

import csv
import json
import os
import shutil
import tempfile
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

import pytest

from pipeline.config.dataset_entries import SPLIT_RULES, Roles
from pipeline.datasets import base
from pipeline.datasets.celeb_df import LIST
from pipeline.datasets.fakeavceleb import META
from tests.datasets.sketches import tar
from tests.datasets.trees import entry, put, put_splits, run

pytestmark = pytest.mark.slow


@pytest.fixture
def fast_tmp(tmp_path):
    memory = Path("/dev/shm")  # noqa: S108 - where there is one
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


def fill(root, names):
    one = put(root.parent / "one.mp4", b"few")
    for folder, files in names.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        above = f"{root}/{folder}"
        for file in files:
            os.link(one, f"{above}/{file}")


def differences(found, entries):
    """Totals of a full copy that are not there, as (kind, path, expected, found)."""
    (one,) = entries.values()
    compared = base.compare(one, found.videos)
    assert compared
    return [(t.kind, t.path, t.count, n) for t, n in compared if t.count != n]


def test_faceforensics(fast_tmp):
    root = fast_tmp / "ffpp"
    ids = [f"{n:03}" for n in range(1000)]
    pairs = list(zip(ids[::2], ids[1::2], strict=True))
    put_splits(root / "splits", pairs[:360], pairs[360:430], pairs[430:])
    swaps = [f"{a}_{b}.mp4" for a, b in (*pairs, *(pair[::-1] for pair in pairs))]
    actors = [f"{n:02}" for n in range(1, 29)]
    scenes = [f"scene_{letter}" for letter in "abcdefghijklmnop"]
    dfd = islice(product(actors, actors, scenes), 3_068)
    names = {"original_sequences/youtube/c23/videos": [f"{one}.mp4" for one in ids]}
    for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter"):
        names[f"manipulated_sequences/{method}/c23/videos"] = swaps
    names["original_sequences/actors/c23/videos"] = [
        f"{a}__{scene}.mp4" for a, scene in islice(product(actors, scenes), 363)
    ]
    names["manipulated_sequences/DeepFakeDetection/c23/videos"] = [
        f"{a}_{b}__{scene}__ABCDEFGH.mp4" for a, b, scene in dfd
    ]
    fill(root, names)
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
    people = range(59)
    reals = [f"id{a}_{n:04}.mp4" for a, n in islice(product(people, range(10)), 590)]
    youtube = [f"{n:05}.mp4" for n in range(300)]
    fakes = [
        f"id{a}_id{b}_{n:04}.mp4"
        for a, b, n in islice(product(people, people, range(2)), 5_639 + 118)
        if a != b
    ][:5_639]
    lines = [f"0 Celeb-synthesis/{name}" for name in fakes[:340]]
    lines += [f"1 Celeb-real/{name}" for name in reals[:108]]
    lines += [f"1 YouTube-real/{name}" for name in youtube[:70]]
    put(root / LIST, "\n".join(lines).encode())
    fill(root, {"Celeb-real": reals, "YouTube-real": youtube, "Celeb-synthesis": fakes})
    entries = entry("celeb_df", root)
    found = run(entries, fast_tmp / "cache")
    assert differences(found, entries) == []
    assert found.metrics["outputs"] == 6_529
    assert found.metrics["test_real"] + found.metrics["test_fake"] == 518
    assert found.metrics["val_real"] == found.metrics["val_fake"] == 0


def word(n):
    return "".join(chr(97 + n // 26**k % 26) for k in range(10))


def test_dfdc(fast_tmp):
    root = fast_tmp / "dfdc"
    kinds = iter([("REAL", "FAKE")[n >= 19_154] for n in range(119_154)])
    names, total = {}, 0
    for part in range(50):
        # As even as 119,154 files in 50 parts can be.
        here = [f"{word(total + n)}.mp4" for n in range(2_383 + (part < 4))]
        total += len(here)
        about = {name: {"label": next(kinds), "split": "train", "original": None} for name in here}
        put(root / f"dfdc_train_part_{part}/metadata.json", json.dumps(about).encode())
        names[f"dfdc_train_part_{part}"] = here
    for split, count in (("validation", 4_000), ("test", 5_000)):
        here = [f"{word(total + n)}.mp4" for n in range(count)]
        total += count
        text = "".join(f"{name},{n % 2}\n" for n, name in enumerate(here))
        put(root / f"{split}/labels.csv", f"filename,label\n{text}".encode())
        names[split] = here
    assert total == 128_154
    fill(root, names)
    entries = entry("dfdc", root)
    found = run(entries, fast_tmp / "cache")
    assert differences(found, entries) == []
    assert (found.metrics["outputs"], found.metrics["rejects"]) == (128_154, 0)


FAV = {
    "RealVideo-RealAudio": [("real", 500, "{n:05}.mp4")],
    "RealVideo-FakeAudio": [("rtvc", 500, "{n:05}_fake.mp4")],
    "FakeVideo-RealAudio": [
        ("wav2lip", 5_015, "{n:05}_id00001_wavtolip.mp4"),
        ("fsgan", 3_964, "{n:05}_id00001_7qqJVUnHEo4.mp4"),
        ("faceswap", 730, "{n:05}_1.mp4"),
    ],
    "FakeVideo-FakeAudio": [
        ("wav2lip", 4_587, "{n:05}_id00001_wavtolip.mp4"),
        ("fsgan-wav2lip", 3_553, "{n:05}_id00001_7qqJVUnHEo4_id00002_wavtolip.mp4"),
        ("faceswap-wav2lip", 2_695, "{n:05}_1_id00002_wavtolip.mp4"),
    ],
}


def test_fakeavceleb(fast_tmp):
    root = fast_tmp / "fav"
    names, lines = {}, []
    for kind, methods in FAV.items():
        for method, count, form in methods:
            for n in range(count):
                folder = f"{kind}/African/men/id{n % 500:05}"
                name = form.format(n=n)
                names.setdefault(folder, []).append(name)
                lines.append(["s", "-", "-", method, "A", kind, "African", "men", name, folder])
    twice = [line for line in lines if line[3] == "wav2lip" and line[5] == "FakeVideo-FakeAudio"]
    lines += [[*line[:3], "faceswap-wav2lip", *line[4:]] for line in twice[:22]]
    assert len(lines) == 21_566
    header = [
        "source",
        "target1",
        "target2",
        "method",
        "category",
        "type",
        "race",
        "gender",
        "path",
        "",
    ]
    root.mkdir()
    with (root / META).open("w", newline="") as file:
        csv.writer(file).writerows([header, *([*ln[:-1], f"FakeAVCeleb/{ln[-1]}"] for ln in lines)])
    fill(root, names)
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
