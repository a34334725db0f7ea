"""Typed parameters. An unknown key or an impossible value is an error that names it.

All YAML is read as YAML 1.2, as DVC reads it: ``1e-4`` is a number, ``no`` is a string.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline import run_config, strict
from pipeline.errors import UserError
from pipeline.run_config import EvaluateParams, ReportParams, RunParams
from pipeline.strict import Changes, Range
from pipeline.values import NAME, Name, NonEmpty, Weights

PARAMS = Path("params.yaml")
DATASETS = Path("manifests/datasets.yaml")

Region = Literal["eye", "lip", "mouth", "nose"]
"""Face regions that expansion can swap (SJEDD, section III-A)."""


@dataclass(frozen=True)
class EngineParams:
    """How work is placed. In no stage's DVC parameters: changing it reruns nothing."""

    workers: Annotated[int, Range(0)] | Literal["auto"] = "auto"
    """Processes; ``auto`` = one per core; 0 = in this process, for debugging."""
    row_deadline_s: Annotated[float, Range(above=0)] = 900.0
    """A row (one video, one face …) that takes longer is rejected as ``timeout``."""
    row_memory_gb: Annotated[float, Range(above=0)] | Literal["auto"] = "auto"
    """A row whose process grows beyond this is rejected as ``out_of_memory``; ``auto`` = its share
    of 80 % of this machine's memory."""
    max_reject_fraction: Annotated[float, Range(0, 1)] = 0.5
    """A stage stops when, after its first 100 rows, a greater share of rows gave nothing."""
    scheduler: str = ""
    """An existing Dask cluster: ``tcp://host:port`` or a scheduler file; "" = local processes."""
    gpu_stages: tuple[Literal["faces", "landmarks"], ...] = ()
    """With ``scheduler``: stages whose work asks for the Dask resource ``GPU=1``."""


Verdict = Literal["report", "drop", "fail"]
"""What is done about findings of an audit; notes among them are only ever reported."""


@dataclass(frozen=True)
class AuditParams:
    """What ``scan`` does about findings, by kind; see :mod:`pipeline.datasets.audit`."""

    leak: Verdict = "report"
    """People, clips or groups in two splits; ``drop`` keeps the videos of test, then of val."""
    duplicate: Verdict = "report"
    """The same bytes twice; ``drop`` keeps one, of test, then val, then of the smallest id."""
    conflict: Verdict = "report"
    """The same bytes as real and as fake, of which ``drop`` keeps none; rejected files."""
    balance: Literal["report", "fail"] = "report"
    """A split that has reals or fakes only."""


@dataclass(frozen=True)
class DatasetsParams:
    """Rules that change the rows of ``videos``."""

    fingerprint: Literal["sampled", "full"] = "sampled"
    """``sampled``: size, first and last 64 KiB. ``full``: every byte."""
    split_seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    """Draws the splits that are ours: of datasets that have no official one."""
    audio_only: Literal["exclude", "real"] = "exclude"
    """Fakes whose sound alone is fake: rejected, or reals by what is visible."""
    forgerynet_6: Literal["paper", "official"] = "paper"
    """Category of ForgeryNet's method 6: RE, which gives metric learning's 18 FS + 6 RE, or FS."""
    semantics: NonEmpty = "default"
    """A switch of manifests/semantics.yaml that changes label vectors, or ``default``."""
    audit: AuditParams = field(default_factory=AuditParams)


Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Sampling:
    """Which pictures of a video are looked at: exactly one of the first four is on."""

    fps: Annotated[float, Range(0)] = 1.0
    """Pictures per second of video (metric learning, section 4.1: 1 FPS); 0 = off."""
    n_even: Annotated[int, Range(0)] = 0
    """So many pictures, spread evenly over the video; 0 = off."""
    every_n: Annotated[int, Range(0)] = 0
    """The first of every so many pictures; 0 = off."""
    stride_int_fps: bool = False
    """The first of every int(frame rate) pictures, as code of the metric-learning lab does."""
    min_frames: Annotated[int, Range(1)] = 1
    """A video of which fewer planned pictures can be decoded is rejected whole."""


SAMPLING_OFF: dict[str, Any] = {"fps": 0.0, "n_even": 0, "every_n": 0, "stride_int_fps": False}
"""The four ways of sampling, each turned off."""


@dataclass(frozen=True)
class FramesParams(Sampling):
    """Parameters of the stage ``frames``; :func:`resolve` gives those of one video."""

    max_side_px: Annotated[int, Range(16, 32_768)] = 8192
    """A video wider or higher than this is rejected before anything is decoded."""
    per_dataset: Annotated[dict[Name, dict[str, Any]], Changes(Sampling)] = field(
        default_factory=dict
    )
    """Sampling of single datasets; wins over ``per_split``. What turns one mode on turns the
    others off."""
    per_split: Annotated[dict[Split, dict[str, Any]], Changes(Sampling)] = field(
        default_factory=dict
    )


@dataclass(frozen=True)
class FaceRules:
    """How faces are found and cropped."""

    detect: bool = True
    """False for pictures that are cropped faces already: the whole picture is the face."""
    detector: Literal["dlib", "scrfd", "retinaface", "precomputed"] = "dlib"
    weights: Weights = field(default_factory=Weights)
    backbone: Literal["", "mobilenet0.25", "resnet50"] = ""
    """RetinaFace only."""
    provider: Literal["cpu", "cuda"] = "cpu"
    input_size_px: Annotated[int, Range(32)] | Literal["auto", "full"] = "auto"
    """Longer side the detector sees; ``full`` = as decoded; ``auto`` = a small and a large size."""
    score_threshold: Annotated[float, Range(0, 1)] = 0.5
    min_face_px: Annotated[int, Range(0)] = 0
    """Faces whose longer side is below this in the frame are dropped; 0 = keep all."""
    margin: Annotated[float, Range(0, 10)] = 0.3
    """Enlargement of the box as a share of it (metric learning, section 4.1: 30 %)."""
    crop: Literal["square", "per_axis", "per_side"] = "square"
    border: Literal["pad", "clip"] = "pad"
    """What happens outside the frame: repeat the edge, or shrink the box to the frame."""
    align: bool = False
    """Turn faces upright by their five points; see :mod:`pipeline.faces.align`."""
    identity: Literal["none", "dlib", "arcface"] = "none"
    """Network that tells people apart, for their tracks; see :mod:`pipeline.faces.identity`."""
    identity_weights: Weights = field(default_factory=Weights)
    """ArcFace only."""


@dataclass(frozen=True)
class FacesParams(FaceRules):
    """Parameters of the stage ``faces``; :func:`resolve` gives those of one video."""

    size_px: Annotated[int, Range(16, 4096)] = 224
    """Side of the stored crop; one for all, since samples are compared and packed together."""
    lossless: tuple[Name, ...] = ()
    """Datasets stored as PNG because they take part in expansion."""
    per_dataset: Annotated[dict[Name, dict[str, Any]], Changes(FaceRules)] = field(
        default_factory=dict
    )
    """Rules of single datasets; wins over ``per_split``."""
    per_split: Annotated[dict[Split, dict[str, Any]], Changes(FaceRules)] = field(
        default_factory=dict
    )


@dataclass(frozen=True)
class JpegParams:
    """The one lossy encoding every sample passes exactly once."""

    quality: Annotated[int, Range(1, 100)] = 95
    subsampling: Literal["4:4:4", "4:2:0"] = "4:4:4"


@dataclass(frozen=True)
class FaceChoice:
    """Which faces count at all. Faces that fail a filter are gone before ``choose`` looks."""

    choose: Literal["all", "largest", "largest_n", "main_track", "min_track"] = "all"
    """``largest``: of each picture. ``main_track``: those of the person seen most in a video."""
    largest_n: Annotated[int, Range(0)] = 0
    """For ``largest_n``: so many of each picture."""
    min_track: Annotated[float, Range(0, 1)] = 0.0
    """For ``min_track``: the person is seen in at least this share of a video's planned times."""
    min_score: Annotated[float, Range(0, 1)] = 0.0
    """Least detector score; faces that have none pass."""
    min_face_px: Annotated[float, Range(0)] = 0.0
    """Least length of the box's longer side in the frame."""
    max_padded: Annotated[float, Range(0, 1)] = 1.0
    """Largest share of the crop outside the frame."""
    min_sharpness: Annotated[float, Range(0)] = 0.0
    """Least variance of the Laplacian of the crop's luma."""


@dataclass(frozen=True)
class BalanceParams(FaceChoice):
    """Which faces become samples."""

    train: Literal["balanced", "all"] = "balanced"
    val: Literal["balanced", "all"] = "all"
    test: Literal["balanced", "all"] = "all"
    scope: Literal["dataset", "all"] = "dataset"
    """Whether real : fake = 1 : 1 holds within each dataset or over all of them together."""
    audit: Verdict = "report"
    """Near-duplicate faces of other videos; see :mod:`pipeline.phash_audit`."""
    per_split: Annotated[dict[Split, dict[str, Any]], Changes(FaceChoice)] = field(
        default_factory=dict
    )


@dataclass(frozen=True)
class LandmarksParams:
    """How the 68 points are found."""

    landmarker: Literal["dlib", "fan"] = "dlib"
    weights: Weights = field(default_factory=Weights)
    provider: Literal["cpu", "cuda"] = "cpu"


@dataclass(frozen=True)
class ExpandParams:
    """Semantic dataset expansion (SJEDD, section III)."""

    datasets: tuple[Name, ...] = ()
    """Datasets to expand; their faces must be stored losslessly (``faces.lossless``)."""
    regions: tuple[Region, ...] = ("eye", "lip", "mouth", "nose")
    source_methods: tuple[NonEmpty, ...] = ("Deepfakes", "FaceSwap")
    """Manipulations whose faces may be sources; ``real`` for pristine ones."""
    per_region: Annotated[int, Range(1)] | Literal["match"] = "match"
    """Images per region and dataset; ``match`` = mean number of samples of a manipulation there."""
    dilate_px: Annotated[int, Range(0)] = 4
    """Growth of the region before its mask is blurred."""
    blur_sigma_px: Annotated[float, Range(0)] = 4.0
    """Gaussian blur of the mask; 0 = a hard edge."""
    color: Literal["after", "before", "none"] = "after"
    """Colour correction after blending (as the paper says), before it, or not at all."""


@dataclass(frozen=True)
class ShardParams:
    """How samples are packed."""

    samples_per_shard: Annotated[int, Range(1)] = 10_000
    graph: NonEmpty = "ffpp"
    """Named graph in manifests/semantics.yaml that label vectors follow."""


@dataclass(frozen=True)
class Params:
    """The whole of params.yaml."""

    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    engine: EngineParams = field(default_factory=EngineParams)
    datasets: DatasetsParams = field(default_factory=DatasetsParams)
    frames: FramesParams = field(default_factory=FramesParams)
    faces: FacesParams = field(default_factory=FacesParams)
    jpeg: JpegParams = field(default_factory=JpegParams)
    balance: BalanceParams = field(default_factory=BalanceParams)
    landmarks: LandmarksParams = field(default_factory=LandmarksParams)
    expand: ExpandParams = field(default_factory=ExpandParams)
    shard: ShardParams = field(default_factory=ShardParams)
    runs: dict[Name, RunParams] = field(default_factory=dict)
    evaluate: EvaluateParams = field(default_factory=EvaluateParams)
    report: ReportParams = field(default_factory=ReportParams)


@dataclass(frozen=True)
class DatasetEntry:
    """One entry of manifests/datasets.yaml: what data there is and where."""

    name: str
    adapter: str
    roots: tuple[Path, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the adapter takes besides: ``compression``, ``manifest`` …"""


P = TypeVar("P", FramesParams, FacesParams, BalanceParams)


def resolve(params: P, dataset: str, split: str) -> P:
    """Parameters of one dataset in one split, without exceptions: dataset wins over split."""
    per_split: Mapping[Any, dict[str, Any]] = params.per_split
    per_dataset = _per_dataset(params)
    changes = _switching(per_split.get(split, {})) | _switching(per_dataset.get(dataset, {}))
    changes |= {"per_split": {}} | ({"per_dataset": {}} if per_dataset else {})
    return replace(params, **changes)


def _per_dataset(params: object) -> dict[str, dict[str, Any]]:
    """Exceptions for single datasets; ``balance`` has none."""
    exceptions: dict[str, dict[str, Any]] = getattr(params, "per_dataset", {})
    return exceptions


def _switching(changes: dict[str, Any]) -> dict[str, Any]:
    """Changes that turn one way of sampling on turn the others off."""
    return SAMPLING_OFF | changes if any(map(changes.get, SAMPLING_OFF)) else dict(changes)


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

    Raises UserError naming file, key, value and what is allowed; an unknown key with the nearest
    valid one.
    """
    data = read_yaml(path)
    if data is None:
        raise UserError(
            f"{path} is empty. Put a profile in place with `faceshards profile sample`."
        )
    params = strict.build(Params, data, str(path))
    for problem in _contradictions(params):
        raise UserError(f"{path}: {problem}")
    return params


def _contradictions(params: Params) -> Iterator[str]:
    """Yield one sentence per pair of values that are each possible, but not together."""
    for where, frames in _resolved("frames", params.frames):
        yield from (where + problem for problem in _frames_contradictions(frames))
    for where, faces in _resolved("faces", params.faces):
        yield from (where + problem for problem in _faces_contradictions(faces))
    for where, balance in _resolved("balance", params.balance):
        for number in ("largest_n", "min_track"):
            if balance.choose == number and not getattr(balance, number):
                yield f"{where}balance.choose is {number!r}, so balance.{number} must be above 0."
    expand, landmarks = params.expand, params.landmarks
    if landmarks.landmarker == "dlib" and landmarks.provider != "cpu":
        yield f"landmarks.provider is {landmarks.provider!r}, but dlib runs on cpu only."
    for name in expand.datasets:
        if name not in params.faces.lossless:
            yield (
                f"expand.datasets names {name!r}, whose faces are not stored losslessly. "
                "Add it to faces.lossless."
            )
    if expand.datasets and not (expand.regions and expand.source_methods):
        yield "expand.regions and expand.source_methods must not be empty where there are datasets."
    yield from run_config.contradictions(params.runs, params.shard.graph)


def _resolved(section: str, params: P) -> Iterator[tuple[str, P]]:
    """The parameters without exceptions, with each one, and with each pair; and where that is."""
    for dataset in ("", *_per_dataset(params)):
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
    if not faces.identity_weights.path:
        yield "faces.identity arcface needs faces.identity_weights: path and sha256 of an .onnx."
    if faces.detector == "dlib":
        yield (
            "faces.identity arcface needs five points, and dlib gives none. "
            "Choose another detector, or identity: dlib."
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
    return {name: _dataset_entry(path, name, entry) for name, entry in data.items()}


def _dataset_entry(path: Path, name: object, entry: object) -> DatasetEntry:
    if not isinstance(name, str) or not NAME.holds(name):
        raise UserError(f"{path}: the dataset name {strict.show(name)} must be {NAME}.")
    if not isinstance(entry, dict):
        raise UserError(f"{path}: {name} is {strict.show(entry)}, but must hold adapter and root.")
    options = dict(entry)
    adapter = options.pop("adapter", None)
    if not isinstance(adapter, str) or not adapter:
        keys = ", ".join(map(str, entry))
        raise UserError(
            f"{path}: {name} names no adapter (its keys: {keys}). "
            "Add `adapter: csv` or that of a public dataset."
        )
    if ("root" in options) == ("roots" in options):
        raise UserError(f"{path}: {name} needs either root or roots, one of the two.")
    given = options.pop("roots") if "roots" in options else [options.pop("root")]
    if not isinstance(given, list) or not given:
        raise UserError(
            f"{path}: {name}.roots is {strict.show(given)}, but must be a list of folders."
        )
    for root in given:
        if not isinstance(root, str) or not root:
            raise UserError(
                f"{path}: {name}: the root {strict.show(root)} is not the path of a folder."
            )
    roots = tuple(Path(root).expanduser() for root in given)
    if len(set(roots)) != len(roots):
        raise UserError(f"{path}: {name}.roots names a folder twice.")
    return DatasetEntry(name=name, adapter=adapter, roots=roots, options=options)


def read_yaml(path: Path) -> Any:
    """Plain data of a YAML 1.2 file; None for an empty one.

    Raises UserError naming file and line where the file is missing, is not YAML, holds a key twice
    or a tag that is not plain data.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Write it, or run where it is.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text: {error}.") from error
    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path}{where}: {_one_line(error.problem)}.") from error
    except (YAMLError, ValueError) as error:
        raise UserError(f"{path} is not YAML: {_one_line(error)}.") from error


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split()).rstrip(".")
