"""Which times of a video are looked at: 0, 1/fps, 2/fps … or one of the other ways of sampling."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.config.params import FramesParams, Sampling, resolve
from pipeline.engine.rows import Inputs, Output, Plan, RowResult
from pipeline.errors import Reject
from pipeline.tables.sources import TableSource
from pipeline.video.parquet_rows import neighbours
from pipeline.video.parts import Part, labelled, outside, part_numbers, with_middles
from pipeline.video.probe import VideoFacts, probe, shown_spans_s
from pipeline.video.stills import probe_stills

STILLS = ("frames", "image", "tar", "tar_image", "parquet")
"""What :func:`probe_stills` calls containers: frames that have a place but no time."""
_DENOMINATOR = 1_000_000
_VIDEO_COLUMNS = (
    *("video_id", "fingerprint", "media", "segments_s", "segments_frames", "outside"),
    *("dataset", "split", "path"),
)
WHOLE = -1
"""Column ``part`` of a video that is labelled as a whole."""
LABELLED, LOOKED_AT = "parts", "parts_planned"
"""Count labelled parts, and those of which a frame is planned; the others lie behind the end of
their video, or hold no planned time where ``frames.parts`` is ``grid``."""


def exact(number: float) -> Fraction:
    """The fraction a float stands for: the nearest with a denominator of at most a million.

    The float nearest to 1/3 gives 1/3, and 29.97 gives 2997/100, so that a frame that starts
    exactly at a planned time is on screen then. Other times are hit to a millionth of a second.
    """
    return Fraction(number).limit_denominator(_DENOMINATOR)


def planned_times(
    facts: VideoFacts,
    sampling: Sampling,
    segments_s: Sequence[float] = (),
    spans_s: Sequence[tuple[Fraction, Fraction]] = (),
    *,
    outside_of_them: bool = False,
) -> list[float]:
    """Times at which a video is looked at (metric learning, section 4.1: 1 FPS).

    - ``fps``: k / fps.
    - ``every_n``: the middle of the time that frame k x n is on screen. The middle, since a float
      may fall short of the start, which then still belongs to the frame before.
    - ``stride_int_fps``: the same with n = int(average rate), 1 below one frame per second.
    - ``n_even``: the middles of n equal parts.

    Frames without a rate (``facts.average_fps`` below 0, as of still images) are told apart by
    their place alone: ``fps`` and ``stride_int_fps`` take each, ``every_n`` every n-th, and times
    and segments count in frames.

    Args:
        facts: the video's length, above 0, and its average rate.
        sampling: exactly one of the four is on.
        segments_s: start, end, start, end … in seconds. Where given, only times within one of the
            half-open parts [start, end) are planned. The grid stays that of the whole video, and
            ``n_even`` divides what the parts hold together. ``sampling.parts`` may add a time to
            each part (:func:`pipeline.video.parts.with_middles`).
        spans_s: start and end of each frame, as of :func:`shown_spans_s`. Without them, frames
            are taken to come at the average rate.
        outside_of_them: plan what lies outside of ``segments_s`` instead.

    Returns:
        Seconds from the first frame, ascending, each the nearest float.

    Raises:
        ValueError: ``segments_s`` has an odd number of entries.
        Reject: ``no_duration`` where a video has no rate, and the way of sampling needs one.
    """
    parts = planned_parts(facts, segments_s, outside_of_them=outside_of_them)
    times = _times(facts, sampling, parts, spans_s)
    if not segments_s:
        return times
    return with_middles(times, parts, sampling.parts, whole=facts.container in STILLS)


def planned_parts(
    facts: VideoFacts, segments_s: Sequence[float], *, outside_of_them: bool = False
) -> list[Part]:
    """The parts that :func:`planned_times` looks at; the whole video without ``segments_s``."""
    duration = exact(facts.duration_s)
    parts = labelled(duration, [exact(s) for s in segments_s])
    if not outside_of_them:
        return parts
    return outside(
        duration, parts, 1 / exact(facts.average_fps) if _has_rate(facts) else Fraction(0)
    )


def _has_rate(facts: VideoFacts) -> bool:
    return facts.average_fps > 0


def _times(
    facts: VideoFacts,
    sampling: Sampling,
    parts: Sequence[Part],
    spans_s: Sequence[tuple[Fraction, Fraction]],
) -> list[float]:
    rate = exact(facts.average_fps) if _has_rate(facts) else Fraction(0)
    stills = facts.container in STILLS
    if sampling.n_even:
        times = _even(parts, sampling.n_even)
        return _distinct(math.floor(t) for t in times) if stills else [float(t) for t in times]
    if stills:
        return [float(t) for t in _grid(parts, Fraction(sampling.every_n or 1), Fraction(0))]
    if sampling.fps:
        # Below 1, the fraction of the rate itself could be 0.
        step = 1 / exact(sampling.fps) if sampling.fps >= 1 else exact(1 / sampling.fps)
        return [float(t) for t in _grid(parts, step, Fraction(0))]
    if not rate:
        raise Reject("no_duration", "no frame rate, which this way of sampling counts with")
    every = max(1, int(rate)) if sampling.stride_int_fps else sampling.every_n
    if spans_s:
        middles = [(start + end) / 2 for start, end in spans_s[::every]]
        return [float(t) for t in middles if any(start <= t < end for start, end in parts)]
    return [float(t) for t in _grid(parts, every / rate, 1 / (2 * rate))]


def shown_from_s(
    numbers: Sequence[int], spans_s: Sequence[tuple[Fraction, Fraction]]
) -> list[float]:
    """When frames come on screen, in seconds from the first one.

    Args:
        numbers: 0-based, in order of presentation; behind the last one stands for its end.
        spans_s: as of :func:`planned_times`; () for still images, whose number is their time.
    """
    if not spans_s:
        return [float(number) for number in numbers]
    starts = [float(start) for start, _ in spans_s] + [float(spans_s[-1][1])]
    return [starts[min(number, len(spans_s))] for number in numbers]


def _grid(parts: Sequence[Part], step: Fraction, offset: Fraction) -> list[Fraction]:
    """Times offset + k x step that lie in a part."""
    return [
        offset + k * step
        for start, end in parts
        for k in range(max(0, math.ceil((start - offset) / step)), math.ceil((end - offset) / step))
    ]


def _even(parts: Sequence[Part], count: int) -> list[Fraction]:
    """Middles of ``count`` equal shares of all parts together."""
    total = sum((end - start for start, end in parts), Fraction(0))
    times: list[Fraction] = []
    before = Fraction(0)
    for start, end in parts:
        while len(times) < count:
            into = (2 * len(times) + 1) * total / (2 * count) - before
            if into >= end - start:
                break
            times.append(start + into)
        before += end - start
    return times


def _distinct(places: Iterable[int]) -> list[float]:
    return [float(place) for place in dict.fromkeys(places)]


class FramesTask:
    """Work of the stage ``frames``: one video in, one row per planned time out.

    Inputs: ``fingerprint`` (content, not looked at), ``media``, ``segments_s``,
    ``segments_frames``, ``outside``, ``sampling`` (see :func:`sampling_text`), ``file`` (absolute
    path; of a folder in a tar ``<tar>!<folder>``).
    """

    def __init__(self, params: FramesParams) -> None:
        self.params = params

    def settings(self) -> Mapping[str, Any]:
        """What holds for every video; how it is sampled, each row says."""
        return {"max_side_px": self.params.max_side_px}

    def open(self) -> None:
        """Nothing to load."""

    def units(self, inputs: Inputs) -> Sequence[str]:  # noqa: ARG002 - the same for every row
        """The video is the unit."""
        return ("",)

    def work(self, inputs: Inputs) -> RowResult:
        """Probes and plans.

        Raises:
            Reject: as :func:`probe` and :func:`probe_stills`; ``past_end`` for an empty plan,
                ``truncated`` for one of fewer than ``min_frames`` times.
        """
        limit = self.params.max_side_px
        if inputs["media"] == "video":
            facts = probe(Path(inputs["file"]), limit)
        else:
            facts = probe_stills(inputs["media"], inputs["file"], limit)
        sampling = Sampling(**json.loads(inputs["sampling"]))
        spans_s: Sequence[tuple[Fraction, Fraction]] = ()
        counted = inputs["segments_frames"]
        if inputs["media"] == "video" and (counted or sampling.every_n or sampling.stride_int_fps):
            spans_s = shown_spans_s(Path(inputs["file"]), limit, facts)
        segments_s = inputs["segments_s"] or shown_from_s(counted, spans_s)
        away = bool(inputs["outside"])
        times = planned_times(facts, sampling, segments_s, spans_s, outside_of_them=away)
        if not times:
            raise Reject("past_end", "no planned time lies in a labelled part of the video")
        if len(times) < sampling.min_frames:
            detail = f"{len(times)} pictures planned, {sampling.min_frames} are needed"
            raise Reject("truncated", detail)
        parts = planned_parts(facts, segments_s, outside_of_them=away)
        numbers = part_numbers(times, parts) if segments_s else [WHOLE] * len(times)
        outputs = [
            Output({"sample": sample, "part": number, "time_s": time_s, **asdict(facts)})
            for sample, (number, time_s) in enumerate(zip(numbers, times, strict=True))
        ]
        counts = {}
        if segments_s and not away:
            counts = {LABELLED: len(segments_s) // 2, LOOKED_AT: len(set(numbers))}
        return RowResult(outputs, done=1, counts=counts)

    def identify(self, row_id: str, fields: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002
        """The row's id is the video's."""
        return {"video_id": row_id}


_SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("fingerprint", pa.string()),
        ("media", pa.string()),
        ("segments_s", pa.list_(pa.float64())),
        ("segments_frames", pa.list_(pa.int64())),
        ("outside", pa.int8()),
        ("sampling", pa.string()),
        ("file", pa.string()),
        ("together", pa.string()),
        ("order", pa.string()),
    ]
)


def sampling_text(params: Sampling) -> str:
    """How a video is sampled, as a plan holds it: JSON, sorted, without exceptions."""
    return json.dumps({f.name: getattr(params, f.name) for f in fields(Sampling)}, sort_keys=True)


def frames_plan(
    videos: TableSource, files: Callable[[pa.Table], Sequence[str]], params: FramesParams
) -> Plan:
    """One row per video; ``files`` gives the absolute path of rows of ``videos``, see there."""
    content = ("fingerprint", "media", "segments_s", "segments_frames", "outside", "sampling")

    def batches() -> Iterator[pa.Table]:
        for part in videos.batches(_VIDEO_COLUMNS):
            columns = (part.column(name).to_pylist() for name in ("dataset", "split"))
            groups = list(zip(*columns, strict=True))
            texts = {group: sampling_text(resolve(params, *group)) for group in set(groups)}
            sampling = pa.array([texts[group] for group in groups], pa.string())
            table = part.append_column("sampling", sampling)
            table = table.append_column("file", pa.array(files(part), pa.string()))
            for name, values in zip(("together", "order"), neighbours(part), strict=True):
                table = table.append_column(name, pa.array(values, pa.string()))
            yield table.select(["video_id", *content, "file", "together", "order"])

    return Plan(
        batches,
        _SCHEMA,
        id="video_id",
        bucket_by="together",
        content=content,
        location=("file",),
        order_by="order",
    )
