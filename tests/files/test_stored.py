import os

import pytest

from faceshards import keys, tar
from pipeline.errors import UserError
from pipeline.files.stored import read_stored


@pytest.fixture
def store(tmp_path):
    """A tar with one member, and its place."""
    path = tmp_path / "a.tar"
    with path.open("wb") as file:
        place = tar.append(file, "x.png", b"payload")
        tar.finish(file)
    return path, *place


def test_what_was_stored_is_read(store):
    assert read_stored(*store, keys.digest128(b"payload"), "faces") == b"payload"
    assert read_stored(*store, "", "faces") == b"payload"


def test_other_bytes_are_told_and_the_tar_looks_changed(store):
    for at, size, digest in ((store[1] + 1, 7, keys.digest128(b"payload")), (10**6, 7, "")):
        os.utime(store[0], (1, 1))
        with pytest.raises(UserError) as raised:
            read_stored(store[0], at, size, digest, "faces")
        assert str(store[0]) in str(raised.value)
        assert "Run `dvc repro`: the stage faces makes the damaged rows" in str(raised.value)
        assert store[0].stat().st_mtime > 1


def test_a_tar_that_cannot_be_read_names_the_one_file_to_delete(tmp_path):
    with pytest.raises(UserError, match=r"Delete this one file and run `dvc repro`: the stage"):
        read_stored(tmp_path, 0, 1, "", "faces")


def test_a_missing_tar_names_its_stage(tmp_path):
    with pytest.raises(UserError, match=r"gone\.tar is not there\. The stage expand writes it"):
        read_stored(tmp_path / "gone.tar", 0, 1, "", "expand")
