"""Output versions, in the package and in a project."""

import pytest

from pipeline import versions
from pipeline.commands.entry import run_main
from pipeline.config import read_yaml
from pipeline.errors import UserError
from tests.e2e.project import ROOT


def _with(folder, stage, number):
    path = folder / versions.IN_PROJECT
    versions.publish(path)
    numbers = read_yaml(path)
    path.write_text("".join(f"{k}: {v}\n" for k, v in (numbers | {stage: number}).items()))
    return path


def test_every_stage_of_the_graph_has_a_number_and_names_it_where_scan_writes_it():
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    assert set(stages) == set(read_yaml(versions.VERSIONS))
    for name, stage in stages.items():
        body = stage.get("do", stage)
        named = [p["manifests/versions.yaml"] for p in body["params"] if isinstance(p, dict)]
        assert named == ([] if name == "scan" else [[name]])
    outs = [next(iter(out)) for out in stages["scan"]["outs"]]
    assert versions.IN_PROJECT.as_posix() in outs


def test_published_numbers_are_those_of_the_package(tmp_path):
    path = tmp_path / versions.IN_PROJECT
    versions.publish(path)
    assert path.read_bytes() == versions.VERSIONS.read_bytes()
    for stage, number in read_yaml(path).items():
        assert versions.version(stage) == number
        versions.check_published(stage, path)


def test_another_number_names_stage_numbers_and_what_to_run(tmp_path):
    path = _with(tmp_path, "faces", 0)
    with pytest.raises(UserError, match=r"faces makes version 0.*version \d.*`dvc repro scan`"):
        versions.check_published("faces", path)
    versions.check_published("frames", path)


def test_a_stage_without_a_number_is_not_looked_at(tmp_path):
    versions.check_published("mine", _with(tmp_path, "faces", 0))


@pytest.mark.parametrize(
    ("running", "code"), [("faces", 2), ("faces@run", 2), ("scan", 0), ("frames", 0), ("", 0)]
)
def test_a_stage_that_dvc_runs_checks_its_own_number(tmp_path, monkeypatch, capsys, running, code):
    _with(tmp_path, "faces", 0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", running)
    ran = []
    assert run_main(lambda: ran.append(1)) == code
    assert bool(ran) == (code == 0)
    assert capsys.readouterr().err.count("\n") == (code == 2)
