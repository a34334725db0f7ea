"""One update of a model: forward, losses, backward, optimizer."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pipeline.config.run_params import RunParams
from pipeline.models import Classifier, Outputs
from pipeline.training import optim, ranks
from pipeline.training.averaging import Averages
from pipeline.training.loss_weights import Prepared
from pipeline.training.objective import Objective


class Learner:
    """A model with what it minimises and the optimizer that changes it."""

    def __init__(self, model: Classifier, objective: Objective, params: RunParams) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optim.make_optimizer(model, params.optimizer, params.compute.fused)
        self.averages = Averages(model, params.averaging, params.optimizer.epochs)
        self._compute = params.compute
        self._clip_norm = params.optimizer.clip_norm
        if params.compute.compiled:
            model.compile()

    def outputs(self, images: Tensor) -> Outputs:
        """What the model says, in the run's precision; what comes out is float32 at least."""
        kind, is_half = images.device.type, self._compute.precision == "bf16"
        with torch.autocast(kind, torch.bfloat16, enabled=is_half):
            found: Outputs = self.model(images)
        if not is_half:
            return found
        return Outputs(found.logits.float(), found.embedding.float())

    def losses(self, batch: Prepared) -> dict[str, Tensor]:
        """Unweighted losses of the model as it stands, each a scalar, by name.

        They are of the whole batch, whose faces several ranks may share; their gradients by the
        parameters are the part of this rank's faces, to be added up by :func:`ranks.sum_`.
        """
        outputs = ranks.gathered(self.outputs(batch.images))
        return self.objective.losses(outputs, ranks.gathered(batch.faces.without_images()))

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
        self.optimizer.zero_grad(set_to_none=True)
        if self._compute.accumulate > 1:
            parts = self._backward_in_parts(batch)
        else:
            parts = self.losses(batch)
            self.objective.total(parts).backward()  # type: ignore[no-untyped-call]
        ranks.sum_([p.grad for p in self.model.parameters() if p.grad is not None])
        if self._clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._clip_norm)
        self.optimizer.step()
        self.averages.after_step()
        return {name: part.detach() for name, part in parts.items()}

    def _backward_in_parts(self, batch: Prepared) -> dict[str, Tensor]:
        """Gradients of the whole batch, while only a part of it is in memory.

        The losses may be of pairs or triplets of faces in different parts. So all parts go forward
        once to find the gradients of the losses by the model's outputs, and once more, by the same
        random draws, to go on backward from these.
        """
        shares = batch.images.chunk(self._compute.accumulate)
        random, found = [], []
        with torch.no_grad():
            for share in shares:
                random.append(random_state(share.device))
                found.append(self.outputs(share))
        logits = torch.cat([part.logits for part in found]).requires_grad_()  # (B, classes)
        embedding = torch.cat([part.embedding for part in found]).requires_grad_()  # (B, D)
        outputs = ranks.gathered(Outputs(logits, embedding))
        losses = self.objective.losses(outputs, ranks.gathered(batch.faces.without_images()))
        self.objective.total(losses).backward()  # type: ignore[no-untyped-call]
        slopes = [
            torch.zeros_like(whole) if whole.grad is None else whole.grad
            for whole in (logits, embedding)
        ]
        at = 0
        for share, state in zip(shares, random, strict=True):
            set_random_state(state, share.device)
            part = self.outputs(share)
            here = [slope[at : at + len(share)] for slope in slopes]
            torch.autograd.backward([part.logits, part.embedding], here)
            at += len(share)
        return losses

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on: weights and their averages, optimizer, the losses' weights."""
        return {
            "model": self.weights(),
            "optimizer": self.optimizer.state_dict(),
            "averages": self.averages.state_dict(),
            "loss_weights": self.objective.weights.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state; it may hold other things besides.

        Older states have no averages and no weights of losses, since nothing changed them.
        """
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if "averages" in state:
            self.averages.load_state_dict(state["averages"])
        if "loss_weights" in state:
            self.objective.weights.load_state_dict(state["loss_weights"])

    def weights(self) -> dict[str, Tensor]:
        """The model's state dict, on the CPU."""
        return {name: value.cpu() for name, value in self.model.state_dict().items()}


def random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    """State of torch's generators of the CPU and of a GPU."""
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if _is_gpu(device) else None


def set_random_state(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    """Puts torch's generators into a state."""
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)


def _is_gpu(device: torch.device) -> bool:
    return device.type == "cuda"
