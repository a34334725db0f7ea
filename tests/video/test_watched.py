"""What is seen of a file that scan did not see is never kept as that of the one it saw."""

import os
import shutil
from pathlib import Path

import pytest

from pipeline.datasets.fingerprint import StatCache, fingerprint, inside_fingerprint
from pipeline.errors import Reject
from pipeline.video.watched import as_scan_saw_it


def reason(media: str, location: object, seen: str, block=lambda: None, mode="sampled") -> str:
    try:
        with as_scan_saw_it(media, str(location), seen, mode):
            block()
    except Reject as reject:
        return reject.reason
    return ""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a!b.mp4"
    path.write_bytes(os.urandom(300_000))
    return path


@pytest.mark.parametrize("mode", ["sampled", "full"])
@pytest.mark.parametrize("media", ["video", "tar", "tar_image", "parquet"])
def test_a_file(file: Path, media: str, mode: str) -> None:
    seen, location = fingerprint(file, mode), str(file)
    if media != "video":
        seen, location = inside_fingerprint(seen, "x/y"), f"{file}!x/y"
    whole, facts = file.read_bytes(), file.stat()

    def restored() -> None:
        file.write_bytes(whole)
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    assert reason(media, location, seen, mode=mode) == ""
    file.write_bytes(whole[:100_000])
    assert reason(media, location, seen, mode=mode) == "changed"
    restored()
    assert reason(media, location, seen, mode=mode) == ""
    # Replaced and put back while it is read, with the same size and time of change.
    assert reason(media, location, seen, restored, mode) == "changed"
    assert reason(media, location, seen, file.unlink, mode) == "missing"
    assert reason(media, location, seen, mode=mode) == "missing"
    restored()
    assert reason(media, location, seen, mode=mode) == ""


def test_the_change_counts_and_not_what_it_led_to(file: Path) -> None:
    seen = fingerprint(file, "sampled")

    def truncated() -> None:
        file.write_bytes(b"half")
        raise Reject("truncated", "it ends early")

    def sound(word: str) -> None:
        raise Reject(word, "says the decoder")

    assert reason("video", file, seen, lambda: sound("truncated")) == "truncated"
    assert reason("video", file, seen, lambda: sound("unreadable")) == "decode_error"
    assert reason("video", file, seen, truncated) == "changed"


@pytest.mark.parametrize("mode", ["sampled", "full"])
def test_a_folder_of_frames(tmp_path: Path, mode: str) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(os.urandom(100))
    cache = StatCache(tmp_path / "cache")
    seen = cache.folder(folder, mode)[1]
    assert reason("frames", folder, seen, mode=mode) == ""
    (folder / "notes.txt").write_text("not a picture")
    assert reason("frames", folder, seen, mode=mode) == ""
    rewritten = (folder / "1.png").read_bytes()
    assert reason("frames", folder, seen, lambda: (folder / "1.png").write_bytes(rewritten)) != ""
    (folder / "3.png").write_bytes(b"one more")
    assert reason("frames", folder, seen, mode=mode) == "changed"
    shutil.rmtree(folder)
    assert reason("frames", folder, seen, mode=mode) in ("missing", "changed")


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(file: Path) -> None:
    seen = fingerprint(file, "sampled")
    file.chmod(0)
    assert reason("video", file, seen) == "unreadable"
