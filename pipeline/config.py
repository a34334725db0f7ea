"""Typed parameters. An unknown key or an impossible value is an error that names it.

All YAML is read as YAML 1.2, as DVC reads it: ``1e-4`` is a number, ``no`` is a string.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Weights:
    """A weights file, folder or pack name, and the SHA-256 it must have ("" where none is needed)."""

    path: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class EngineParams:
    """How work is placed. In no stage's DVC parameters: changing it reruns nothing."""

    workers: int | Literal["auto"] = "auto"
    """Processes; ``auto`` = one per core; 0 = in this process, for debugging."""
    row_deadline_s: float = 900.0
    """A row (one video, one face …) that takes longer is rejected as ``timeout``."""


@dataclass(frozen=True)
class DatasetsParams:
    """Rules that change the rows of ``videos``."""

    fingerprint: Literal["sampled", "full"] = "sampled"
    """``sampled``: size, first and last 64 KiB. ``full``: every byte."""


@dataclass(frozen=True)
class FramesParams:
    """Which times of a video are looked at."""

    fps: float = 1.0
    """Pictures per second of video (metric learning, section 4.1: 1 FPS)."""
    max_side_px: int = 8192
    """A video wider or higher than this is rejected before anything is decoded."""


@dataclass(frozen=True)
class FacesParams:
    """How faces are found, cropped and stored."""

    detector: Literal["dlib", "scrfd", "retinaface"] = "dlib"
    weights: Weights = field(default_factory=Weights)
    backbone: Literal["", "mobilenet0.25", "resnet50"] = ""
    """RetinaFace only."""
    provider: Literal["cpu", "cuda"] = "cpu"
    input_size_px: int | Literal["auto", "full"] = "auto"
    """Longer side the detector sees; ``full`` = as decoded; ``auto`` = a small and a large size."""
    score_threshold: float = 0.5
    min_face_px: int = 0
    """Faces whose longer side is below this in the frame are dropped; 0 = keep all."""
    margin: float = 0.3
    """Enlargement of the box (metric learning, section 4.1: 30 %)."""
    crop: Literal["square", "per_axis", "per_side"] = "square"
    border: Literal["pad", "clip"] = "pad"
    """What happens outside the frame: repeat the edge, or shrink the box to the frame."""
    size_px: int = 224
    lossless: tuple[str, ...] = ()
    """Datasets stored as PNG because they take part in expansion."""


@dataclass(frozen=True)
class JpegParams:
    """The one lossy encoding every sample passes exactly once."""

    quality: int = 95
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

    datasets: tuple[str, ...] = ()
    regions: tuple[str, ...] = ("eye", "lip", "mouth", "nose")
    source_methods: tuple[str, ...] = ("Deepfakes", "FaceSwap")
    per_region: int | Literal["match"] = "match"
    """Images per region and dataset; ``match`` = the mean number of samples of a manipulation there."""
    dilate_px: int = 4
    blur_sigma_px: float = 4.0
    color: Literal["after", "before", "none"] = "after"
    """Colour correction after blending (as the paper says), before it, or not at all."""


@dataclass(frozen=True)
class ShardParams:
    """How samples are packed."""

    samples_per_shard: int = 10_000
    graph: str = "ffpp"
    """Named graph in manifests/semantics.yaml that label vectors follow."""


@dataclass(frozen=True)
class Params:
    """The whole of params.yaml."""

    seed: int = 0
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
