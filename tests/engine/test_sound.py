"""Tars that are not as they were committed heal, and sound ones are not read."""

import os
from pathlib import Path

import pytest

from pipeline.config.params import EngineParams
from pipeline.engine import run, sound
from pipeline.engine.survey import Store, survey
from pipeline.errors import UserError
from pipeline.files import memory
from tests.engine import toy
from tests.engine.test_run import digest, make, worked

HERE = EngineParams(workers=0)


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "SETTLED_S", -1.0)  # what these tests write is new


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Names of the tars that are read whole."""
    seen: list[str] = []
    original = sound._sha256

    def spy(path):
        seen.append(path.name)
        return original(path)

    monkeypatch.setattr(sound, "_sha256", spy)
    return seen


def tars(folder: Path) -> list[Path]:
    return sorted((folder / "store").glob("*.tar"))


def flip(path: Path, at: int, keep_times: bool = False) -> None:
    """Flips a bit in place, by default as any program would."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)[0]
        file.seek(at)
        file.write(bytes([old ^ 4]))
    if keep_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_sound_tars_are_never_read(tmp_path, read):
    texts = toy.texts(10)
    make(tmp_path, texts)
    make(tmp_path, texts)
    make(tmp_path, texts | {"toy/real/v0003": "changed"})
    assert read == []


PLACES = {"payload": 512, "name": 3, "checksum": 150, "padding": 800, "end": -700}
LOST = {"payload": 1, "name": 1, "checksum": 1, "padding": 0, "end": 0}


@pytest.mark.parametrize("keep_times", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_a_flipped_bit_costs_its_row_alone(tmp_path, monkeypatch, read, capsys, place, keep_times):
    texts = toy.texts(10)
    make(tmp_path, texts)
    before = digest(tmp_path / "store")
    victim = tars(tmp_path)[0]
    flip(victim, PLACES[place] % victim.stat().st_size, keep_times)
    seen = worked(monkeypatch)
    capsys.readouterr()
    make(tmp_path, texts)
    assert len(seen) == LOST[place]
    assert digest(tmp_path / "store") == before
    assert read == [victim.name]
    said = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    rows = "1 of its" if LOST[place] else "no row of it is lost"
    assert len(said) == 1
    assert said[0].startswith(f"{victim} is damaged: {rows}")
    make(tmp_path, texts)
    assert read == [victim.name]


def test_a_cut_tar_keeps_the_rows_that_are_left(tmp_path, monkeypatch):
    texts = toy.texts(10)
    make(tmp_path, texts, target_rows=100)
    before = digest(tmp_path / "store")
    (victim,) = tars(tmp_path)
    os.truncate(victim, victim.stat().st_size // 2)
    seen = worked(monkeypatch)
    make(tmp_path, texts, target_rows=100)
    assert 0 < len(seen) < 10
    assert digest(tmp_path / "store") == before


@pytest.mark.parametrize("note", ["gone", "torn", "of another machine"])
def test_without_a_note_all_are_read_once(tmp_path, monkeypatch, read, note):
    texts = toy.texts(10)
    make(tmp_path, texts)
    path = tmp_path / ".store.tars.json"
    if note == "gone":
        path.unlink()
    else:
        text = path.read_text()
        path.write_text(text[: len(text) // 2] if note == "torn" else text.replace("/", "/else"))
    seen = worked(monkeypatch)
    make(tmp_path, texts)
    assert sorted(read) == [tar.name for tar in tars(tmp_path)]
    assert seen == []
    read.clear()
    make(tmp_path, texts)
    assert read == []


def test_what_a_killed_run_committed_is_read_once(tmp_path, monkeypatch, read):
    texts = toy.texts(10)

    class Killed(BaseException):
        pass

    place = run.place

    def killed(*words):
        place(*words)
        raise Killed

    monkeypatch.setattr(run, "place", killed)
    with pytest.raises(Killed):
        make(tmp_path, texts)
    monkeypatch.setattr(run, "place", place)
    seen = worked(monkeypatch)
    make(tmp_path, texts)
    assert seen == []
    assert sorted(read) == [tar.name for tar in tars(tmp_path)]


def test_damage_behind_the_commit_stops_the_run(tmp_path, monkeypatch):
    place = run.place

    def spoiled(*words):
        place(*words)
        flip(tars(tmp_path)[0], 600)

    monkeypatch.setattr(run, "place", spoiled)
    with pytest.raises(UserError, match="changed or vanished during the run"):
        make(tmp_path, toy.texts(10))


def test_kept_tars_come_back_unread_and_damaged_ones_do_not(tmp_path, monkeypatch, read):
    where = Store(tmp_path / "store", "faces", 4, kept=tmp_path / "kept")

    def make_kept(copies):
        run.run("toy", toy.ToyTask(copies), toy.plan(toy.texts(10)), where, HERE, 1)

    make_kept(2)
    first = digest(tmp_path / "store")
    make_kept(3)
    make_kept(3)  # nothing is asked of those that are kept
    seen = worked(monkeypatch)
    make_kept(2)
    assert (read, seen) == ([], [])
    make_kept(3)
    victim = sorted((tmp_path / "kept").glob("*.tar"))[0]
    flip(victim, 600, keep_times=True)
    make_kept(2)
    assert read == [victim.name]
    assert seen
    assert digest(tmp_path / "store") == first


def test_a_preview_finds_damage_and_remembers_what_it_read(tmp_path, read):
    texts = toy.texts(10)
    make(tmp_path, texts)
    where = Store(tmp_path / "store", "faces", 4)
    flip(tars(tmp_path)[0], 512)
    found = survey(toy.ToyTask(), toy.plan(texts), where, 1, where.sound())
    assert (len(found.todo), found.rows_to_do) == (1, 1)


def test_tars_with_plain_names_are_read_when_changed(tmp_path, read, capsys):
    where = Store(tmp_path / "store", "faces", 4, tars=tmp_path / "plain")

    def pack():
        run.run("toy", toy.ToyTask(), toy.plan(toy.texts(10)), where, HERE, 1)

    pack()
    before = digest(tmp_path / "plain")
    pack()
    assert read == []
    victim = sorted((tmp_path / "plain").glob("*.tar"))[1]
    flip(victim, 600)
    capsys.readouterr()
    pack()
    assert read == [victim.name]
    assert digest(tmp_path / "plain") == before
    assert f"1 of {len(before)} tars are not as they were written" in capsys.readouterr().err


@pytest.mark.parametrize("harm", [True, False])
def test_a_tar_whose_times_were_set_back_is_touched_for_dvc(tmp_path, read, harm):
    make(tmp_path, toy.texts(10))
    victim = tars(tmp_path)[0]
    os.utime(victim, (1, 1))
    make(tmp_path, toy.texts(10))
    note = sound.SoundTars.of(tmp_path / "store")
    assert note.wake() == []
    if harm:
        flip(victim, 512, keep_times=True)
    else:
        victim.chmod(0o600)
    assert note.wake() == ([victim] if harm else [])
    assert (victim.stat().st_mtime > 1) == harm
    read.clear()
    make(tmp_path, toy.texts(10))
    assert read == ([victim.name] if harm else [])
