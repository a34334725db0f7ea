"""Named sets of videos, such as what a paper tests on, and the numbers of a detector on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.config import read_yaml, strict
from pipeline.config.values import NonEmpty
from pipeline.errors import UserError
from pipeline.evaluation import ranking, uncertainty
from pipeline.evaluation.aggregate import OK
from pipeline.evaluation.measures import Counted, Rules, filled

PAPERS = Path(__file__).parent / "papers/scenarios.yaml"
OWN = Path("manifests/scenarios.yaml")
"""Of a project, in the same form; it need not be there."""

NUMBERS = ("video_auc", "video_balanced_accuracy")


@dataclass(frozen=True)
class VideoSet:
    """Videos of the split test. All reals of the datasets count; fakes as the lists say."""

    datasets: tuple[NonEmpty, ...]
    methods: tuple[NonEmpty, ...] = ()
    """Manipulations; () = all."""
    categories: tuple[NonEmpty, ...] = ()
    """Kinds of manipulation; () = all."""
    fake_sound: Literal["include", "exclude"] = "include"
    """Whether reals with fake sound count."""
    without_folders: tuple[NonEmpty, ...] = ()
    """Videos below a folder of one of these names do not count."""
    each_method: bool = False
    """Whether the number is the mean over manipulations, each against all reals."""


@dataclass(frozen=True)
class Scenario:
    """Sets of videos, and means over them."""

    sets: dict[NonEmpty, VideoSet]
    means: dict[NonEmpty, tuple[NonEmpty, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    scenarios: dict[NonEmpty, Scenario]


@dataclass(frozen=True)
class Number:
    """What a detector reaches on a set, or on average over some."""

    value: float
    low: float
    """95 %, bootstrap over scenes; NaN where nothing can be drawn."""
    high: float


@dataclass(frozen=True)
class Found:
    """Numbers of one column."""

    numbers: Mapping[str, Number]
    """By name of :data:`NUMBERS`; empty where the set lacks a class, or a mean one of its sets."""
    videos: int
    """How many there are."""
    coverage: float
    """Share of them that have a score."""


def load(root: Path = Path()) -> dict[str, Scenario]:
    """The papers' scenarios, and those of the project. Raises UserError for a bad file."""
    found: dict[str, Scenario] = {}
    for path in (PAPERS, root / OWN):
        if path.is_file():
            read = strict.build(_File, {"scenarios": read_yaml(path) or {}}, str(path))
            found |= read.scenarios
            for name, scenario in read.scenarios.items():
                _check_means(f"{path}: {name}", scenario)
    return found


def _check_means(where: str, scenario: Scenario) -> None:
    for mean, names in scenario.means.items():
        for name in names:
            if name not in scenario.sets:
                raise UserError(f"{where}: the mean {mean} names {name}, which is no set of it.")


def measure(
    scenario: Scenario, known: pa.Table, videos: pa.Table, rules: Rules
) -> dict[str, Found]:
    """Numbers of every set and mean of a scenario, in that order; not rounded.

    The interval of a mean is over samples of all its videos together, so that scenes that are in
    several sets are drawn in all of them.

    Args:
        scenario: the sets.
        known: of :func:`pipeline.evaluation.facts.known`.
        videos: table ``videos``, for sound and paths.
        rules: how.
    """
    known = known.filter(pc.field("split") == "test")
    at = pc.index_in(known.column("video_id"), videos.column("video_id").combine_chunks())
    about = videos.select(["audio_fake", "path"]).take(at)
    parts = {name: _parts(one, known, about) for name, one in scenario.sets.items()}
    held = Counted(
        known.column("label").to_numpy(),
        filled(known, rules.missing),
        np.unique(known.column("scene").to_numpy(), return_inverse=True)[1],
    )
    scored = np.array(known.column("status").to_pylist(), object) == OK
    counts = scored if rules.missing == "exclude" else np.ones(known.num_rows, bool)
    wanted = {name: [name] for name in scenario.sets}
    wanted |= {name: [*of] for name, of in scenario.means.items()}
    found = {}
    for name, of in wanted.items():
        sets = [[members & counts for members in parts[one]] for one in of]
        listed = np.zeros(known.num_rows, bool)
        for members in (one for each in of for one in parts[each]):
            listed |= members
        numbers = _numbers(sets, held, rules)
        share = int((scored & listed).sum()) / max(int(listed.sum()), 1)
        found[name] = Found(numbers, int(listed.sum()), share)
    return found


def _parts(one: VideoSet, known: pa.Table, about: pa.Table) -> list[NDArray[np.bool_]]:
    """Videos (videos,) of the set: one part, or one per manipulation."""
    dataset, method, category = (
        np.array(known.column(c).to_pylist(), str) for c in ("dataset", "method", "category")
    )
    inside = np.isin(dataset, one.datasets)
    if one.without_folders:
        folders = {*one.without_folders}
        paths = about.column("path").to_pylist()
        inside &= np.array([folders.isdisjoint(path.split("/")) for path in paths], bool)
    fake = known.column("label").to_numpy() == 1
    real = inside & ~fake
    if one.fake_sound == "exclude":
        real &= about.column("audio_fake").to_numpy() != 1
    fakes = inside & fake
    if one.methods:
        fakes &= np.isin(method, one.methods)
    if one.categories:
        fakes &= np.isin(category, one.categories)
    if not one.each_method:
        return [real | fakes]
    each = sorted(set(method[fakes].tolist()))
    return [real | (fakes & (method == name)) for name in each]


def _numbers(
    sets: Sequence[Sequence[NDArray[np.bool_]]], held: Counted, rules: Rules
) -> dict[str, Number]:
    """Mean over sets of the mean over their parts, with intervals; {} where one has no number."""
    parts = [part for of in sets for part in of]
    if not parts or not all(map(len, sets)):
        return {}
    if not all(len(np.unique(held.labels[part])) == 2 for part in parts):
        return {}
    shares = np.concatenate([np.full(len(of), 1 / len(of) / len(sets)) for of in sets])
    together = np.flatnonzero(np.logical_or.reduce(parts))
    scenes = np.unique(held.scenes[together], return_inverse=True)[1]
    drawn_numbers: dict[str, list[NDArray[np.float64]]] = {name: [] for name in NUMBERS}
    for drawn in uncertainty.draws(scenes, rules.seed, rules.resamples):
        sums = {name: np.zeros(len(drawn)) for name in NUMBERS}
        for part, share in zip(parts, shares, strict=True):
            here = part[together]
            labels, scores = held.labels[together][here], held.scores[together][here]
            area = uncertainty.drawn_auc(labels, scores, drawn[:, here])
            accuracy = uncertainty.drawn_balanced_accuracy(
                labels, scores, rules.threshold, drawn[:, here]
            )
            sums["video_auc"] += share * area
            sums["video_balanced_accuracy"] += share * accuracy
        for name, values in sums.items():
            drawn_numbers[name].append(values)
    means = dict.fromkeys(NUMBERS, 0.0)
    for part, share in zip(parts, shares.tolist(), strict=True):
        labels, scores = held.labels[part], held.scores[part]
        means["video_auc"] += share * ranking.auc(labels, scores)
        right = ranking.balanced_accuracy(labels, scores, rules.threshold)
        means["video_balanced_accuracy"] += share * right
    limits = {
        name: uncertainty.interval(np.concatenate(drawn)) or (np.nan, np.nan)
        for name, drawn in drawn_numbers.items()
    }
    return {name: Number(value, *limits[name]) for name, value in means.items()}
