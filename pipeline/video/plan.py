"""Which times of a video are looked at: 0, 1/fps, 2/fps … while they lie inside it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.config import FramesParams
from pipeline.engine.rows import Inputs, Output, Plan, RowResult
from pipeline.errors import Reject
from pipeline.video.probe import probe

_DENOMINATOR = 1_000_000


def exact(number: float) -> Fraction:
    """The fraction a float stands for: the nearest with a denominator of at most a million.

    The float nearest to 1/3 gives 1/3, and 29.97 gives 2997/100, so that a picture that starts
    exactly at a planned time is on screen then. Other times are hit to a millionth of a second.
    """
    return Fraction(number).limit_denominator(_DENOMINATOR)


def planned_times(duration_s: float, fps: float, segments_s: Sequence[float] = ()) -> list[float]:
    """Times k / fps below the duration (metric learning, section 4.1: 1 FPS).

    Args:
        duration_s: length of the video in seconds, above 0.
        fps: times per second, above 0.
        segments_s: start, end, start, end … in seconds. Where given, only times within one of the
            half-open parts [start, end) are planned; the grid stays that of the whole video.

    Returns:
        Seconds from the first picture, ascending, each the float nearest to k / fps.

    Raises:
        ValueError: ``segments_s`` has an odd number of entries.
    """
    if len(segments_s) % 2:
        raise ValueError(f"segments_s has an end missing: {list(segments_s)}")
    rate, duration = exact(fps), exact(duration_s)
    parts = [(Fraction(0), duration)]
    if segments_s:
        bounds = [exact(s) for s in segments_s]
        parts = list(zip(bounds[::2], bounds[1::2], strict=True))
    steps: set[int] = set()
    for start, end in parts:
        first, stop = max(start, Fraction(0)) * rate, min(end, duration) * rate
        steps.update(range(math.ceil(first), math.ceil(stop)))
    return [float(k / rate) for k in sorted(steps)]


class FramesTask:
    """Work of the stage ``frames``: one video in, one row per planned time out.

    Inputs: ``fingerprint`` (content, not looked at), ``segments_s``, ``file`` (absolute path).
    """

    def __init__(self, params: FramesParams) -> None:
        self.params = params

    def settings(self) -> Mapping[str, Any]:
        """The stage's parameters."""
        return asdict(self.params)

    def open(self) -> None:
        """Nothing to load."""

    def units(self, inputs: Inputs) -> Sequence[str]:  # noqa: ARG002 - the same for every row
        """The video is the unit."""
        return ("",)

    def work(self, inputs: Inputs) -> RowResult:
        """Probes and plans. Raises Reject as :func:`probe`, and ``past_end`` for an empty plan."""
        facts = probe(Path(inputs["file"]), self.params.max_side_px)
        times = planned_times(facts.duration_s, self.params.fps, inputs["segments_s"])
        if not times:
            raise Reject("past_end", "no planned time lies in a labelled part of the video")
        outputs = [
            Output({"sample": sample, "time_s": time_s, **asdict(facts)})
            for sample, time_s in enumerate(times)
        ]
        return RowResult(outputs, done=1)

    def identify(self, row_id: str, fields: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002
        """The row's id is the video's."""
        return {"video_id": row_id}


def frames_plan(videos: pa.Table, files: Sequence[str]) -> Plan:
    """One row per video; ``files`` holds the absolute path of every row of ``videos``."""
    table = videos.select(["video_id", "fingerprint", "segments_s"])
    table = table.append_column("file", pa.array(files, pa.string()))
    content = ("fingerprint", "segments_s")
    return Plan(table, id="video_id", bucket_by="video_id", content=content, location=("file",))
