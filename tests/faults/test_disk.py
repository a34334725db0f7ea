"""A disk that takes no more: one sentence, nothing corrupt, and the next run goes on."""

import ctypes
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config.params import EngineParams
from pipeline.engine import run
from pipeline.engine.survey import Store
from pipeline.errors import UserError
from tests.engine import toy
from tests.faults.kill import ROOT, digest, victim


@pytest.fixture
def undisturbed(tmp_path):
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    victim(folder, toy.texts(10), 0)
    return digest(folder)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_full_disk(tmp_path, undisturbed, workers):
    """RLIMIT_FSIZE stands for the disk: no file may grow beyond a few kilobytes."""
    folder = tmp_path / "full"
    folder.mkdir()
    limited = begun(
        folder, workers, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
    )
    assert limited.returncode
    said = limited.stderr.strip().splitlines()[-1]
    assert "UserError" in said
    assert "largest size allowed" in said
    assert "run `dvc repro` again" in said
    victim(folder, toy.texts(10), 0)
    assert digest(folder) == undisturbed


@pytest.mark.parametrize("workers", ["0", "1", "2"])
def test_a_small_disk_fills_up(tmp_path, undisturbed, workers):
    """A tmpfs of a few pages, where mounting is allowed: the error is that of a full disk."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no tmpfs may be mounted here")
    try:
        limited = begun(folder, workers)
        said = limited.stderr.strip().splitlines()[-1]
        assert limited.returncode
        assert "UserError" in said
        assert "the disk is full" in said
        assert "run `dvc repro` again" in said
        remount = ["mount", "-o", "remount,size=64m", str(folder)]
        subprocess.run(remount, check=True, capture_output=True)
        victim(folder, toy.texts(10), 0)
        assert digest(folder) == undisturbed
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def begun(folder: Path, workers: str, prepare: Callable[[], None] | None = None):
    """A run in a process of its own that may end badly."""
    words = [str(folder), json.dumps(toy.texts(10)), "0", workers]
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.victim", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=prepare,
    )


def without_privilege() -> None:
    """Takes root's right to pass over the modes of files from this process, if it is root."""
    drop_from_bounding_set, override, search = 24, 1, 2
    for capability in (override, search):
        ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)


@pytest.mark.parametrize("workers", ["0", "1", "2"])
@pytest.mark.parametrize(("what", "mode"), [("store", 0o500), ("store", 0o000), ("parquet", 0o000)])
def test_permission_lost(tmp_path, undisturbed, what, mode, workers):
    """Of the store's folder, or of one partition in it: a sentence, and nothing goes."""
    (tmp_path / "probe").touch(mode=0o000)
    probe = [sys.executable, "-c", f"open({str(tmp_path / 'probe')!r})"]
    if not subprocess.run(probe, capture_output=True, preexec_fn=without_privilege).returncode:
        pytest.skip("root may not give up its rights here")
    folder = tmp_path / "closed"
    folder.mkdir()
    victim(folder, toy.texts(5), 0)
    before = digest(folder)
    closed = folder / "store"
    if what == "parquet":
        closed = sorted(closed.glob("*.parquet"))[0]
    usual = closed.stat().st_mode
    closed.chmod(mode)
    stopped = begun(folder, workers, without_privilege)
    closed.chmod(usual)
    assert stopped.returncode
    said = stopped.stderr.strip().splitlines()[-1]
    assert "UserError" in said
    assert "permission is denied" in said
    assert "run `dvc repro` again" in said
    assert before.items() <= digest(folder).items()
    victim(folder, toy.texts(10), 0)
    assert digest(folder) == undisturbed


def test_a_store_that_vanishes_during_the_run(tmp_path, monkeypatch, undisturbed):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    where = Store(folder / "store", "faces", 3)
    work = toy.ToyTask.work

    def remove_and_work(self, inputs):
        shutil.rmtree(folder / "store")
        return work(self, inputs)

    monkeypatch.setattr(toy.ToyTask, "work", remove_and_work)
    with pytest.raises(UserError, match="vanished"):
        run.run("toy", toy.ToyTask(), toy.plan(toy.texts(10)), where, EngineParams(workers=0), 1)
    victim(folder, toy.texts(10), 0)
    assert digest(folder) == undisturbed
