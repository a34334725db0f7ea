from pathlib import Path

import pytest

from pipeline.commands.entry import EXIT_USER_ERROR, run_main
from stages import report
from tests.report import project

PARAMS = """
runs:
  first:
    model: {architecture: vit, size: tiny}
    objective: {kind: metric_learning}
    also: train
report: {faces_per_dataset: 3, swaps_per_region: 1}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project.build(tmp_path, "clip")
    (tmp_path / "params.yaml").write_text(PARAMS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_the_page_with_its_list_and_nothing_else(root: Path) -> None:
    before = set(root.rglob("*"))
    assert run_main(report.main) == 0
    made = root / "report/index.html"
    assert set(root.rglob("*")) - before == {made, made.parent, made.parent / "lost.csv"}
    html = made.read_text(encoding="utf-8")
    assert html.count("<img ") == 2 * 3 + 2 * 4
    assert "<h3>first</h3>" in html
    assert str(root) not in html


def test_the_second_time_it_is_the_same(root: Path) -> None:
    pages = []
    for _ in range(2):
        assert run_main(report.main) == 0
        pages.append((root / "report/index.html").read_bytes())
    assert pages[0] == pages[1]


def test_a_missing_shard_folder_is_one_sentence(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "data/shards/val/index.parquet").unlink()
    assert run_main(report.main) == EXIT_USER_ERROR
    assert not (root / "report/index.html").exists()
    assert capsys.readouterr().err.startswith("faceshards: data/shards/val/index.parquet does not")
