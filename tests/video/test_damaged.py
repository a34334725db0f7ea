"""No damaged file crashes, hangs, leaks, or opens another one; each gets the reason it should."""

import ctypes
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.video.clips import write_clip
from tests.video.damaged import FINE, corpus

ROUNDS = 4
DEADLINE_S = 120
LEAK_BYTES = 8 << 20
_IN_OPEN = 0x20


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("damaged")
    canary = write_clip(folder / "canary.mp4", range(10))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        files = corpus(folder, canary, f"127.0.0.1:{server.getsockname()[1]}")
        libc = ctypes.CDLL(None, use_errno=True)
        watch = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(watch, os.fsencode(canary), _IN_OPEN) >= 0
        run = subprocess.run(
            [sys.executable, "-m", "tests.video.read_damaged", str(folder / "bad"), str(ROUNDS)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            cwd=Path(__file__).parents[2],
        )
        assert run.returncode == 0, run.stderr[-2000:]
        opened = True
        try:
            os.read(watch, 4096)
        except BlockingIOError:
            opened = False
        os.close(watch)
        called = True
        try:
            server.accept()
        except BlockingIOError:
            called = False
    return {**json.loads(run.stdout), "files": files, "opened": opened, "called": called}


def test_there_are_enough_of_them(result):
    assert len(result["files"]) >= 40
    assert {bad.name for bad in result["files"]} == set(result["outcomes"])


def test_each_has_the_reason_it_should(result):
    wrong = {}
    for bad in result["files"]:
        reason, found, planned, detail = result["outcomes"][bad.name]
        silent = found < planned and not detail
        if reason not in bad.reasons or (reason == FINE and (not 0 < found <= planned or silent)):
            wrong[bad.name] = (reason, found, planned, detail)
    assert not wrong


def test_what_is_missing_of_a_cut_file_is_told(result):
    for name in ("half_mkv.mkv", "half_webm.webm", "half_flv.flv", "half_gif.gif"):
        _, found, planned, damage = result["outcomes"][name]
        assert 0 < found < planned, name
        assert damage, name


def test_no_other_file_is_opened_and_nobody_is_called(result):
    assert not result["opened"]
    assert not result["called"]


def test_nothing_leaks(result):
    early, *_, last = result["resident_bytes"][1:]
    assert last - early < LEAK_BYTES
