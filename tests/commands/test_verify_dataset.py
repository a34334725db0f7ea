"""``faceshards datasets verify NAME --against LIST``."""

import hashlib

import pytest

from pipeline.commands.main import main
from tests.datasets.trees import put


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "wild/list.csv", b"path,label\nx/a.mp4,real\nx/b.mp4,fake\nx/gone.mp4,fake\n")
    put(tmp_path / "wild/x/a.mp4")
    put(tmp_path / "wild/x/b.mp4")
    entry = b"wild: {adapter: csv, root: wild, manifest: list.csv}\n"
    put(tmp_path / "manifests/datasets.yaml", entry)
    return tmp_path


def verify(*more):
    return main(["datasets", "verify", "wild", *more])


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ("x/a.mp4 real\nx/b.mp4 fake\n", 0, "2 of 2 listed files as listed"),
        ("x/a.mp4 0\n", 3, "extra, here and not listed: 1\n  x/b.mp4"),
        ("x/a.mp4\nx/b.mp4\nx/gone.mp4\n", 1, "missing, listed and not here: 1\n  x/gone.mp4"),
        ("x/a.mp4 1\nx/b.mp4 1\n", 1, "x/a.mp4: the list says fake, here it is real"),
        ("me/x/a.mp4\nme/x/b.mp4\n", 0, "1 leading folder of the listed paths left out"),
    ],
)
def test_exit_codes(project, capsys, lines, code, said):
    put(project / "published.txt", lines.encode())
    assert verify("--against", "published.txt") == code
    out = capsys.readouterr().out
    assert said in out
    assert ("The copy and the list agree." in out) == (code == 0)


def test_hashed_names(project, capsys):
    hashes = [hashlib.sha256(path).hexdigest() for path in (b"x/a.mp4", b"x/c.mp4")]
    put(project / "hashes.txt", "\n".join(hashes).encode())
    assert verify("--against", "hashes.txt") == 1
    out = capsys.readouterr().out
    assert f"missing, listed and not here: 1\n  {hashes[1]}" in out
    assert "extra, here and not listed: 1\n  x/b.mp4" in out


def test_long_lists_are_cut(project, capsys):
    put(project / "long.txt", "".join(f"x/{n}.mp4\n" for n in range(50)).encode())
    assert verify("--against", "long.txt") == 1
    assert "missing, listed and not here: 50" in (out := capsys.readouterr().out)
    assert "and 30 more" in out


def test_a_dataset_that_is_not_there_yet(project, capsys):
    put(project / "manifests/datasets.yaml", b"wild: {adapter: csv, root: , manifest: list.csv}\n")
    assert verify("--against", "published.txt") == 2
    assert "Dataset wild has no root" in capsys.readouterr().err


def test_roles_leave_nothing_out(project):
    text = (project / "manifests/datasets.yaml").read_text()
    put(
        project / "manifests/datasets.yaml",
        text.replace("csv}", "csv, splits: test_only}").encode(),
    )
    put(project / "wild/list.csv", b"path,label,split\nx/a.mp4,real,train\nx/b.mp4,fake,test\n")
    put(project / "published.txt", b"x/a.mp4 real\nx/b.mp4 fake\n")
    assert verify("--against", "published.txt") == 0


def test_mistakes(project, capsys):
    for arguments in (
        ["verify"],
        ["verify", "wild"],
        ["wild", "--against", "a.txt"],
        ["verify", "wilt", "--against", "a.txt"],
        ["verify", "wild", "--against", "a.txt"],
    ):
        assert main(["datasets", *arguments]) == 2
    said = capsys.readouterr().err
    assert "Write it as `faceshards datasets verify NAME --against LIST`." in said
    assert "has no dataset 'wilt'. Did you mean wild?" in said
    assert "The list a.txt cannot be used" in said
