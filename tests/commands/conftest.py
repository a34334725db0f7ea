"""The shard folders that the tests of writing shards make."""

from tests.shards.conftest import shards, world

__all__ = ["shards", "world"]
