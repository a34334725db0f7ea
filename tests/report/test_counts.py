from collections import Counter
from pathlib import Path

import pytest

from pipeline.report.cells import MAX_ROWS, Share, in_bytes, limited
from pipeline.report.counts import Counts
from tests.shards.made import World


@pytest.fixture(scope="module")
def counts(root: Path) -> Counts:
    return Counts(root / "manifests", root / "data/shards")


def test_videos_add_up(counts: Counts, made: tuple[Path, World]) -> None:
    videos = made[1].tables["videos"].to_pylist()
    table = counts.per_dataset()
    assert [dict(zip(table.head, row, strict=True)) for row in table.rows] == [
        {
            "dataset": dataset,
            "videos": len(mine := [v for v in videos if v["dataset"] == dataset]),
            **{s: sum(v["split"] == s for v in mine) for s in ("train", "val", "test")},
            "real": sum(v["label"] == 0 for v in mine),
            "fake": sum(v["label"] == 1 for v in mine),
            "size": f"{len(mine)} B",
        }
        for dataset in ("ffpp", "wild")
    ]
    by_method = Counter((v["dataset"], v["method"], v["split"]) for v in videos)
    for dataset, method, _, *splits in counts.per_method().rows:
        for split, count in zip(("train", "val", "test"), splits, strict=True):
            assert by_method.pop((dataset, method, split), 0) == count
    assert not by_method


def test_reals_come_first_and_kinds_are_words(counts: Counts) -> None:
    assert [row[:3] for row in counts.per_method().rows] == [
        ("ffpp", "real", "pristine"),
        ("ffpp", "Deepfakes", "face swap"),
        ("wild", "real", "pristine"),
        ("wild", "unheard-of", "unknown"),
    ]


def test_balance_before_and_after(counts: Counts, made: tuple[Path, World]) -> None:
    faces = made[1].tables["faces"]["video_id"].to_pylist()
    splits = dict(zip(*made[1].tables["videos"].select(["video_id", "split"]).columns, strict=True))
    splits = {video.as_py(): split.as_py() for video, split in splits.items()}
    chosen = made[1].tables["samples"].to_pylist()
    for dataset, split, *cells in counts.balance_per_split().rows:
        mine = [f for f in faces if f.startswith(f"{dataset}/") and splits[f] == split]
        real = sum(f.startswith(f"{dataset}/real/") for f in mine)
        before = Share(real, len(mine) - real)
        labels = [
            s["label"]
            for s in chosen
            if s["face_id"].startswith(f"{dataset}/") and s["split"] == split
        ]
        after = Share(labels.count(0), labels.count(1))
        shown = (before.real, before.fake, before, after.real, after.fake, after)
        assert tuple(cells) == shown


def test_swaps_are_made_not_found(counts: Counts) -> None:
    table = counts.balance_per_method()
    rows = {row[:2]: dict(zip(table.head[3:], row[3:], strict=True)) for row in table.rows}
    assert rows["ffpp", "swap_eye"] == {
        "train found": "",
        "train chosen": 4,
        "val found": "",
        "val chosen": "",
        "test found": "",
        "test chosen": "",
    }
    assert rows["ffpp", "real"]["train found"] == 6
    assert rows["ffpp", "real"]["test chosen"] == 0
    assert counts.samples(expanded=True) == Share(0, 8)
    assert counts.samples(expanded=False) == Share(16, 16)


def test_shares() -> None:
    assert [Share(*pair).real_percent for pair in ((1, 1), (0, 3), (0, 0), (1, 2))] == [
        50.0,
        0.0,
        0.0,
        33.33,
    ]


def test_sizes_for_people() -> None:
    sizes = {0: "0 B", 999: "999 B", 1000: "1.0 kB", 1_899_520: "1.9 MB", 10**12: "1.0 TB"}
    assert {size: in_bytes(size) for size in sizes} == sizes
    assert in_bytes(5 * 10**19) == "50000.0 PB"


def test_long_tables_say_how_much_is_left() -> None:
    rows = [(str(n), n) for n in range(MAX_ROWS + 7)]
    table = limited("all", ("name", "n"), "lr", rows)
    assert (len(table.rows), table.left) == (MAX_ROWS, 7)
    assert limited("all", ("name", "n"), "lr", rows[:3]).left == 0
