"""Killed at any step towards the disk: the next run ends with the bytes of an undisturbed one."""

from tests.faults import kill


def test_forty_kill_points(tmp_path):
    assert kill.try_points(40, seed=1, parent=tmp_path) >= 40
