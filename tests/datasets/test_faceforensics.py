import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_all, put_ffpp, put_splits, rejects, rows, run


@pytest.fixture
def root(tmp_path):
    return put_ffpp(tmp_path / "ffpp")


@pytest.fixture
def look(tmp_path):
    def looked(*roots, name="ffpp", **options):
        return run(entry("faceforensics", *roots, name=name, **options), tmp_path / "cache")

    return looked


def test_a_whole_copy(root, look):
    found = look(root)
    # Three pairs: 6 reals and 6 fakes of each of 5 manipulations, a third of them per split.
    assert found.metrics == {
        "inputs": 36,
        "outputs": 36,
        "rejects": 0,
        "left_out": 0,
        **{f"{split}_real": 2 for split in ("train", "val", "test")},
        **{f"{split}_fake": 10 for split in ("train", "val", "test")},
    }
    ids = found.videos.column("video_id").to_pylist()
    assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("method", "category", "shown"),
    [
        ("Deepfakes", "FS", "003"),
        ("FaceSwap", "FS", "003"),
        ("FaceShifter", "FS", "003"),
        ("Face2Face", "RE", "000"),
        ("NeuralTextures", "RE", "000"),
    ],
)
def test_a_fake(root, look, method, category, shown):
    path = f"manipulated_sequences/{method}/c23/videos/000_003.mp4"
    row = rows(look(root))[f"ffpp/{method}/{path.removesuffix('.mp4')}"]
    assert row.pop("bytes") == len(f"{method} 000 003")
    assert len(row.pop("fingerprint")) == len(row.pop("pair_fingerprint")) == 32
    assert row == {
        "video_id": f"ffpp/{method}/{path.removesuffix('.mp4')}",
        "dataset": "ffpp",
        "path": path,
        "media": "video",
        "split": "train",
        "label": 1,
        "method": method,
        "category": category,
        "subtype": "",
        "audio_fake": -1,
        "identity": f"ffpp-id:{shown}",
        "target_id": "ffpp-id:000",
        "source_id": "ffpp-id:003",
        "pair_id": "ffpp:000",
        "leak_group": "ffpp-id:000+ffpp-id:003",
        "compression": "c23",
        "segments_s": [],
        "segments_frames": [],
        "outside": 0,
        "pair_path": "original_sequences/youtube/c23/videos/000.mp4",
        "mask_path": "",
        "mask_fingerprint": "",
    }


def test_a_real(root, look):
    row = rows(look(root))["ffpp/real/original_sequences/youtube/c23/videos/005"]
    assert (row["split"], row["label"], row["method"], row["category"]) == (
        "val",
        0,
        "real",
        "real",
    )
    assert (row["identity"], row["pair_id"]) == ("ffpp-id:005", "ffpp:005")
    assert row["target_id"] == row["source_id"] == ""
    assert row["leak_group"] == "ffpp-id:001+ffpp-id:005"


def test_no_leak_group_is_in_two_splits(root, look):
    splits = {}
    for row in rows(look(root)).values():
        splits.setdefault(row["leak_group"], set()).add(row["split"])
    assert sorted(map(len, splits.values())) == [1, 1, 1]


def test_a_missing_member_is_reported(root, look):
    (root / "manipulated_sequences/FaceSwap/c23/videos/003_000.mp4").unlink()
    found = look(root)
    name = "ffpp/manipulated_sequences/FaceSwap/c23/videos/003_000.mp4"
    assert found.rejected.to_pylist() == [
        {"id": name, "reason": "missing", "detail": "listed in train.json"}
    ]
    assert found.metrics["inputs"] == 36
    assert found.metrics["rejects_missing"] == 1


def test_methods_that_are_not_there_are_not_missed(root, look, tmp_path):
    few = tmp_path / "few"
    put_splits(few, [["000", "003"]], [], [])
    for name in ("000", "003"):
        put(few / f"original_sequences/youtube/c23/videos/{name}.mp4")
    put(few / "manipulated_sequences/Face2Face/c40/videos/000_003.mp4")
    found = look(few)
    assert (found.metrics["outputs"], found.metrics["rejects"]) == (2, 0)


def test_odd_files_are_rejected_and_named(root, look):
    youtube, deepfakes = (
        root / "original_sequences/youtube/c23/videos",
        root / "manipulated_sequences/Deepfakes/c23/videos",
    )
    put(youtube / "777.mp4")  # in no split file
    put(youtube / "trailer.mp4")
    put(youtube / "000.txt")
    put(youtube / "._000.mp4")
    put(youtube / "001.mp4", b"")
    put(youtube / "000.avi")
    put(deepfakes / "000_001.mp4")  # ids of two splits
    put(deepfakes / "777_000.mp4")
    put(deepfakes / "٠٠٠_٠٠٣.mp4")  # noqa: RUF001 - digits, but not ASCII
    put(root / "manipulated_sequences/DeepFake/c23/videos/000_003.mp4")
    put(root / "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4")
    found = look(root)
    youtube_id, deepfakes_id = (
        "ffpp/original_sequences/youtube/c23/videos",
        "ffpp/manipulated_sequences/Deepfakes/c23/videos",
    )
    assert rejects(found) == {
        f"{youtube_id}/777.mp4": "inconsistent",
        f"{youtube_id}/trailer.mp4": "inconsistent",
        f"{youtube_id}/000.txt": "unsupported_media",
        f"{youtube_id}/001.mp4": "empty",
        f"{youtube_id}/000.mp4": "duplicate",
        f"{deepfakes_id}/000_001.mp4": "inconsistent",
        f"{deepfakes_id}/777_000.mp4": "inconsistent",
        f"{deepfakes_id}/٠٠٠_٠٠٣.mp4": "inconsistent",  # noqa: RUF001
        "ffpp/manipulated_sequences/DeepFake": "unsupported_media",
    }
    m = found.metrics
    assert m["outputs"] == 35  # only the empty one is lost
    assert m["inputs"] == m["outputs"] + m["rejects"] + m["left_out"]
    unknown = [r for r in found.rejected.to_pylist() if r["id"].endswith("DeepFake")]
    assert "Did you mean manipulated_sequences/DeepFakes?" in unknown[0]["detail"]


def test_deepfakedetection_is_test(root, look):
    put(root / "original_sequences/actors/c23/videos/01__exit_phone_room.mp4")
    name = "01_02__exit_phone_room__YVGY8LOK"
    put(root / f"manipulated_sequences/DeepFakeDetection/c23/videos/{name}.mp4")
    put(root / "manipulated_sequences/DeepFakeDetection/c23/videos/01_02.mp4")
    found = look(root)
    by_name = {key.rsplit("/", 1)[1]: row for key, row in rows(found).items()}
    real, fake = by_name["01__exit_phone_room"], by_name[name]
    assert (real["split"], real["label"], real["identity"]) == ("test", 0, "ffpp:actor01")
    assert (fake["split"], fake["label"], fake["identity"]) == ("test", 1, "ffpp:actor02")
    assert (fake["target_id"], fake["source_id"]) == ("ffpp:actor01", "ffpp:actor02")
    assert fake["pair_id"] == real["pair_id"] == "ffpp:01__exit_phone_room"
    assert (real["leak_group"], fake["leak_group"]) == ("ffpp:actor01", "ffpp:actor01+ffpp:actor02")
    assert fake["category"] == "FS"
    assert list(rejects(found).values()) == ["inconsistent"]


def test_deepfakedetection_alone_needs_no_splits(tmp_path, look):
    put(tmp_path / "dfd/original_sequences/actors/c40/videos/01__kitchen_pan.mp4")
    found = look(tmp_path / "dfd", compression="c40")
    assert found.metrics["test_real"] == 1


@pytest.mark.parametrize("folder", ["splits", "dataset/splits", "."])
def test_split_files_are_found(root, look, folder):
    for name in ("train", "val", "test"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / f"splits/{name}.json").rename(root / folder / f"{name}.json")
    assert look(root).metrics["outputs"] == 36


@pytest.mark.parametrize("folder", ["raw", "c0"])
@pytest.mark.parametrize("option", ["raw", "c0"])
def test_c0_is_raw(tmp_path, look, folder, option):
    found = look(put_ffpp(tmp_path / "raw", folder), compression=option)
    assert found.metrics["outputs"] == 36
    assert set(found.videos.column("compression").to_pylist()) == {"raw"}


def test_two_roots(root, look, tmp_path):
    other = tmp_path / "other"
    (other / "original_sequences").mkdir(parents=True)
    (root / "original_sequences/youtube").rename(other / "original_sequences/youtube")
    put(other / "original_sequences/youtube/c23/videos/888.mp4")
    found = look(root, other)
    assert found.metrics["outputs"] == 36
    assert "ffpp/real/1/original_sequences/youtube/c23/videos/000" in rows(found)
    assert rejects(found) == {
        "ffpp/1/original_sequences/youtube/c23/videos/888.mp4": "inconsistent"
    }


def test_a_foreign_root(tmp_path, look):
    put(tmp_path / "other/videos/000.mp4")
    with pytest.raises(UserError, match=r"ffpp.*other.*expects original_sequences/youtube"):
        look(tmp_path / "other")


def test_a_compression_that_is_not_there(root, look):
    with pytest.raises(UserError, match=r"no c40 videos .* only c23\."):
        look(root, compression="c40")


def test_an_unknown_compression(root, look):
    with pytest.raises(
        UserError, match="compression is 'c24' but must be one of raw, c0, c23, c40"
    ):
        look(root, compression="c24")


def test_folders_without_a_video(tmp_path, look):
    put_splits(tmp_path / "empty", [], [], [])
    (tmp_path / "empty/original_sequences/youtube/c23/videos").mkdir(parents=True)
    with pytest.raises(UserError, match="ffpp: there is no video below"):
        look(tmp_path / "empty")


def test_split_files_that_are_not_there(root, look):
    (root / "splits/val.json").unlink()
    told = r"train\.json, val\.json and test\.json lie together in none of .*"
    with pytest.raises(UserError, match=f"{told}from dataset/splits of the official"):
        look(root)
    put_splits(root / "docs/lists", [], [], [])
    with pytest.raises(UserError, match=f"{told}Copy them there from .*/docs/lists."):
        look(root)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '["071054"]',
        '[["071"]]',
        '[["71", "54"]]',
        "[[71, 54]]",
        "[" * 99_999,
        " " * 2**21,
    ],
)
def test_a_damaged_split_file(root, look, text):
    put(root / "splits/val.json", text.encode())
    with pytest.raises(UserError, match=r"val\.json is not a JSON list of pairs"):
        look(root)


def test_an_id_in_two_split_files(root, look):
    put(root / "splits/test.json", b'[["002", "000"]]')
    with pytest.raises(UserError, match=r"id 000 is twice .*test\.json and .*train\.json"):
        look(root)


def test_the_official_spelling_need_not_be_kept(root, look):
    parent = root / "manipulated_sequences"
    (parent / "Deepfakes").rename(parent / "DeepFakes")
    found = look(root)
    assert found.metrics["outputs"] == 36
    assert "ffpp/Deepfakes/manipulated_sequences/DeepFakes/c23/videos/000_003" in rows(found)


@pytest.mark.parametrize("level", ["images", "frames"])
def test_folders_of_pictures(tmp_path, look, level):
    root = tmp_path / "frames"
    put_splits(root / "splits", [["000", "003"]], [], [])
    for part, names in (
        ("original_sequences/youtube", ("000", "003")),
        ("manipulated_sequences/FaceSwap", ("000_003", "003_000")),
    ):
        for name in names:
            for number in range(3):
                put(root / f"{part}/c23/{level}/{name}/{number:04}.png", b"png" * (number + 1))
        put(root / f"{part}/c23/landmarks/{names[0]}/0000.npy")
    put(root / f"manipulated_sequences/FaceSwap/c23/{level}/000_003.mp4")
    (root / f"original_sequences/youtube/c23/{level}/003/0001.png").unlink()
    found = look(root)
    row = rows(found)[f"ffpp/FaceSwap/manipulated_sequences/FaceSwap/c23/{level}/000_003"]
    assert (row["media"], row["bytes"], row["split"]) == ("frames", 18, "train")
    real = rows(found)[f"ffpp/real/original_sequences/youtube/c23/{level}/003"]
    assert real["fingerprint"] != row["fingerprint"]
    assert real["bytes"] == 12
    assert rejects(found) == {
        f"ffpp/manipulated_sequences/FaceSwap/c23/{level}/000_003.mp4": "unsupported_media"
    }


def test_videos_come_before_pictures(root, look):
    put(root / "original_sequences/youtube/c23/images/000/0000.png")
    assert look(root).metrics["outputs"] == 36


@pytest.mark.parametrize("original", ["original", "Original"])
def test_the_flat_copy(tmp_path, look, original):
    root = tmp_path / "FaceForensics++_C23"
    put_splits(root / "splits", [["000", "003"]], [], [])
    put_all(
        root,
        f"""
        {original}/{{000,003}}.mp4 Deepfakes/{{000_003,003_000}}.mp4
        NeuralTextures/{{000_003,000_001}}.mp4
        DeepFakeDetection/01_02__exit_phone_room__YVGY8LOK.mp4 csv/FF++_Metadata.csv
        Surprise/1.mp4
        """,
    )
    found = look(root)
    assert {row["path"]: (row["split"], row["method"]) for row in rows(found).values()} == {
        f"{original}/000.mp4": ("train", "real"),
        f"{original}/003.mp4": ("train", "real"),
        "Deepfakes/000_003.mp4": ("train", "Deepfakes"),
        "Deepfakes/003_000.mp4": ("train", "Deepfakes"),
        "NeuralTextures/000_003.mp4": ("train", "NeuralTextures"),
        "DeepFakeDetection/01_02__exit_phone_room__YVGY8LOK.mp4": ("test", "DeepFakeDetection"),
    }
    assert rejects(found) == {
        "ffpp/NeuralTextures/000_001.mp4": "inconsistent",
        "ffpp/NeuralTextures/003_000.mp4": "missing",
        "ffpp/Surprise": "unsupported_media",
    }
    assert set(found.videos["compression"].to_pylist()) == {"c23"}


def test_clips_of_one_youtube_video_are_related(root, look):
    put(root / "conversion_dict.json", b'{"000": "abc-1 0", "001": "abc-1 1", "003": "x y 7"}')
    groups = {
        row["pair_id"]: set(row["leak_group"].split("+"))
        for row in rows(look(root)).values()
        if row["label"] == 0
    }
    assert groups["ffpp:000"] == {"ffpp-id:000", "ffpp-id:003", "youtube:abc-1", "youtube:x y"}
    assert groups["ffpp:000"] & groups["ffpp:001"] == {"youtube:abc-1"}
    assert not groups["ffpp:000"] & groups["ffpp:002"]


@pytest.mark.parametrize("text", [b"", b"[]", b'{"000": 1}'])
def test_a_damaged_conversion_dict(root, look, text):
    put(root / "conversion_dict.json", text)
    with pytest.raises(UserError, match="does not map ids to YouTube videos"):
        look(root)
