import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datasets import path_lists, shared_ids


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("000", ("ffpp-id:000",)),
        ("001_870", ("ffpp-id:001", "ffpp-id:870")),
        ("id0_0000", ("celebdf-id:id0",)),
        ("id1_id61_0007", ("celebdf-id:id1", "celebdf-id:id61")),
        ("00170", ("celebdf-youtube:00170",)),
        ("seed0188", ()),
        ("000_0001", ()),
        ("001_002_003", ()),
        ("id0", ()),
        ("id0_id1", ()),
        ("٠٠٠", ()),  # noqa: RUF001 - digits, but not ASCII
        ("", ()),
    ],
)
def test_ids_in_names(name, ids):
    assert shared_ids.ids_in(name) == ids


@given(st.lists(st.sampled_from(["", "ffpp-id:000", "ffpp-id:003", "mine:M101"]), max_size=5))
def test_a_group_names_each_part_once_in_any_order(ids):
    group = shared_ids.leak_group(*ids)
    assert group == shared_ids.leak_group(*reversed(ids))
    assert [part for part in group.split("+") if part] == sorted(set(ids) - {""})


@pytest.mark.parametrize(
    "path", ["Test/FS/1.png", "/data/Test/FS/1.png", "D:\\test\\test\\FS\\1.png", "test/fs/1.png"]
)
def test_lists_and_disks_are_compared_from_the_last_folder_both_have(path):
    assert path_lists.tail(path, {"train", "test"}.__contains__) == "test/fs/1.png"


def test_a_file_is_no_folder():
    assert path_lists.tail("a/b/test", {"test"}.__contains__) == "a/b/test"
