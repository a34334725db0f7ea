import hashlib
import json
import shutil
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.report import stages
from pipeline.tables import schemas
from tests.report import project


def test_every_stage_has_its_counts(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "metrics", tmp_path / "metrics")
    (tmp_path / "metrics/expand.json").unlink()
    rows = {row[0]: row[1:] for row in stages.stage_table(tmp_path / "metrics").rows}
    assert rows["scan"] == ("videos", 22, 13, 2, 7, "")
    assert rows["balance"] == ("faces", 20, 13, 0, 7, "not chosen")
    assert rows["expand"] == ("region swaps", *["not run"] * 4, "")


@pytest.mark.parametrize("text", ["", "[1]", '{"inputs": 1}', '{"inputs": NaN}'])
def test_damaged_metrics_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "scan.json").write_text(text)
    with pytest.raises(UserError, match=r"scan\.json"):
        stages.stage_table(tmp_path)


def test_rejects_by_reason_with_examples_by_hash(root: Path) -> None:
    found = stages.rejects(root / "manifests/rejected")
    facts = [(group.stage, group.reason, group.count) for group in found]
    assert facts == [("scan", "missing", 2), ("faces", "truncated", 9), ("faces", "no_face", 1)]
    truncated = found[1]
    assert truncated.meaning == schemas.REJECT_REASONS["truncated"]
    ids = [row[0] for row in project.REJECTS["faces"] if row[1] == "truncated"]
    ids.sort(key=lambda name: hashlib.blake2b(name.encode(), digest_size=8).digest())
    assert [name for name, _ in truncated.examples] == ids[:3]
    assert dict(truncated.examples)[ids[0]] == f"ends at {ids[0][11]} s"


def test_shards_add_up(root: Path) -> None:
    rows = [row[:2] + row[3:6] for row in stages.shard_table(root / "data/shards").rows]
    assert rows == [
        ("train", "ffpp", 12, 6, 6),
        ("train", "wild", 12, 6, 6),
        ("val", "ffpp", 4, 2, 2),
        ("val", "wild", 4, 2, 2),
        ("test", "none", 0, 0, 0),
        ("expanded", "ffpp", 8, 0, 8),
    ]
    tars = json.loads((root / "data/shards/train/shards.json").read_text())["tars"]
    table = stages.shard_table(root / "data/shards")
    assert table.rows[0][2] + table.rows[1][2] == len(tars)
