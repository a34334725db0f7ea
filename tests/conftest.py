"""Fixtures shared by all tests."""

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

from pipeline.engine.process import ENVIRONMENT

# Before any library is loaded: tests run side by side, and native pools of one thread suffice.
os.environ.update(ENVIRONMENT)

# A busy machine breaks no rule.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


SLOW_FOLDERS = ("e2e", "faults")
"""All tests below count as slow: they run stages as processes, again and again."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that `make quick` leaves out, and brings the files that hold them forward.

    Files are dealt out to processes in this order; a long one at the end would leave the other
    process without work.
    """
    slow = tuple(Path(__file__).parent / name for name in SLOW_FOLDERS)
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in slow):
            item.add_marker(pytest.mark.slow)
    count = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -count[item.path])


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder of real clips, pictures and weights, named by FACESHARDS_ASSETS.

    Tests that need it skip where it is absent; where CI is set they fail instead, unless the
    variable is ``none``.
    """
    folder = os.environ.get("FACESHARDS_ASSETS", "")
    if folder and Path(folder).is_dir():
        return Path(folder).resolve()
    message = f"FACESHARDS_ASSETS ({folder!r}) is not a folder of real clips and weights"
    if os.environ.get("CI") and folder != "none":
        pytest.fail(message)
    pytest.skip(message)
