"""Reads files as the stages do, over and over; writes what became of each, as JSON.

A process of its own: a crash, a hang or a leak in a decoder shows, and costs no other test.
"""

import json
import resource
import sys
from pathlib import Path

from pipeline.config.params import Sampling
from pipeline.errors import Reject
from pipeline.video.decode import VideoReader
from pipeline.video.plan import planned_times
from pipeline.video.probe import probe

SIDE_PX = 2048


def outcome(path: Path) -> tuple[str, int, int, str]:
    """Reason ("" = none), frames found, frames planned, damage."""
    try:
        facts = probe(path, SIDE_PX)
        times = planned_times(facts, Sampling(fps=10.0))[:200]
        with VideoReader(path, SIDE_PX) as reader:
            found = sum(len(frame.samples) for frame in reader.frames_at(times))
        return "", found, len(times), reader.damage
    except Reject as reject:
        return reject.reason, 0, 0, reject.detail


def main() -> None:
    """Arguments: the folder, and how often to read all of it."""
    paths = sorted(Path(sys.argv[1]).iterdir())
    peaks = []
    for _ in range(int(sys.argv[2])):
        outcomes = {path.name: outcome(path) for path in paths}
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        peaks.append(pages * resource.getpagesize())
    sys.stdout.write(json.dumps({"outcomes": outcomes, "resident_bytes": peaks}))


if __name__ == "__main__":
    main()
