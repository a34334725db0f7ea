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
    assert np.array_equal(tar_index.of(tar).places["f"], [[512, 18]])
