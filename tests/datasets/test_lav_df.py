import json

import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put, rejects, rows, run


def said(file, video=False, audio=False, periods=(), original=None, **more):
    return {
        "file": file,
        "original": original,
        "split": file.split("/")[0],
        "modify_video": video,
        "modify_audio": audio,
        "n_fakes": len(periods),
        "fake_periods": list(periods),
        "duration": 8.1,
    } | more


LISTED = [
    said("train/000000.mp4"),
    said("train/000001.mp4", True, True, [[1.2, 1.6]], "train/000000.mp4"),
    said("train/000002.mp4", True, False, [[1.2, 1.6], [3, 4]], "train/000000.mp4"),
    said("dev/000003.mp4", False, True, [[1, 2]], "dev/000009.mp4"),
    said("test/000004.mp4", True, False, [[0, 0.4]], "test/000010.mp4"),
]


@pytest.fixture
def look(tmp_path):
    def looked(listed=LISTED, **params):
        root = tmp_path / "lav"
        put(root / "metadata.json", json.dumps(listed).encode())
        for one in listed:
            put(root / one["file"], one["file"].encode())
        return run(entry("lav_df", root, name="lav"), tmp_path / "cache", **params)

    looked.root = tmp_path / "lav"
    return looked


def test_what_metadata_say(look):
    found = rows(look(audio_only="real"))
    assert {
        row["path"]: [row[c] for c in ("split", "label", "audio_fake", "method", "segments_s")]
        for row in found.values()
    } == {
        "train/000000.mp4": ["train", 0, 0, "real", []],
        "train/000001.mp4": ["train", 1, 1, "wav2lip", [1.2, 1.6]],
        "train/000002.mp4": ["train", 1, 0, "wav2lip", [1.2, 1.6, 3.0, 4.0]],
        "dev/000003.mp4": ["val", 0, 1, "sv2tts", []],
        "test/000004.mp4": ["test", 1, 0, "wav2lip", [0.0, 0.4]],
    }
    train = [row for row in found.values() if row["split"] == "train"]
    assert {(row["pair_id"], row["leak_group"]) for row in train} == {("lav:000000", "lav:000000")}


def test_rejects(look):
    put(look.root / "train/more.mp4")
    listed = [
        *LISTED,
        said("train/5.mp4", None, False),
        said("train/6.mp4", True, False),
        said("test/7.mp4", split="final"),
    ]
    assert rejects(look(listed)) == {
        "lav/dev/000003.mp4": "excluded",
        "lav/train/more.mp4": "inconsistent",
        "lav/train/5.mp4": "unknown_label",
        "lav/train/6.mp4": "inconsistent",
        "lav/test/7.mp4": "inconsistent",
    }


def test_another_root(look):
    with pytest.raises(UserError, match="does not look like"):
        look([said("videos/1.mp4")])
