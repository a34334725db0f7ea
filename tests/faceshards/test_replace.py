import pytest

from faceshards.replace import drop_attempts, replacing


def test_the_file_is_replaced_whole_and_its_folder_made(tmp_path):
    path = tmp_path / "new/folder/a.txt"
    for text in ("one", "two"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert path.exists() == (text == "two")
        assert path.read_text() == text
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_where_writing_fails_the_old_file_stays_and_nothing_lies_about(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_killed_processes_left_of_a_file_goes_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    for name in (".tmp-a.txt-0123", ".tmp-b.txt-0123", "a.txt", ".tmp-a.txt"):
        (tmp_path / name).write_text("x")
    drop_attempts(path)
    assert {p.name for p in tmp_path.iterdir()} == {".tmp-b.txt-0123", "a.txt", ".tmp-a.txt"}
