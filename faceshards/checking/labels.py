"""Whether label, vector and the words about a manipulation agree, in one sample and among all."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from faceshards import fields
from faceshards.checking.folder import edges_of
from faceshards.graphs import completes, legal_states

_OF_A_VIDEO = (
    *("label", "graph", "vector", "dataset", "method", "category", "subtype", "compression"),
    *("audio_fake", "pair_id", "leak_group", "identity", "target_id", "source_id"),
)
_OF_A_TARGET = (
    "graph",
    "dataset",
    "compression",
    "audio_fake",
    "pair_id",
    "leak_group",
    "identity",
)
"""What expanded samples of one video have in common: how they were altered differs."""
_RECIPE = ("generator", "region", "source_method")
_NOT_NEGATIVE = (
    *("distance", "dilate_px", "blur_sigma_px", "max_gain"),
    *("change", "color_gap", "sharpness_gap"),
)


_FACE_ID = re.compile(r"[^/]+/[^/]+/.+/[0-9]{5,}-(0|[1-9][0-9]*)", re.DOTALL)


class Labels:
    """The graphs of a folder, and what earlier samples said that later ones must say too."""

    def __init__(self, folder: str, graphs: Mapping[str, Mapping[str, Any]]) -> None:
        self._expanded = folder == fields.EXPANDED
        self._states = {
            name: legal_states(len(graph["nodes"]), edges_of(graph))
            for name, graph in graphs.items()
        }
        self._said: dict[tuple[str, ...], dict[str, Any]] = {}
        self._times: dict[str, dict[int, float]] = {}

    def problems(self, about: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with the labels of one sample, given json of the right keys and types."""
        wrong = [*self._vector_problems(about), *self._method_problems(about)]
        yield from wrong
        if not wrong:
            yield from self._differences(about)

    def _vector_problems(self, about: Mapping[str, Any]) -> Iterator[str]:
        label, vector, graph = about["label"], about["vector"], about["graph"]
        if label not in (0, 1):
            yield f"label is {label!r}, neither 0 nor 1"
        if graph not in self._states:
            yield f"graph {graph!r} is not in shards.json"
            return
        states = self._states[graph]
        nodes = states.shape[1]
        if not isinstance(vector, list) or len(vector) != nodes:
            yield f"vector {vector} does not have the {nodes} nodes of graph {graph}"
        elif any(type(value) is not int or value not in (-1, 0, 1) for value in vector):
            yield f"vector {vector} holds other values than 1, 0 and -1"
        elif label == 0 and any(vector):
            yield f"label is 0 (real), but the vector {vector} is not all 0"
        elif label == 1 and vector[0] != 1:
            yield f"label is 1 (fake), but the vector {vector} does not begin with 1"
        elif not completes(vector, states):
            yield f"vector {vector} agrees with no legal state of graph {graph}"

    def _method_problems(self, about: Mapping[str, Any]) -> Iterator[str]:
        label, method, category = about["label"], about["method"], about["category"]
        if category not in (*fields.CATEGORIES, fields.LOCAL):
            yield f"category {category!r} is not known"
        if self._expanded:
            yield from _recipe_problems(about)
            return
        if category == fields.LOCAL:
            yield f"category is {category}, which only expanded samples have"
        if (category == "real") != (label == 0):
            yield f"label is {label}, but the category is {category}"
        if label == 1 and method == "real":
            yield "label is 1 (fake), but the method is real"
        if label == 0 and method != "real" and about["audio_fake"] != 1:
            yield f"label is 0 (real), but the method is {method}"
        if label == 0 and about["altered"] != -1:
            yield f"label is 0 (real), but altered is {about['altered']}, and not -1"
        for name in _RECIPE:
            if about[name]:
                yield f"{name} is {about[name]!r}, which only expanded samples have"

    def _differences(self, about: Mapping[str, Any]) -> Iterator[str]:
        """From what another sample of the same video, or of the same manipulation, says."""
        video, names = about["video_id"], _OF_A_TARGET if self._expanded else _OF_A_VIDEO
        yield from self._unlike(("video", video), f"of {video}", about, names)
        kind = (about["dataset"], about["method"], str(about["label"]), about["category"])
        yield from self._unlike(("kind", *kind), f"of {'/'.join(kind[:2])}", about, ("vector",))
        yield from self._unlike(("graph",), "of this folder", about, ("graph",))
        times = self._times.setdefault(video, {})
        time_s = times.setdefault(about["sample"], about["time_s"])
        if time_s != about["time_s"]:
            yield f"time_s is {about['time_s']}, another face of the same frame has {time_s}"
        elif any(
            (sample < about["sample"]) != (other < time_s)
            for sample, other in times.items()
            if sample != about["sample"]
        ):
            yield f"time_s is {time_s}, which is not in the order of its video's samples"

    def _unlike(
        self, key: tuple[str, ...], of: str, about: Mapping[str, Any], names: tuple[str, ...]
    ) -> Iterator[str]:
        said = self._said.setdefault(key, {name: about[name] for name in names})
        for name, value in said.items():
            if value != about[name]:
                yield f"{name} is {about[name]!r}, another sample {of} has {value!r}"


def _recipe_problems(about: Mapping[str, Any]) -> Iterator[str]:
    if about["label"] != 1:
        yield f"label is {about['label']} of an expanded sample, which is fake"
    if about["category"] != fields.LOCAL:
        yield f"category of an expanded sample is {about['category']}, not {fields.LOCAL}"
    if about["generator"] not in fields.GENERATORS:
        yield f"generator {about['generator']!r} is none of {', '.join(fields.GENERATORS)}"
    elif about["method"] != f"{about['generator']}_{about['region']}":
        method, made = about["method"], f"{about['generator']} of {about['region']!r}"
        yield f"method {method!r} is not that of a {made}"
    for name in ("region", "align", "color"):
        if not about[name]:
            yield f"{name} of an expanded sample is empty"
    for name in _NOT_NEGATIVE:
        if about[name] < 0:
            yield f"{name} is {about[name]}, which is below 0"
    if about["subtype"]:
        yield f"subtype of an expanded sample is {about['subtype']!r}, not empty"
    if about["target_id"] != about["identity"]:
        yield f"target_id is {about['target_id']!r}, but identity is {about['identity']!r}"
    if about["source_id"] and about["source_id"] == about["identity"]:
        yield f"source_id is {about['source_id']!r}, who is the target"
    source = about["source_face_id"]
    if not source:
        yield "source_face_id of an expanded sample is empty"
    if source and not source.startswith(f"{about['dataset']}/{about['source_method']}/"):
        yield f"source_face_id {source!r} is not of source_method {about['source_method']!r}"
    elif source and not _FACE_ID.fullmatch(source):
        yield f"source_face_id {source!r} is no face_id"
    if source == about["face_id"]:
        yield f"source_face_id is face_id, {source!r}"
    a, b, _, c, d, _ = about["source_affine"] or [0.0] * 6
    if a * d == b * c:
        yield f"source_affine {about['source_affine']} brings no source onto a target"
