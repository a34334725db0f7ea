"""A tar is walked once per process, however many of its folders are read."""

import gzip
import io
import os
import tarfile

import numpy as np
import pytest

from pipeline.errors import Reject
from pipeline.video import tar_index
from pipeline.video.stills import open_stills
from pipeline.video.tar_index import read_member
from tests.datasets.image_files import put_tar


@pytest.fixture
def walks(monkeypatch):
    """How often a tar was walked; nothing is remembered from other tests."""
    made = []
    walk = tar_index._walk
    monkeypatch.setattr(tar_index, "_walk", lambda tar: made.append(1) or walk(tar))
    monkeypatch.setattr(tar_index, "_remembered", tar_index._Remembered())
    monkeypatch.setattr(tar_index, "SETTLED_S", -1.0)
    return made


def write(path, names, content=b"picture of "):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            data = content + name.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    data = buffer.getvalue()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(tar, folder):
    stills = open_stills("tar", f"{tar}!{folder}")
    try:
        return list(stills.read(range(stills.count)))
    finally:
        stills.close()


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_a_tar_is_walked_once(tmp_path, walks, name):
    names = [f"{folder}/{n}.png" for n in (10, 9, 1) for folder in "abc"]
    tar = write(tmp_path / name, names)
    for folder in "abcab":
        expected = [f"picture of {folder}/{n}.png".encode() for n in (1, 9, 10)]
        assert read(tar, folder) == expected
    with pytest.raises(Reject, match="no picture in d"):
        read(tar, "d")
    assert len(walks) == 1


def test_a_tar_that_changed_is_walked_again(tmp_path, walks):
    tar = write(tmp_path / "a.tar", ["f/1.png", "f/2.png"])
    assert len(read(tar, "f")) == 2
    other = write(tmp_path / "b.tar", ["f/2.png", "f/1.png"], b"another 01 ")
    assert other.stat().st_size == tar.stat().st_size
    os.utime(other, ns=(tar.stat().st_atime_ns, tar.stat().st_mtime_ns))
    other.replace(tar)
    assert read(tar, "f") == [b"another 01 f/1.png", b"another 01 f/2.png"]
    assert len(walks) == 2


def test_a_tar_of_a_moment_ago_is_not_remembered(tmp_path, walks, monkeypatch):
    monkeypatch.setattr(tar_index, "SETTLED_S", 3600.0)
    tar = write(tmp_path / "a.tar", ["f/1.png"])
    read(tar, "f")
    read(tar, "f")
    assert len(walks) == 2


def test_what_is_remembered_is_bounded(tmp_path, walks, monkeypatch):
    monkeypatch.setattr(tar_index, "MAX_IMAGES", 5)
    tars = [write(tmp_path / f"{n}.tar", [f"f/{i}.png" for i in range(2)]) for n in range(3)]
    for tar in (*tars, tars[2], tars[1], tars[0]):
        assert len(read(tar, "f")) == 2
    # Two fit: the first was dropped for the third.
    assert len(walks) == 4


def test_the_last_of_two_members_of_one_name_counts(tmp_path, walks):
    tar = write(tmp_path / "a.tar", ["f/1.png"])
    with tarfile.open(tar, "a") as archive:
        member = tarfile.TarInfo("f/1.png")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"new"))
    assert read(tar, "f") == [b"new"]


def test_a_damaged_tar_says_so_every_time(tmp_path, walks):
    tar = write(tmp_path / "a.tar", ["f/1.png", "g/1.png"])
    data = bytearray(tar.read_bytes())
    data[data.index(b"g/1.png") + 150] ^= 0xFF
    tar.write_bytes(data)
    for _ in range(2):
        stills = open_stills("tar", f"{tar}!f")
        assert (stills.count, bool(stills.damage)) == (1, True)
        stills.close()
    assert len(walks) == 1
    assert np.array_equal(tar_index.of(tar).folders["f"].places, [[512, 18]])


def reason(call, *args):
    with pytest.raises(Reject) as caught:
        call(*args)
    return caught.value.reason


def test_members_of_a_tar(tmp_path):
    long_name = "deep/" * 40 + "z.jpg"
    members = {f"{n:03}.jpg": bytes([n]) * n for n in range(1, 50)} | {f"./{long_name}": b"z"}
    tar = put_tar(tmp_path / "a.tar", members)
    for name, data in reversed(members.items()):
        assert read_member(tar, name.removeprefix("./")) == data
    assert reason(read_member, tar, "000.jpg") == "missing"


def test_a_tar_that_is_damaged(tmp_path):
    tar = put_tar(tmp_path / "a.tar", {"a.jpg": b"a" * 600, "b.jpg": b"b" * 6000, "c.jpg": b"c"})
    tar.write_bytes(tar.read_bytes()[:4000])
    assert read_member(tar, "a.jpg") == b"a" * 600
    assert reason(read_member, tar, "b.jpg") == "truncated"
    assert reason(read_member, tar, "c.jpg") == "missing"
    (tmp_path / "junk.tar").write_bytes(b"junk")
    assert reason(read_member, tmp_path / "junk.tar", "a.jpg") == "not_media"
    zipped = put_tar(tmp_path / "a.tar.gz", {"a.jpg": b"a"}, "w:gz")
    assert reason(read_member, zipped, "a.jpg") == "unsupported_media"


def test_a_tar_of_single_images_is_walked_once(tmp_path, walks):
    tar = put_tar(
        tmp_path / "a.tar", {f"{folder}/{n}.png": b"x" for n in range(9) for folder in "ab"}
    )
    for n in range(9):
        assert read_member(tar, f"b/{n}.png") == b"x"
    assert len(walks) == 1


SPECIAL = {"link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE, "FIFO": tarfile.FIFOTYPE}
SPECIAL |= {"device": tarfile.CHRTYPE, "disk": tarfile.BLKTYPE}


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_regular_file_is_never_an_image(tmp_path, walks, kind):
    tar = write(tmp_path / "a.tar", ["f/1.png"])
    with tarfile.open(tar, "a") as archive:
        for name in ("f/2.png", "g/1.png"):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = SPECIAL[kind], "1.png"
            archive.addfile(member)
    assert read(tar, "f") == [b"picture of f/1.png"]
    assert reason(read_member, tar, "f/2.png") == "unsupported_media"
    assert reason(read_member, tar, "g/1.png") == "unsupported_media"
    assert reason(open_stills, "tar", f"{tar}!g") == "missing"


def test_names_outside_the_tar_are_never_read(tmp_path, walks):
    tar = write(tmp_path / "a.tar", ["f/1.png", "../f/2.png", "/f/3.png", "f/../f/4.png"])
    assert read(tar, "f") == [b"picture of f/1.png"]
    for name in ("../f/2.png", "f/3.png", "f/4.png"):
        assert reason(read_member, tar, name) == "missing"
