"""What a run minimises: named losses of a batch, and the weighted sum of them."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor

from pipeline.config.run_params import ObjectiveParams
from pipeline.labels.semantics import Graph
from pipeline.models import Classifier, JointEmbedding, Outputs
from pipeline.training import losses
from pipeline.training.data import Batch


class Objective(ABC):
    """Named losses and their weights."""

    primary: str
    """The loss that chooses the best epoch."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = dict(weights)
        """By name, in the order of the history's columns."""

    @abstractmethod
    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Unweighted losses of a batch by name, each a scalar."""

    def total(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Sum of the losses times their weights, a scalar."""
        first, *others = (weight * parts[name] for name, weight in self.weights.items())
        return sum(others, start=first)


class MetricLearning(Objective):
    """Cross-entropy, and a batch-all triplet loss on embeddings (metric learning, section 3)."""

    primary = "cross_entropy"

    def __init__(self, params: ObjectiveParams) -> None:
        triplet = {} if params.triplet == "none" else {"triplet": params.triplet_weight}
        super().__init__({self.primary: 1.0, **triplet})
        self._margin = params.triplet_margin

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """See :class:`Objective`."""
        found = {self.primary: losses.cross_entropy(outputs.logits, batch.labels)}
        if "triplet" in self.weights:
            found["triplet"] = losses.triplet_batch_all(
                outputs.embedding, batch.labels, self._margin
            )
        return found


class Sjedd(Objective):
    """Fidelity losses of the three levels of a label graph (SJEDD, equations 5 and 6)."""

    primary = "root"

    def __init__(self, params: ObjectiveParams, model: JointEmbedding, graph: Graph) -> None:
        super().__init__(dataclasses.asdict(params.loss_weights))
        self._model = model
        self._levels = losses.levels(graph)

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """See :class:`Objective`."""
        probabilities = self._model.node_probabilities(outputs)  # (B, nodes)
        parts = losses.fidelity_by_level(probabilities, batch.vectors, self._levels)  # (3,)
        return dict(zip(self.weights, parts, strict=True))


def make_objective(params: ObjectiveParams, model: Classifier, graph: Graph | None) -> Objective:
    """The objective that the parameters name; ``sjedd`` for a joint embedding and its graph."""
    if params.kind == "metric_learning":
        return MetricLearning(params)
    if graph is None or not isinstance(model, JointEmbedding):
        raise ValueError("the objective sjedd needs a joint embedding and its label graph")
    return Sjedd(params, model, graph)
