"""Answers of child processes; a child that dies ends the benchmark with a sentence."""

import queue
import sys
from collections.abc import Sequence
from typing import Any

_LOOK_AGAIN_S = 0.5


def answers(children: Sequence[Any], results: Any, what: str) -> list[Any]:
    """Starts processes, waits for one answer of each, and for their ends.

    Args:
        children: processes that each put one answer into ``results``.
        results: a queue.
        what: they do, for the message.
    """
    for child in children:
        child.start()
    found: list[Any] = []
    try:
        while len(found) < len(children):
            dead = [child for child in children if child.exitcode]
            try:
                found.append(results.get(timeout=_LOOK_AGAIN_S))
            except queue.Empty:
                if dead:
                    sys.exit(
                        f"{what}: a process died (exit code {dead[0].exitcode}); what it said "
                        "stands above. Nothing was measured."
                    )
    finally:
        for child in children:
            if len(found) < len(children):
                child.terminate()
            child.join()
    return found
