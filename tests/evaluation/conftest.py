"""Shards of a few made faces, once for all tests of this folder."""

import pytest

from tests.evaluation import made


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Folder that holds val and test, eight faces each. Not to be changed."""
    root = tmp_path_factory.mktemp("evaluation")
    made.shards(root)
    return root / "shards"
