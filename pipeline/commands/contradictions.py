"""What cannot go well, told by `scan` and `faceshards plan` before anything is paid for.

Each is known as soon as the videos are listed, and would otherwise stop a later stage.
"""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceshards import fields
from faceshards.wording import suggestion
from pipeline.commands import weights_check
from pipeline.config.params import Params, dataset_exceptions
from pipeline.config.run_params import DataParams, RunParams
from pipeline.errors import UserError

_CLASSES = ("real", "fake")


def check(
    params: Params, entries: Collection[str], videos: pa.Table, graphs: Collection[str] = ()
) -> str:
    """Looks for contradictions and for weights.

    Args:
        params: all parameters.
        entries: names of the datasets in datasets.yaml.
        videos: table ``videos``.
        graphs: names of the label graphs in semantics.yaml; () = not known.

    Returns:
        What the weights of runs lack, "" for nothing. It stops nothing: they can be put in place
        while shards are made.

    Raises:
        UserError: with everything that would stop a data stage or a run.
    """
    problems = contradictions(params, entries, videos, graphs)
    lacking = ""
    try:
        lacking = weights_check.check(params, videos)
    except UserError as error:
        problems.append(str(error))
    if len(problems) == 1:
        raise UserError(problems[0])
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise UserError(f"{len(problems)} things would stop a later stage:{lines}")
    return lacking


def contradictions(
    params: Params, entries: Collection[str], videos: pa.Table, graphs: Collection[str] = ()
) -> list[str]:
    """Sentences on what params.yaml asks for and the data do not have; none where all is well.

    Args:
        params: all parameters.
        entries: names of the datasets in datasets.yaml.
        videos: table ``videos``: columns ``dataset``, ``split``, ``label``, ``method``,
            ``identity`` and, where a run names categories, ``category``.
        graphs: names of the label graphs; () = not known.
    """
    return [
        *_unknown_datasets(params, entries),
        *_balance(params, videos),
        *_method_weights(params, videos),
        *_expansion(params, entries, videos),
        *(problem for name in params.runs for problem in _run(name, params, entries, videos)),
        *_unknown_graphs(params, graphs),
    ]


def _unknown_datasets(params: Params, entries: Collection[str]) -> Iterator[str]:
    named: dict[str, Collection[str]] = {
        "frames.per_dataset": dataset_exceptions(params.frames),
        "faces.per_dataset": dataset_exceptions(params.faces),
        "balance.per_video": params.balance.per_video,
    }
    for key, datasets in named.items():
        for dataset in datasets:
            if dataset not in entries:
                yield (
                    f"{key} names {dataset}, which manifests/datasets.yaml does not have "
                    f"({', '.join(entries)}). Take it out, or add the dataset."
                )


def _balance(params: Params, videos: pa.Table) -> Iterator[str]:
    """A split that is to be balanced needs both classes, in each dataset or over all of them."""
    for split in fields.SPLITS:
        if getattr(params.balance, split) == "all":
            continue
        here = videos.filter(pc.equal(videos["split"], split))
        groups = [("", here)]
        if params.balance.scope == "dataset":
            groups = [
                (name, here.filter(pc.equal(here["dataset"], name)))
                for name in sorted(here["dataset"].unique().to_pylist())
            ]
        for name, group in groups:
            labels = set(group["label"].unique().to_pylist())
            if len(labels) == 1:
                (there,) = labels
                where = f"dataset {name}" if name else "all data together"
                advice = "balance.scope: all, or " if name else ""
                yield (
                    f"balance.{split} is balanced, but {where} has {_CLASSES[there]} videos only "
                    f"in split {split}. Add {_CLASSES[1 - there]} ones, or set {advice}"
                    f"balance.{split}: all."
                )


def _method_weights(params: Params, videos: pa.Table) -> Iterator[str]:
    there = set(videos.filter(pc.equal(videos["label"], 1))["method"].unique().to_pylist())
    for method in params.balance.method_weights:
        if method not in there:
            yield (
                f"balance.method_weights names {method}, of which there are no fakes. "
                f"{suggestion(method, sorted(there))}"
            )


def _expansion(params: Params, entries: Collection[str], videos: pa.Table) -> Iterator[str]:
    for dataset in params.expand.datasets:
        way_out = "Take it out there; `datasets: []` expands nothing."
        if dataset not in entries:
            yield (
                f"expand.datasets names {dataset}, which manifests/datasets.yaml does not have. "
                f"{way_out}"
            )
            continue
        here = videos.filter(
            pc.and_(pc.equal(videos["dataset"], dataset), pc.equal(videos["split"], "train"))
        )
        if not here.num_rows:
            yield (
                f"expand.datasets names {dataset}, which has no video in the split train. {way_out}"
            )
            continue
        if 0 not in here["label"].unique().to_pylist():
            yield (
                f"expand.datasets names {dataset}, which has no real train videos to put regions "
                f"into. {way_out}"
            )
        if params.expand.identity == "required" and not _named(here):
            yield (
                f"expand.datasets names {dataset}, whose real train videos do not say who is in "
                "them, so that no face could be told from one of another person. Give them an "
                "identity (a CSV has a column for it), set expand.identity to what else tells "
                f"people apart, or take it out; `datasets: []` expands nothing."
            )
        methods = set(here["method"].unique().to_pylist())
        for generator in params.expand.generators:
            wanted = params.expand.sources_of(generator)
            if not methods & set(wanted):
                yield (
                    f"expand.source_methods: {dataset} has no train videos of "
                    f"{' or '.join(wanted)}, of which {generator} takes faces. It has "
                    f"{', '.join(sorted(methods))}."
                )


def _named(videos: pa.Table) -> bool:
    real = videos.filter(pc.equal(videos["label"], 0))
    return not real.num_rows or bool(pc.any(pc.not_equal(real["identity"], "")).as_py())


def _run(name: str, params: Params, entries: Collection[str], videos: pa.Table) -> Iterator[str]:
    run: RunParams = params.runs[name]
    unknown = list(_unknown_names(name, run, params, entries, videos))
    yield from unknown
    if not unknown:
        yield from _classes(name, run, videos)
    if run.also == "expanded" and not params.expand.datasets:
        yield (
            f"the run {name} reads expanded shards (runs.{name}.also), but expand.datasets is "
            f"empty. Set runs.{name}.also to train, or name datasets to expand."
        )
    if run.data.fakes == "self_blended" and params.landmarks.landmarker == "none":
        yield (
            f"the run {name} blends faces with themselves (runs.{name}.data.fakes), which needs "
            "landmarks, but landmarks.landmarker is none. Set it to dlib or fan."
        )


def _unknown_names(
    name: str, run: RunParams, params: Params, entries: Collection[str], videos: pa.Table
) -> Iterator[str]:
    """What a run reads must be there; what only expansion makes is known by its parameters."""
    there = set(videos["dataset"].unique().to_pylist())
    for dataset in run.data.datasets:
        if dataset not in entries:
            near = suggestion(dataset, entries)
            yield (
                f"runs.{name}.data.datasets names {dataset}, which manifests/datasets.yaml does "
                f"not have. {near}"
            )
        elif dataset not in there:
            yield (
                f"the run {name} reads the dataset {dataset}, of which there are no videos. Give "
                "it a root in manifests/datasets.yaml, or take the run out of params.yaml."
            )
    for key in (*_OF_VIDEOS, "regions", "generators"):
        wanted = getattr(run.data, key)
        if not wanted:
            continue
        filmed = set(videos[_OF_VIDEOS[key]].unique().to_pylist()) if key in _OF_VIDEOS else set()
        made = set(_made(key, params))
        for value in (one for one in wanted if one not in filmed):
            if value not in made:
                yield (
                    f"runs.{name}.data.{key} names {value}, which no video has and the stage "
                    f"expand does not make. {suggestion(value, filmed | made)}"
                )
            elif run.also != "expanded":
                yield (
                    f"runs.{name}.data.{key} names {value}, which only expanded samples have. "
                    f"Set runs.{name}.also to expanded, or take it out."
                )


_OF_VIDEOS = {"methods": "method", "categories": "category"}
"""Names of a run's data and the column of ``videos`` that has them."""


def _made(key: str, params: Params) -> list[str]:
    """Methods, categories, regions or generators of images that the stage expand makes."""
    if not params.expand.datasets:
        return []
    named = params.expand.generators
    if key == "generators":
        return list(named)
    by = {generator: params.expand.regions_of(generator) for generator in named}
    if key == "regions":
        return [region for regions in by.values() for region in regions]
    made = [f"{generator}_{region}" for generator in named for region in by[generator]]
    return made if key == "methods" else [fields.LOCAL]


def _classes(name: str, run: RunParams, videos: pa.Table) -> Iterator[str]:
    """Both classes must be there to be learnt, and something to be measured with."""
    some = run.data != DataParams()
    for split in ("train", "val"):
        here = read_by(run.data, videos.filter(pc.equal(videos["split"], split)))
        labels = set(here["label"].unique().to_pylist())
        if not here.num_rows:
            none = f"runs.{name}.data leaves none. Let it read more, or give"
            what = none if some else "there are none. Give"
            yield (
                f"the run {name} needs videos in the split {split}, and {what} some of them split "
                f"{split} (a CSV does so in its column split)."
            )
        elif split == "train" and run.data.fakes == "self_blended":
            if 0 not in labels:
                yield (
                    f"the run {name} blends real faces with themselves, and the split train has no "
                    "real videos that it reads. Let it read more."
                )
        elif split == "train" and len(labels) == 1 and not (0 in labels and _learns_made(run)):
            (there,) = labels
            yield (
                f"the run {name} needs both classes in the split train, and all of its videos "
                f"are {_CLASSES[there]}."
            )


def _learns_made(run: RunParams) -> bool:
    """Whether the run was given names of made images alone, which are its fakes."""
    return run.also == "expanded" and bool(run.data.methods or run.data.categories)


def read_by(data: DataParams, videos: pa.Table) -> pa.Table:
    """The videos that a run reads faces of."""
    passes = np.ones(videos.num_rows, bool)
    if data.datasets:
        passes &= _among(videos["dataset"], data.datasets)
    for key, column in _OF_VIDEOS.items():
        if wanted := getattr(data, key):
            passes &= _among(videos[column], wanted) | (videos["label"].to_numpy() == 0)
    return videos.filter(pa.array(passes))


def _among(column: pa.ChunkedArray, wanted: Sequence[str]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.is_in(column, value_set=pa.array(wanted)).to_numpy()
    return found


def _unknown_graphs(params: Params, graphs: Collection[str]) -> Iterator[str]:
    """Graphs that are named and that semantics.yaml does not have."""
    named = {"shard.graph": params.shard.graph}
    named |= {f"runs.{name}.objective.graph": r.objective.graph for name, r in params.runs.items()}
    for key, graph in named.items():
        if graphs and graph and graph not in graphs:
            yield (
                f"{key} names {graph}, which manifests/semantics.yaml does not have. "
                f"{suggestion(graph, graphs)}"
            )
