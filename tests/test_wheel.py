"""The wheel, installed where nothing of this clone is."""

import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.e2e.project import ROOT, copy_project, stages_run
from tests.shards.conftest import shards, world

__all__ = ["shards", "world"]

pytestmark = pytest.mark.slow

STAGES = ["scan", "frames", "faces", "balance", "landmarks", "expand", "shard"]
DATA = {
    "pipeline/versions.yaml": "pipeline/versions.yaml",
    "pipeline/project/graph.yaml": "dvc.yaml",
    "pipeline/project/semantics.yaml": "manifests/semantics.yaml",
    "pipeline/project/datasets.yaml": "manifests/datasets.yaml",
    "pipeline/project/gitignore": ".gitignore",
    "pipeline/project/dvcignore": ".dvcignore",
    "pipeline/report/page.html": "pipeline/report/page.html",
    "pipeline/prediction/page.html": "pipeline/prediction/page.html",
    "pipeline/report/head.html": "pipeline/report/head.html",
    "pipeline/report/macros.html": "pipeline/report/macros.html",
    "pipeline/report/style.css": "pipeline/report/style.css",
    "faceshards/py.typed": "faceshards/py.typed",
    **{
        f"pipeline/evaluation/papers/{name}.yaml": f"pipeline/evaluation/papers/{name}.yaml"
        for name in ("metric-learning", "scenarios", "sjedd")
    },
}
"""Files of the wheel that are no code, and the files of the clone that they must equal."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, since a build writes into its source."""
    source = copy_project(tmp_path_factory.mktemp("source"), git=True)
    out = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(out)]
    subprocess.run([*pip, *options, str(source)], check=True)
    (built,) = out.glob("*.whl")
    return built


def install(wheel: Path, folder: Path) -> Path:
    """A virtual environment that holds the wheel alone; the folder its packages lie in."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = ["--python", str(folder), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *options], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    return packages


def run(env: Path, folder: Path, *words: str, check: bool = True):
    """Runs a program of an environment, as if it was activated, and nothing of this one."""
    variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    variables |= {
        "PATH": f"{env / 'bin'}:{os.environ['PATH']}",
        "DVC_SITE_CACHE_DIR": str(env / "dvc-site"),
        "DVC_NO_ANALYTICS": "1",
    }
    done = subprocess.run(
        [str(env / "bin" / words[0]), *words[1:]],
        cwd=folder,
        env=variables,
        text=True,
        capture_output=True,
    )
    if check:
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done


def test_it_carries_its_data_as_they_are_in_the_clone(wheel):
    profiles = {
        f"pipeline/project/profiles/{path.name}": f"profiles/{path.name}"
        for path in (ROOT / "profiles").iterdir()
    }
    listed = ROOT / "pipeline/project/profile_datasets"
    profiles |= {
        path.relative_to(ROOT).as_posix(): path.relative_to(ROOT).as_posix()
        for path in listed.iterdir()
    }
    with zipfile.ZipFile(wheel) as inside:
        names = inside.namelist()
        for name, original in (DATA | profiles).items():
            assert inside.read(name) == (ROOT / original).read_bytes(), name
    others = {n for n in names if not n.endswith(".py") and ".dist-info/" not in n}
    assert others == set(DATA) | set(profiles)
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "faceshards",
        "pipeline",
        "stages",
    }


def test_with_its_base_dependencies_alone_shards_are_read(wheel, shards, tmp_path):
    env = tmp_path / "env"
    packages = install(wheel, env)
    for name in ("numpy", "opencv-python", "pyarrow", "simplejpeg"):
        for top in {file.parts[0] for file in metadata.distribution(name).files or ()} - {".."}:
            (packages / top).symlink_to(metadata.distribution(name).locate_file(top))
    version = run(env, tmp_path, "faceshards", "--version").stdout.split()
    assert version == ["faceshards", wheel.name.split("-")[1]]
    sound = run(env, tmp_path, "faceshards", "verify", str(shards / "train"))
    assert sound.stdout.endswith("train: sound\n")
    run(env, tmp_path, "faceshards", "sheet", str(shards / "train"), "sheet.jpg")
    assert (tmp_path / "sheet.jpg").read_bytes()[:2] == b"\xff\xd8"
    page = (ROOT / "docs/reading.md").read_text()
    trainer = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1]
    (tmp_path / "trainer.py").write_text(
        trainer.replace("data/shards", str(shards)).replace("batch_size=32", "batch_size=4")
    )
    assert "are told right" in run(env, tmp_path, "python", "trainer.py").stdout
    for words in (["profile"], ["plan"], ["init", "project"], ["sample-data", "sample"]):
        refused = run(env, tmp_path, "faceshards", *words, check=False)
        assert refused.returncode == 2, words
        assert refused.stderr.endswith("run `pip install 'faceshards[pipeline]'`.\n")
        assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "project").exists()


def test_outside_of_any_clone_init_makes_a_project_that_dvc_runs(wheel, tmp_path):
    env, project = tmp_path / "env", tmp_path / "project"
    packages = install(wheel, env)
    # Packages of others; a folder named here runs no .pth files, so an editable install stays out.
    theirs = [place for place in sys.path if place.endswith("site-packages")]
    (packages / "theirs.pth").write_text("\n".join(theirs))
    where = "import faceshards as f, pipeline as p, stages as s; print(*map(repr, (f, p, s)))"
    assert run(env, tmp_path, "python", "-c", where).stdout.count(str(packages)) == 3
    run(env, tmp_path, "faceshards", "init", "project")
    # The smaller of the sample's two datasets, written by the wheel as `sample-data` does.
    write = (
        "from pathlib import Path; from pipeline.sample_data.layout import write_wild; "
        "root = Path('data/raw/sample/wild'); root.mkdir(parents=True); write_wild(root, 0)"
    )
    run(env, project, "python", "-c", write)
    listed = project / "manifests/datasets.yaml"
    listed.write_text("wild:" + listed.read_text().split("\nwild:")[1])
    params = project / "params.yaml"
    text = params.read_text()
    for theirs, ours in (
        ("lossless: [ffpp] ", "lossless: []"),
        ("  datasets: [ffpp] ", "  datasets: []"),
        ("    also: expanded", "    also: train"),
    ):
        assert text.count(theirs) == 1
        text = text.replace(theirs, ours)
    params.write_text(text)
    done = run(env, project, "python", "-m", "dvc", "repro", "shard")
    assert stages_run(done.stdout) == STAGES
    for name in ("train", "val", "test", "expanded"):
        run(env, project, "faceshards", "verify", f"data/shards/{name}")
    # An update of the package that raises a number: its stage runs, and no other.
    versions = packages / "pipeline/versions.yaml"
    versions.write_text(versions.read_text().replace("landmarks: ", "landmarks: 9"))
    done = run(env, project, "python", "-m", "dvc", "repro", "shard")
    assert stages_run(done.stdout) == ["scan", "landmarks"]
    assert "no_scm" in (project / ".dvc/config").read_text()
