"""Makers of trees with as many files as the full datasets have, under names of the same forms.

Every file is a link to one of a few bytes, in memory where the system offers that.
"""

import csv
import json
import os
from itertools import islice, product
from pathlib import Path

from pipeline.datasets import df40
from pipeline.datasets.celeb_df import LIST
from pipeline.datasets.fakeavceleb import META
from tests.datasets.test_forgerynet import line
from tests.datasets.trees import put, put_splits


def fill(root, names):
    one = put(root.parent / "one.mp4", b"few")
    for folder, files in names.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        above = f"{root}/{folder}"
        for file in files:
            os.link(one, f"{above}/{file}")


def faceforensics(root: Path) -> None:
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


def celeb_df_v2(root: Path) -> None:
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


def word(n):
    return "".join(chr(97 + n // 26**k % 26) for k in range(10))


def dfdc(root: Path) -> None:
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


def fakeavceleb(root: Path) -> None:
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


def wilddeepfake(root: Path) -> None:
    """7,314 sequences of one picture, as the unpacked tars lie."""
    counts = {"real_train": 3_409, "real_test": 396, "fake_train": 3_099, "fake_test": 410}
    names = {}
    for top, count in counts.items():
        label = top.partition("_")[0]
        for n in range(count):
            names[f"{top}/{n // 10}/{label}/{n}"] = ["000.png"]
    fill(root, names)


def deepfake_eval(root: Path) -> None:
    """The video part: 112 real and 964 fake, of which some are for fine-tuning, and 960 unknown."""
    labels = ["Real"] * 112 + ["Fake"] * 964 + ["Unknown"] * 960
    head = "Filename,Date,Video Ground Truth,Audio Ground Truth,Public Comments,Finetuning Set,Link"
    rows = [
        f"v{n}.mp4,2024-01-01,{label},Unknown,,{('train', 'test')[n % 2]},x"
        for n, label in enumerate(labels)
    ]
    put(root / "video-metadata-publish.csv", "\n".join([head, *rows]).encode())
    fill(root, {"video-data": [f"v{n}.mp4" for n in range(len(labels))]})


def df40_paper(root: Path) -> None:
    """Celeb-DF material: 178 reals and 11,366 fakes of the paper's methods, and some of others."""
    methods = df40.PAPER_METHODS
    names = {f"Celeb-DF-v2/Celeb-real/frames/id{n}_{n:04}": ["000.png"] for n in range(108)}
    names |= {f"Celeb-DF-v2/YouTube-real/frames/{n:05}": ["000.png"] for n in range(70)}
    for n in range(11_366):
        clip = n // len(methods)
        folder = f"{methods[n % len(methods)]}/cdf/frames/id{clip % 59}_id{clip % 58}_{clip:04}"
        names[folder] = ["000.png"]
    names |= {f"heygen/cdf/frames/id1_id2_{n:04}": ["000.png"] for n in range(5)}
    fill(root, names)


def forgerynet(root: Path) -> None:
    """4,000 videos to train on and 1,000 to test; the totals of these parts are not published."""
    for part, release, count in (("Training", "train", 4_000), ("Validation", "val", 1_000)):
        names, lines = {}, []
        for n in range(count):
            fake, one = n % 2, f"{release}{n:026x}"
            inside = f"{1 + n % 8}/{one}/b{one}" if fake else f"16/c{one}"
            folder = f"{release}_video_release/{inside}"
            names[f"{part}/video/{folder}"] = ["video.mp4"]
            method = 1 + n % 8 if fake else 0
            lines.append(line(f"{folder}/video.mp4", fake, method, (0, 75, fake)))
        put(root / part / "video_list.txt", "\n".join(lines).encode())
        fill(root, names)


def deeperforensics(root: Path) -> None:
    """1,000 swaps, one onto each clip of FaceForensics++."""
    names = [f"{n:03}_M{101 + n % 53}.mp4" for n in range(1000)]
    fill(root, {"manipulated_videos/end_to_end": names})


def ffsc(root: Path) -> None:
    """Some frames of each folder; its authors publish no totals."""
    frames = [f"{n:04}.png" for n in range(20)]
    clip, other = "_-926WzaH2A_215", "pNqmJjTr2PA_107"
    names = {f"{split}/Real/AVSpeech/{clip}": frames for split in ("Train", "Val", "Test")}
    for split, methods in {
        "Train": ("simswap", "fsgan", "BlendFace", "diffae-age", "StyleRes-expr", "TPS-pose"),
        "Val": ("simswap", "diffae-age"),
        "Test/Protocol-1": ("InfoSwap",),
        "Test/Protocol-2": ("HFGI-age",),
    }.items():
        for method in methods:
            names[f"{split}/{method}/{clip}_2_{other}"] = frames
    fill(root, names)


def diffusionface(root: Path) -> None:
    """30,000 pictures of DiffSwap, as many reals, and some of another method."""
    pictures = [f"{n:05}.png" for n in range(30_000)]
    fill(root, {"Real": pictures, "DiffSwap": pictures, "ADM": pictures[:100]})


def diff(root: Path) -> None:
    """Two face swaps and pictures from text in each split; totals by method are not known."""
    names = {}
    for split in ("train", "val", "test"):
        names[f"DiFF_real/{split}"] = [f"{n}.jpg" for n in range(30)]
        for method in ("FS/DiffFace", "FS/DCFace", "T2I/Midjourney"):
            names[f"DiFF/{split}/{method}"] = [f"{n}.jpg" for n in range(20)]
    fill(root, names)
