"""Pairs and masks of fakes, as adapters and ``scan`` find them."""

import json

from pipeline.datasets import pairs
from pipeline.datasets.base import Rejected, Video
from tests.datasets.trees import entry, put, put_all, put_ffpp, rows, run


def video(name, label, **about):
    return Video(f"/data/{name}", name, "train", label, "m" if label else "real", **about)


def test_a_pair_is_the_one_real_of_the_same_scene():
    listed = [
        video("fake", 1, pair_id="a", aligned=True),
        video("other way", 1, pair_id="a"),
        video("real", 0, pair_id="a"),
        video("lonely", 1, pair_id="b", aligned=True),
        video("of two", 1, pair_id="c", aligned=True),
        video("one", 0, pair_id="c"),
        video("another", 0, pair_id="c"),
        video("pictures", 1, pair_id="a", aligned=True, media="frames"),
        video("no scene", 1, aligned=True),
        video("of no scene", 0),
        Rejected("x", "missing"),
    ]
    found = list(pairs.apply(listed))
    assert [item.path for item in found] == [item.path for item in listed]
    named = {v.path: v.pair.path for v in found if isinstance(v, Video) and v.pair}
    assert named == {"fake": "real"}


def test_masks_and_pairs_of_faceforensics(tmp_path):
    root = put_ffpp(tmp_path / "ffpp")
    masks = root / "manipulated_sequences/Deepfakes/masks/videos"
    put(masks / "000_003.mp4", b"mask")
    put_all(
        root,
        """original_sequences/actors/c23/videos/01__exit_phone_room.mp4
        manipulated_sequences/DeepFakeDetection/c23/videos/01_02__exit_phone_room__YVGY8LOK.mp4
        manipulated_sequences/DeepFakeDetection/masks/videos/01_02__exit_phone_room__YVGY8LOK.mp4""",
    )
    before = rows(run(entry("faceforensics", root), tmp_path / "cache"))
    above = "manipulated_sequences"
    deepfakes = before[f"ds/Deepfakes/{above}/Deepfakes/c23/videos/000_003"]
    assert deepfakes["pair_path"] == "original_sequences/youtube/c23/videos/000.mp4"
    assert deepfakes["mask_path"] == f"{above}/Deepfakes/masks/videos/000_003.mp4"
    without = before[f"ds/FaceShifter/{above}/FaceShifter/c23/videos/000_003"]
    assert (without["pair_path"], without["mask_path"]) == (deepfakes["pair_path"], "")
    name = "01_02__exit_phone_room__YVGY8LOK"
    actors = before[f"ds/DeepFakeDetection/{above}/DeepFakeDetection/c23/videos/{name}"]
    assert actors["pair_path"] == "original_sequences/actors/c23/videos/01__exit_phone_room.mp4"
    assert actors["mask_path"] == f"{above}/DeepFakeDetection/masks/videos/{name}.mp4"
    reals = [row for row in before.values() if not row["label"]]
    assert {row["pair_path"] + row["mask_path"] for row in reals} == {""}

    put(masks / "000_003.mp4", b"another mask")
    after = rows(run(entry("faceforensics", root), tmp_path / "cache"))
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {deepfakes["video_id"]}
    new = after[deepfakes["video_id"]]
    assert {k for k in new if new[k] != deepfakes[k]} == {"mask_fingerprint"}


def test_pairs_of_dfdc_celeb_df_and_uadfv(tmp_path):
    part = tmp_path / "dfdc/dfdc_train_part_0"
    facts = {"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "FAKE", "original": "a.mp4"}}
    put(part / "metadata.json", json.dumps(facts).encode())
    put_all(part, "{a,b}.mp4")
    celeb = put_all(
        tmp_path / "celeb",
        """Celeb-real/{id0_0000,id1_0000}.mp4 Celeb-synthesis/{id0_id1_0000}.mp4
        Celeb-synthesis/FaceReenact/DaGAN/id1_id0_0000.mp4
        Celeb-synthesis/FaceSwap/Celeb-DF-v2/id0_id1_0000.mp4""",
    )
    put(celeb / "List_of_testing_videos.txt", b"1 Celeb-real/id0_0000.mp4\n")
    uadfv = put_all(tmp_path / "uadfv", "real/0000.mp4 fake/0000_fake.mp4")
    entries = (
        entry("dfdc", tmp_path / "dfdc", name="dfdc")
        | entry("celeb_df", celeb, name="celeb")
        | entry("uadfv", uadfv, name="uadfv")
    )
    found = rows(run(entries, tmp_path / "cache"))
    named = {row["path"]: row["pair_path"] for row in found.values() if row["label"]}
    assert named == {
        "dfdc_train_part_0/b.mp4": "dfdc_train_part_0/a.mp4",
        "Celeb-synthesis/FaceSwap/Celeb-DF-v2/id0_id1_0000.mp4": "Celeb-real/id0_0000.mp4",
        "Celeb-synthesis/FaceReenact/DaGAN/id1_id0_0000.mp4": "",
        "fake/0000_fake.mp4": "real/0000.mp4",
    }
    prints = {row["path"]: row["fingerprint"] for row in found.values()}
    for row in found.values():
        assert row["pair_fingerprint"] == prints.get(row["pair_path"], "")
