"""The made world and its shard folders, once for all tests of this folder."""

from pathlib import Path

import pytest

from tests.shards import made


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> made.World:
    return made.world(tmp_path_factory.mktemp("world") / "stores")


@pytest.fixture(scope="session")
def shards(world: made.World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds train, val, test (empty) and expanded. Not to be changed: copy it first."""
    root = tmp_path_factory.mktemp("shards")
    made.shard(world, root)
    return root
