"""The table of what the expansion planned, refused, replaced, rejected and made."""

import json
from pathlib import Path

from pipeline import tables
from pipeline.commands.summary import summary
from pipeline.report.expansion import expansion_rows, expansion_table


def _stage(root: Path) -> None:
    """Metrics and rejects of a dataset with a telling name."""
    counts = {"inputs": 9, "outputs": 7, "rejects": 2, "left_out": 0}
    start = "a_swap_left_"
    counts |= {f"{start}swap_targets": 20, f"{start}swap_targets_no_landmarks": 2}
    counts |= {f"{start}swap_pairs_turn_differs": 4, f"{start}xray_face_leaves_crop": 0}
    for method, numbers in (
        ("swap_left_eye", (6, 5, 1, 3)),
        ("swap_lip", (6, 3, 0, 0)),
        ("xray_face", (1, 1, 0, 0)),
    ):
        names = ("wanted", "planned", "replaced", "leaves_crop")
        counts |= {f"{start}{method}_{n}": v for n, v in zip(names, numbers, strict=True)}
    (root / "metrics").mkdir()
    (root / "metrics/expand.json").write_text(json.dumps(counts))
    ids = [f"a_swap_left/swap_left_eye/v/0000{n}-0-0" for n in range(2)]
    rejects = [{"id": one, "reason": "odd_colors", "detail": ""} for one in ids]
    (root / "manifests/rejected").mkdir(parents=True)
    found = tables.from_rows("rejected", rejects)
    tables.write(root / "manifests/rejected/expand.parquet", "rejected", [found])


def test_every_region_adds_up_and_says_what_was_refused(tmp_path: Path) -> None:
    assert expansion_rows(tmp_path) == []
    assert expansion_table(tmp_path).rows == ()
    _stage(tmp_path)
    faces = "2 targets without landmarks; 4 sources turned against their target"
    assert expansion_rows(tmp_path) == [
        (
            ("a_swap_left", "swap", "left_eye", 6, 5, 1, 2, 3),
            f"{faces}; 3 targets whose region leaves the crop",
        ),
        (("a_swap_left", "swap", "lip", 6, 3, 0, 0, 3), faces),
        (("a_swap_left", "xray", "face", 1, 1, 0, 0, 1), ""),
    ]
    assert [row[-1] for row in expansion_table(tmp_path).rows][-1] == "nothing"
    told = summary(tmp_path)
    assert "swap       left_eye       6        5         1         2     3" in told
    assert f"a_swap_left, swap, lip: refused {faces}\n" in told + "\n"
