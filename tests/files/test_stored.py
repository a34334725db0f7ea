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


def test_other_bytes_name_the_one_file_to_delete(store):
    for at, size, digest in ((store[1] + 1, 7, keys.digest128(b"payload")), (10**6, 7, "")):
        with pytest.raises(UserError) as raised:
            read_stored(store[0], at, size, digest, "faces")
        assert str(store[0]) in str(raised.value)
        assert "Delete this one file and run `dvc repro`: the stage faces" in str(raised.value)


def test_a_missing_tar_names_its_stage(tmp_path):
    with pytest.raises(UserError, match=r"gone\.tar is not there\. The stage expand writes it"):
        read_stored(tmp_path / "gone.tar", 0, 1, "", "expand")
