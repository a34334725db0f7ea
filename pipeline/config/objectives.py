"""What a run can be trained for: the parameters of every objective, and what else is known of it.

This is the one list of objectives. What an objective computes is registered under the same name in
:mod:`pipeline.training.objective`. "Metric learning" is 2508.19730, "SJEDD" the joint embedding
paper; values no paper gives are ours.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pipeline.config.strict import Range


class ObjectiveParams(ABC):
    """The parameters of one objective. A subclass is a frozen dataclass, listed below."""

    kind: str
    """Name of the objective. Without a default, so that it is always part of a run's digest."""
    architectures: ClassVar[tuple[str, ...]]
    """Models whose outputs can be trained with it."""

    @property
    def graph(self) -> str:
        """The label graph that it reads label vectors of; "" where it reads none."""
        return ""

    @property
    def attribution(self) -> str:
        """What fakes are told apart by, ``category`` or ``dataset``; ``none`` where not at all."""
        return "none"

    @abstractmethod
    def words(self) -> str:
        """What is minimised, for the report: a few words without a full stop."""

    def contradictions(self, _also: str) -> Iterator[str]:
        """Yield one sentence per pair of values that are each possible, but not together.

        Args:
            _also: shard folder that the run reads besides ``train``.
        """
        yield from ()


@dataclass(frozen=True)
class MetricLearningParams(ObjectiveParams):
    """Cross-entropy, and a triplet loss where there is one."""

    architectures: ClassVar[tuple[str, ...]] = ("vit",)

    kind: Literal["metric_learning"]
    triplet: Literal[
        "none", "batch_all", "hard_positive_hard_negative", "easy_positive_hard_negative"
    ] = "none"
    """Which triplets of a batch count (metric learning, section 3.3)."""
    triplet_weight: Annotated[float, Range(above=0)] = 1.0
    """Ours: metric learning names no number."""
    triplet_margin: Annotated[float, Range(0)] = 1.0
    """Euclidean distance. Ours: metric learning names none; icpr2020dfdc's public code has 1."""
    attribution: Literal["none", "category", "dataset"] = "none"
    """Classes that are learnt: real and fake, or real and one per category or dataset of the fakes
    (metric learning, section 3.4)."""
    label_smoothing: Annotated[float, Range(0, 0.99)] = 0.0
    """Share of each target that all classes have in equal parts. FSFM's fine-tuning has 0.1."""
    class_weights: Literal["none", "balanced"] = "none"
    """``balanced``: in training, the cross-entropy of a class counts by the inverse of its share of
    the faces."""
    mixup: Annotated[float, Range(0)] = 0.0
    """Alpha of the Beta distribution by which two faces are mixed; 0 = never. FSFM's README has
    0.8, its code 0."""
    cutmix: Annotated[float, Range(0)] = 0.0
    """The same for a rectangle that is put in from another face; with both, each batch has one of
    them. FSFM's README has 1, its code 0."""

    def words(self) -> str:
        """See :class:`ObjectiveParams`."""
        entropy = "cross-entropy"
        if self.attribution != "none":
            entropy += f" over real and each {self.attribution} of fakes"
        if self.triplet == "none":
            return entropy
        triplet = self.triplet.replace("_", " ")
        weight, margin = f"{self.triplet_weight:g}", f"{self.triplet_margin:g}"
        return f"{entropy} + {weight} x triplet ({triplet}), margin {margin}"

    def contradictions(self, also: str) -> Iterator[str]:
        """See :class:`ObjectiveParams`."""
        if self.attribution == "category" and also == "expanded":
            yield (
                "objective.attribution is 'category', but also is 'expanded', and fakes made from "
                "real faces have no category of the paper's. Set also to train."
            )
        mixed = [name for name in ("mixup", "cutmix") if getattr(self, name)]
        if mixed and self.triplet != "none":
            yield (
                f"objective.{mixed[0]} is {getattr(self, mixed[0]):g}, but a mixed face has no one "
                f"class that triplets ({self.triplet}) could be mined by. Set it to 0, or triplet "
                "to none."
            )


@dataclass(frozen=True)
class LevelWeights:
    """Weights of the three level losses (SJEDD, equation 5)."""

    root: Annotated[float, Range(0)] = 1.0
    """SJEDD's code starts all three at 1."""
    global_attributes: Annotated[float, Range(0)] = 1.0
    local_regions: Annotated[float, Range(0)] = 1.0


@dataclass(frozen=True)
class SjeddParams(ObjectiveParams):
    """A loss on the labels of the three levels of ``graph`` (SJEDD, section IV-C)."""

    architectures: ClassVar[tuple[str, ...]] = ("joint_embedding",)

    kind: Literal["sjedd"]
    graph: str = ""
    """Named graph in manifests/semantics.yaml; any, whichever the samples' own vectors follow."""
    loss: Literal["fidelity", "cross_entropy"] = "fidelity"
    """Of a label: equation 6, or cross-entropy as in Table VI."""
    unobserved: Literal["mask", "zero"] = "mask"
    """Labels that nobody knows count for nothing (section IV-C), or as 0 (public code)."""
    level_reduction: Literal["sum", "mean"] = "sum"
    """Over the labels of a level: equation 5, or as in the public code."""
    weighting: Literal["fixed", "bilevel", "dwa"] = "fixed"
    """Who sets the weights of the levels: ``loss_weights``; bi-level optimisation (equation 7); or
    dynamic weight averaging (Table VII). ``loss_weights`` are what the last two start from."""
    loss_weights: LevelWeights = field(default_factory=LevelWeights)
    weights_learning_rate: Annotated[float, Range(above=0)] = 1e-3
    """Of Adam on the weights, with ``bilevel`` (SJEDD's public code)."""
    weights_faces: Literal["train", "val"] = "train"
    """Where the minibatches of the outer level come from, with ``bilevel``: section IV-C has the
    training set; ``val`` holds them out."""
    dwa_temperature: Annotated[float, Range(above=0)] = 2.0
    """With ``dwa``: at a higher one the weights differ less. The paper of dynamic weight averaging
    (reference [105] of SJEDD) has 2."""

    def words(self) -> str:
        """See :class:`ObjectiveParams`."""
        loss = self.loss.replace("_", "-")
        labels = "observed labels" if self.unobserved == "mask" else "labels"
        weights = {"fixed": "fixed", "bilevel": "bi-level", "dwa": "averaged"}[self.weighting]
        return f"SJEDD, {loss} on {labels} of {self.graph}, {weights} weights"

    def contradictions(self, _also: str) -> Iterator[str]:
        """See :class:`ObjectiveParams`."""
        if not self.graph:
            yield (
                "objective.graph is '', but SJEDD learns a label graph. Name one of "
                "manifests/semantics.yaml."
            )
        if self.loss_weights == LevelWeights(0, 0, 0):
            yield "objective.loss_weights are all 0: nothing would be learnt."


OBJECTIVES: dict[str, type[ObjectiveParams]] = {
    "metric_learning": MetricLearningParams,
    "sjedd": SjeddParams,
}
"""By the name that ``objective.kind`` has in params.yaml."""
