"""Trees with as many files as the full datasets have, under names of the same forms; see there."""

import json

import pytest

from pipeline.datasets.av_deepfake1m import METADATA
from pipeline.datasets.talkingheadbench import LIST
from tests.datasets.full_copies import fill
from tests.datasets.test_full_copies import differences
from tests.datasets.trees import entry, put, run

pytestmark = pytest.mark.slow


def test_av_deepfake1m_val(fast_tmp):
    root = fast_tmp / "av"
    kinds = {
        "real": ("real.mp4", 20_220),
        "visual_modified": ("fake_video_real_audio.mp4", 19_099),
        "audio_modified": ("real_video_fake_audio.mp4", 18_938),
        "both_modified": ("fake_video_fake_audio.mp4", 19_069),
    }
    names, listed = {}, []
    for kind, (name, count) in kinds.items():
        for n in range(count):
            folder = f"vox_celeb_2/id{n % 900:05}/clip{n % 100}/{n:05}"
            names.setdefault(f"val/{folder}", []).append(name)
            listed.append(
                {
                    "file": f"{folder}/{name}",
                    "original": f"{folder}/real.mp4",
                    "split": "val",
                    "modify_type": kind,
                    "visual_fake_segments": [[1.0, 1.5]],
                }
            )
    put(root / METADATA["val"], json.dumps(listed, indent=1).encode())
    fill(root, names)
    entries = entry("av_deepfake1m", root)
    found = run(entries, fast_tmp / "cache", audio_only="real")
    assert differences(found, entries) == []
    assert (found.metrics["outputs"], found.metrics["rejects"]) == (77_326, 0)


def test_ffiw(fast_tmp):
    root = fast_tmp / "ffiw"
    counts = {"train": 8_000, "val": 250, "test": 1_738}
    names = {
        f"{kind}/{split}": [f"{n:08}.mp4" for n in range(count)]
        for kind in ("source", "target")
        for split, count in counts.items()
    }
    fill(root, names)
    entries = entry("ffiw", root)
    found = run(entries, fast_tmp / "cache")
    assert differences(found, entries) == []
    assert found.metrics["outputs"] == 19_976


def test_talkingheadbench(fast_tmp):
    root = fast_tmp / "thb"
    core = {
        "LivePortrait": 529,
        "AniPortraitAudio": 542,
        "AniPortraitVideo": 422,
        "Hallo": 420,
        "Hallo2": 432,
        "EmoPortrait": 573,
    }
    ids = [f"{n:03}.mp4" for n in range(1000)]
    clips = [f"clip_{n}.mp4" for n in range(1_608)]
    splits = {"Train": slice(0, 720), "Val": slice(720, 860), "Test": slice(860, None)}
    listed = {
        name: {"FaceForensics++": ids[part], "CelebV-HQ": clips[part]}
        for name, part in splits.items()
    }
    put(root / "real" / LIST, json.dumps(listed).encode())
    names = {}
    for generator, count in core.items():
        for n in range(count):
            folder = f"fake/{generator}/{('train', 'val', 'test')[n % 3]}"
            names.setdefault(folder, []).append(f"{n:05}--clip_{n}--{generator}.mp4")
    names["fake/additional_dataset/MAGI-1"] = [f"{n:05}.mp4" for n in range(66)]
    names["fake/additional_dataset/Hallo3"] = [f"{n:05}-clip_{n}.mp4" for n in range(10)]
    fill(root, names)
    ffpp, celebv = fast_tmp / "ffpp", fast_tmp / "celebv"
    fill(ffpp, {"original_sequences/youtube/c23/videos": ids})
    fill(celebv, {"videos": clips})
    entries = entry("talkingheadbench", root, ffpp, celebv)
    found = run(entries, fast_tmp / "cache")
    assert differences(found, entries) == []
    assert found.metrics["outputs"] == 2_994 + 1_000 + 1_608
    assert found.metrics["rejects"] == 0
