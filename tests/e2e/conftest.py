"""The embedded sample and a project that is finished, each made once per test run."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.project import command, copy_project


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Makes a folder that every process of the test run then reads; nobody writes into it later."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, finished = shared / name, shared / f"{name}.finished"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                finished.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def sample_data(made_once) -> Path:
    """What `faceshards sample-data` writes: ``ffpp`` and ``wild``."""
    return made_once(
        "sample_data", lambda folder: command(folder, "faceshards", "sample-data", ".")
    )


@pytest.fixture(scope="session")
def finished_sample(made_once, sample_data) -> Path:
    """The project after `make sample`, but for the length of training: two epochs show the same.

    ``printed`` in it holds what `dvc repro` printed. Tests copy it; none writes into it.
    """

    def make(folder: Path) -> None:
        copy_project(folder)
        shutil.copytree(sample_data, folder / "data/raw/sample")
        params = folder / "params.yaml"
        text = params.read_text()
        assert "epochs: 6\n" in text
        params.write_text(text.replace("epochs: 6\n", "epochs: 2\n"))
        (folder / "printed").write_text(command(folder, "dvc", "repro").stdout)

    return made_once("finished_sample", make)


@pytest.fixture(scope="module")
def project(finished_sample, tmp_path_factory) -> Path:
    """A copy of the finished sample, of this module alone."""
    return shutil.copytree(
        finished_sample, tmp_path_factory.mktemp("sample") / "project", symlinks=True
    )
