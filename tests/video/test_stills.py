"""Sequences of still images: folders, single images, tars."""

import io
import os
import struct
import tarfile
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceshards.image_header import read_header
from pipeline.config.params import FramesParams, Sampling
from pipeline.errors import Reject
from pipeline.video.plan import FramesTask, sampling_text
from pipeline.video.reader import enough, open_reader
from pipeline.video.stills import natural, open_stills, probe_stills
from tests.video.clips import number_of, numbered

SIDE_PX = 4096


def encoded(number: int, kind: str = ".png") -> bytes:
    return cv2.imencode(kind, numbered(number))[1].tobytes()


def folder_of(folder: Path, names: dict[str, bytes]) -> str:
    for name, data in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return str(folder)


def tar_of(path: Path, names: dict[str, bytes], *, gzipped: bool = False, **options) -> Path:
    with tarfile.open(path, "w:gz" if gzipped else "w", **options) as archive:
        for name, data in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def numbers(media: str, location: str, times_s, reader=None) -> dict[int, int]:
    with reader or open_reader(media, location, SIDE_PX) as source:
        return {s: number_of(p.image) for p in source.frames_at(times_s) for s in p.samples}


def reason(call, *arguments) -> str:
    with pytest.raises(Reject) as caught:
        call(*arguments)
    return caught.value.reason


SCRAMBLED = {f"{i}.png": encoded(i) for i in (10, 9, 100, 0, 1, 11, 2)}
INDEX = {0: 0, 1: 1, 2: 2, 3: 9, 4: 10, 5: 11, 6: 100}


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=2), st.sampled_from(["", "f_", "a1_"]))
def test_names_are_ordered_by_their_numbers(values, prefix):
    names = [f"{prefix}{value}.png" for value in values]
    assert sorted(names, key=natural) == [f"{prefix}{value}.png" for value in sorted(values)]


@given(st.lists(st.text("ab1009._-", min_size=1), unique=True))
def test_no_two_names_are_alike(names):
    assert len({tuple(natural(name)) for name in names}) == len(names)


def test_a_folder(tmp_path):
    location = folder_of(
        tmp_path, {**SCRAMBLED, "notes.txt": b"x", ".hidden.png": b"", "s/1.png": b""}
    )
    facts = probe_stills("frames", location, SIDE_PX)
    assert (facts.container, facts.codec) == ("frames", "png")
    assert (facts.width_px, facts.height_px) == (128, 32)
    assert (facts.duration_s, facts.frame_count, facts.average_fps) == (7.0, 7, -1.0)
    assert numbers("frames", location, range(9)) == INDEX
    assert numbers("frames", location, [6.9, 3.0, 3.5]) == {0: 100, 1: 9, 2: 9}


def test_each_image_is_given_once_in_order(tmp_path):
    with open_reader("frames", folder_of(tmp_path, SCRAMBLED), SIDE_PX) as reader:
        images = list(reader.frames_at([4.0, 0.0, 4.0, 2.0]))
    assert [(p.samples, p.pts) for p in images] == [((1,), 0), ((3,), 2), ((0, 2), 4)]
    assert reader.end_s == 7


@pytest.mark.parametrize("kind", [".png", ".jpg", ".webp", ".bmp"])
def test_one_image(tmp_path, kind):
    path = tmp_path / f"a{kind}"
    path.write_bytes(encoded(77, kind))
    assert probe_stills("image", str(path), SIDE_PX).frame_count == 1
    assert numbers("image", str(path), [0.0]) == {0: 77}


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("inside", ["1/real/7", "./1/real/7", "ü" * 60 + "/7"])
def test_a_folder_in_a_tar(tmp_path, gzipped, form, inside):
    names = {f"{inside}/{name}": data for name, data in SCRAMBLED.items()}
    others = {"1/real/8/0.png": encoded(200), f"{inside}/deeper/0.png": encoded(201)}
    tar = tar_of(tmp_path / "1.tar.gz", {**others, **names}, gzipped=gzipped, format=form)
    location = f"{tar}!{inside.removeprefix('./')}"
    facts = probe_stills("tar", location, SIDE_PX)
    assert (facts.container, facts.codec, facts.frame_count) == ("tar", "png", 7)
    assert numbers("tar", location, range(9)) == INDEX
    assert numbers("tar", location, [5.0, 2.0]) == {0: 11, 1: 2}
    assert list(tmp_path.iterdir()) == [tar], "nothing is unpacked"


def test_the_root_of_a_tar_and_marks_in_names(tmp_path):
    (tmp_path / "a!b").mkdir()
    tar = tar_of(tmp_path / "a!b/1.tar", {"0.png": encoded(5), "x!y/0.png": encoded(6)})
    assert numbers("tar", f"{tar}!.", [0.0]) == {0: 5}
    assert numbers("tar", f"{tar}!x!y", [0.0]) == {0: 6}


def test_links_and_outside_names_in_a_tar_are_not_followed(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(encoded(99))
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("f/0.png", tarfile.SYMTYPE), ("f/1.png", tarfile.LNKTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, str(secret)
            archive.addfile(link)
        for name in ("../f/2.png", "/f/3.png", "f/../f/4.png", "f/5.png"):
            member = tarfile.TarInfo(name)
            data = encoded(int(name[-5]))
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    assert numbers("tar", f"{path}!f", range(4)) == {0: 5}


def test_a_large_sequence_is_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.video.stills._BATCH_BYTES", 600)
    names = {f"f/{name}": data for name, data in SCRAMBLED.items()}
    for gzipped in (False, True):
        tar = tar_of(tmp_path / "a.tar", names, gzipped=gzipped)
        assert numbers("tar", f"{tar}!f", range(7)) == INDEX


def test_orientation_and_alpha(tmp_path, assets):
    rgba = cv2.imread(str(assets / "images/obama_rgba32.png"), cv2.IMREAD_UNCHANGED)
    with open_reader("image", str(assets / "images/obama_rgba32.png"), SIDE_PX) as reader:
        image = next(iter(reader.frames_at([0.0]))).image
    assert np.array_equal(image, rgba[:, :, 2::-1])
    jpeg = encoded(3, ".jpg")
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    (tmp_path / "a.jpg").write_bytes(turned)
    with open_reader("image", str(tmp_path / "a.jpg"), SIDE_PX) as reader:
        image = next(iter(reader.frames_at([0.0]))).image
    assert image.shape == (128, 32, 3)
    assert number_of(np.rot90(image)) == 3


@pytest.mark.parametrize("kind", [".png", ".jpg", ".webp", ".bmp"])
@given(width=st.integers(1, 70), height=st.integers(1, 70), lossless=st.booleans())
def test_headers_say_what_the_decoder_finds(kind, width, height, lossless):
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if kind == ".webp" and lossless else []
    data = cv2.imencode(kind, np.zeros((height, width, 3), np.uint8), options)[1].tobytes()
    header = read_header(data)
    assert (header.width_px, header.height_px, header.whole) == (width, height, True)
    assert not read_header(data[:-8]).whole or (kind == ".jpg" and len(data) < 40)


def test_real_images(assets):
    for path in sorted((assets / "images").iterdir()):
        header = read_header(path.read_bytes())
        height, width = cv2.imread(str(path), cv2.IMREAD_IGNORE_ORIENTATION | 1).shape[:2]
        assert (header.width_px, header.height_px, header.whole) == (width, height, True)


def test_what_is_not_there(tmp_path):
    assert reason(probe_stills, "frames", str(tmp_path / "none"), SIDE_PX) == "missing"
    assert reason(probe_stills, "image", str(tmp_path / "none.png"), SIDE_PX) == "missing"
    assert reason(probe_stills, "tar", f"{tmp_path}/none.tar!a", SIDE_PX) == "missing"
    (tmp_path / "file").write_bytes(b"x")
    assert reason(probe_stills, "frames", str(tmp_path / "file"), SIDE_PX) == "unreadable"
    assert reason(probe_stills, "image", str(tmp_path), SIDE_PX) == "unreadable"
    (tmp_path / "empty").mkdir()
    assert reason(probe_stills, "frames", str(tmp_path / "empty"), SIDE_PX) == "empty"
    assert reason(probe_stills, "image", str(tmp_path / "file"), SIDE_PX) == "not_media"
    assert reason(probe_stills, "tar", f"{tmp_path}/file!a", SIDE_PX) == "not_media"
    tar = tar_of(tmp_path / "a.tar", {"f/0.png": encoded(1)})
    assert reason(probe_stills, "tar", f"{tar}!g", SIDE_PX) == "missing"


def test_parts_counted_in_images(tmp_path):
    location = folder_of(tmp_path, SCRAMBLED)
    inputs = {"file": location, "media": "frames", "segments_s": [], "segments_frames": [2, 5]}
    inputs["outside"] = 0
    for sampling in (Sampling(), Sampling(fps=0.0, every_n=1)):
        rows = FramesTask(FramesParams()).work({**inputs, "sampling": sampling_text(sampling)})
        assert [o.fields["time_s"] for o in rows.outputs] == [2.0, 3.0, 4.0]


@pytest.mark.parametrize("first", [False, True])
def test_what_is_no_file_in_a_folder_is_told_and_never_waited_for(tmp_path, first):
    folder = tmp_path / "f"
    folder_of(folder, {f"{i}.png": encoded(i) for i in range(1, 4)})
    odd = 0 if first else 4
    os.mkfifo(folder / f"{odd}.png")
    (folder / "5.png").symlink_to("/dev/zero")
    (folder / "6.png").symlink_to("nowhere.png")
    (folder / "7.png").symlink_to("2.png")
    (folder / "8.png").mkdir()
    assert probe_stills("frames", str(folder), SIDE_PX).frame_count == 7
    reader = open_reader("frames", str(folder), SIDE_PX)
    found = numbers("frames", str(folder), range(7), reader)
    assert list(found.values()) == [1, 2, 3, 2]
    assert {k: problem.reason for k, problem in reader.problems.items()} == dict.fromkeys(
        set(range(7)) - set(found), "unsupported_media"
    )


def test_a_folder_of_pipes(tmp_path):
    for i in range(3):
        os.mkfifo(tmp_path / f"{i}.png")
    assert reason(probe_stills, "frames", str(tmp_path), SIDE_PX) == "unsupported_media"


def test_absurd_sizes_are_not_decoded(tmp_path, monkeypatch):
    data = bytearray(encoded(1))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    (tmp_path / "a.png").write_bytes(data)
    assert reason(probe_stills, "image", str(tmp_path / "a.png"), SIDE_PX) == "bad_dimensions"
    location = folder_of(tmp_path / "f", {"0.png": encoded(0), "1.png": bytes(data)})
    monkeypatch.setattr("cv2.imdecode", pytest.fail)
    with open_reader("frames", location, SIDE_PX) as reader:
        assert reason(list, reader.frames_at([1.0])) == "decode_error"
    assert "bad_dimensions" in reader.damage


@pytest.mark.parametrize("kind", [".png", ".jpg", ".webp", ".bmp"])
def test_a_damaged_image_costs_itself_only(tmp_path, kind):
    whole = {f"{i}{kind}": encoded(i, kind) for i in range(4)}
    for bad in (b"", b"x" * 300, whole[f"2{kind}"][: len(whole[f"2{kind}"]) * 2 // 3]):
        location = folder_of(tmp_path, {**whole, f"2{kind}": bad})
        reader = open_reader("frames", location, SIDE_PX)
        assert numbers("frames", location, range(4), reader) == {0: 0, 1: 1, 3: 3}
        assert reader.damage.startswith("picture 2: ")
    assert {k: problem.reason for k, problem in reader.problems.items()} == {2: "decode_error"}
    with open_reader("frames", location, SIDE_PX) as reader:
        assert reason(list, reader.frames_at([2.0])) == "decode_error"


@pytest.mark.parametrize("gzipped", [False, True])
def test_a_cut_tar_gives_what_is_there(tmp_path, gzipped):
    noise = np.random.Generator(np.random.Philox(key=1)).integers(0, 256, (64, 64, 3), np.uint8)
    images = {f"f/{i}.png": cv2.imencode(".png", noise // (i + 1))[1].tobytes() for i in range(9)}
    tar = tar_of(tmp_path / "a.tar", images, gzipped=gzipped)
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2])
    with open_reader("tar", f"{tar}!f", SIDE_PX) as reader:
        there = [p.pts for p in reader.frames_at(range(9))]
    assert 2 <= len(there) <= 6
    assert there == list(range(len(there)))
    assert reader.damage


def test_a_tar_with_a_damaged_header(tmp_path):
    tar = tar_of(tmp_path / "a.tar", {f"f/{i}.png": encoded(i) for i in range(4)})
    data = bytearray(tar.read_bytes())
    stills = open_stills("tar", f"{tar}!f")
    stills.close()
    at = data.index(b"f/2.png")
    data[at + 150] ^= 0xFF  # the checksum
    tar.write_bytes(data)
    assert numbers("tar", f"{tar}!f", range(4)) == {0: 0, 1: 1}


def test_too_few_images():
    enough(3, 10, 3, "")
    with pytest.raises(Reject) as caught:
        enough(2, 10, 3, "it is cut")
    assert caught.value.reason == "truncated"
    assert caught.value.detail == "2 of 10 planned pictures are there, 3 are needed; it is cut"


@pytest.mark.parametrize("media", ["frames", "tar"])
@pytest.mark.parametrize("harm", ["overwritten", "cut"])
def test_a_damaged_jpeg_is_told(tmp_path, assets, media, harm):
    sound = (assets / "images/obama_240p.jpg").read_bytes()
    middle = len(sound) // 2
    damaged = sound[:middle]
    if harm == "overwritten":
        damaged += b"\0" * 64 + sound[middle + 64 :]
    folder = tmp_path / "f"
    folder.mkdir()
    for name, data in {"1.jpg": sound, "2.jpg": damaged, "3.jpg": sound}.items():
        (folder / name).write_bytes(data)
    location = str(folder)
    if media == "tar":
        with tarfile.open(tmp_path / "f.tar", "w") as tar:
            tar.add(folder, "f")
        location = f"{tmp_path / 'f.tar'}!f"
    with open_reader(media, location, SIDE_PX) as reader:
        found = [p.samples for p in reader.frames_at([0.0, 1.0, 2.0])]
    assert found == [(0,), (2,)]
    assert {k: problem.reason for k, problem in reader.problems.items()} == {1: "decode_error"}
    with open_reader(media, location, SIDE_PX, keep_damaged=True) as reader:
        assert len(list(reader.frames_at([0.0, 1.0, 2.0]))) == 3


def test_four_bytes_overwritten(assets):
    with open_reader("image", str(assets / "failing/frame_damaged.jpg"), SIDE_PX) as reader:
        assert reason(list, reader.frames_at([0.0])) == "decode_error"


def test_every_sound_jpeg_is_read(assets):
    for path in sorted((assets / "images").glob("*.jpg")):
        with open_reader("image", str(path), SIDE_PX) as reader:
            assert len(list(reader.frames_at([0.0]))) == 1, path.name


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_of_every_kind_are_looked_through(tmp_path, mode, progressive):
    path = tmp_path / "a.jpg"
    PIL.Image.fromarray(numbered(5)).convert(mode).save(path, progressive=progressive)
    with open_reader("image", str(path), SIDE_PX) as reader:
        assert len(list(reader.frames_at([0.0]))) == 1
