"""What tests of dataset folders share."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def fast_tmp(tmp_path):
    memory = Path("/dev/shm")  # noqa: S108 - where there is one
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)
