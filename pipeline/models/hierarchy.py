"""The joint distribution over the legal label states of a graph (SJEDD, equations 1 to 3)."""

import torch
from torch import Tensor

from pipeline.labels.semantics import Graph


def legal_states(graph: Graph) -> Tensor:
    """The states that have a probability above 0, uint8 (S, N) of 0 and 1; 251 for ``ffpp``.

    The root needs no active child, as in the authors' code: 250 states under the paper's wording.
    """
    return torch.from_numpy(graph.legal_states())


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
