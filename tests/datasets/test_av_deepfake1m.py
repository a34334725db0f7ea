import json

import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put, rejects, rows, run

CLIP = "vox_celeb_2/id00012/21Uxsk56VDQ/00001"
TALK = "lrs3/0Fi83BHQsMA/00002"


def said(file, kind, visual=(), audio=(), **more):
    return {
        "file": file,
        "original": None if kind == "real" else f"{file.rsplit('/', 1)[0]}/real.mp4",
        "split": "val",
        "modify_type": kind,
        "audio_model": "vits" if "audio" in kind or "both" in kind else None,
        "fake_segments": [*visual, *audio],
        "audio_fake_segments": list(audio),
        "visual_fake_segments": list(visual),
        "video_frames": 100,
        "audio_frames": 64_000,
    } | more


VAL = [
    said(f"{CLIP}/real.mp4", "real"),
    said(f"{CLIP}/fake_video_real_audio.mp4", "visual_modified", [[3.28, 3.46], [5, 5.5]]),
    # A list that gives the voice's part to the picture as well.
    said(f"{CLIP}/real_video_fake_audio.mp4", "audio_modified", [[1, 2]], [[1, 2]]),
    said(f"{TALK}/fake_video_fake_audio.mp4", "both_modified", [[0, 1]], video_model="Diff2Lip"),
]


@pytest.fixture
def look(tmp_path):
    def looked(val=VAL, train=None, missing=(), apart=True, **params):
        root = tmp_path / "av"
        for split, listed in (("val", val), ("train", train or [])):
            if listed:
                put(root / f"{split}_metadata.json", json.dumps(listed).encode())
            for one in listed:
                file = one.get("file")
                if isinstance(file, str) and file not in missing:
                    put(root / (split if apart else "") / file, f"{split}{file}".encode())
        return run(entry("av_deepfake1m", root, name="av"), tmp_path / "cache", **params)

    looked.root = tmp_path / "av"
    return looked


def test_pictures_voices_and_parts(look):
    found = {row["path"].rsplit("/", 1)[1]: row for row in rows(look(audio_only="real")).values()}
    assert {
        name: [row[c] for c in ("label", "audio_fake", "method", "category", "segments_s", "split")]
        for name, row in found.items()
    } == {
        "real.mp4": [0, 0, "real", "real", [], "val"],
        "fake_video_real_audio.mp4": [
            *(1, 0, "av_deepfake1m_unknown", "RE", [3.28, 3.46, 5.0, 5.5], "val")
        ],
        "real_video_fake_audio.mp4": [0, 1, "vits", "real", [], "val"],
        "fake_video_fake_audio.mp4": [1, 1, "Diff2Lip", "RE", [0.0, 1.0], "val"],
    }
    assert {row["subtype"] for row in found.values() if row["label"]} == {"lip_sync"}


def test_people_and_scenes(look):
    found = rows(look(audio_only="real"))
    vox = [row for row in found.values() if "vox" in row["path"]]
    assert {(r["identity"], r["leak_group"]) for r in vox} == {
        ("voxceleb-id:id00012", "voxceleb-id:id00012")
    }
    assert len({row["pair_id"] for row in vox}) == 1
    [talk] = [row for row in found.values() if "lrs3" in row["path"]]
    assert (talk["identity"], talk["leak_group"]) == ("", "av:lrs3/0Fi83BHQsMA")


def test_fake_voices_alone_are_excluded_by_default(look):
    found = look()
    assert rejects(found) == {f"av/val/{CLIP}/real_video_fake_audio.mp4": "excluded"}
    assert found.metrics["outputs"] == 3


@pytest.mark.parametrize("apart", [True, False])
def test_both_splits(look, apart):
    train = [said("vox_celeb_2/id00001/x/00001/real.mp4", "real")]
    found = rows(look(train=train, apart=apart))
    assert sorted(row["split"] for row in found.values()) == ["train", "val", "val", "val"]


def test_gaps_and_bad_entries(look):
    bad = [
        said(f"{CLIP}/a.mp4", "swapped"),
        said(f"{CLIP}/b.mp4", "visual_modified", []),
        said(f"{CLIP}/c.mp4", "visual_modified", [[2, 1]]),
        said(f"{CLIP}/d.mp4", "both_modified", "often"),
        said(f"{CLIP}/gone.mp4", "real"),
        said("silent_videos/x/0/real.mp4", "real"),  # a part that was not downloaded
        said(f"{CLIP}/real.mp4", "both_modified"),
        {"modify_type": "real"},
        said(f"{CLIP}/real.mp4", "real") | {"file": "../../x.mp4"},
    ]
    put(look.root / "val" / CLIP / "extra.mp4")
    gone = (f"{CLIP}/gone.mp4", "silent_videos/x/0/real.mp4", "../../x.mp4")
    found = look([*VAL, *bad], missing=gone)
    assert rejects(found) == {
        f"av/val/{CLIP}/a.mp4": "unknown_label",
        f"av/val/{CLIP}/b.mp4": "inconsistent",
        f"av/val/{CLIP}/c.mp4": "inconsistent",
        f"av/val/{CLIP}/d.mp4": "inconsistent",
        f"av/val/{CLIP}/gone.mp4": "missing",
        f"av/val/{CLIP}/extra.mp4": "inconsistent",
        f"av/val/{CLIP}/real.mp4": "duplicate",
        f"av/val/{CLIP}/real_video_fake_audio.mp4": "excluded",
        "av/val_metadata.json#12": "inconsistent",
        "av/val_metadata.json#13": "inconsistent",
    }
    assert found.metrics["outputs"] == 3


def test_another_root(look):
    put(look.root / "val/x.mp4")
    with pytest.raises(UserError, match="does not look like"):
        look(val=[])


def test_a_damaged_list(look):
    put(look.root / "val_metadata.json", b"[{")
    put(look.root / "val/vox_celeb_2/id00001/x/0/real.mp4")
    with pytest.raises(UserError, match=r"val_metadata\.json is not a JSON list.*official"):
        look(val=[])
