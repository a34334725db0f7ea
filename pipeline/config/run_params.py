"""Typed parameters of training runs, of evaluation and of the report.

"Metric learning" is 2508.19730; values no paper gives are ours. What a run is trained for has its
own list, :mod:`pipeline.config.objectives`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from faceshards.wording import suggestion
from pipeline.config.clip_params import ClipParams
from pipeline.config.objectives import OBJECTIVES, MetricLearningParams, ObjectiveParams
from pipeline.config.strict import Kinds, Range
from pipeline.config.training_options import AveragingParams, ComputeParams
from pipeline.config.values import NonEmpty, Weights
from pipeline.errors import UserError

_SIZES = {
    "vit": ("tiny", "vit-s16", "vit-b16", "vit-l16", "folder"),
    "joint_embedding": ("tiny", "clip-vit-b32", "clip-vit-l14"),
}

_WITH_LAYERS = ("vit",)
"""Architectures whose layers have one order, from the input to the head."""

BASE_BATCH_SIZE = 256
"""Batch size that a base rate ``blr`` is meant for (MAE's and FSFM's public code)."""


@dataclass(frozen=True)
class ModelParams:
    """The network of a run and the weights it starts from."""

    architecture: Literal["vit", "joint_embedding"]
    size: Literal["tiny", "vit-s16", "vit-b16", "vit-l16", "folder", "clip-vit-b32", "clip-vit-l14"]
    """``tiny`` starts from random numbers and needs no weights: its scores mean nothing.
    ``folder``: as the ``config.json`` beside the weights says, of a model in transformers' form."""
    weights: Weights = field(default_factory=Weights)
    fc_norm: Literal["embedding", "head", "none"] = "embedding"
    """Where the norm behind the mean of the patch tokens stands: before the embedding (as in FSFM's
    public code), between embedding and head, or nowhere. Metric learning, section 4.3, does not
    say. ``vit`` only."""
    trained: Literal["all", "norms", "head"] = "all"
    """What is trained: everything (metric learning), all LayerNorms and the head (as GenD's public
    code), or the head alone. ``vit`` only."""
    clip: ClipParams = field(default_factory=ClipParams)
    """``joint_embedding`` only."""
    start: Literal["weights", "random"] = "weights"
    """What the network starts from: its weights, or random numbers, to compare. ``vit`` only."""
    drop_path: Annotated[float, Range(0, 0.99)] = 0.0
    """Probability by which training leaves out the last block's branches for a face; it falls
    linearly to 0 at the first block. FSFM's public code has 0.1. ``vit`` only."""
    evaluation: Literal["whole", "resize_crop"] = "whole"
    """What is seen of a face that is not trained on. ``resize_crop``: it is enlarged by 8 / 7 (224
    to 256 px) and its middle is cut out, as FSFM's public code does; an eighth of the margin is not
    seen."""


@dataclass(frozen=True)
class OptimizerParams:
    """AdamW; the learning rate rises linearly, then falls along a cosine."""

    learning_rate: Annotated[float, Range(above=0)] = 1e-4
    """At its highest (metric learning, section 4.3: "basic learning rate"); see ``base_rate``."""
    weight_decay: Annotated[float, Range(0)] = 0.05
    """Metric learning, section 4.3."""
    epochs: Annotated[int, Range(1, 100_000)] = 30
    """Metric learning, section 4.3."""
    batch_size: Annotated[int, Range(2, 1_000_000)] = 64
    """Metric learning, section 4.3."""
    warmup_epochs: Annotated[int, Range(0, 100_000)] = 5
    """Metric learning, section 4.3; fewer than ``epochs``."""
    base_rate: Literal["lr", "blr"] = "lr"
    """``lr``: ``learning_rate`` as it stands. ``blr``: times ``batch_size`` / 256, as MAE's and
    FSFM's public code reads a base rate. Metric learning does not say which it means."""
    min_learning_rate: Annotated[float, Range(0)] = 0.0
    """Where the cosine ends; FSFM's public code has 1e-6."""
    layer_decay: Annotated[float, Range(above=0, high=1)] = 1.0
    """Factor of the learning rate from one layer to the one before it; 1 = the same for all. Metric
    learning, section 4.3, has 0.75. ``vit`` only."""
    decay_exempt: Literal["norms", "none"] = "norms"
    """What weight decay spares: norms, biases, tokens and positions (FSFM's public code), or
    nothing (SJEDD's)."""
    schedule: Literal["cosine", "restarting"] = "cosine"
    """``cosine``: down once, at every step. ``restarting``: down and up again by turns, in
    ``restart_epochs`` epochs each, set once per epoch (SJEDD's public code)."""
    restart_epochs: Annotated[int, Range(1, 100_000)] = 5
    """SJEDD's public code. ``restarting`` only."""
    kept_epoch: Literal["lowest_val_primary", "highest_val_accuracy", "last"] = "lowest_val_primary"
    """Whose model is evaluated: that of the lowest primary loss on val, of the most faces of val
    judged right at 0.5 (SJEDD's public code), or the last."""
    clip_norm: Annotated[float, Range(0)] = 0.0
    """Gradients longer than this, all together, are shortened to it; 0 = never."""
    per_class: Annotated[int, Range(0, 1_000_000)] = 0
    """Batches of so many faces of each of ``batch_size`` / ``per_class`` classes (P x K batches); 0
    = batches of the shuffled faces, whatever their classes."""

    @property
    def highest_rate(self) -> float:
        """The learning rate at the end of the warm-up."""
        scale = self.batch_size / BASE_BATCH_SIZE if self.base_rate == "blr" else 1.0
        return self.learning_rate * scale


@dataclass(frozen=True)
class DataParams:
    """Which samples of train, of ``also`` and of val a run reads; an empty list lets all pass.

    The names are those of :class:`faceshards.Filter`, which says what each of them is.
    """

    datasets: tuple[NonEmpty, ...] = ()
    methods: tuple[NonEmpty, ...] = ()
    """Manipulations. Reals pass whatever is named, here and in ``categories``."""
    categories: tuple[NonEmpty, ...] = ()
    regions: tuple[NonEmpty, ...] = ()
    """Of expanded samples; others pass, here and in ``generators``."""
    generators: tuple[NonEmpty, ...] = ()
    max_per_video: Annotated[int, Range(0, 1_000_000)] = 0
    """Most samples of a video and method; 0 = all."""
    labels: Literal["hierarchy", "face_only"] = "hierarchy"
    """``hierarchy``: the whole label vector. ``face_only``: its first node alone, real or fake; all
    else is unobserved."""
    fakes: Literal["stored", "self_blended"] = "stored"
    """What is trained on besides reals: the fakes of the shards, or of each real, anew each epoch,
    a blend with itself (self-blended images, "SBI"). Val has its stored fakes either way."""


@dataclass(frozen=True)
class RunParams:
    """One named training run."""

    model: ModelParams
    objective: Annotated[ObjectiveParams, Kinds(OBJECTIVES)]
    """What is minimised; its keys depend on its ``kind``."""
    also: Literal["expanded", "train"]
    """Shard folder read besides ``train``; ``train`` means none besides. dvc.yaml names it, so it
    has no default."""
    optimizer: OptimizerParams = field(default_factory=OptimizerParams)
    data: DataParams = field(default_factory=DataParams)
    """What of these shards is read; no shard is made anew for it."""
    augmentation: Literal["none", "flip", "fsfm", "sjedd", "sjedd-ffsc"] = "none"
    """What changes a face each time it is trained on. ``flip`` mirrors half of them; ``fsfm`` is
    that of FSFM's public code (metric learning, section 4.3: "same augmentation"), without mixup
    and cutmix; ``sjedd`` and ``sjedd-ffsc`` are one of five perturbations for 30 and 36 % of the
    faces, without a mirror (SJEDD, section V-A2; the shares are its public code's)."""
    averaging: AveragingParams = field(default_factory=AveragingParams)
    compute: ComputeParams = field(default_factory=ComputeParams)


@dataclass(frozen=True)
class EvaluateParams:
    """How runs are scored."""

    batch_size: Annotated[int, Range(1, 1_000_000)] = 64
    """Faces scored at once; never changes which faces are scored."""
    threshold: Annotated[float, Range(0, 1)] = 0.5
    """A score at or above it counts as fake in balanced accuracy (metric learning, 4.3)."""
    missing: Literal["exclude", "as_real", "as_fake", "half"] = "exclude"
    """What a video without a score counts as: nothing, or a score of 0, 1 or 0.5."""
    min_group: Annotated[int, Range(1, 1_000_000)] = 10
    """Least number of real and of fake videos of a group that is measured."""
    robustness: tuple[Literal["jpeg", "resize", "blur", "noise"], ...] = ()
    """What faces of test are changed by, at five strengths each, and scored once more."""


@dataclass(frozen=True)
class ReportParams:
    """How much the report shows."""

    faces_per_dataset: Annotated[int, Range(1, 200)] = 24
    """Crops on the contact sheet of a dataset."""
    swaps_per_region: Annotated[int, Range(1, 50)] = 3
    """Strips (target, source, mask, result) per region."""


def chosen(runs: Mapping[str, RunParams], arguments: Sequence[str]) -> str:
    """The run that a command's arguments name.

    Raises UserError where they are not one name, or there is no such run.
    """
    known = ", ".join(runs) or "none"
    if len(arguments) != 1:
        raise UserError(f"Name one run of params.yaml. There are: {known}.")
    name = arguments[0]
    if name not in runs:
        raise UserError(f"params.yaml has no run {name!r} under runs. {suggestion(name, runs)}")
    return name


def contradictions(runs: Mapping[str, RunParams]) -> Iterator[str]:
    """Yield one sentence per pair of values that are each possible, but not together.

    Args:
        runs: by name.
    """
    for name, run in runs.items():
        for problem in _run_contradictions(run):
            yield f"runs.{name}.{problem}"


def _run_contradictions(run: RunParams) -> Iterator[str]:
    model, objective, optimizer = run.model, run.objective, run.optimizer
    sizes = _SIZES[model.architecture]
    if model.size not in sizes:
        yield f"model.size is {model.size!r}, but {model.architecture} has {' and '.join(sizes)}."
    if model.size == "tiny" and model.weights != Weights():
        yield 'model.weights must be {path: "", sha256: ""}: the size tiny starts without weights.'
    if model.architecture != "vit":
        of_vit = {"fc_norm": "embedding", "trained": "all", "drop_path": 0.0, "start": "weights"}
        for key, default in of_vit.items():
            if (value := getattr(model, key)) != default:
                yield (
                    f"model.{key} is {value!r}, but {model.architecture} has no such choice. Set "
                    f"it to {default}."
                )
    if model.architecture == "joint_embedding":
        for problem in model.clip.contradictions():
            yield f"model.{problem}"
    elif model.clip != ClipParams():
        yield (
            f"model.clip is for joint_embedding, but the model is {model.architecture}: remove it."
        )
    if model.size == "folder" and not model.weights.path:
        yield "model.weights.path is '', but the size folder is that of the folder that it names."
    has_triplet = isinstance(objective, MetricLearningParams) and objective.triplet != "none"
    if model.trained == "head" and has_triplet:
        yield (
            "model.trained is 'head', so that embeddings never move, but there is an "
            "objective.triplet on them. Set it to none."
        )
    if model.architecture not in objective.architectures:
        fit = [kind for kind, of in OBJECTIVES.items() if model.architecture in of.architectures]
        yield (
            f"objective.kind is {objective.kind!r}, but {model.architecture} is trained with "
            f"{' or '.join(fit)}."
        )
    else:
        yield from objective.contradictions(run.also)
    if run.data.labels != "hierarchy" and not objective.graph:
        yield (
            f"data.labels is {run.data.labels!r}, but {objective.kind} reads no label vectors. Set "
            "it to hierarchy."
        )
    yield from _self_blended_contradictions(run)
    if optimizer.layer_decay != 1 and model.architecture not in _WITH_LAYERS:
        yield (
            f"optimizer.layer_decay is {optimizer.layer_decay:g}, but {model.architecture} has two "
            "encoders and no one order of layers. Set it to 1."
        )
    if optimizer.schedule == "restarting" and optimizer.warmup_epochs:
        yield (
            f"optimizer.warmup_epochs is {optimizer.warmup_epochs}, but the schedule restarting "
            "has no warm-up. Set it to 0."
        )
    yield from _option_contradictions(run)
    if optimizer.min_learning_rate > optimizer.highest_rate:
        yield (
            f"optimizer.min_learning_rate is {optimizer.min_learning_rate:g}, but the highest rate "
            f"is {optimizer.highest_rate:g}."
        )
    if optimizer.warmup_epochs >= optimizer.epochs:
        yield (
            f"optimizer.warmup_epochs is {optimizer.warmup_epochs}, but must be below epochs "
            f"({optimizer.epochs})."
        )


def _self_blended_contradictions(run: RunParams) -> Iterator[str]:
    if run.data.fakes != "self_blended":
        return
    if run.also != "train":
        yield (
            f"data.fakes is 'self_blended', so that reals alone are read, but also is "
            f"{run.also!r}. Set also to train."
        )
    if run.objective.attribution != "none":
        yield (
            "data.fakes is 'self_blended', and such fakes have no category and no dataset, but "
            f"objective.attribution is {run.objective.attribution!r}. Set it to none."
        )
    if run.optimizer.batch_size % 2:
        yield (
            f"optimizer.batch_size is {run.optimizer.batch_size}, but data.fakes is "
            "'self_blended', and batches are pairs of a real and its fake. Choose an even number."
        )


def _option_contradictions(run: RunParams) -> Iterator[str]:
    optimizer, parts = run.optimizer, run.compute.accumulate
    if optimizer.per_class and optimizer.batch_size % optimizer.per_class:
        yield (
            f"optimizer.per_class is {optimizer.per_class}, but does not divide batch_size "
            f"({optimizer.batch_size})."
        )
    if parts > 1 and optimizer.batch_size % parts:
        yield (
            f"compute.accumulate is {parts}, but does not divide optimizer.batch_size "
            f"({optimizer.batch_size})."
        )
    if run.data.fakes == "self_blended":
        if optimizer.per_class:
            yield (
                f"optimizer.per_class is {optimizer.per_class}, but batches of self-blended images "
                "are half real, half fake already. Set it to 0."
            )
        mixed = [name for name in ("mixup", "cutmix") if getattr(run.objective, name, 0)]
        if mixed:
            yield (
                f"objective.{mixed[0]} is on, but would mix a face with its own blend (data.fakes "
                "is 'self_blended'). Set it to 0."
            )
    if run.averaging.last_epochs > optimizer.epochs:
        yield (
            f"averaging.last_epochs is {run.averaging.last_epochs}, but optimizer.epochs is "
            f"{optimizer.epochs}."
        )
