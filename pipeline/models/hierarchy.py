"""The joint distribution over the legal label states of a graph (SJEDD, equations 1 to 3)."""

from abc import ABC

import torch
from torch import Tensor

from pipeline.labels.semantics import Graph
from pipeline.models.base import Classifier, Normalisation, Outputs


class GraphClassifier(Classifier, ABC):
    """A classifier whose outputs are raw scores of a label graph's nodes.

    Args:
        image_px: height and width of the images it takes.
        normalisation: of its input.
        graph: its nodes are scored.
        root_needs_child: see :func:`legal_states`.
    """

    states: Tensor

    def __init__(
        self, image_px: int, normalisation: Normalisation, graph: Graph, root_needs_child: bool
    ) -> None:
        super().__init__(image_px, normalisation)
        states = legal_states(graph, root_needs_child)
        self.register_buffer("states", states, persistent=False)  # (S, N)

    def fake_log_odds(self, outputs: Outputs) -> Tensor:
        """Of the marginal probability of the root, float64 (B,); all nodes contribute."""
        return root_log_odds(outputs.logits, self.states)  # (B,)

    def node_probabilities(self, outputs: Outputs) -> Tensor:
        """Marginal probability of every node, float64 (B, N) in [0, 1] (equation 3)."""
        return marginals(outputs.logits, self.states)  # (B, N)

    def node_log_odds(self, outputs: Outputs) -> Tensor:
        """Logarithm of p / (1 - p) of every node's marginal probability, float64 (B, N)."""
        return log_odds(outputs.logits, self.states)  # (B, N)


def legal_states(graph: Graph, root_needs_child: bool = True) -> Tensor:
    """The states that have a probability above 0, uint8 (S, N) of 0 and 1.

    Args:
        graph: any.
        root_needs_child: an active root needs an active child, as the wording of equation 1 has it:
            250 states for ``ffpp``. The authors' code asks it of all nodes but the root: 251.
    """
    return torch.from_numpy(graph.legal_states(root_needs_child))


def joint(logits: Tensor, states: Tensor) -> Tensor:
    """Probability of each legal state (SJEDD, equations 1 and 2).

    The potential of a state is the sum of the logits of its active nodes. Computed in float64,
    whatever the logits are; finite, and with finite gradients, for any finite logits.

    Args:
        logits: (B, N) of the graph's nodes, before any distribution.
        states: (S, N) of 0 and 1, as from :func:`legal_states`.

    Returns:
        float64 (B, S), each row adding up to 1.
    """
    potentials = logits.double() @ states.double().T  # (B, S)
    above = potentials - potentials.amax(dim=1, keepdim=True).detach()  # (B, S), at most 0
    unnormalised = above.exp()  # (B, S), at least one of them 1
    return unnormalised / unnormalised.sum(dim=1, keepdim=True)  # (B, S)


def marginals(logits: Tensor, states: Tensor) -> Tensor:
    """Probability that each node is altered (SJEDD, equation 3).

    Args:
        logits: (B, N), as for :func:`joint`.
        states: (S, N), as for :func:`joint`.

    Returns:
        float64 (B, N) in [0, 1]; column 0, the root, is the probability of a fake face.
    """
    # Rounding can carry a sum of probabilities a last bit over 1.
    return (joint(logits, states) @ states.double()).clamp(0, 1)  # (B, N)


def log_odds(logits: Tensor, states: Tensor) -> Tensor:
    """Logarithm of p / (1 - p) of the marginal probability of every node, in log-space.

    Near 0 and 1, where p no longer tells faces apart, this still does.

    Args:
        logits: (B, N), as for :func:`joint`.
        states: (S, N), as for :func:`joint`; each node is 0 in some of them and 1 in others.

    Returns:
        float64 (B, N).
    """
    potentials = logits.double() @ states.double().T  # (B, S)
    of_nodes = [
        potentials[:, on].logsumexp(dim=1) - potentials[:, ~on].logsumexp(dim=1)  # (B,)
        for on in (states == 1).T
    ]
    return torch.stack(of_nodes, dim=1)  # (B, N)


def root_log_odds(logits: Tensor, states: Tensor) -> Tensor:
    """Logarithm of p / (1 - p) of the root's marginal probability, in log-space.

    Args:
        logits: (B, N), as for :func:`joint`.
        states: (S, N), as for :func:`joint`; the root, column 0, is 0 in one or more of them.

    Returns:
        float64 (B,).
    """
    potentials = logits.double() @ states.double().T  # (B, S)
    fake = states[:, 0] == 1  # (S,)
    return potentials[:, fake].logsumexp(dim=1) - potentials[:, ~fake].logsumexp(dim=1)  # (B,)
