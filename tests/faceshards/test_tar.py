import io
import os
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceshards import tar

MEMBERS = [
    ("a.txt", b"hello"),
    ("empty", b""),
    ("folder/of/one/block.bin", bytes(range(256)) * 2),
    ("p" * 150 + "/" + "n" * 90 + ".jpg", b"long"),
    ("grün/目.json", b"{}"),
]


def write(path: Path, members: list[tuple[str, bytes]]) -> list[tuple[int, int]]:
    with path.open("wb") as file:
        places = [tar.append(file, name, data) for name, data in members]
        tar.finish(file)
    return places


def write_with_tarfile(path: Path, members: list[tuple[str, bytes]], kind: int) -> None:
    with tarfile.open(path, "w", format=kind) as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))


def test_tarfile_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    places = write(path, MEMBERS)
    with tarfile.open(path) as file:
        infos = file.getmembers()
        assert [(i.name, file.extractfile(i).read()) for i in infos] == MEMBERS
        assert [(i.offset_data, i.size) for i in infos] == places
        assert {(i.mode, i.uid, i.gid, i.uname, i.gname, i.mtime, i.type) for i in infos} == {
            (0o644, 0, 0, "", "", 0, tarfile.REGTYPE)
        }


def test_written_bytes_are_those_of_tarfile(tmp_path: Path) -> None:
    write(tmp_path / "ours.tar", MEMBERS)
    write_with_tarfile(tmp_path / "theirs.tar", MEMBERS, tarfile.USTAR_FORMAT)
    ours, theirs = ((tmp_path / n).read_bytes() for n in ("ours.tar", "theirs.tar"))
    assert theirs.startswith(ours)
    assert not any(theirs[len(ours) :])  # tarfile pads to 10240 bytes


def test_walk_reads_what_tarfile_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    write_with_tarfile(path, MEMBERS, tarfile.USTAR_FORMAT)
    found = [(m.name, tar.read(path, m.offset, m.size)) for m in tar.walk(path)]
    assert found == MEMBERS


@given(st.lists(st.binary(max_size=1500), max_size=4))
@settings(max_examples=25, deadline=None)
def test_walk_gives_back_offsets_and_stored_sizes(payloads: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tar"
        places = write(path, [(str(i), data) for i, data in enumerate(payloads)])
        assert [(m.offset, m.size) for m in tar.walk(path)] == places
        assert path.stat().st_size == sum(tar.stored_size(len(p)) for p in payloads) + 1024


def test_names_that_do_not_fit_or_leave_the_folder_are_refused() -> None:
    bad = [
        "x" * 101,
        "p" * 156 + "/a",
        "p/" + "n" * 101,
        "",
        "/etc/passwd",
        "a/../b",
        "a/",
        "a//b",
        "a\0",
    ]
    for name in bad:
        with pytest.raises(ValueError, match="name"):
            tar.append(io.BytesIO(), name, b"")


def test_append_goes_to_the_end_and_refuses_half_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with path.open("w+b") as file:
        tar.append(file, "a", b"1")
        file.seek(0)
        assert tar.append(file, "b", b"2") == (1536, 1)
        tar.finish(file)
    assert [m.name for m in tar.walk(path)] == ["a", "b"]
    with pytest.raises(ValueError, match="byte 7"):
        tar.append(io.BytesIO(b"garbage"), "c", b"")


@pytest.mark.parametrize("keep", [0, 100, 512, 700, 1024, 1536, 2000, 2048, 2100, 2560, 3000])
def test_every_truncation_is_found(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.tar"
    write(path, [("a", b"1" * 600), ("b", b"2")])  # 1536 + 1024 + 1024 bytes
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"cut\.tar, byte \d+: truncated"):
        list(tar.walk(path))


def test_damage_names_file_and_offset(tmp_path: Path) -> None:
    path = tmp_path / "bad.tar"
    write(path, [("a", b"1"), ("b", b"2")])
    good = path.read_bytes()
    for place in (0, 107, 130, 150, 156, 260, 400):
        data = bytearray(good)
        data[1024 + place] ^= 0x41
        path.write_bytes(data)
        members = tar.walk(path)
        assert next(members).name == "a"
        with pytest.raises(ValueError, match=r"bad\.tar, byte 1024: "):
            next(members)
    path.write_bytes(good + b"x" * 512)
    with pytest.raises(ValueError, match="behind the end"):
        list(tar.walk(path))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE]
)
def test_only_regular_files_are_walked(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as file:
        info = tarfile.TarInfo("x")
        info.type, info.linkname = kind, "/etc/passwd"
        file.addfile(info)
    with pytest.raises(ValueError, match="only regular files"):
        list(tar.walk(path))


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_extensions_are_refused(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "a.tar"
    write_with_tarfile(path, [("n" * 120, b"")], kind)
    with pytest.raises(ValueError, match=r"not a USTAR header|only regular files"):
        list(tar.walk(path))


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x"])
def test_names_in_foreign_tars_are_checked(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.tar"
    write_with_tarfile(path, [(name, b"")], tarfile.USTAR_FORMAT)
    with pytest.raises(ValueError, match="relative path"):
        list(tar.walk(path))


def test_read_past_the_end_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    write(path, [("a", b"12345")])
    assert tar.read(path, 513, 3) == b"234"
    for offset, size in ((512, 10_000), (512, 1 << 60), (-1, 1), (600, -1)):
        with pytest.raises(ValueError, match=rf"a\.tar, byte {offset}: {size} bytes"):
            tar.read(path, offset, size)
        with pytest.raises(ValueError, match=rf"a\.tar, byte {offset}: {size} bytes"):
            tar.OpenTar(path).read(offset, size)


def test_a_tar_that_is_cut_while_it_is_open_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    write(path, [("a", b"12345")])
    opened = tar.OpenTar(path)
    assert opened.read(513, 3) == b"234"
    os.truncate(path, 514)
    with pytest.raises(ValueError, match="the tar ends before"):
        opened.read(513, 3)
    opened.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        opened.read(512, 1)


def test_a_member_is_named_by_its_offset(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    places = write(path, MEMBERS)
    assert [tar.name_at(path, offset) for offset, _ in places] == [name for name, _ in MEMBERS]
    for offset in (513, 0):
        with pytest.raises(ValueError, match=r"a\.tar|header"):
            tar.name_at(path, offset)
