"""What a run minimises: named losses of a batch, and the weighted sum of them."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from pipeline.config.objectives import MetricLearningParams, ObjectiveParams, SjeddParams
from pipeline.labels.levels import levels
from pipeline.labels.semantics import Graph
from pipeline.models import Classifier, GraphClassifier, Outputs
from pipeline.training import losses, triplets
from pipeline.training.data import TrainingBatch
from pipeline.training.learnt_weights import AveragedWeights, BilevelWeights
from pipeline.training.loss_weights import LossWeights, Prepared
from pipeline.training.targets import balanced_weights, drawn_mix, mixed_images, soft_targets


class Objective(ABC):
    """Named losses and their weights.

    A subclass is made from its own parameters, the model and the label graph (None where the
    parameters name none), and is listed in :data:`OBJECTIVES`.
    """

    primary: str
    """The loss that chooses the best epoch."""

    class_counts: tuple[int, ...] = ()
    """Faces of train by class; set by who trains, () before."""

    def __init__(self, weights: LossWeights) -> None:
        self.weights = weights
        """Of its losses; their order is that of the history's columns."""

    @abstractmethod
    def losses(self, outputs: Outputs, batch: TrainingBatch) -> dict[str, Tensor]:
        """Unweighted losses of a batch by name, each a scalar."""

    def prepared(self, batch: Prepared, _key: str) -> Prepared:
        """A batch of train as the objective wants it, such as with faces mixed.

        Args:
            batch: augmented and normalised.
            _key: names the batch, for random draws.
        """
        return batch

    def total(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Sum of the losses times their weights, a scalar."""
        first, *others = (weight * parts[name] for name, weight in self.weights.current.items())
        return sum(others, start=first)

    def shown(self, mean: float) -> float:
        """What people see of a mean loss, in plots and lines."""
        return mean


class MetricLearning(Objective):
    """Cross-entropy, and a triplet loss on the embeddings (metric learning, section 3.3).

    Both are over the run's own classes: real and fake, or those of an attribution (section 3.4).
    """

    primary = "cross_entropy"

    def __init__(
        self, params: MetricLearningParams, _model: Classifier, _graph: Graph | None
    ) -> None:
        triplet = {} if params.triplet == "none" else {"triplet": params.triplet_weight}
        super().__init__(LossWeights({self.primary: 1.0, **triplet}))
        self._triplet = triplets.TRIPLETS.get(params.triplet)
        self._margin = params.triplet_margin
        self._params = params

    def prepared(self, batch: Prepared, key: str) -> Prepared:
        """With soft targets where classes are smoothed, weighted or mixed."""
        params = self._params
        is_weighted = params.class_weights == "balanced"
        if not (is_weighted or params.label_smoothing or params.mixup or params.cutmix):
            return batch
        mix = drawn_mix(params.mixup, params.cutmix, key, batch.images.shape[-1])
        weights = balanced_weights(self.class_counts) if is_weighted else ()
        targets = soft_targets(
            batch.faces.classes, len(self.class_counts), params.label_smoothing, mix, weights
        )
        faces = dataclasses.replace(batch.faces, targets=targets)
        return Prepared(mixed_images(batch.images, mix), faces)

    def losses(self, outputs: Outputs, batch: TrainingBatch) -> dict[str, Tensor]:
        """See :class:`Objective`."""
        right = batch.classes if batch.targets is None else batch.targets
        found = {self.primary: losses.cross_entropy(outputs.logits, right)}
        if self._triplet:
            found["triplet"] = self._triplet(outputs.embedding, batch.classes, self._margin)
        return found


class Sjedd(Objective):
    """Losses of the three levels of a label graph (SJEDD, equations 5 and 6)."""

    primary = "root"

    def __init__(self, params: SjeddParams, model: Classifier, graph: Graph | None) -> None:
        if graph is None or not isinstance(model, GraphClassifier):
            raise ValueError("the objective sjedd needs a joint embedding and its label graph")
        super().__init__(_weights(params, self.primary))
        self._model = model
        self._levels = levels(graph)
        self._params = params

    def losses(self, outputs: Outputs, batch: TrainingBatch) -> dict[str, Tensor]:
        """See :class:`Objective`."""
        asked, of = self._params, self._levels
        if asked.loss == "fidelity":
            p = self._model.node_probabilities(outputs)  # (B, nodes)
            each = partial(losses.fidelity, p)
        else:
            each = partial(losses.binary_cross_entropy, self._model.node_log_odds(outputs))
        parts = losses.by_level(
            each, batch.vectors, of, asked.unobserved, asked.level_reduction
        )  # (3,)
        return dict(zip(self.weights.current, parts, strict=True))

    def shown(self, mean: float) -> float:
        """At least 0: by the 1e-8 under its square roots, a perfect guess is a little below."""
        return max(mean, 0.0)


def _weights(params: SjeddParams, primary: str) -> LossWeights:
    first = dataclasses.asdict(params.loss_weights)
    match params.weighting:
        case "fixed":
            return LossWeights(first)
        case "bilevel":
            rate, faces = params.weights_learning_rate, params.weights_faces
            return BilevelWeights(first, primary, rate, faces)
        case "dwa":
            return AveragedWeights(first, params.dwa_temperature)


OBJECTIVES: dict[str, Callable[[Any, Classifier, Graph | None], Objective]] = {
    "metric_learning": MetricLearning,
    "sjedd": Sjedd,
}
"""By kind; the same names as :data:`pipeline.config.objectives.OBJECTIVES`."""


def make_objective(params: ObjectiveParams, model: Classifier, graph: Graph | None) -> Objective:
    """The objective that the parameters are of.

    Args:
        params: of one kind.
        model: what is trained, of an architecture that the kind takes.
        graph: the one that the parameters name; None where they name none.

    Raises:
        ValueError: the model or the graph is not one that the objective takes.
    """
    return OBJECTIVES[params.kind](params, model, graph)
