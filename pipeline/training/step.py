"""One update of a model: forward, losses, backward, optimizer."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from pipeline.config.run_params import OptimizerParams
from pipeline.models import Classifier
from pipeline.training import optim
from pipeline.training.loss_weights import Prepared
from pipeline.training.objective import Objective


class Learner:
    """A model with what it minimises and the optimizer that changes it."""

    def __init__(self, model: Classifier, objective: Objective, params: OptimizerParams) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optim.make_optimizer(model, params)

    def losses(self, batch: Prepared) -> dict[str, Tensor]:
        """Unweighted losses of the model as it stands, each a scalar, by name."""
        return self.objective.losses(self.model(batch.images), batch.faces)

    def step(
        self, batch: Prepared, second: Prepared | None, learning_rate: float
    ) -> dict[str, Tensor]:
        """One update of the model; returns the unweighted losses before it.

        Args:
            batch: what is learnt.
            second: other faces, for objectives that learn their weights; None for others.
            learning_rate: of this step.
        """
        optim.set_learning_rate(self.optimizer, learning_rate)
        self.objective.weights.before_step(self.losses, self.optimizer, batch, second)
        parts = self.losses(batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.objective.total(parts).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {name: part.detach() for name, part in parts.items()}

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on: weights, the optimizer's state, the losses' weights."""
        return {
            "model": self.weights(),
            "optimizer": self.optimizer.state_dict(),
            "loss_weights": self.objective.weights.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state; it may hold other things besides."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if "loss_weights" in state:  # older ones have none, nor any weights that change
            self.objective.weights.load_state_dict(state["loss_weights"])

    def weights(self) -> dict[str, Tensor]:
        """The model's state dict, on the CPU."""
        return {name: value.cpu() for name, value in self.model.state_dict().items()}
