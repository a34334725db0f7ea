import base64
import hashlib
import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import tables
from pipeline.config.run_params import ReportParams
from pipeline.errors import UserError
from pipeline.report import page
from pipeline.report.stages import Rejects
from pipeline.tables import schemas
from tests.report import project
from tests.report.parsed import Page
from tests.shards import made as shards_made

MAX_BYTES = 5_000_000
MARKUP = (
    "<!--",
    "]]>",
    "{{ 7 * 7 }}",
    "'\"><img src=x onerror=alert(1)>",
    "</style>",
    "&lt;",
    "data:image/\u202e",
)
SECTIONS = (
    "videos",
    "stages",
    "lost",
    "rejects",
    "audit",
    "balance",
    "faces",
    "swaps",
    "shards",
    "runs",
)


def rendered(root: Path, runs: dict = project.RUNS) -> str:
    return page.render(page.gather(root, runs, ReportParams()))


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A project that may be changed."""
    shutil.copytree(root, tmp_path / "project")
    return tmp_path / "project"


def test_hostile_names_and_reasons_are_text(html: str) -> None:
    found = Page(html)
    assert not found.all("script")
    assert project.HOSTILE in found.text
    assert project.OVERRIDE not in found.text
    assert project.OVERRIDE.replace("\u202e", "\\u202e") in found.text
    assert any(project.HOSTILE in (image["alt"] or "") for image in found.all("img"))
    names = {name for _, attributes in found.tags for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]


@pytest.fixture(scope="module")
def contents(root: Path) -> page.Contents:
    return page.gather(root, {}, ReportParams(faces_per_dataset=1, swaps_per_region=1))


@settings(max_examples=40, deadline=None)
@given(text=st.text(min_size=1, max_size=60) | st.sampled_from(MARKUP))
def test_no_text_becomes_markup(contents: page.Contents, text: str) -> None:
    group = Rejects("scan", "missing", "a meaning", 1, ((text, text),))
    harmless = replace(group, examples=(("a", "b"),))
    shown, plain = (
        Page(page.render(replace(contents, rejects=(each,)))) for each in (group, harmless)
    )
    assert shown.tags == plain.tags
    assert page.visible(text) in shown.under("code")


@given(st.text(max_size=2 * page.MAX_CHARS) | st.just("data:image/\u202e"))
def test_what_cannot_be_seen_is_spelt_out(text: str) -> None:
    shown = str(page.visible(text))
    assert shown.isprintable()
    if text.isprintable() and len(text) <= page.MAX_CHARS:
        assert shown == text


def test_the_policy_forbids_everything_but_what_is_inside(html: str) -> None:
    found = Page(html)
    (policy,) = (m["content"] for m in found.all("meta") if "http-equiv" in m)
    style = found.under("style")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    # The policy has to be read before anything that it governs.
    assert [tag for tag, _ in found.tags[:4]] == ["html", "head", "meta", "meta"]
    for tag, attributes in found.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:image/")), (tag, target[:80])
    assert "url(" not in style
    assert "@import" not in style


def test_it_is_built_for_everyone(html: str) -> None:
    found = Page(html)
    assert found.all("html")[0]["lang"] == "en"
    assert all(image["alt"] for image in found.all("img"))
    assert len(found.all("table")) == len(found.all("caption")) == 10
    drawn = [svg for svg in found.all("svg") if "aria-hidden" not in svg]
    assert drawn
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in drawn)
    levels = [int(tag[1]) for tag, _ in found.tags if tag in ("h1", "h2", "h3")]
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert (
        {a["href"] for a in found.all("a")}
        == {f"#{name}" for name in SECTIONS}
        <= {f"#{name}" for name in ids}
    )


def test_the_same_inputs_give_the_same_bytes(copy: Path, html: str) -> None:
    assert rendered(copy) == html
    assert len(html.encode()) < MAX_BYTES


def test_a_removed_run_leaves_no_trace(copy: Path) -> None:
    left = {"second": project.RUN}
    before = rendered(copy, left)
    assert "first" not in Page(before).under("h3")
    (copy / "plots/first.csv").unlink()
    (copy / "predictions/first/metrics.json").unlink()
    assert rendered(copy, left) == before


def test_scores_without_meaning_are_said_to_have_none(html: str, copy: Path) -> None:
    runs = Page(html)
    said = [text for text in runs.under("p") if "mean nothing" in text]
    assert len(said) == 1 + len(project.RUNS)
    big = replace(project.RUN, model=replace(project.RUN.model, size="vit-b16"))
    scores = json.dumps(project.scores(meaningless=0))
    (copy / "predictions/first/metrics.json").write_text(scores)
    text = Page(rendered(copy, {"first": big})).text
    assert "0.719" in text
    assert "nothing." not in text.partition("Training runs")[2]


def test_one_class_and_videos_without_a_score_are_named(html: str) -> None:
    text = Page(html).text
    assert "Without both reals and fakes there is no score: val wild; val wild unheard-of." in text
    assert "Videos without a score, over all splits: 3." in text


def test_what_is_absent_is_said(copy: Path) -> None:
    """No expansion, no reject, no history, no scores, no run, a stage that has not run."""
    empty = schemas.schema("index_expanded").empty_table()
    tables.write(copy / "data/shards/expanded/index.parquet", "index_expanded", empty)
    shutil.rmtree(copy / "manifests/rejected")
    shutil.rmtree(copy / "plots")
    shutil.rmtree(copy / "metrics")
    text = Page(rendered(copy)).text
    for sentence in (
        "Nothing was rejected.",
        "No dataset was expanded.",
        "There is no training history.",
        "This run was not evaluated.",
        "not run",
    ):
        assert sentence in text
    assert "No run is configured" in Page(rendered(copy, {})).text


def test_a_project_with_nothing_in_it_has_a_page(copy: Path) -> None:
    for name in ("videos", "faces"):
        tables.write(copy / f"manifests/{name}.parquet", name, schemas.schema(name).empty_table())
    world = shards_made.World(
        {name: rows.slice(0, 0) for name, rows in _tables(copy).items()}, Path(), Path()
    )
    shutil.rmtree(copy / "data/shards")
    shards_made.shard(world, copy / "data/shards")
    text = Page(rendered(copy)).text
    assert "No dataset has any video." in text
    assert "The shards hold no faces." in text


def test_a_missing_table_is_told(copy: Path) -> None:
    (copy / "manifests/faces.parquet").unlink()
    with pytest.raises(UserError, match=r"faces\.parquet does not exist"):
        rendered(copy)


def _tables(root: Path) -> dict:
    names = ("videos", "faces", "samples", "landmarks", "expanded")
    return {name: tables.read(root / f"manifests/{name}.parquet", name) for name in names}
