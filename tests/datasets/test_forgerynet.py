import shutil

import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_all, rejects, rows, run

H = [f"{n:032x}" for n in range(40)]


def line(path, label, method, *segments):
    numbers = " ".join(f"{start} {frames} {fake}" for start, frames, fake in segments)
    return f"{len(segments)} {path} {numbers} {label} {2 * label} {method}"


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "fn"
    training, validation = "train_video_release", "val_video_release"
    fake = f"{training}/4/{H[1]}/{H[2]}/video.mp4"
    put(root / "Training/video" / fake)
    put(root / f"Validation/video/{validation}/6/{H[3]}/{H[4]}/video.mp4")
    put_all(
        root,
        f"""
        Training/video/{training}/18/{H[2]}/video.mp4
        Training/video/{training}/2/{H[1]}/{H[2]}/video.mp4
        Training/video/{training}/8/{H[5]}/{H[2]}/video.mp4
        Validation/video/{validation}/16/{H[6]}/video.mp4
        Training/spatial_localize/{training}/4/mask.png
        """,
    )
    train = [
        line(fake, 1, 4, (0, 10, 0), (10, 35, 1), (45, 30, 0)),
        line(f"{training}/18/{H[2]}/video.mp4", 0, 0, (0, 75, 0)),
    ]
    val = [
        line(f"{validation}/6/{H[3]}/{H[4]}/video.mp4", 1, 6, (0, 75, 1)),
        line(f"{validation}/16/{H[6]}/video.mp4", 0, 0, (0, 75, 0)),
    ]
    put(root / "Training/video_list.txt", "\n".join(train).encode())
    put(root / "Validation/video_list.txt", "\n".join(val).encode())
    return root


@pytest.fixture
def look(tmp_path):
    def looked(*roots, options=None, **params):
        entries = entry("forgerynet", *roots, name="fn", **(options or {}))
        return run(entries, tmp_path / "cache", **params)

    return looked


def by_folder(found):
    """Rows by the number of their folder."""
    return {int(row["path"].split("/")[3]): row for row in rows(found).values()}


def test_rows(root, look):
    found = look(root, options={"val": "none"})
    assert {
        folder: (row["split"], row["label"], row["method"], row["segments_frames"])
        for folder, row in by_folder(found).items()
    } == {
        4: ("train", 1, "BlendFace", [10, 45]),
        18: ("train", 0, "real", []),
        2: ("train", 1, "FS-GAN", []),
        8: ("train", 1, "ATVG-Net", []),
        6: ("test", 1, "DeepFakes-StarGAN-Stack", [0, 75]),
        16: ("test", 0, "real", []),
    }
    assert found.metrics["rejects"] == 0


def test_hashes(root, look):
    found = by_folder(look(root))
    columns = ("target_id", "source_id", "pair_id", "leak_group")
    assert [found[4][c] for c in columns] == [
        f"fn:{H[2]}",
        f"fn:{H[1]}",
        f"fn:{H[2]}",
        f"fn:{H[1]}+fn:{H[2]}",
    ]
    assert [found[18][c] for c in columns] == ["", "", f"fn:{H[2]}", f"fn:{H[2]}"]
    # What drives a talking head ties nothing together.
    assert found[8]["leak_group"] == f"fn:{H[2]}"


def test_the_switch_of_method_6(root, look):
    assert by_folder(look(root))[6]["category"] == "RE"
    assert by_folder(look(root, forgerynet_6="official"))[6]["category"] == "FS"


def test_folders_absent_from_the_list_only_where_all_are(root, look):
    video = f"train_video_release/2/{H[7]}/{H[8]}/video.mp4"
    put(root / "Training/video" / video, b"x")
    with (root / "Training/video_list.txt").open("a") as file:
        file.write("\n" + line(video, 1, 2, (0, 5, 1)))
    assert rejects(look(root)) == {
        f"fn/Training/video/train_video_release/2/{H[1]}/{H[2]}/video.mp4": "inconsistent"
    }


def test_gaps_and_conflicts(root, look):
    release = "train_video_release"
    with (root / "Training/video_list.txt").open("a") as file:
        file.write(f"\n{line(f'{release}/4/{H[9]}/{H[10]}/video.mp4', 1, 4, (0, 5, 1))}\n")
        file.write(line(f"{release}/5/{H[9]}/{H[10]}/video.mp4", 1, 5, (0, 5, 1)) + "\n")
        file.write(line(f"{release}/18/{H[11]}/video.mp4", 1, 4, (0, 5, 1)) + "\n")
        file.write("3 too few 1\n")
        file.write(line(f"{release}/3/{H[12]}/{H[13]}/video.mp4", 1, 3, (0, 5, 0)) + "\n")
    put_all(
        root / "Training/video" / release,
        f"18/{H[11]}/video.mp4 4/{H[14]}/{H[15]}/video.mp4 4/{H[14]}/{H[15]}/notes.txt",
    )
    above = f"fn/Training/video/{release}"
    found = look(root)
    assert rejects(found) == {
        f"{above}/4/{H[9]}/{H[10]}/video.mp4": "missing",  # folder 5 is not there at all
        f"{above}/18/{H[11]}/video.mp4": "inconsistent",
        f"{above}/4/{H[14]}/{H[15]}/video.mp4": "inconsistent",
        f"{above}/4/{H[14]}/{H[15]}/notes.txt": "unsupported_media",
        "fn/Training/video_list.txt": "inconsistent",
    }
    damaged = [r["detail"] for r in found.rejected.to_pylist() if "video_list" in r["id"]]
    assert damaged == ["line 6 is damaged", "line 7 is damaged"]


def test_our_val_keeps_related_videos_together(tmp_path, look):
    root = tmp_path / "many"
    lines = []
    for n in range(80):
        one, other = f"{2 * n:032x}", f"{2 * n + 1:032x}"
        for path in (f"2/{one}/{other}", f"18/{one}", f"19/{other}"):
            put(root / f"Training/video/train_video_release/{path}/video.mp4", path.encode())
            if not path.startswith("2"):
                full = f"train_video_release/{path}/video.mp4"
                lines.append(line(full, 0, 0, (0, 75, 0)))
    put(root / "Training/video_list.txt", "\n".join(lines).encode())
    found = rows(look(root))
    assert len(found) == 240
    of = {}
    for row in found.values():
        for one in row["leak_group"].split("+"):
            of.setdefault(one, set()).add(row["split"])
    assert {len(splits) for splits in of.values()} == {1}
    val = sum(row["split"] == "val" for row in found.values()) / 3
    assert 2 <= val <= 24  # 10 of 80 on average
    assert {row["split"] for row in rows(look(root, options={"val": "none"})).values()} == {"train"}


def test_images(root, look):
    put_all(
        root,
        f"""
        Training/image/train_image_release/11/{H[1]}/{{a,b}}.jpg
        Training/image/train_image_release/19/{H[2]}/c.png
        Training/image/train_image_release/4/{H[3]}/{H[4]}/d.png
        """,
    )
    release = "train_image_release"
    put(
        root / "Training/image_list.txt",
        f"{release}/11/{H[1]}/a.jpg 1 1 12\n{release}/11/{H[1]}/b.jpg 1 1 11\n"
        f"{release}/19/{H[2]}/c.png 0 0 0\n{release}/4/{H[3]}/{H[4]}/d.png 0 0 4\n".encode(),
    )
    shutil.rmtree(root / "Validation")
    found = look(root, options={"part": "image", "val": "none"})
    # Where the list says another method, the folder wins; another label is an error.
    assert {row["path"][-5:]: (row["method"], row["media"]) for row in rows(found).values()} == {
        "a.jpg": ("StyleGAN2", "image"),
        "b.jpg": ("StyleGAN2", "image"),
        "c.png": ("real", "image"),
    }
    assert rejects(found) == {f"fn/Training/image/{release}/4/{H[3]}/{H[4]}/d.png": "inconsistent"}


def test_a_part_that_was_not_downloaded(root, look):
    with pytest.raises(UserError, match="there is no video below"):
        look(root, options={"part": "image"})


def test_without_a_list(root, look):
    (root / "Validation/video_list.txt").unlink()
    with pytest.raises(UserError, match=r"no Validation/video_list\.txt below"):
        look(root)


def test_a_foreign_root(tmp_path, look):
    put(tmp_path / "other/train/1.mp4")
    with pytest.raises(UserError, match="does not look like a dataset of adapter forgerynet"):
        look(tmp_path / "other")
