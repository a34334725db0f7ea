import pytest

from pipeline.datasets.deeperforensics import VARIANTS
from pipeline.errors import UserError
from tests.datasets.sketches import sketch
from tests.datasets.trees import entry, put, put_ffpp, put_splits, rejects, rows, run

SPLITS = {"train": "000_M101 003_W004", "val": "001_M004", "test": "002_W004 004_M101 005_M004"}


@pytest.fixture
def roots(tmp_path):
    own = tmp_path / "DeeperForensics-1.0"
    for split, names in SPLITS.items():
        put(
            own / f"lists/splits/{split}.txt", "".join(f"{n}.mp4\n" for n in names.split()).encode()
        )
        for name in names.split():
            for variant in ("end_to_end", "end_to_end_level_1"):
                put(own / f"manipulated_videos/{variant}/{name}.mp4", name.encode())
    sketch(own, "source_videos/M101/light_up/happy/camera_up/M101_light_up_happy_camera_up.mp4")
    return own, put_ffpp(tmp_path / "ff++")


@pytest.fixture
def look(tmp_path):
    def looked(*roots, split_seed=0, **options):
        entries = entry("deeperforensics", *roots, name="dfo", **options)
        return run(entries, tmp_path / "cache", split_seed=split_seed)

    return looked


def test_the_official_split(roots, look):
    found = look(*roots)
    table = rows(found)
    assert not rejects(found)
    assert {s: found.metrics[f"{s}_fake"] for s in SPLITS} == {"train": 4, "val": 2, "test": 6}
    fake = table["dfo/end_to_end/0/manipulated_videos/end_to_end/004_M101"]
    assert {
        key: fake[key] for key in ("split", "category", "identity", "target_id", "source_id")
    } == {
        "split": "test",
        "category": "FS",
        "identity": "dfo:M101",
        "target_id": "ffpp-id:004",
        "source_id": "dfo:M101",
    }
    assert fake["leak_group"] == "dfo:M101+ffpp-id:004"
    # A real goes with the fake that was made of its clip.
    reals = {r["identity"]: r["split"] for r in table.values() if r["label"] == 0}
    assert reals == {
        f"ffpp-id:{name[:3]}": split for split, names in SPLITS.items() for name in names.split()
    }
    real = table["dfo/real/1/original_sequences/youtube/c23/videos/004"]
    assert (real["pair_id"], real["compression"]) == (fake["pair_id"], "c23")


def test_the_test_clips_of_faceforensics(roots, look):
    """As the SJEDD paper uses it: reals and fakes of clips 002 and 004, the test pair."""
    found = look(*roots, split="ffpp_test", variant="end_to_end")
    assert {
        (row["split"], row["method"], row["target_id"] or row["identity"])
        for row in rows(found).values()
    } == {
        ("test", "real", "ffpp-id:002"),
        ("test", "real", "ffpp-id:004"),
        ("test", "end_to_end", "ffpp-id:002"),
        ("test", "end_to_end", "ffpp-id:004"),
    }
    assert rejects(found).pop("dfo/0/manipulated_videos/end_to_end_level_1") == "excluded"
    assert list(rejects(found).values()) == ["excluded"] * (1 + 4 + 4)


def test_without_the_originals(roots, look):
    assert look(roots[0]).metrics["outputs"] == 12


def test_odd_and_missing_files(roots, look):
    videos = roots[0] / "manipulated_videos"
    sketch(
        videos,
        """
        end_to_end/{005_M999,trailer}.mp4
        end_to_end/notes.txt
        end_to_end_level_6/000_M101.mp4
        """,
    )
    (videos / "end_to_end/000_M101.mp4").unlink()
    (roots[1] / "original_sequences/youtube/c23/videos/004.mp4").unlink()
    top = "dfo/0/manipulated_videos"
    assert rejects(look(*roots)) == {
        f"{top}/end_to_end/005_M999.mp4": "inconsistent",
        f"{top}/end_to_end/trailer.mp4": "inconsistent",
        f"{top}/end_to_end/notes.txt": "unsupported_media",
        f"{top}/end_to_end_level_6": "unsupported_media",
        f"{top}/end_to_end/000_M101.mp4": "missing",
        "dfo/1/original_sequences/youtube/c23/videos/004.mp4": "missing",
    }


def test_fakes_of_clips_drawn_from_all(tmp_path, look):
    """As the released code of the SJEDD paper draws them; the reals are those of the test clips."""
    own, ffpp = tmp_path / "own", tmp_path / "ffpp"
    clips = [f"{n:03d}" for n in range(40)]
    pairs = [[a, b] for a, b in zip(clips[::2], clips[1::2], strict=True)]
    put_splits(ffpp / "splits", pairs[:12], pairs[12:14], pairs[14:])
    sketch(ffpp, f"original_sequences/youtube/c23/videos/{{{','.join(clips)}}}.mp4")
    sketch(own, f"manipulated_videos/end_to_end/{{{','.join(f'{c}_M101' for c in clips)}}}.mp4")
    found = rows(look(own, ffpp, split="ffpp_random", variant="end_to_end")).values()
    assert {row["split"] for row in found} == {"test"}
    reals = {row["target_id"] or row["identity"] for row in found if row["label"] == 0}
    fakes = {row["target_id"] for row in found if row["label"] == 1}
    assert reals == {f"ffpp-id:{clip}" for clip in clips[28:]}
    assert len(fakes) == len(reals) == 12
    assert fakes - reals
    other = rows(look(own, ffpp, split="ffpp_random", split_seed=1)).values()
    assert {row["target_id"] for row in other if row["label"] == 1} != fakes


def test_eleven_variants():
    assert len(VARIANTS) == len(set(VARIANTS)) == 11


def test_mistakes(roots, look, tmp_path):
    with pytest.raises(UserError, match="expects manipulated_videos"):
        look(roots[1])
    put(roots[0] / "lists/splits/val.txt", b"000_M101.mp4\n")
    with pytest.raises(
        UserError, match=r"val\.txt, line 1: '000_M101\.mp4' is no name .* in two splits"
    ):
        look(*roots)
    (roots[0] / "lists/splits/val.txt").unlink()
    with pytest.raises(UserError, match="Unpack the lists there, or set option split: ffpp_test"):
        look(*roots)
    sketch(roots[0], "splits/{train,val,test}.txt")
    with pytest.raises(UserError, match=r"Move those of .*/splits there, or set option split"):
        look(*roots)
