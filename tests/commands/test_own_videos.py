import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.commands.own_videos import SHARES, own_videos, split, table
from pipeline.errors import UserError


def groups_of(root, *paths):
    """Group of every path, from files that are made in ``root``."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return {video.path: video.group for video in own_videos(root)[0]}


def test_folders_tell_label_method_and_person(tmp_path):
    groups = groups_of(
        tmp_path,
        *("real/alice/1.mp4", "real/alice/deep/2.MOV", "real/bob/1.mp4", "real/.hidden/x.mp4"),
        *("fake/roop/alice/1.mp4", "fake/roop/bob_x.mp4", "fake/alice/3.mp4", "fake/clip.mp4"),
        *("real/alice/notes.txt",),
    )
    assert groups == {
        "real/alice/1.mp4": "alice",
        "real/alice/deep/2.MOV": "alice",
        "real/bob/1.mp4": "bob",
        "fake/alice/3.mp4": "alice",
        "fake/clip.mp4": "clip",
        "fake/roop/alice/1.mp4": "alice",
        "fake/roop/bob_x.mp4": "bob",
    }
    methods = {video.path: video.method for video in own_videos(tmp_path)[0]}
    assert {path for path, method in methods.items() if method} == {
        "fake/roop/alice/1.mp4",
        "fake/roop/bob_x.mp4",
    }
    assert methods["fake/roop/bob_x.mp4"] == "roop"


def test_a_fake_ties_the_people_in_its_name(tmp_path):
    groups = groups_of(
        tmp_path,
        *("real/000.mp4", "real/003.mp4", "real/004.mp4", "real/04.mp4"),
        *("fake/000_003.mp4", "fake/Face2Face/004-swap.mp4"),
    )
    assert groups["real/000.mp4"] == groups["real/003.mp4"] == groups["fake/000_003.mp4"] == "000"
    assert groups["real/004.mp4"] == groups["fake/Face2Face/004-swap.mp4"] == "004"
    assert groups["real/04.mp4"] == "04"


def test_a_person_has_several_numbered_videos(tmp_path):
    reals = [f"real/{who}_{n}.mp4" for who in ("alice", "bob", "carol d") for n in (1, 2)]
    groups = groups_of(tmp_path, *reals, "fake/Bob_2_swap.mp4", "fake/x-carol-d.mp4")
    assert set(groups.values()) == {"alice", "bob", "carol d"}
    assert groups["fake/Bob_2_swap.mp4"] == "bob"
    assert groups["fake/x-carol-d.mp4"] == "carol d"


def test_a_word_that_most_names_begin_with_is_nobody(tmp_path):
    reals = [f"real/video_{n}.mp4" for n in range(5)]
    groups = groups_of(tmp_path, *reals, "real/a_1.mp4", "real/b_1.mp4", "fake/video_3_swap.mp4")
    assert len(set(groups.values())) == 7
    assert groups["fake/video_3_swap.mp4"] == groups["real/video_3.mp4"] == "video 3"
    assert "into one folder" in own_videos(tmp_path)[1]


@pytest.mark.parametrize("there", [(), ("real/a.mp4",), ("fake/a.mp4", "real/a.txt")])
def test_a_folder_without_videos_is_named(tmp_path, there):
    with pytest.raises(UserError, match=r"(real|fake) holds no videos"):
        groups_of(tmp_path, *there)


SIZES = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=4),
    st.fixed_dictionaries({"real": st.integers(0, 9), "fake": st.integers(0, 9)}).filter(
        lambda size: sum(size.values())
    ),
    max_size=30,
)


@given(SIZES, st.integers(0, 3), st.randoms())
def test_splits_do_not_depend_on_the_order(sizes, seed, random):
    shuffled = list(sizes.items())
    random.shuffle(shuffled)
    found = split(sizes, seed)
    assert found == split(dict(shuffled), seed)
    assert set(found) == set(sizes)


@given(
    st.lists(st.integers(1, 9), min_size=3, max_size=20),
    st.lists(st.integers(1, 9), min_size=3, max_size=20),
    st.integers(0, 3),
)
def test_every_split_gets_both_labels_where_each_has_three_groups(reals, fakes, seed):
    sizes = {f"r{i}": {"real": n} for i, n in enumerate(reals)}
    sizes |= {f"f{i}": {"fake": n} for i, n in enumerate(fakes)}
    found = split(sizes, seed)
    for kind in "rf":
        assert {where for group, where in found.items() if group[0] == kind} == set(SHARES)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=3, max_size=20))
def test_so_it_does_where_three_groups_have_both(pairs):
    found = split({str(i): {"real": r, "fake": f} for i, (r, f) in enumerate(pairs)}, 0)
    assert set(found.values()) == set(SHARES)


def test_shares_are_kept_and_the_seed_matters():
    sizes = {str(n): {"real": 1, "fake": 1} for n in range(200)}
    found = split(sizes, 0)
    assert {name: list(found.values()).count(name) for name in SHARES} == {
        "train": 140,
        "val": 30,
        "test": 30,
    }
    assert split(sizes, 1) != found


def test_the_table_has_every_video_and_nobody_in_two_splits(tmp_path):
    reals = [f"real/{n:03}.mp4" for n in range(20)]
    fakes = [f"fake/roop/{n:03}_{n + 1:03}.mp4" for n in range(0, 20, 2)]
    groups_of(tmp_path, *reals, *fakes)
    text, told = table(own_videos(tmp_path)[0], seed=0)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["path"] for row in rows] == [*reals, *fakes]
    splits = {row["path"].split("/")[-1].split(".")[0]: row["split"] for row in rows}
    for n in range(0, 20, 2):
        together = {splits[f"{n:03}"], splits[f"{n + 1:03}"], splits[f"{n:03}_{n + 1:03}"]}
        assert len(together) == 1
    assert told.startswith("10 groups of people: train 14 real, 7 fake; val 4 real, 2 fake; test 2")
    assert {row["split"] for row in rows} == set(SHARES)


def test_splits_that_lack_a_label_are_told_in_one_sentence(tmp_path):
    groups_of(tmp_path, "real/a.mp4", "real/b.mp4", "fake/a_b.mp4")
    told = table(own_videos(tmp_path)[0], seed=0)[1]
    assert "val has no real, val has no fake, test has no real, test has no fake videos" in told
