import json

import pytest

from pipeline import tables
from pipeline.audit import gather
from pipeline.commands.summary import summary
from pipeline.errors import UserError
from pipeline.report.parts import part_table
from tests.audit.test_videos import NO_REJECTS, table, video

FACTS = {"container": "mov", "codec": "h264", "width_px": 64, "height_px": 64, "rotation_deg": 0}
FACTS |= {"duration_s": 5.0, "average_fps": 25.0, "frame_count": 125, "transfer": ""}
FACTS |= {"primaries": "", "time_s": 1.25}


@pytest.fixture
def root(tmp_path):
    """A fake with two labelled parts; the second one begins behind its end."""
    fake = video(n="v", segments_s=[1.0, 1.5, 7.0, 8.0])
    frames = [FACTS | {"video_id": fake["video_id"], "sample": 0, "part": 0}]
    made = {"videos": table(fake), "frames": tables.from_rows("frames", frames)}
    for name, rows in made.items():
        tables.write(tmp_path / f"manifests/{name}.parquet", name, rows)
    tables.write(tmp_path / "manifests/rejected/scan.parquet", "rejected", NO_REJECTS)
    counts = {"inputs": 1, "outputs": 1, "rejects": 0, "left_out": 0}
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/scan.json").write_text(json.dumps(counts))
    return tmp_path


def test_labelled_parts_are_told_part_by_part(root):
    lines = [line.split() for line in summary(root).splitlines()]
    head = next(n for n, words in enumerate(lines) if words[:2] == ["dataset", "split"])
    assert [words[:4] for words in lines[head + 1 : head + 3]] == [["ds", "train", "2", "1"]] * 2
    told = gather.text(gather.gather(root / "manifests"), [])
    assert "1 of 2 labelled parts of train of ds gave no face" in told
    assert "ds/m/v, part 2: 7 to 8" in told


def test_without_labelled_parts_nothing_is_said_of_them(root):
    tables.write(root / "manifests/videos.parquet", "videos", table(video(n="v")))
    assert "labelled" not in summary(root)
    assert not part_table([]).rows


def test_before_the_first_stage(tmp_path):
    with pytest.raises(UserError, match="No stage has run here yet"):
        summary(tmp_path)
