"""Starts the processes of one training on this machine, and ends them together."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import EXIT_USER_ERROR
from pipeline.training.rank_names import OWNER, RENDEZVOUS

_GRACE_S = 10.0
"""For the others to end by themselves once one has failed; then they are ended."""


def start_ranks(command: Sequence[str], n: int) -> int:
    """Runs a command as n processes that find each other; the first one speaks for all.

    Args:
        command: program and arguments.
        n: how many, at least 2.

    Returns:
        0 when all have ended well, else the exit status of the first that has not; then the others
        are ended too, since they would wait for it.
    """
    with tempfile.TemporaryDirectory(prefix="faceshards-") as folder:
        place = Path(folder)
        children = [
            subprocess.Popen(  # noqa: S603 - our own command
                command,
                env=_environment(place / "rendezvous", rank, n),
                stderr=None if rank == 0 else (place / f"{rank}.txt").open("wb"),
                stdout=None if rank == 0 else subprocess.DEVNULL,
            )
            for rank in range(n)
        ]
        try:
            failed = _wait(children)
        finally:
            _end(children)
        if failed is None:
            return 0
        # A user's mistake is everybody's, and the first has said it.
        if failed and not children[failed].returncode == children[0].returncode == EXIT_USER_ERROR:
            sys.stderr.write((place / f"{failed}.txt").read_text(errors="replace"))
        return max(1, children[failed].returncode)


def _environment(rendezvous: Path, rank: int, n: int) -> Mapping[str, str]:
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": n, OWNER: os.getpid()}
    return {**os.environ, **{k: str(v) for k, v in own.items()}, RENDEZVOUS: str(rendezvous)}


def _wait(children: Sequence["subprocess.Popen[bytes]"]) -> int | None:
    """Number of the first process that has failed; None when all have ended well."""
    while True:
        states = [child.poll() for child in children]
        bad = [rank for rank, state in enumerate(states) if state]
        if bad:
            return bad[0]
        if all(state == 0 for state in states):
            return None
        time.sleep(0.05)


def _end(children: Sequence["subprocess.Popen[bytes]"]) -> None:
    until = time.monotonic() + _GRACE_S
    while time.monotonic() < until and any(child.poll() is None for child in children):
        time.sleep(0.05)
    for child in children:
        if child.poll() is None:
            child.kill()
        child.wait()
