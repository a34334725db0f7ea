"""Every layout again, in folders that are awkward: the rows must be the same."""

import os

import pytest

from pipeline.datasets.celeb_df import LIST
from pipeline.datasets.fakeavceleb import META
from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_all, put_ffpp, rejects, rows, run

H1, H2 = "1" * 32, "2" * 32
FAV = "FakeAVCeleb/RealVideo-RealAudio/African/men/id00001"


def ffpp(root):
    return put_ffpp(root)


def celeb_df(root):
    put(root / LIST, b"1 Celeb-real/id0_0000.mp4\n")
    return put_all(root, "Celeb-real/{id0_0000,id1_0000}.mp4 Celeb-synthesis/id0_id1_0000.mp4")


def dfdc(root):
    put(root / "dfdc_train_part_0/metadata.json", b'{"a.mp4": {"label": "REAL"}}')
    return put_all(root, "dfdc_train_part_0/a.mp4")


def dfdc_preview(root):
    about = '{"label": "real", "set": "test", "target_id": 1}'
    put(root / "dataset.json", f'{{"original_videos/1/1_A_001.mp4": {about}}}'.encode())
    return put_all(root, "original_videos/1/1_A_001.mp4")


def fakeavceleb(root):
    put(root / META, f"method,path,\nreal,00001.mp4,{FAV}\n".encode())
    return put_all(root, f"{FAV.partition('/')[2]}/00001.mp4")


def forgerynet(root):
    path = f"val_video_release/16/{H1}/video.mp4"
    put(root / "Validation/video_list.txt", f"0 {path} 0 0 0".encode())
    return put_all(root, f"Validation/video/{path}")


MAKERS = {
    "faceforensics": ffpp,
    "celeb_df": celeb_df,
    "dfdc": dfdc,
    "dfdc_preview": dfdc_preview,
    "fakeavceleb": fakeavceleb,
    "forgerynet": forgerynet,
}


@pytest.fixture(params=MAKERS)
def adapter(request):
    return request.param


@pytest.fixture
def plain(adapter, tmp_path):
    """Root of an ordinary copy, and its rows."""
    root = MAKERS[adapter](tmp_path / "plain")
    return root, run(entry(adapter, root), tmp_path / "cache")


@pytest.mark.parametrize(
    "name", ["with a space", "Größe-写真", "quote'\"s", "a" * 200, "%41+&;$(x)", "c:d"]
)
def test_names_of_roots(adapter, plain, tmp_path, name):
    root, before = plain
    root.rename(tmp_path / name)
    assert before.metrics["outputs"] >= 1
    assert run(entry(adapter, tmp_path / name), tmp_path / "cache") == before


def test_a_root_that_is_a_link(adapter, plain, tmp_path):
    root, before = plain
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    assert run(entry(adapter, tmp_path / "link"), tmp_path / "cache") == before


def test_folders_and_files_that_are_links(adapter, plain, tmp_path):
    """As data managers leave them: a store elsewhere, and a tree of links."""
    root, before = plain
    for number, file in enumerate(sorted(root.rglob("*.mp4"))):
        target = tmp_path / f"store/{number}"
        target.parent.mkdir(exist_ok=True)
        file.rename(target)
        file.symlink_to(target)
    for number, folder in enumerate(sorted(f for f in root.iterdir() if f.is_dir())):
        folder.rename(tmp_path / f"folder{number}")
        folder.symlink_to(tmp_path / f"folder{number}", target_is_directory=True)
    assert run(entry(adapter, root), tmp_path / "cache") == before


def test_a_circle_of_links_ends(adapter, plain, tmp_path):
    root, before = plain
    deepest = max((f.parent for f in root.rglob("*.mp4")), key=lambda f: len(f.parts))
    (deepest / "again").symlink_to(root, target_is_directory=True)
    found = run(entry(adapter, root), tmp_path / "cache")
    assert set(rows(before)) <= set(rows(found))


def test_a_broken_link_is_missing(adapter, plain, tmp_path):
    root, before = plain
    file = sorted(root.rglob("*.mp4"))[0]
    file.unlink()
    file.symlink_to(tmp_path / "gone.mp4")
    if before.metrics["outputs"] == 1:
        with pytest.raises(UserError, match=r"; 1 file was rejected, .* but not on disk"):
            run(entry(adapter, root), tmp_path / "cache")
    else:
        found = run(entry(adapter, root), tmp_path / "cache")
        assert [r["reason"] for r in found.rejected.to_pylist()] == ["missing"]


def test_a_link_to_itself_among_the_videos_is_a_reject(adapter, plain, tmp_path):
    root, before = plain
    file = sorted(root.rglob("*.mp4"))[0]
    loop = file.with_name("loop.mp4")
    loop.symlink_to(loop)
    found = run(entry(adapter, root), tmp_path / "cache")
    assert rows(found) == rows(before)
    assert len(rejects(found)) == len(rejects(before)) + 1


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
def test_a_list_that_is_no_file(adapter, plain, tmp_path, kind):
    """Not followed, not waited for: one sentence, or rejects."""
    root, _ = plain
    for file in [f for f in root.rglob("*") if f.suffix in (".json", ".csv", ".txt")]:
        file.unlink()
        if kind == "folder":
            file.mkdir()
        elif kind == "pipe":
            os.mkfifo(file)
        else:
            file.symlink_to(file)
    with pytest.raises(UserError) as caught:
        run(entry(adapter, root), tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_relative_roots(adapter, plain, tmp_path, monkeypatch):
    root, before = plain
    monkeypatch.chdir(tmp_path)
    assert run(entry(adapter, root.relative_to(tmp_path)), tmp_path / "cache") == before


def test_read_only_roots(adapter, plain, tmp_path):
    """Nothing is written, locked or touched below a root."""
    root, before = plain
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    try:
        assert run(entry(adapter, root), tmp_path / "other") == before
        assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == stamps
    finally:
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755)


def test_the_same_root_under_two_names(adapter, plain, tmp_path):
    root, before = plain
    other = tmp_path / "other"
    other.symlink_to(root, target_is_directory=True)
    found = run(entry(adapter, root, other), tmp_path / "cache")
    paths = {path.partition("/")[2] for path in found.videos["path"].to_pylist()}
    assert paths == set(before.videos["path"].to_pylist())
    assert found.metrics["outputs"] == before.metrics["outputs"]
    assert {r["reason"] for r in found.rejected.to_pylist()} == {"duplicate"}
