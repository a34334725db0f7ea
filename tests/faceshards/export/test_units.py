"""Exports are kept up to date tar by tar, and survive interruptions."""

import shutil
from pathlib import Path

import pytest

from faceshards import export
from faceshards.errors import UserError
from faceshards.export import units
from faceshards.reading import Shards

FOLDERS = ("train", "val")


def digest(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        p.relative_to(folder).as_posix(): (p.read_bytes(), p.stat().st_mtime_ns)
        for p in folder.rglob("*")
        if p.is_file()
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {name: data for name, (data, _) in digest(folder).items()}


@pytest.fixture
def folders(shards: Path) -> list[Path]:
    return [shards / name for name in FOLDERS]


@pytest.mark.parametrize("form", export.FORMS)
def test_nothing_is_written_twice(folders: list[Path], tmp_path: Path, form: str) -> None:
    before = export.survey(folders, tmp_path / "out", form)
    assert not (tmp_path / "out").exists()
    samples = sum(len(Shards(folder)) for folder in folders)
    assert (before.to_write, before.kept) == (samples, 0)
    assert export.export(folders, tmp_path / "out", form) == 0
    first = digest(tmp_path / "out")
    size = sum(len(data) for data, _ in first.values())
    assert 0.3 * size < before.needed_bytes < 3 * size + samples * 4096
    assert export.survey(folders, tmp_path / "out", form).to_write == 0
    export.export(folders, tmp_path / "out", form)
    assert digest(tmp_path / "out") == first


def test_a_folder_that_goes_takes_its_files_along(folders: list[Path], tmp_path: Path) -> None:
    out, alone = tmp_path / "out", tmp_path / "alone"
    export.export(folders, out, "folder")
    times = digest(out)
    removed = export.export(folders[:1], out, "folder")
    assert removed == len(Shards(folders[1])) + 1  # and the list
    export.export(folders[:1], alone, "folder")
    assert contents(out) == contents(alone)
    assert not (out / "val").exists()
    kept = {name: v for name, v in digest(out).items() if name.startswith("train/")}
    assert kept == {name: v for name, v in times.items() if name.startswith("train/")}


def test_an_interrupted_export_goes_on(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert sum(len(Shards(folder).tars) for folder in folders) > 2
    export.export(folders, whole, "csv")
    write_files, calls = units._write_files, []

    def interrupted(*words: object) -> None:
        calls.append(words)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write_files(*words)

    monkeypatch.setattr(units, "_write_files", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export.export(folders, out, "csv")
    assert not list(out.glob("*/samples.csv"))  # who finds the lists finds all they name
    monkeypatch.setattr(units, "_write_files", write_files)
    assert export.survey(folders, out, "csv").kept > 0
    export.export(folders, out, "csv")
    assert contents(out) == contents(whole)


def test_a_damaged_export_is_mended(folders: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    export.export(folders, out, "folder")
    whole = contents(out)
    victim = next(out.rglob("*.jpg"))
    victim.write_bytes(b"short")
    (out / "samples.csv").unlink()
    export.export(folders, out, "folder")
    assert contents(out) == whole


def test_what_is_refused(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(UserError, match="not empty and holds no export"):
        export.export(folders, tmp_path / "mine", "csv")
    with pytest.raises(UserError, match="is a file"):
        export.export(folders, tmp_path / "mine/letter.txt", "csv")
    export.export(folders[:1], tmp_path / "out", "csv")
    with pytest.raises(UserError, match="holds an export as csv"):
        export.export(folders, tmp_path / "out", "folder")
    with pytest.raises(UserError, match="have one name: train, train"):
        export.export([folders[0], folders[0]], tmp_path / "two", "csv")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(UserError, match="Choose a larger disk; nothing was written"):
        export.export(folders, tmp_path / "big", "csv")
    assert not (tmp_path / "big").exists()
