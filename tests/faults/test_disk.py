"""A disk that takes no more: one sentence, nothing corrupt, and the next run goes on."""

import json
import os
import resource
import shutil
import subprocess
import sys

import pytest

from pipeline.config import EngineParams
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
    words = [str(folder), json.dumps(toy.texts(10)), "0", workers]
    limited = subprocess.run(
        [sys.executable, "-m", "tests.faults.victim", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)),
    )
    assert limited.returncode
    said = limited.stderr.strip().splitlines()[-1]
    assert "UserError" in said
    assert "largest size allowed" in said
    assert "run `dvc repro` again" in said
    victim(folder, toy.texts(10), 0)
    assert digest(folder) == undisturbed


def test_a_store_without_permission(tmp_path, monkeypatch, undisturbed):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere, so permission cannot be lost")
    folder = tmp_path / "closed"
    folder.mkdir()
    victim(folder, toy.texts(5), 0)
    (folder / "store").chmod(0o500)
    monkeypatch.chdir(folder)
    where = Store(folder / "store", "faces", 3)
    with pytest.raises(UserError, match="permission is denied"):
        run.run("toy", toy.ToyTask(), toy.plan(toy.texts(10)), where, EngineParams(workers=0), 1)
    (folder / "store").chmod(0o700)
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
