import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from pipeline.datasets.fingerprint import END_BYTES, StatCache, fingerprint


def settled(file: Path) -> Path:
    """Dates a file back, so that the cache may keep it."""
    past = time.time() - 3600
    os.utime(file, (past, past))
    return file


@pytest.mark.parametrize("size", [1, END_BYTES - 1, 2 * END_BYTES, 5 * END_BYTES + 7])
def test_sampled_is_the_hash_of_size_head_and_tail(tmp_path, size):
    data = os.urandom(size)
    file = tmp_path / "a.mp4"
    file.write_bytes(data)
    text = size.to_bytes(8, "little") + data[:END_BYTES] + data[-END_BYTES:]
    assert fingerprint(file, "sampled") == hashlib.blake2b(text, digest_size=16).hexdigest()


def test_only_full_sees_a_change_in_the_middle(tmp_path):
    file = tmp_path / "a.mp4"
    data = bytearray(4 * END_BYTES)
    file.write_bytes(data)
    before = {mode: fingerprint(file, mode) for mode in ("sampled", "full")}
    data[2 * END_BYTES] = 1
    file.write_bytes(data)
    assert fingerprint(file, "sampled") == before["sampled"]
    assert fingerprint(file, "full") != before["full"]


def test_both_modes_see_the_size(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(bytes(10))
    other = tmp_path / "b.mp4"
    other.write_bytes(bytes(11))
    for mode in ("sampled", "full"):
        assert fingerprint(file, mode) != fingerprint(other, mode)


def ask(cache: StatCache, file: Path, mode: str = "sampled") -> str:
    return cache.fingerprint(file, file.stat(), mode)


def test_an_unchanged_file_is_not_opened(tmp_path, monkeypatch):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"abc")
    settled(file)
    first = StatCache(tmp_path / "cache")
    value = ask(first, file)
    first.save()

    def refuse(*_args):
        raise AssertionError("opened")

    monkeypatch.setattr("pipeline.datasets.fingerprint.fingerprint", refuse)
    assert ask(StatCache(tmp_path / "cache"), file) == value
    with pytest.raises(AssertionError, match="opened"):
        ask(StatCache(tmp_path / "cache"), file, "full")


def test_a_changed_file_is_opened(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"abc")
    settled(file)
    first = StatCache(tmp_path / "cache")
    value = ask(first, file)
    first.save()
    file.write_bytes(b"abd")
    assert ask(StatCache(tmp_path / "cache"), file) != value


def test_a_change_behind_a_time_set_back_is_seen(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"abc")
    before = settled(file).stat()
    first = StatCache(tmp_path / "cache")
    value = ask(first, file)
    first.save()
    file.write_bytes(b"abd")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ask(StatCache(tmp_path / "cache"), file) != value


def test_full_opens_every_file_again(tmp_path, monkeypatch):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"abc")
    settled(file)
    first = StatCache(tmp_path / "cache")
    ask(first, file, "full")
    first.save()
    opened = []
    monkeypatch.setattr("pipeline.datasets.fingerprint.fingerprint", lambda *a: opened.append(a))
    ask(StatCache(tmp_path / "cache"), file, "full")
    assert len(opened) == 1


def test_a_file_changed_just_now_is_not_remembered(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"abc")
    cache = StatCache(tmp_path / "cache")
    ask(cache, file)
    cache.save()
    assert json.loads((tmp_path / "cache").read_text()) == {}


def test_files_not_asked_for_are_forgotten(tmp_path):
    files = []
    for name in "ab":
        file = tmp_path / name
        file.write_bytes(b"abc")
        files.append(settled(file))
    cache = StatCache(tmp_path / "cache")
    for file in files:
        ask(cache, file)
    cache.save()
    cache = StatCache(tmp_path / "cache")
    ask(cache, files[1])
    cache.save()
    assert list(json.loads((tmp_path / "cache").read_text())) == [str(files[1])]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "cache"]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff\x00",
        b"[1, 2]",
        b'{"FILE": 3}',
        b'{"FILE": [3, 0, 0, "sampled"]}',
        b'{"FILE": [3, 0, 0, "sampled", "../.."]}',
        b'{"FILE": [3, 0, 0, "sampled", null]}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_cache_counts_as_empty(tmp_path, damage):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"abc")
    (tmp_path / "cache").write_bytes(damage.replace(b"FILE", str(file).encode()))
    cache = StatCache(tmp_path / "cache")
    assert ask(cache, file) == fingerprint(file, "sampled")
    cache.save()
    assert isinstance(json.loads((tmp_path / "cache").read_text()), dict)


@pytest.mark.parametrize("change", ["touched", "middle", "end", "short"])
def test_files_written_anew_that_look_alike_are_counted(tmp_path, change):
    """Whether they changed nobody can say, of those that are longer than both ends."""
    file = tmp_path / "a.mp4"
    data = bytearray(10 if change == "short" else 3 * END_BYTES)
    file.write_bytes(data)
    os.utime(file, (1, 1))
    first = StatCache(tmp_path / "cache")
    ask(first, file)
    first.save()
    data[{"middle": len(data) // 2, "end": -1}.get(change, 0)] ^= change in ("middle", "end")
    file.write_bytes(data)
    os.utime(file, (2, 2))
    again = StatCache(tmp_path / "cache")
    ask(again, file)
    assert again.alike == (change in ("touched", "middle"))
