"""No flipped bit of a store goes unseen, and none ends in a traceback."""

from tests.faults.flip import flip


def test_flipped_bits_are_found_and_healed(tmp_path):
    found = flip(200, tmp_path)
    assert set(found) == {"healed .parquet", "healed .tar"}
    assert found.total() == 200
