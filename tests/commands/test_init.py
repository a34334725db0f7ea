import subprocess

import pytest

from pipeline import config
from pipeline.commands import init as command
from pipeline.commands.init import init
from pipeline.commands.main import main
from pipeline.config import profiles
from pipeline.datasets.scan import scan
from pipeline.errors import UserError
from pipeline.labels import semantics
from tests.e2e.project import ROOT


@pytest.fixture
def no_dvc(monkeypatch):
    """Calls of DVC, which take seconds, are only remembered."""
    calls = []
    monkeypatch.setattr(command, "_dvc", lambda folder, *words: calls.append(words))
    return calls


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


PLACES = {
    "params.yaml": "profiles/sample.yaml",
    "dvc.yaml": "dvc.yaml",
    "manifests/semantics.yaml": "manifests/semantics.yaml",
    "manifests/datasets.yaml": "manifests/datasets.yaml",
    ".gitignore": ".gitignore",
    ".dvcignore": ".dvcignore",
}


def test_a_project_is_what_the_clone_has(no_dvc, tmp_path):
    said = init(tmp_path / "new")
    assert files(tmp_path / "new") == {
        name: (ROOT / original).read_bytes() for name, original in PLACES.items()
    }
    assert "faceshards sample-data data/raw/sample" in said
    assert no_dvc[0] == ("init", "--quiet", "--no-scm")


def test_a_second_time_changes_nothing(no_dvc, tmp_path):
    init(tmp_path)
    before = files(tmp_path)
    assert "Written" not in init(tmp_path)
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "manifests/datasets.yaml"])
def test_a_file_of_the_user_stops_it_before_anything_is_written(no_dvc, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine: true\n")
    before = files(tmp_path)
    with pytest.raises(UserError, match=f"has {name} with other content, so nothing was written"):
        init(tmp_path)
    assert files(tmp_path) == before
    assert no_dvc == []


def test_lines_are_added_to_what_is_ignored_already(no_dvc, tmp_path):
    (tmp_path / ".gitignore").write_text("*.secret\n/data/")
    assert "Lines were added to .gitignore." in init(tmp_path)
    lines = (tmp_path / ".gitignore").read_text().splitlines()
    assert lines[:2] == ["*.secret", "/data/"]
    assert sorted(lines) == sorted(
        {*(ROOT / ".gitignore").read_text().splitlines(), "*.secret", "/data/"}
    )


@pytest.mark.parametrize(
    ("place", "git", "how"), [(".", ".", ()), ("a/b", ".", ("--subdir",)), (".", "", ("--no-scm",))]
)
def test_dvc_goes_with_git_where_git_is(no_dvc, tmp_path, place, git, how):
    if git:
        (tmp_path / git / ".git").mkdir()
    init(tmp_path / place)
    assert no_dvc[0] == ("init", "--quiet", *how)


def test_a_dvc_repository_is_left_as_it_is(no_dvc, tmp_path):
    (tmp_path / ".dvc").mkdir()
    init(tmp_path)
    assert no_dvc == []


def test_another_profile_has_no_sample(no_dvc, tmp_path):
    said = init(tmp_path, "paper-sjedd")
    assert (tmp_path / "params.yaml").read_bytes() == (
        ROOT / "profiles/paper-sjedd.yaml"
    ).read_bytes()
    assert "write the roots of the datasets you have into manifests/datasets.yaml" in said
    assert (tmp_path / "manifests/datasets.yaml").read_bytes() == (
        ROOT / "pipeline/project/profile_datasets/paper-sjedd.yaml"
    ).read_bytes()
    assert not any(e.roots for e in config.load_datasets(tmp_path / config.DATASETS).values())


def test_a_profile_that_brings_no_datasets(no_dvc, tmp_path):
    said = init(tmp_path, "own-data")
    assert "list your data in manifests/datasets.yaml" in said
    with pytest.raises(UserError, match="names no dataset"):
        config.load_datasets(tmp_path / "manifests/datasets.yaml")


def test_a_misspelt_profile_is_a_users_mistake(no_dvc, tmp_path, capsys):
    assert main(["init", str(tmp_path / "new"), "--profile", "sampel"]) == 2
    assert capsys.readouterr().err.endswith("Did you mean sample?\n")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("inside", [True, False])
def test_videos_become_a_dataset_that_scan_reads(no_dvc, tmp_path, monkeypatch, capsys, inside):
    project = tmp_path / "project"
    videos = project / "data/raw/my videos" if inside else tmp_path / "my: videos"
    for n in range(6):
        for path in (f"real/{n}.mp4", f"fake/roop/{n}_swap.mp4"):
            (videos / path).parent.mkdir(parents=True, exist_ok=True)
            (videos / path).write_bytes(path.encode())
    monkeypatch.chdir(tmp_path)
    given = videos.relative_to(tmp_path)
    assert main(["init", "project", "--videos", str(given), "--seed", "3"]) == 0
    assert "6 groups of people" in capsys.readouterr().out
    monkeypatch.chdir(project)
    entries = config.load_datasets()
    assert list(entries) == ["mine"]
    found = scan(entries, config.load().datasets, semantics.load(), tmp_path / "cache.json")
    rows = found.videos.to_pylist()
    assert len(rows) == 12
    assert found.rejected.num_rows == 0
    assert {row["method"] for row in rows} == {"real", "roop"}
    for n in range(6):
        both = [row for row in rows if row["path"].split("/")[-1][0] == str(n)]
        assert len({row["split"] for row in both}) == len({r["leak_group"] for r in both}) == 1
    assert {(row["split"], row["label"]) for row in rows} == {
        (split, label) for split in ("train", "val", "test") for label in (0, 1)
    }
    assert not found.findings


@pytest.mark.slow
def test_with_dvc_itself_in_a_git_repository(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    init(tmp_path / "project")
    text = (tmp_path / "project/.dvc/config").read_text()
    assert "no_scm" not in text
    assert "analytics = false" in text
    assert "check_update = false" in text


def test_profiles_of_the_package_are_those_of_the_clone():
    assert profiles.SHIPPED.resolve() == (ROOT / "profiles").resolve()
