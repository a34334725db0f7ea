from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import tables
from pipeline.audit import gather
from pipeline.audit.findings import Finding
from pipeline.config.params import AuditParams, BalanceParams, DatasetsParams, Params
from pipeline.config.run_params import ReportParams
from pipeline.report import page
from tests.audit.test_videos import NO_REJECTS, table, video
from tests.report import project
from tests.report.parsed import Page

HOSTILE = Finding("leak", "error", f"shared: {project.HOSTILE}", 1200, ("a\x1b[31mb",), "Look.")


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """Videos of two splits that share a person; no faces."""
    rows = [video(n=split, split=split, identity="x") for split in ("train", "test")]
    tables.write(tmp_path / "videos.parquet", "videos", table(*rows))
    tables.write(tmp_path / "rejected/scan.parquet", "rejected", NO_REJECTS)
    return tmp_path


def kinds(found: gather.Audit) -> list[str]:
    return [finding.kind for finding in found.findings if finding.severity == "error"]


def test_faces_are_looked_at_once_they_are_there(manifests: Path, root: Path) -> None:
    before = gather.gather(manifests)
    assert (kinds(before), before.faces) == (["leak"], False)
    faces = tables.read(root / "manifests/faces.parquet", "faces").slice(0, 2)
    columns = {"video_id": ["ds/m/train", "ds/m/test"], "phash": ["0" * 16] * 2}
    for name, values in columns.items():
        place = faces.schema.get_field_index(name)
        faces = faces.set_column(place, faces.schema.field(name), [values])
    tables.write(manifests / "faces.parquet", "faces", faces)
    after = gather.gather(manifests)
    assert (kinds(after), after.faces) == (["leak", "near_duplicate"], True)


def test_faces_of_videos_that_are_gone_are_no_fault(manifests: Path, root: Path) -> None:
    faces = tables.read(root / "manifests/faces.parquet", "faces")
    tables.write(manifests / "faces.parquet", "faces", faces)
    assert kinds(gather.gather(manifests)) == ["leak"]


@pytest.mark.parametrize(
    ("params", "fails"),
    [
        (Params(), False),
        (Params(datasets=DatasetsParams(audit=AuditParams(leak="fail"))), True),
        (Params(datasets=DatasetsParams(audit=AuditParams(duplicate="fail"))), False),
        (Params(balance=BalanceParams(audit="fail")), False),
    ],
)
def test_only_what_is_to_fail_fails(params: Params, fails: bool) -> None:
    found = gather.Audit((HOSTILE, replace(HOSTILE, kind="duplicate", severity="note")), True)
    assert gather.failing(found, params) == [HOSTILE] * fails


def test_text_fits_a_terminal_and_cannot_steer_it() -> None:
    long = replace(HOSTILE, what="many words " * 40, advice="do this " * 40)
    text = gather.text(gather.Audit((HOSTILE, long), True), [HOSTILE])
    assert max(map(len, text.splitlines())) <= gather.WIDTH
    assert "\x1b" not in text
    assert "a\\u001b[31mb" in text
    assert "1,200 in all" in text
    assert text.endswith("2 errors.\n\nThe parameters say that these are to fail: leak.")


def test_the_page_shows_findings_as_text_and_not_too_many(root: Path) -> None:
    contents = page.gather(root, {}, ReportParams(faces_per_dataset=1, swaps_per_region=1))
    many = tuple(replace(HOSTILE, count=n) for n in range(gather.MAX_FINDINGS + 7))
    found = Page(page.render(replace(contents, audit=gather.Audit(many, True))))
    assert not found.all("script")
    assert project.HOSTILE in found.text
    assert "7 more findings are not shown." in found.text
    assert found.text.count("shared:") == gather.MAX_FINDINGS
    clean = Page(page.render(replace(contents, audit=gather.Audit((), True))))
    assert "Nothing is shared between splits" in clean.text
