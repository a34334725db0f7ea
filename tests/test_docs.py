"""The guide keeps up with the code."""

import csv
import re
import subprocess
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from pipeline.commands import summary
from pipeline.config import profiles
from pipeline.config.objectives import OBJECTIVES
from pipeline.config.params import Params
from pipeline.config.run_params import RunParams
from pipeline.datasets import generic_csv
from pipeline.tables.schemas import REJECT_REASONS
from pipeline.video.container import FORMATS

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs/guide.md").read_text(encoding="utf-8")


def _leaves(cls, at=""):
    hints = get_type_hints(cls)
    for field in fields(cls):
        if is_dataclass(hints[field.name]):
            yield from _leaves(hints[field.name], f"{at}{field.name}.")
        else:
            yield at + field.name


def test_every_parameter_is_explained():
    assert [key for key in _leaves(Params) if f"`{key}`" not in GUIDE] == []


def _run_parameters():
    """Keys of a run as the page about training names them."""
    whole = {"model.weights", "objective.loss_weights"}
    for key in _leaves(RunParams):
        above, _, name = key.rpartition(".")
        yield above if above in whole else key if name != "objective" else "objective.kind"
    for of in OBJECTIVES.values():
        for key in _leaves(of, "objective."):
            above = key.rpartition(".")[0]
            yield above if above in whole else key


def test_every_parameter_of_a_run_and_every_objective_is_explained():
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    assert [key for key in _run_parameters() if f"| `{key}` |" not in page] == []
    assert [kind for kind in OBJECTIVES if f"\n`{kind}` is " not in page] == []
    named = set(re.findall(r"\| `((?:model|objective|optimizer)\.[a-z_.]+)` \|", page))
    assert named - set(_run_parameters()) == set()


def test_no_parameter_is_explained_that_does_not_exist():
    sections = "|".join(f.name for f in fields(Params))
    named = set(re.findall(rf"`((?:{sections})\.[a-z0-9_.]+)(?::[^`]*)?`", GUIDE))
    assert named - set(_leaves(Params)) == set()


def test_every_reject_reason_is_explained_as_in_the_code():
    for reason, meaning in REJECT_REASONS.items():
        assert f"| `{reason}` | {meaning} |" in GUIDE


def test_every_csv_column_is_explained():
    assert [c for c in generic_csv.COLUMNS if f"`{c}`" not in GUIDE] == []


def test_every_profile_is_explained():
    assert [n for n in profiles.names(ROOT / "profiles") if f"| `{n}` |" not in GUIDE] == []


def test_the_snippet_is_the_one_of_the_summary():
    snippet = summary.READ.split("webdataset:\n")[1]
    assert "\n".join(line.removeprefix("  ") for line in snippet.splitlines()) in GUIDE


@pytest.mark.parametrize("document", ["guide", "decisions"])
def test_links_within_a_document_lead_somewhere(document):
    text = (ROOT / f"docs/{document}.md").read_text(encoding="utf-8")
    heads = {
        re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-")
        for head in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) - heads == set()


def test_every_container_is_named():
    listed = GUIDE.split("Videos may be")[1].split("by content")[0].lower()
    assert [name for name in FORMATS if name not in listed] == []


def test_the_listing_of_folders_is_a_csv_that_the_adapter_reads(tmp_path):
    script = GUIDE.split("cd /data/mine\n")[1].split("\n```")[0]
    for name in ("real/a b.mp4", "real/b.mp4", "fake/c.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, check=True)
    with (tmp_path / "mine.csv").open(newline="") as file:
        rows = [(row["path"], row["label"], row["split"]) for row in csv.DictReader(file)]
    assert rows == [
        ("real/a b.mp4", "real", "train"),
        ("real/b.mp4", "real", "train"),
        ("fake/c.mp4", "fake", "train"),
    ]


def test_every_dependency_has_its_line_and_its_extra_in_the_readme():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {"faceshards": project["dependencies"]} | {
        name: extras[name]
        for name in ("pipeline", "cluster", "centerface", "tensorboard", "streaming")
    }
    table = (ROOT / "README.md").read_text().split("## What it stands on")[1]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| `(\w+)` \|$", table, re.MULTILINE)
    told = {name: extra for names, extra in rows for name in names.split(", ")}
    assert told == {
        re.split(r"[<>=]", one)[0]: extra
        for extra, names in wanted.items()
        for one in names
        if not one.startswith("faceshards[")
    }
