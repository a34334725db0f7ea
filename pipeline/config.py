"""Typed parameters. An unknown key or an impossible value is an error that names it.

All YAML is read as YAML 1.2, as DVC reads it: ``1e-4`` is a number, ``no`` is a string.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline import strict
from pipeline.errors import UserError
from pipeline.strict import Matching, Range

PARAMS = Path("params.yaml")
DATASETS = Path("manifests/datasets.yaml")

Region = Literal["eye", "lip", "mouth", "nose"]
"""Face regions that expansion can swap (SJEDD, section III-A)."""

NAME = Matching(
    "[A-Za-z0-9][A-Za-z0-9_-]*",
    "a name of letters, digits, _ and -, beginning with a letter or digit",
)
"""Grammar of dataset names: safe in a path, a tar member and a shell."""

Name = Annotated[str, NAME]
NonEmpty = Annotated[str, Matching("(?s).+", "text that is not empty")]
Sha256 = Annotated[
    str,
    Matching("([0-9A-Fa-f]{64})?", '64 hexadecimal digits in quotes, or ""'),
]


@dataclass(frozen=True)
class Weights:
    """A weights file, folder or pack name, and the SHA-256 it must have."""

    path: str = ""
    """Both are "" for methods that need no weights."""
    sha256: Sha256 = ""


@dataclass(frozen=True)
class EngineParams:
    """How work is placed. In no stage's DVC parameters: changing it reruns nothing."""

    workers: Annotated[int, Range(0)] | Literal["auto"] = "auto"
    """Processes; ``auto`` = one per core; 0 = in this process, for debugging."""
    row_deadline_s: Annotated[float, Range(above=0)] = 900.0
    """A row (one video, one face …) that takes longer is rejected as ``timeout``."""


@dataclass(frozen=True)
class DatasetsParams:
    """Rules that change the rows of ``videos``."""

    fingerprint: Literal["sampled", "full"] = "sampled"
    """``sampled``: size, first and last 64 KiB. ``full``: every byte."""


@dataclass(frozen=True)
class FramesParams:
    """Which times of a video are looked at."""

    fps: Annotated[float, Range(above=0)] = 1.0
    """Pictures per second of video (metric learning, section 4.1: 1 FPS)."""
    max_side_px: Annotated[int, Range(16, 32_768)] = 8192
    """A video wider or higher than this is rejected before anything is decoded."""


@dataclass(frozen=True)
class FacesParams:
    """How faces are found, cropped and stored."""

    detector: Literal["dlib", "scrfd", "retinaface"] = "dlib"
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
    size_px: Annotated[int, Range(16, 4096)] = 224
    """Side of the stored crop."""
    lossless: tuple[Name, ...] = ()
    """Datasets stored as PNG because they take part in expansion."""


@dataclass(frozen=True)
class JpegParams:
    """The one lossy encoding every sample passes exactly once."""

    quality: Annotated[int, Range(1, 100)] = 95
    subsampling: Literal["4:4:4", "4:2:0"] = "4:4:4"


@dataclass(frozen=True)
class BalanceParams:
    """Which faces become samples."""

    train: Literal["balanced", "all"] = "balanced"
    val: Literal["balanced", "all"] = "all"
    test: Literal["balanced", "all"] = "all"
    scope: Literal["dataset", "all"] = "dataset"
    """Whether real : fake = 1 : 1 holds within each dataset or over all of them together."""
    choose: Literal["all", "largest"] = "all"
    """Which faces of a picture count."""


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


@dataclass(frozen=True)
class DatasetEntry:
    """One entry of manifests/datasets.yaml: what data there is and where."""

    name: str
    adapter: str
    roots: tuple[Path, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the adapter takes besides: ``compression``, ``manifest`` …"""


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
    faces, expand, landmarks = params.faces, params.expand, params.landmarks
    if faces.detector == "retinaface" and not faces.backbone:
        yield "faces.detector retinaface needs faces.backbone: mobilenet0.25 or resnet50."
    if faces.detector != "retinaface" and faces.backbone:
        yield (
            f"faces.backbone is {faces.backbone!r}, but the detector {faces.detector} has none. "
            'Set it to "".'
        )
    for section, chosen, used in (
        ("faces", faces.detector, faces),
        ("landmarks", landmarks.landmarker, landmarks),
    ):
        if chosen == "dlib" and used.provider != "cpu":
            yield f"{section}.provider is {used.provider!r}, but dlib runs on cpu only."
    for name in expand.datasets:
        if name not in faces.lossless:
            yield (
                f"expand.datasets names {name!r}, whose faces are not stored losslessly. "
                "Add it to faces.lossless."
            )
    if expand.datasets and not (expand.regions and expand.source_methods):
        yield "expand.regions and expand.source_methods must not be empty where there are datasets."


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
