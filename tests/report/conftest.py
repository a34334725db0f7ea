"""The made project, once for all tests of this folder."""

from pathlib import Path

import pytest

from pipeline.config.run_params import ReportParams
from pipeline.report import page
from tests.report import project
from tests.shards.made import World


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    """Not to be changed: copy it first."""
    root = tmp_path_factory.mktemp("report")
    return root, project.build(root)


@pytest.fixture(scope="session")
def root(made: tuple[Path, World]) -> Path:
    return made[0]


@pytest.fixture(scope="session")
def html(root: Path) -> str:
    return page.render(page.gather(root, project.RUNS, ReportParams()))
