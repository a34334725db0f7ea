"""Typed parameters: the sections of params.yaml, their values, ranges and defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, TypeVar

from pipeline.config.run_params import EvaluateParams, ReportParams, RunParams
from pipeline.config.strict import Changes, Range
from pipeline.config.values import Name, NonEmpty, Weights

Region = Literal["eye", "left_eye", "right_eye", "eyebrow", "lip", "mouth", "nose", "skin"]
"""Face regions that expansion can swap (SJEDD, section III-A, and the graph's other regions)."""


@dataclass(frozen=True)
class EngineParams:
    """How work is placed. In no stage's DVC parameters: changing it reruns nothing."""

    workers: Annotated[int, Range(0, 1024)] | Literal["auto"] = "auto"
    """How many work at a time; ``auto`` = one per core; 0 = no child process, for debugging."""
    row_deadline_s: Annotated[float, Range(above=0, high=604_800)] = 900.0
    """A row (one video, one face …) that takes longer is rejected as ``timeout``."""
    row_memory_gb: Annotated[float, Range(above=0, high=65_536)] | Literal["auto"] = "auto"
    """A row whose process grows beyond this is rejected as ``out_of_memory``; ``auto`` = its share
    of 80 % of this machine's memory."""
    max_reject_fraction: Annotated[float, Range(0, 1)] = 0.5
    """A stage stops when, after its first 100 rows, a greater share of rows gave nothing."""
    keep_gb: Annotated[float, Range(0, 1_000_000)] = 10.0
    """Most disk, per stage, for what earlier plans left, so that going back to one (another branch)
    pays nothing; 0 = nothing is kept."""
    scheduler: str = ""
    """An existing Dask cluster: ``tcp://host:port`` or a scheduler file; "" = this machine."""
    gpu_stages: tuple[Literal["faces", "landmarks"], ...] = ()
    """With ``scheduler``: stages whose work asks for the Dask resource ``GPU=1``."""
    gpus: Annotated[int, Range(1, 1024)] = 1
    """GPUs that one training uses, each with a process of its own; without any GPU, processes."""
    tensorboard: bool = False
    """Whether trainings write their epochs for TensorBoard too, to ``logs/tensorboard``."""


Verdict = Literal["report", "drop", "fail"]
"""What is done about findings of an audit; notes among them are only ever reported."""


@dataclass(frozen=True)
class AuditParams:
    """What ``scan`` does about findings, by kind; see :mod:`pipeline.audit.videos`."""

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

PartRule = Literal["middle", "fill", "grid"]
"""What is planned in a labelled part besides the times that lie in it; see :class:`Sampling`."""


@dataclass(frozen=True)
class Sampling:
    """Which pictures of a video are looked at: exactly one of the first four is on."""

    fps: Annotated[float, Range(0, 1000)] = 1.0
    """Pictures per second of video (metric learning, section 4.1: 1 FPS); 0 = off."""
    n_even: Annotated[int, Range(0, 100_000)] = 0
    """So many pictures, spread evenly over the video; 0 = off."""
    every_n: Annotated[int, Range(0, 1_000_000)] = 0
    """The first of every so many pictures; 0 = off."""
    stride_int_fps: bool = False
    """The first of every int(frame rate) pictures, as code of the metric-learning lab does."""
    min_frames: Annotated[int, Range(1, 100_000)] = 1
    """A video of which fewer planned pictures can be decoded is rejected whole."""
    parts: PartRule = "middle"
    """Of a video that is labelled in parts: ``middle`` looks at the middle of every part as well,
    ``fill`` at that of parts which hold no planned time, ``grid`` at planned times alone."""


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

    keep_damaged: bool = False
    """True takes pictures that the decoder had to patch up, too; see docs/decisions.md."""
    detect: bool = True
    """False for pictures that are cropped faces already: the whole picture is the face."""
    detector: Literal["dlib", "scrfd", "retinaface", "centerface", "precomputed"] = "dlib"
    weights: Weights = field(default_factory=Weights)
    backbone: Literal["", "mobilenet0.25", "resnet50"] = ""
    """RetinaFace only."""
    provider: Literal["cpu", "cuda"] = "cpu"
    input_size_px: Annotated[int, Range(32, 32_768)] | Literal["auto", "full"] = "auto"
    """Longer side the detector sees; ``full`` = as decoded; ``auto`` = a small and a large size."""
    score_threshold: Annotated[float, Range(0, 1)] = 0.5
    min_face_px: Annotated[int, Range(0, 32_768)] = 0
    """Faces whose longer side is below this in the frame are dropped; 0 = keep all."""
    margin: Annotated[float, Range(0, 10)] = 0.3
    """Enlargement of the box as a share of it (metric learning, section 4.1: 30 %)."""
    crop: Literal["square", "per_axis", "per_side"] = "square"
    border: Literal["pad", "clip"] = "pad"
    """What happens outside the frame: repeat the edge, or shrink the box to the frame."""
    altered: Literal["none", "mask", "pair"] = "none"
    """What faces of fakes are held against to see which was altered: nothing, the mask that the
    dataset ships, or the pristine film of the same pictures; see :mod:`pipeline.faces.altered`."""
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

    choose: Literal["all", "largest", "largest_n", "altered", "main_track", "min_track"] = "all"
    """``largest``: of each picture. ``main_track``: those of the person seen most in a video.
    ``altered``: the person altered most, where that is known (``faces.altered``)."""
    largest_n: Annotated[int, Range(0, 1000)] = 0
    """For ``largest_n``: so many of each picture."""
    min_track: Annotated[float, Range(0, 1)] = 0.0
    """For ``min_track``: the person is seen in at least this share of a video's planned times."""
    min_altered: Annotated[float, Range(above=0, high=1)] = 0.1
    """For ``altered``: besides the person altered most, faces of whose box so much was altered, and
    at least half as much as of that person's."""
    min_score: Annotated[float, Range(0, 1)] = 0.0
    """Least detector score; faces that have none pass."""
    min_face_px: Annotated[float, Range(0, 32_768)] = 0.0
    """Least length of the box's longer side in the frame."""
    max_padded: Annotated[float, Range(0, 1)] = 1.0
    """Largest share of the crop outside the frame."""
    min_sharpness: Annotated[float, Range(0)] = 0.0
    """Least variance of the Laplacian of the crop's luma."""
    even_ends: Annotated[int, Range(0, 1_000_000)] = 0
    """Of what is left, so many faces of a video, evenly from the first to the last, both ends
    included; 0 = all. A video that has fewer keeps them."""


@dataclass(frozen=True)
class BalanceParams(FaceChoice):
    """Which faces become samples."""

    train: Literal["balanced", "all"] = "balanced"
    val: Literal["balanced", "all"] = "all"
    test: Literal["balanced", "all"] = "all"
    scope: Literal["dataset", "all"] = "dataset"
    """Whether a split is balanced within each dataset or over all of them together."""
    target_ratio: Annotated[float, Range(above=0, high=1000)] = 1.0
    """Fakes per real."""
    per_video: dict[Name, Annotated[int, Range(1, 1_000_000)]] = field(default_factory=dict)
    """Dataset to so many faces of each fake video, beside all of its reals, in place of the
    ratio."""
    cap_per_video: Annotated[int, Range(0, 1_000_000)] = 0
    """Most faces of any video, real or fake; 0 = no limit."""
    max_total: Annotated[int, Range(0, 10_000_000_000)] = 0
    """Most samples of each dataset (of all together, by ``scope``) in a split; 0 = no limit."""
    method_weights: dict[NonEmpty, Annotated[float, Range(0.001, 1000)]] = field(
        default_factory=dict
    )
    """Manipulation to a weight: a video of weight 2 gives twice as many faces as one of weight 1,
    which others have."""
    audit: Verdict = "report"
    """Near-duplicate faces of other videos; see :mod:`pipeline.audit.near_duplicates`."""
    per_split: Annotated[dict[Split, dict[str, Any]], Changes(FaceChoice)] = field(
        default_factory=dict
    )


@dataclass(frozen=True)
class LandmarksParams:
    """How the 68 points are found."""

    landmarker: Literal["dlib", "fan", "none"] = "dlib"
    """``none``: no 68 points; a detector's five in the table ``faces`` are all that there is."""
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
    per_region: Annotated[int, Range(1, 10_000_000)] | Literal["match"] = "match"
    """Images per region and dataset; ``match`` = mean number of samples of the manipulations that
    are named in ``source_methods``."""
    identity: Literal["required", "embedding", "assume_different"] = "required"
    """What tells people apart where their videos do not say who they are: nothing, so that those
    videos are left out; the embeddings of ``faces.identity``; that their videos are different."""
    among_nearest: Annotated[int, Range(1, 100)] = 1
    """A source is one of so many nearest, drawn for each sample; 1 = the nearest, as in the
    paper."""
    generators: tuple[Literal["swap", "xray"], ...] = ("swap",)
    """``swap``: one region; ``xray``: the whole face of another real one, as in Face X-ray."""
    align: Literal["auto", "similarity", "none", "piecewise"] = "auto"
    """How the source is brought onto the target; ``auto`` = ``none`` for datasets with
    ``faces.align``, else ``similarity``."""
    dilate_px: Annotated[int, Range(0, 4096)] = 4
    """Growth of the region before its mask is blurred, for a face of usual size at 224 px."""
    blur_sigma_px: Annotated[float, Range(0, 4096)] = 4.0
    """Gaussian blur of the mask, likewise; 0 = a hard edge."""
    color: Literal["after", "before", "none"] = "after"
    """Color correction after blending (as the paper says), before it, or not at all."""
    max_gain: Annotated[float, Range(1, 1000)] | Literal["none"] = 2.0
    """It multiplies or divides contrast by this at most; ``none`` = Reinhard's plain formula."""
    min_change: Annotated[float, Range(0, 255)] = 2.0
    """Images that differ less from their target are rejected; levels of 255, mean over the mask."""
    max_color_gap: Annotated[float, Range(0, 1000)] = 4.0
    """Largest factor of the target's color contrast over the source's, which the correction would
    stretch; 0 = any."""
    max_sharpness_gap: Annotated[float, Range(0, 1000)] = 5.0
    """Largest factor between the two regions' sharpness; 0 = any."""

    def regions_of(self, generator: str) -> tuple[str, ...]:
        """What a generator replaces: ``swap`` each region, any other the whole face."""
        return self.regions if generator == "swap" else ("face",)

    def sources_of(self, generator: str) -> tuple[str, ...]:
        """Whose faces it takes: Face X-ray, unlike ``swap``, blends real ones into each other."""
        return self.source_methods if generator == "swap" else ("real",)


@dataclass(frozen=True)
class ShardParams:
    """How samples are packed."""

    samples_per_shard: Annotated[int, Range(1, 1_000_000)] = 10_000
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


P = TypeVar("P", FramesParams, FacesParams, BalanceParams)


def resolve(params: P, dataset: str, split: str) -> P:
    """Parameters of one dataset in one split, without exceptions: dataset wins over split."""
    per_split: Mapping[Any, dict[str, Any]] = params.per_split
    per_dataset = dataset_exceptions(params)
    changes = _switching(per_split.get(split, {})) | _switching(per_dataset.get(dataset, {}))
    changes |= {"per_split": {}} | ({"per_dataset": {}} if per_dataset else {})
    return replace(params, **changes)


def dataset_exceptions(params: object) -> dict[str, dict[str, Any]]:
    """Exceptions for single datasets; ``balance`` has none."""
    exceptions: dict[str, dict[str, Any]] = getattr(params, "per_dataset", {})
    return exceptions


def _switching(changes: dict[str, Any]) -> dict[str, Any]:
    """Changes that turn one way of sampling on turn the others off."""
    return SAMPLING_OFF | changes if any(map(changes.get, SAMPLING_OFF)) else dict(changes)
